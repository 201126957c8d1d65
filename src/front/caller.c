/* SPDX-License-Identifier: Apache-2.0 */
/* Who sent a request: from the request itself, and from /proc where that is not enough. */
#include "front/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"

struct fs_caller caller_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct fs_caller){
		.uid = ctx->uid, .gid = ctx->gid, .umask = ctx->umask, .pid = ctx->pid};
}

bool caller_parse_caps(const char *status, uint64_t *ret_caps)
{
	static const char key[] = "\nCapEff:";
	const char *p = strstr(status, key);
	char *end;
	uint64_t caps;

	if (p == NULL)
		return false;
	p += sizeof(key) - 1;
	errno = 0;
	caps = strtoull(p, &end, 16);
	if (end == p || errno != 0)
		return false;
	*ret_caps = caps;
	return true;
}

static bool load_caps(pid_t pid, uint64_t *ret_caps)
{
	char path[48], text[4096];
	ssize_t len;
	int fd;

	if (pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0)
		return false;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	return caller_parse_caps(text, ret_caps);
}

bool caller_has_fsetid(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	uint64_t caps;

	if (load_caps(ctx->pid, &caps))
		return caps >> CAP_FSETID & 1;
	return ctx->uid == 0;
}

bool caller_in_group(fuse_req_t req, uint32_t gid)
{
	gid_t groups[256], *list = groups;
	bool found = false;
	int n;

	if (fuse_req_ctx(req)->gid == gid)
		return true;
	n = fuse_req_getgroups(req, 256, groups);
	if (n > 256) {
		list = reallocarray(NULL, (size_t)n, sizeof(*list));
		n = list == NULL ? -ENOMEM : fuse_req_getgroups(req, n, list);
	}
	for (int i = 0; i < n && !found; i++)
		found = list[i] == gid;
	if (list != groups)
		free(list);
	return found;
}

uint32_t caller_kill_bits(fuse_req_t req, struct front *f, uint64_t ino)
{
	struct attr attr;

	if (fs_getattr(f->fs, ino, &attr) < 0 || !S_ISREG(attr.mode))
		return 0;
	if (!(attr.mode & (S_ISUID | S_ISGID)))
		return 0;
	/* setattr_should_drop_sgid(): who may execute it as the group, or is not in it, clears it. */
	if ((attr.mode & (S_ISGID | S_IXGRP)) == S_ISGID && !caller_in_group(req, attr.gid))
		return FS_SET_KILL_SUIDGID | FS_SET_KILL_SGID;
	return FS_SET_KILL_SUIDGID;
}

int caller_kill_suidgid(fuse_req_t req, struct front *f, uint64_t ino)
{
	uint32_t kill = caller_kill_bits(req, f, ino);
	struct attr attr = {0};
	int r;

	if (kill == 0)
		return 0;
	r = fs_setattr(f->fs, ino, kill, &attr, &attr);
	/* A negative offset: attributes only, which takes no lock that the request may hold. */
	if (r == 0)
		fuse_lowlevel_notify_inval_inode(f->session, ino, -1, 0);
	return r;
}
