/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on the bytes of files. */
#include <errno.h>

#include "front/caller.h"
#include "front/ops.h"
#include "front/reply.h"

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_OPEN);

	int id, r;

	if (!f->passthrough.on) {
		reply_open(req, f, f->zero_open, fi);
		return;
	}
	r = passthrough_open(f, ino, fi->flags, &id);
	if (r < 0)
		reply_result(req, r);
	else if (reply_passed(req, f, id, fi) < 0)
		passthrough_release(f, ino);
}

/* Of what was opened without a message none comes. */
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_RELEASE);

	passthrough_release(f, ino);
	reply_result(req, 0);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_READ);
	void *bytes;
	ssize_t r;

	if (read_by_splice(req, f, ino, size, off))
		return;
	bytes = scratch_bytes(f, size);
	r = bytes == NULL ? -ENOMEM : fs_read(f->fs, ino, bytes, size, off);
	reply_bytes(req, r, bytes);
}

/* With the writeback cache the kernel moves the times of files itself, and sends them when it pleases. */
static unsigned int cached_times(const struct front *f)
{
	return f->writeback ? FS_WRITE_BACK : 0;
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_WRITE);
	unsigned int how = fi->writepage ? cached_times(f) : 0;
	ssize_t r = 0;

	if (fi->writepage)
		atomic_fetch_add(&f->write_back.begun, 1);
#if FRONT_FUSE_3_18
	/* As the kernel does it: first the bits, then the bytes. */
	if (fi->kill_suidgid)
		r = caller_kill_suidgid(req, f, ino);
#endif
	if (r == 0)
		r = fs_write(f->fs, ino, bytes, size, off, how);
	reply_written(req, r);
	if (fi->writepage)
		atomic_fetch_add(&f->write_back.ended, 1);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_FSYNC);

	/*
	 * Nor is it ENOSYS where nothing is synced: the kernel would not ask again, and when we have died it would throw
	 * away what it could not write and call that a success (fuse_fsync(), fs/fuse/file.c).
	 */
	reply_result(req, fs_fsync(f->fs, ino, datasync != 0));
}

/* The kernel leaves the bits to us in these requests, too, but does not say who lacks CAP_FSETID. */
static int kill_set_id(fuse_req_t req, struct front *f, uint64_t ino)
{
	if (caller_kill_bits(req, f, ino) == 0 || caller_keeps_set_id(req, f))
		return 0;
	return caller_kill_suidgid(req, f, ino);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_FALLOCATE);
	int r = kill_set_id(req, f, ino);

	reply_result(req, r < 0 ? r : fs_fallocate(f->fs, ino, mode, off, len));
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_off,
			struct fuse_file_info *from_fi, fuse_ino_t to, off_t to_off,
			struct fuse_file_info *to_fi, size_t len, int flags)
{
	struct front *f = op_begin(req, FRONT_OP_COPY);
	ssize_t r = flags != 0 ? -EINVAL : 0;

	if (r == 0)
		r = kill_set_id(req, f, to);
	if (r == 0)
		r = fs_copy_range(f->fs, from, from_off, to, to_off, len, cached_times(f));
	reply_written(req, r);
}

/*
 * The kernel does not write back what it caches before it asks (fuse_lseek()), and has no way to be asked what that is: a
 * hole of ours may be somebody's data, and cp(1) would make zeros of it. ENOSYS: then to SEEK_DATA all of a file is
 * data, up to the size that the kernel knows.
 */
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_LSEEK);

	reply_lseek(req, f->writeback ? -ENOSYS : fs_lseek(f->fs, ino, off, whence));
}
