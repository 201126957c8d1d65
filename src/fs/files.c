/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of files: read, write, fallocate, copy, seek, fsync. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "data/fdcache.h"
#include "fs/bytes.h"

#ifndef SEEK_DATA
#define SEEK_DATA 3
#define SEEK_HOLE 4
#endif

static int check_regular(const struct inode *inode)
{
	if (inode == NULL)
		return -ESTALE;
	if (S_ISREG(inode->type))
		return 0;
	return S_ISDIR(inode->type) ? -EISDIR : -EINVAL;
}

/*
 * With the atime option, the rule of relatime: an access time is moved when it is not after the last
 * change, or a day old. Lower files keep theirs, for reading must not copy anything up. An access time
 * that cannot be kept is no reason to fail a read.
 */
static void touch_atime(struct fs *fs, struct inode *inode, const struct inode_rec *rec)
{
	CLEANUP(change) struct change ch = {0};
	struct attr attr = rec->attr;
	struct inode_rec *kept;

	if (!fs->options->atime || data_attr(fs->data, rec, &attr) < 0 ||
	    change_prepare(&ch, fs) < 0)
		return;
	if (timespec_cmp(&attr.atime, &attr.mtime) > 0 &&
	    timespec_cmp(&attr.atime, &attr.ctime) > 0 &&
	    ch.now.tv_sec - attr.atime.tv_sec < 24 * 60 * 60)
		return;
	change_lock(&ch);
	if (change_rec(&ch, inode, &kept) == 0) {
		kept->attr.atime = ch.now;
		change_commit(&ch);
	}
}

ssize_t fs_read(struct fs *fs, uint64_t ino, void *bytes, size_t size, off_t off)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(lower_held) struct lower_held held = {&fs->lower_files, NULL};
	CLEANUP(data_lock) struct data_lock *lock = NULL;
	const struct data_source *src;
	struct data_source source;
	ssize_t n;
	int r = check_regular(h.inode);

	if (r < 0)
		return r;
	lock = data_lock_shared(&fs->data_locks, ino);
	r = record_load(fs, ino, &rec);
	if (r == -ENOENT) {
		r = lower_file_get(&fs->lower_files, h.inode, &held.file);
		return r < 0 ? r : lower_file_read(held.file, bytes, size, off);
	}
	if (r == 0)
		r = bytes_source(fs, h.inode, &rec, &held, &source, &src);
	n = r < 0 ? r : data_read(fs->data, &rec, src, bytes, size, off);
	if (n >= 0)
		touch_atime(fs, h.inode, &rec);
	return n;
}

/*
 * All of SIZE bytes from OFF that there are, when they are in the plain file FD and nowhere else; LIMIT: from there on its
 * bytes are not those of the file. -EOPNOTSUPP also at the end, where there is nothing to hand on.
 */
static int use_range(int fd, uint64_t limit, uint64_t file_size, size_t size, off_t off,
		     const struct fs_reader *reader)
{
	struct stat st;
	uint64_t end = limit;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if ((uint64_t)st.st_size < end)
		end = (uint64_t)st.st_size;
	if (off < 0 || (uint64_t)off >= end)
		return -EOPNOTSUPP;
	if (size > end - (uint64_t)off) {
		if (end < file_size)
			return -EOPNOTSUPP;
		size = (size_t)(end - (uint64_t)off);
	}
	return reader->use(reader->arg, fd, size, off);
}

static int use_lower_range(struct fs *fs, const struct inode *inode, const struct inode_rec *rec,
			   size_t size, off_t off, const struct fs_reader *reader)
{
	CLEANUP(lower_held) struct lower_held held = {&fs->lower_files, NULL};
	int fd = lower_held_fd(&held, inode);

	if (fd < 0)
		return fd;
	return rec == NULL ? use_range(fd, UINT64_MAX, 0, size, off, reader)
			   : use_range(fd, rec->lower_size, rec->attr.size, size, off, reader);
}

static int use_own_range(struct fs *fs, const struct inode_rec *rec, size_t size, off_t off,
			 const struct fs_reader *reader)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	int r = data_file(fs->data, rec, &ref);

	return r < 0 ? r : use_range(ref->fd, UINT64_MAX, 0, size, off, reader);
}

int fs_read_file(struct fs *fs, uint64_t ino, size_t size, off_t off,
		 const struct fs_reader *reader)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(data_lock) struct data_lock *lock = NULL;
	int r = check_regular(h.inode);

	if (r < 0)
		return r;
	/* Who traces wants to see each read of a layer. */
	if (fs->options->trace_layers)
		return -EOPNOTSUPP;
	lock = data_lock_shared(&fs->data_locks, ino);
	r = record_load(fs, ino, &rec);
	if (r == -ENOENT)
		return use_lower_range(fs, h.inode, NULL, size, off, reader);
	if (r < 0)
		return r;
	r = rec.where == BYTES_LOWER ? use_lower_range(fs, h.inode, &rec, size, off, reader)
				     : use_own_range(fs, &rec, size, off, reader);
	if (r == 0)
		touch_atime(fs, h.inode, &rec);
	return r;
}

/*
 * The usual write: into the file's own data file, whose size and times are kept by itself, with no
 * set-id bits or capabilities to clear. Nothing of the catalog changes. 1 when done, 0 when the long way
 * must be taken.
 */
static int write_in_place(struct fs *fs, uint64_t ino, const void *bytes, size_t size, off_t off,
			  unsigned int how)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(data_lock) struct data_lock *lock = data_lock_shared(&fs->data_locks, ino);
	bool changed = false;
	int r;

	r = record_load(fs, ino, &rec);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!data_is_plain(&rec) || (rec.flags & INODE_HAS_CAPS))
		return 0;
	if ((how & FS_WRITE_KILL) && (rec.attr.mode & (S_ISUID | S_ISGID)))
		return 0;
	r = how & FS_WRITE_BACK
		    ? data_write_back(fs->data, &rec, NULL, bytes, size, off, NULL, &changed)
		    : data_write(fs->data, &rec, NULL, bytes, size, off, NULL, &changed);
	return r < 0 ? r : 1;
}

/*
 * For longer than this no kernel keeps bytes that it has not written back (30 s, unless its owner wants it otherwise). One
 * that says nothing about the times of what it writes back wrote in the tick of the time that it knows. So with one
 * that is older it does not: it is about to send another.
 */
#define CACHED_MAX_S 120

/*
 * Do the times of REC stay at a write from the kernel's cache? Of a data file data/ sees to it. In the catalog a new content
 * never comes under an old time: should we be killed before the kernel's word comes, nobody would see the change.
 */
static bool keeps_times(const struct change *ch, const struct inode_rec *rec)
{
	int64_t age = ch->now.tv_sec - rec->attr.mtime.tv_sec;

	return rec->where != BYTES_INLINE || (age >= 0 && age <= CACHED_MAX_S);
}

/*
 * A data file is changed at once, and no failed commit undoes that: so the capabilities go first, and set-id bits
 * where HOW has FS_WRITE_KILL.
 */
static int kill_privs_first(struct fs *fs, struct inode *inode, unsigned int how)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(change) struct change ch = {0};
	struct inode_rec *kept;
	uint32_t mode;
	int r = record_load(fs, inode->ino, &rec);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	mode = rec.attr.mode;
	if (how & FS_WRITE_KILL)
		rec_kill_suidgid(&rec);
	if (!inode_has_file(&rec) || (!(rec.flags & INODE_HAS_CAPS) && rec.attr.mode == mode))
		return 0;
	r = change_begin(&ch, fs);
	if (r == 0)
		r = change_rec(&ch, inode, &kept);
	if (r < 0)
		return r;
	if (how & FS_WRITE_KILL)
		rec_kill_suidgid(kept);
	change_kill_caps(&ch, kept);
	return change_commit(&ch);
}

static int write_by_change(struct fs *fs, struct inode *inode, const void *bytes, size_t size,
			   off_t off, unsigned int how)
{
	CLEANUP(data_lock)
	struct data_lock *lock = data_lock_exclusive(&fs->data_locks, inode->ino);
	CLEANUP(change) struct change ch = {0};
	struct inode_rec *rec;
	int r;

	r = change_prepare(&ch, fs);
	if (r == 0)
		r = kill_privs_first(fs, inode, how);
	if (r == 0)
		r = bytes_write(&ch, inode, bytes, size, off, how, &rec);
	/*
	 * In place: the data file's times are the file's, and the record says nothing new. An error for want of room for
	 * one would deny a write that was made.
	 */
	if (r < 0 || !ch.moved)
		return r;
	if (!(how & FS_WRITE_BACK) || !keeps_times(&ch, rec))
		rec->attr.mtime = rec->attr.ctime = ch.now;
	if (how & FS_WRITE_KILL)
		rec_kill_suidgid(rec);
	change_kill_caps(&ch, rec);
	return bytes_commit(&ch);
}

ssize_t fs_write(struct fs *fs, uint64_t ino, const void *bytes, size_t size, off_t off,
		 unsigned int how)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	int r = check_regular(h.inode);
	unsigned int tries = 0;

	if (r < 0)
		return r;
	if (fs->read_only)
		return -EROFS;
	if (off < 0 || size > (size_t)(INT64_MAX - off))
		return -EFBIG;
	do {
		r = catalog_regain_spares(fs->catalog)
			    ? write_in_place(fs, ino, bytes, size, off, how)
			    : -ENOSPC;
		if (r == 0)
			r = write_by_change(fs, h.inode, bytes, size, off, how);
	} while (fs_made_room(fs, r, &tries));
	return r < 0 ? r : (ssize_t)size;
}

/* Under the data lock; RET_AGAIN: a part of it was done, and is in the catalog. */
static int allocate_step(struct fs *fs, struct inode *inode, int mode, off_t off, off_t len,
			 bool *ret_again)
{
	CLEANUP(change) struct change ch = {0};
	struct inode_rec *rec;
	int r;

	*ret_again = false;
	r = change_prepare(&ch, fs);
	if (r == 0)
		r = kill_privs_first(fs, inode, 0);
	if (r == 0)
		r = bytes_fallocate(&ch, inode, mode, off, len, &rec);
	/* As in write_by_change(); the kernel would go on to show what it has cached. */
	if (r < 0 || !ch.moved)
		return r;
	/* Set-id bits are the caller's business: front/ clears them first, with a setattr. */
	rec->attr.mtime = rec->attr.ctime = ch.now;
	change_kill_caps(&ch, rec);
	r = bytes_commit(&ch);
	*ret_again = r == 0 && ch.before.where == BYTES_CHUNKS && ch.before.attr.ino != 0;
	return r;
}

static int allocate(struct fs *fs, struct inode *inode, int mode, off_t off, off_t len)
{
	CLEANUP(data_lock)
	struct data_lock *lock = data_lock_exclusive(&fs->data_locks, inode->ino);
	bool again;
	int r = allocate_step(fs, inode, mode, off, len, &again);

	return r == 0 && again ? allocate_step(fs, inode, mode, off, len, &again) : r;
}

int fs_fallocate(struct fs *fs, uint64_t ino, int mode, off_t off, off_t len)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	int r = check_regular(h.inode);
	unsigned int tries = 0;

	if (r < 0)
		return r;
	if (off < 0 || len <= 0)
		return -EINVAL;
	do {
		r = allocate(fs, h.inode, mode, off, len);
	} while (fs_made_room(fs, r, &tries));
	return r;
}

#define COPY_STEP (256 * 1024)

/* In one request: its sender cannot be killed while it waits for the answer. */
#define COPY_MAX ((size_t)16 << 20)

ssize_t fs_copy_range(struct fs *fs, uint64_t from, off_t from_off, uint64_t to, off_t to_off,
		      size_t len, unsigned int how)
{
	CLEANUP(free) char *bytes = malloc(COPY_STEP);
	size_t done = 0;

	if (bytes == NULL)
		return -ENOMEM;
	if (len > COPY_MAX)
		len = COPY_MAX;
	while (done < len) {
		size_t want = len - done < COPY_STEP ? len - done : COPY_STEP;
		ssize_t n = fs_read(fs, from, bytes, want, from_off + (off_t)done);

		if (n > 0)
			n = fs_write(fs, to, bytes, (size_t)n, to_off + (off_t)done, how);
		if (n < 0)
			return done > 0 ? (ssize_t)done : n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

off_t fs_lseek(struct fs *fs, uint64_t ino, off_t off, int whence)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(lower_held) struct lower_held held = {&fs->lower_files, NULL};
	CLEANUP(data_lock) struct data_lock *lock = NULL;
	const struct data_source *src;
	struct data_source source;
	int r = check_regular(h.inode);

	if (r < 0)
		return r;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	lock = data_lock_shared(&fs->data_locks, ino);
	r = record_load(fs, ino, &rec);
	if (r == -ENOENT) {
		r = lower_file_get(&fs->lower_files, h.inode, &held.file);
		return r < 0 ? r : lower_file_seek(held.file, off, whence);
	}
	if (r == 0)
		r = bytes_source(fs, h.inode, &rec, &held, &source, &src);
	return r < 0 ? r : data_seek(fs->data, &rec, src, off, whence);
}

int fs_fsync(struct fs *fs, uint64_t ino, bool datasync)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(data_lock) struct data_lock *lock = NULL;
	int r;

	if (h.inode == NULL)
		return -ESTALE;
	if (fs->read_only)
		return 0;
	if (S_ISREG(h.inode->type)) {
		lock = data_lock_shared(&fs->data_locks, ino);
		r = record_load(fs, ino, &rec);
		/* What a killed daemon leaves is the meant time, then, whether anything is flushed or not. */
		if (r == 0 && !datasync)
			r = data_put_mtime(fs->data, ino);
		if (r == 0)
			r = data_sync(fs->data, &rec, datasync);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return fs->options->no_sync ? 0 : catalog_sync(fs->catalog);
}

int fs_syncfs(struct fs *fs)
{
	int r, result;

	if (fs->read_only || fs->options->no_sync)
		return 0;
	/* A file that has lost bytes is no reason to lose others. */
	result = data_sync_all(fs->data);
	r = catalog_sync(fs->catalog);
	return result < 0 ? result : r;
}
