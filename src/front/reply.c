/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to the kernel, made from what fs/ returned. */
#include "front/reply.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

/* libfuse and the kernel take errors of 1 to 999; another would be our own mistake. */
static int positive_errno(ssize_t r)
{
	return r > -1000 ? (int)-r : EIO;
}

void reply_attr_changed(struct front *f, uint64_t ino)
{
	/* A negative offset: attributes only, which takes no lock that the request may hold. */
	fuse_lowlevel_notify_inval_inode(f->session, ino, -1, 0);
}

static unsigned int seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (unsigned int)now.tv_sec;
}

/* With the writeback cache the kernel moves the times of regular files itself, and takes none from an answer. */
static bool is_ctime_ours(const struct front *f, uint32_t mode)
{
	return !S_ISREG(mode) || !f->writeback;
}

void reply_note_shown(fuse_req_t req, struct front *f, uint64_t ino, const struct attr *attr)
{
	if (is_ctime_ours(f, attr->mode) && !fs_read_only(f->fs))
		shown_note(&f->shown, ino, fuse_req_ctx(req)->pid, seconds_now());
}

void reply_ctime_changed(fuse_req_t req, struct front *f, uint64_t ino, uint32_t type)
{
	if (f->options->timeout > 0 && is_ctime_ours(f, type) &&
	    shown_to_others(&f->shown, ino, fuse_req_ctx(req)->pid, seconds_now()))
		reply_attr_changed(f, ino);
}

void reply_none(fuse_req_t req)
{
	fuse_reply_none(req);
}

void reply_result(fuse_req_t req, int r)
{
	fuse_reply_err(req, r < 0 ? positive_errno(r) : 0);
}

/* The number of links may be counted down once more than was done: then it is asked for again. */
static double attr_timeout(const struct front *f, uint64_t ino)
{
	return fs_unsettled(f->fs, ino) ? 0 : f->options->timeout;
}

void reply_fill_entry(const struct front *f, const struct fs_entry *entry,
		      struct fuse_entry_param *ret_param)
{
	*ret_param = (struct fuse_entry_param){
		.ino = entry->ino,
		.attr_timeout = attr_timeout(f, entry->ino),
		.entry_timeout = f->options->timeout,
	};
	attr_to_stat(&entry->attr, &ret_param->attr);
}

void reply_entry(fuse_req_t req, struct front *f, int r, const struct fs_entry *entry)
{
	struct fuse_entry_param param;

	if (r < 0) {
		reply_result(req, r);
		return;
	}
	reply_fill_entry(f, entry, &param);
	if (fuse_reply_entry(req, &param) < 0)
		fs_forget(f->fs, entry->ino, 1);
}

void reply_lookup(fuse_req_t req, struct front *f, int r, const struct fs_entry *entry)
{
	struct fuse_entry_param none = {.entry_timeout = f->options->timeout};

	if (r == -ENOENT && f->options->timeout > 0)
		fuse_reply_entry(req, &none);
	else
		reply_entry(req, f, r, entry);
}

void reply_opened_entry(fuse_req_t req, struct front *f, int r, const struct fs_entry *entry,
			struct fuse_file_info *fi)
{
	struct fuse_entry_param param;

	if (r < 0) {
		reply_result(req, r);
		return;
	}
	reply_fill_entry(f, entry, &param);
	fi->keep_cache = 1;
	if (fuse_reply_create(req, &param, fi) < 0)
		fs_forget(f->fs, entry->ino, 1);
}

void reply_attr(fuse_req_t req, struct front *f, int r, uint64_t ino, const struct attr *attr)
{
	struct stat st;

	if (r < 0) {
		reply_result(req, r);
		return;
	}
	attr_to_stat(attr, &st);
	fuse_reply_attr(req, &st, attr_timeout(f, ino));
}

void reply_readlink(fuse_req_t req, ssize_t r, const char *target)
{
	if (r < 0)
		reply_result(req, (int)r);
	else
		fuse_reply_readlink(req, target);
}

void reply_open(fuse_req_t req, struct front *f, bool zero, struct fuse_file_info *fi)
{
	if (zero) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = f->options->timeout > 0;
	fi->cache_readdir = f->options->timeout > 0;
	fuse_reply_open(req, fi);
}

/* With a backing file the kernel refuses flags of the cache. */
int reply_passed(fuse_req_t req, struct front *f, int id, struct fuse_file_info *fi)
{
#if FRONT_FUSE_3_18
	fi->backing_id = id;
#endif
	fi->keep_cache = id == OPENS_CACHED && f->options->timeout > 0;
	return fuse_reply_open(req, fi);
}

int reply_bytes(fuse_req_t req, ssize_t r, const void *bytes)
{
	if (r < 0) {
		reply_result(req, (int)r);
		return 0;
	}
	return fuse_reply_buf(req, bytes, (size_t)r);
}

void reply_from_pipe(fuse_req_t req, int pipe, size_t size)
{
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(size);

	bytes.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_RETRY;
	bytes.buf[0].fd = pipe;
	fuse_reply_data(req, &bytes, 0);
}

void reply_written(fuse_req_t req, ssize_t r)
{
	if (r < 0)
		reply_result(req, (int)r);
	else
		fuse_reply_write(req, (size_t)r);
}

void reply_xattr(fuse_req_t req, ssize_t r, const void *value, size_t size)
{
	if (r >= 0 && size == 0)
		fuse_reply_xattr(req, (size_t)r);
	else
		reply_bytes(req, r, value);
}

void reply_lseek(fuse_req_t req, off_t r)
{
	if (r < 0)
		reply_result(req, (int)r);
	else
		fuse_reply_lseek(req, r);
}

void reply_statfs(fuse_req_t req, int r, const struct statvfs *st)
{
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_statfs(req, st);
}
