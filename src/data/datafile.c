/* SPDX-License-Identifier: Apache-2.0 */
/* One data file: whole transfers, and the way back when one fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "data/private.h"

/* No file system has larger blocks. */
#define SHRINK_BLOCK 65536

int datafile_missing(uint64_t ino, int r)
{
	if (r != -ENOENT && r != -EUCLEAN)
		return r;
	log_error("data file %016llx is %s", (unsigned long long)ino,
		  r == -ENOENT ? "missing" : "not a file");
	return -EIO;
}

int datafile_set_mtime(struct data *d, struct fdref *ref, const struct timespec *mtime)
{
	int r = times_set(ref->fd, mtime);

	if (r < 0)
		return r;
	atomic_store(&ref->mtime_moved, false);
	sums_note(d, ref);
	unsynced_written(d, ref);
	return 0;
}

int datafile_get(struct data *d, uint64_t ino, struct fdref **ret_ref)
{
	return datafile_missing(ino, fdcache_get(d->fds, ino, ret_ref));
}

ssize_t datafile_pread(int fd, void *bytes, size_t size, uint64_t off)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)bytes + done, size - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int datafile_pwrite(int fd, const void *bytes, size_t size, uint64_t off)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pwrite(fd, (const char *)bytes + done, size - done,
				   (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* Not by POSIX for a regular file; but then nobody must loop for ever. */
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

int datafile_write_zeros(int fd, uint64_t off, uint64_t end)
{
	static const uint8_t zeros[65536];
	int r = 0;

	while (r == 0 && off < end) {
		size_t n = end - off < sizeof(zeros) ? (size_t)(end - off) : sizeof(zeros);

		r = datafile_pwrite(fd, zeros, n, off);
		off += n;
	}
	return r;
}

int datafile_size(int fd, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

/* The block that a new length cuts in two may hold zeros now: TAIL is what was there, N bytes. */
static void put_back(int fd, uint64_t size, const uint8_t *tail, size_t n)
{
	CLEANUP(free) uint8_t *is = malloc(n);

	/* What is in memory only is not what the file has. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (is == NULL || datafile_pread(fd, is, n, size) != (ssize_t)n || memcmp(is, tail, n) != 0)
		(void)datafile_pwrite(fd, tail, n, size);
}

/*
 * On btrfs shortening a file may fail for want of space. By then all that the page cache had of the bytes behind the new
 * length is thrown away, or zeros, and what was not on the disk is lost. So it goes to the disk before.
 */
static int shrink_with_care(struct data *d, struct fdref *ref, uint64_t size, uint64_t old)
{
	uint64_t n = SHRINK_BLOCK - size % SHRINK_BLOCK;
	CLEANUP(free) uint8_t *tail = malloc(SHRINK_BLOCK);
	uint64_t now = old;
	ssize_t had;
	int r;

	if (tail == NULL)
		return -ENOMEM;
	r = unsynced_flush_bytes(d, ref);
	if (r < 0)
		return r;
	had = datafile_pread(ref->fd, tail, n < old - size ? (size_t)n : (size_t)(old - size),
			     size);
	r = had < 0 ? (int)had : sys_ftruncate(ref->fd, (off_t)size);
	if (r == 0 || had <= 0)
		return r;
	if (datafile_size(ref->fd, &now) == 0 && now == size)
		return 0;
	if (now >= size + (uint64_t)had)
		put_back(ref->fd, size, tail, (size_t)had);
	return r;
}

int datafile_resize(struct data *d, struct fdref *ref, uint64_t size)
{
	uint64_t old;
	int r = datafile_size(ref->fd, &old);

	if (r < 0)
		return r;
	if (size < old && sys_cut_may_fail(ref->fd))
		return shrink_with_care(d, ref, size, old);
	return sys_ftruncate(ref->fd, (off_t)size);
}

void datafile_undo_growth(struct data *d, struct fdref *ref, uint64_t size)
{
	uint64_t now = 0;

	if (datafile_size(ref->fd, &now) == 0 && now > size)
		(void)datafile_resize(d, ref, size);
}

static int write_growing(struct data *d, struct fdref *ref, const void *bytes, size_t size,
			 uint64_t off)
{
	uint64_t old;
	int r;

	pthread_rwlock_wrlock(&ref->growing);
	r = datafile_size(ref->fd, &old);
	if (r == 0) {
		r = datafile_pwrite(ref->fd, bytes, size, off);
		if (r < 0)
			datafile_undo_growth(d, ref, old);
	}
	pthread_rwlock_unlock(&ref->growing);
	return r;
}

int datafile_write(struct data *d, struct fdref *ref, const void *bytes, size_t size, uint64_t off)
{
	uint64_t now;
	int r;

	pthread_rwlock_rdlock(&ref->growing);
	r = datafile_size(ref->fd, &now);
	if (r == 0 && off + size <= now)
		r = datafile_pwrite(ref->fd, bytes, size, off);
	else if (r == 0)
		r = 1;
	pthread_rwlock_unlock(&ref->growing);
	return r > 0 ? write_growing(d, ref, bytes, size, off) : r;
}
