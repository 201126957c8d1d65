/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on extended attributes. */
#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include <string.h>

#include "attr/acl.h"
#include "front/caller.h"
#include "front/ops.h"
#include "front/reply.h"

/*
 * An ACL set by one who is neither in the file's group nor has CAP_FSETID clears the set-gid bit.
 * The kernel tells the file system so, but libfuse does not hand it on: it is found out here.
 */
static bool kills_sgid(fuse_req_t req, struct front *f, fuse_ino_t ino, const char *name)
{
	struct attr attr;

	if (strcmp(name, ACL_XATTR_ACCESS) != 0)
		return false;
	if (fs_getattr(f->fs, ino, &attr) < 0 || !(attr.mode & S_ISGID))
		return false;
	return !caller_in_group(req, attr.gid) && !caller_keeps_set_id(req, f);
}

/*
 * Where there are none at all the answer is ENOSYS: to callers it is the same, and the kernel does
 * not ask again. It asks for security.capability at the first write into every file.
 */
static ssize_t result(const struct front *f, ssize_t r)
{
	return r == -EOPNOTSUPP && f->options->no_xattr ? -ENOSYS : r;
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags)
{
	struct front *f = op_begin(req, FRONT_OP_SETXATTR);
	bool kill = kills_sgid(req, f, ino, name);
	ssize_t r = fs_setxattr(f->fs, ino, name, value, size, flags, kill);

	if (r == 0)
		reply_attr_changed(f, ino);
	reply_result(req, (int)result(f, r));
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct front *f = op_begin(req, FRONT_OP_GETXATTR);
	void *value = scratch_bytes(f, size);
	ssize_t r = value == NULL ? -ENOMEM : fs_getxattr(f->fs, ino, name, value, size);

	reply_xattr(req, result(f, r), value, size);
}

static bool is_trusted(const char *name)
{
	return strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN) == 0;
}

static bool has_trusted(const char *names, size_t size)
{
	bool found = false;

	for (size_t at = 0; at < size && !found; at += strlen(names + at) + 1)
		found = is_trusted(names + at);
	return found;
}

/* Takes the names that begin with "trusted." out of the SIZE bytes of names; returns how many bytes are left. */
static size_t drop_trusted(char *names, size_t size)
{
	size_t left = 0;

	for (size_t at = 0, len; at < size; at += len) {
		len = strlen(names + at) + 1;
		if (is_trusted(names + at))
			continue;
		memmove(names + left, names + at, len);
		left += len;
	}
	return left;
}

/* All names are asked for, as those that the caller must not see count for nothing, not even for the length. */
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct front *f = op_begin(req, FRONT_OP_LISTXATTR);
	char *names = scratch_bytes(f, XATTR_LIST_MAX);
	ssize_t r = names == NULL ? -ENOMEM : fs_listxattr(f->fs, ino, names, XATTR_LIST_MAX);

	if (r == -ERANGE)
		r = -E2BIG;
	if (r > 0 && has_trusted(names, (size_t)r) && !caller_is_trusted(req, f))
		r = (ssize_t)drop_trusted(names, (size_t)r);
	if (size > 0 && r > (ssize_t)size)
		r = -ERANGE;
	reply_xattr(req, r, names, size);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct front *f = op_begin(req, FRONT_OP_REMOVEXATTR);
	int r = fs_removexattr(f->fs, ino, name);

	if (r == 0)
		reply_attr_changed(f, ino);
	reply_result(req, (int)result(f, r));
}
