/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on attributes. */
#include <errno.h>
#include <limits.h>

#include "front/caller.h"
#include "front/ops.h"
#include "front/reply.h"

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_GETATTR);
	struct attr attr;
	int r;

	shown_begin(&f->shown);
	r = fs_getattr(f->fs, ino, &attr);
	if (r == 0)
		reply_note_shown(req, f, ino, &attr);
	shown_end(&f->shown);
	plus_asked_for(&f->plus, ino);
	reply_attr(req, f, r, ino, &attr);
}

/*
 * The protocol's "kill the set-id bits" has the number that libfuse calls KILL_SUID. The kernel
 * sends it with a truncation by one without CAP_FSETID.
 */
uint32_t op_set_bits(int to_set)
{
	static const struct {
		int from;
		uint32_t to;
	} bits[] = {
		{FUSE_SET_ATTR_MODE, FS_SET_MODE},
		{FUSE_SET_ATTR_UID, FS_SET_UID},
		{FUSE_SET_ATTR_GID, FS_SET_GID},
		{FUSE_SET_ATTR_SIZE, FS_SET_SIZE},
		{FUSE_SET_ATTR_ATIME, FS_SET_ATIME},
		{FUSE_SET_ATTR_MTIME, FS_SET_MTIME},
		{FUSE_SET_ATTR_CTIME, FS_SET_CTIME},
		{FUSE_SET_ATTR_ATIME_NOW, FS_SET_ATIME_NOW},
		{FUSE_SET_ATTR_MTIME_NOW, FS_SET_MTIME_NOW},
#if FRONT_FUSE_3_18
		{FUSE_SET_ATTR_KILL_SUID, FS_SET_KILL_SUIDGID},
#endif
	};
	uint32_t set = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++)
		if (to_set & bits[i].from)
			set |= bits[i].to;
	/* "Now" comes together with the time that it stands for, which then counts for nothing. */
	if (set & FS_SET_ATIME_NOW)
		set &= ~(uint32_t)FS_SET_ATIME;
	if (set & FS_SET_MTIME_NOW)
		set &= ~(uint32_t)FS_SET_MTIME;
	/* What is left of a chown(2) that names neither owner nor group: fuse_do_setattr() of fs/fuse/dir.c. */
	if ((set & ~(uint32_t)FS_SET_CTIME) == 0)
		set |= FS_SET_KILL_SUIDGID;
	return set;
}

/*
 * With the writeback cache the kernel sends the times with a length that it did not know, and with any by ftruncate(2) and
 * O_TRUNC. Without them it is truncate(2) to the length that the file has, which moves none: fuse_do_setattr() again.
 */
static uint32_t keep_times(const struct front *f, uint32_t set)
{
	const uint32_t mtime = FS_SET_MTIME | FS_SET_MTIME_NOW;

	return f->writeback && (set & FS_SET_SIZE) && !(set & mtime) ? FS_SET_KEEP_TIMES : 0;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
		struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_SETATTR);
	uint32_t set = op_set_bits(to_set);
	struct attr to, attr;
	int r;

	/* A truncation says so of who has no CAP_FSETID, a change of the owner of everybody. */
	if ((set & FS_SET_KILL_SUIDGID) && ((set & FS_SET_SIZE) || !caller_has_fsetid(req)))
		set |= caller_kill_bits(req, f, ino);
	set |= keep_times(f, set);
	attr_from_stat(st, &to);
	r = fs_setattr(f->fs, ino, set, &to, &attr);
	reply_attr(req, f, r, ino, &attr);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct front *f = op_begin(req, FRONT_OP_READLINK);
	char *target = scratch_bytes(f, PATH_MAX);
	ssize_t r = target == NULL ? -ENOMEM : fs_readlink(f->fs, ino, target, PATH_MAX);

	reply_readlink(req, r, target);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct front *f = op_begin(req, FRONT_OP_STATFS);
	struct statvfs st;
	int r = fs_statfs(f->fs, &st);

	reply_statfs(req, r, &st);
}
