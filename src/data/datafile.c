/* SPDX-License-Identifier: Apache-2.0 */
/* One data file: whole transfers, and the way back when one fails. */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"
#include "data/private.h"

int datafile_get(struct data *d, uint64_t ino, struct fdref **ret_ref)
{
	int r = fdcache_get(d->fds, ino, ret_ref);

	if (r == -ENOENT) {
		log_error("data file %016llx is missing", (unsigned long long)ino);
		return -EIO;
	}
	return r;
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

int datafile_resize(int fd, uint64_t size)
{
	int r;

	do {
		r = ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
	} while (r == -EINTR);
	return r;
}

void datafile_undo_growth(int fd, uint64_t size)
{
	struct statfs st;
	uint64_t now = 0;

	if (datafile_size(fd, &now) < 0 || now <= size)
		return;
	/* There a truncation may fail for want of space, and then takes bytes with it that were written
	 * before. Rather some new ones too many. */
	if (fstatfs(fd, &st) == 0 && st.f_type == BTRFS_SUPER_MAGIC)
		return;
	(void)datafile_resize(fd, size);
}

static int write_growing(struct fdref *ref, const void *bytes, size_t size, uint64_t off)
{
	uint64_t old;
	int r;

	pthread_rwlock_wrlock(&ref->growing);
	r = datafile_size(ref->fd, &old);
	if (r == 0) {
		r = datafile_pwrite(ref->fd, bytes, size, off);
		if (r < 0)
			datafile_undo_growth(ref->fd, old);
	}
	pthread_rwlock_unlock(&ref->growing);
	return r;
}

int datafile_write(struct fdref *ref, const void *bytes, size_t size, uint64_t off)
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
	return r > 0 ? write_growing(ref, bytes, size, off) : r;
}
