/* SPDX-License-Identifier: Apache-2.0 */
/* Who sent a request: from the request itself, and from the kernel where that is not enough. */
#include "front/caller.h"

#include <errno.h>
#include <linux/capability.h>

#include "base/sys_sched.h"
#include "front/reply.h"

struct fs_caller caller_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct fs_caller){
		.uid = ctx->uid, .gid = ctx->gid, .umask = ctx->umask, .pid = ctx->pid};
}

static bool has_cap(fuse_req_t req, unsigned int cap)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	uint64_t caps;

	if (ctx->pid > 0 && sys_caps_of(ctx->pid, &caps) == 0)
		return caps >> cap & 1;
	return ctx->uid == 0;
}

bool caller_has_fsetid(fuse_req_t req)
{
	return has_cap(req, CAP_FSETID);
}

bool caller_keeps_set_id(fuse_req_t req, const struct front *f)
{
	pid_t pid = fuse_req_ctx(req)->pid;

	return f->first_userns && pid > 0 && has_cap(req, CAP_FSETID) &&
	       sys_in_first_userns(pid) > 0;
}

bool caller_is_trusted(fuse_req_t req, const struct front *f)
{
	/* A container's root has his capabilities in a user namespace of his own, and there another id. */
	return f->first_userns && fuse_req_ctx(req)->uid == 0 && has_cap(req, CAP_SYS_ADMIN);
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
	if (r == 0)
		reply_attr_changed(f, ino);
	return r;
}
