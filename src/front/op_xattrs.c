/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on extended attributes. */
#include <errno.h>
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
	return !caller_in_group(req, attr.gid) && !caller_has_fsetid(req);
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

	reply_result(req, (int)result(f, r));
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct front *f = op_begin(req, FRONT_OP_GETXATTR);
	void *value = scratch_bytes(f, size);
	ssize_t r = value == NULL ? -ENOMEM : fs_getxattr(f->fs, ino, name, value, size);

	reply_xattr(req, result(f, r), value, size);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct front *f = op_begin(req, FRONT_OP_LISTXATTR);
	void *names = scratch_bytes(f, size);
	ssize_t r = names == NULL ? -ENOMEM : fs_listxattr(f->fs, ino, names, size);

	reply_xattr(req, r, names, size);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct front *f = op_begin(req, FRONT_OP_REMOVEXATTR);

	reply_result(req, (int)result(f, fs_removexattr(f->fs, ino, name)));
}
