/* SPDX-License-Identifier: Apache-2.0 */
/* Copying bytes between files, by the fastest means that both have, holes kept. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "data/private.h"

#define COPY_BUFFER 131072

bool copy_reflink(int from, int to)
{
	return ioctl(to, FICLONE, from) == 0;
}

int source_read(const struct data_source *src, void *bytes, size_t size, uint64_t off)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = src->read(src->arg, (char *)bytes + done, size - done,
				      (off_t)(off + done));

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		if (n == 0 || (size_t)n > size - done)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int copy_by_buffer(const struct data_source *src, uint64_t off, int to, uint64_t to_off,
			  uint64_t len)
{
	CLEANUP(free) char *buffer = malloc(len < COPY_BUFFER ? (size_t)len : COPY_BUFFER);
	int r = 0;

	if (buffer == NULL)
		return -ENOMEM;
	while (r == 0 && len > 0) {
		size_t n = len < COPY_BUFFER ? (size_t)len : COPY_BUFFER;

		r = source_read(src, buffer, n, off);
		if (r == 0)
			r = datafile_pwrite(to, buffer, n, to_off);
		off += n;
		to_off += n;
		len -= n;
	}
	return r;
}

/* Is this what copy_file_range(2) says of the bytes, and not of its own limits? */
static bool is_final(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG || error == EIO ||
	       error == ENOMEM || error == EROFS;
}

/* LEN bytes that are not a hole. */
static int copy_piece(const struct data_source *src, uint64_t off, int to, uint64_t to_off,
		      uint64_t len)
{
	while (src->fd >= 0 && len > 0) {
		off64_t in = (off64_t)off, out = (off64_t)to_off;
		size_t want = len < (1u << 30) ? (size_t)len : 1u << 30;
		ssize_t n = copy_file_range(src->fd, &in, to, &out, want, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && is_final(errno))
			return -errno;
		if (n <= 0)
			break; /* 0 is the end of the file, or a file system that cannot */
		off += (uint64_t)n;
		to_off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return len > 0 ? copy_by_buffer(src, off, to, to_off, len) : 0;
}

/* LEN bytes of zeros, as a hole where possible. What is past TO's end stays past it. */
static int copy_hole(int to, uint64_t to_off, uint64_t len)
{
	uint64_t size;
	int r = datafile_size(to, &size);

	if (r < 0 || to_off >= size)
		return r;
	if (len > size - to_off)
		len = size - to_off;
	if (fallocate(to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)to_off, (off_t)len) ==
	    0)
		return 0;
	return is_final(errno) ? -errno : datafile_write_zeros(to, to_off, to_off + len);
}

/*
 * The next data of SRC in [POS, END), or its end; a source that cannot tell is all data. An end of
 * the file before END is not a hole: then the last byte, at least, has to be asked for.
 */
static int find_data(const struct data_source *src, uint64_t pos, uint64_t end, uint64_t *ret_from,
		     uint64_t *ret_to)
{
	off_t from = src->seek(src->arg, (off_t)pos, SEEK_DATA);
	off_t to;

	if (from == -ENXIO || (from >= 0 && (uint64_t)from >= end)) {
		if (from == -ENXIO && src->seek(src->arg, (off_t)end - 1, SEEK_HOLE) == -ENXIO)
			return -EIO;
		*ret_from = *ret_to = end;
		return 0;
	}
	if (from < 0 || (uint64_t)from < pos) {
		*ret_from = pos;
		*ret_to = end;
		return 0;
	}
	to = src->seek(src->arg, from, SEEK_HOLE);
	*ret_from = (uint64_t)from;
	*ret_to = to <= from || (uint64_t)to > end ? end : (uint64_t)to;
	return 0;
}

int copy_from(const struct data_source *src, uint64_t off, int to, uint64_t to_off, uint64_t len,
	      _Atomic uint64_t *copied)
{
	uint64_t pos = off, end = off + len, from, until, size;
	int r = 0;

	while (r == 0 && pos < end) {
		r = find_data(src, pos, end, &from, &until);
		if (r == 0 && from > pos)
			r = copy_hole(to, to_off + (pos - off), from - pos);
		if (r == 0 && until > from) {
			r = copy_piece(src, from, to, to_off + (from - off), until - from);
			if (copied != NULL)
				*copied += until - from;
		}
		pos = until;
	}
	if (r == 0)
		r = datafile_size(to, &size);
	if (r == 0 && size < to_off + len)
		r = sys_ftruncate(to, (off_t)(to_off + len));
	return r;
}

/* A descriptor as a source. */
static ssize_t fd_read(void *arg, void *bytes, size_t size, off_t off)
{
	ssize_t n = pread(*(int *)arg, bytes, size, off);

	return n < 0 ? -errno : n;
}

static off_t fd_seek(void *arg, off_t off, int whence)
{
	off_t at = lseek(*(int *)arg, off, whence);

	return at < 0 ? -errno : at;
}

/* In one file a copy onto itself has no order that is right for the caller. */
static int check_overlap(int from, uint64_t from_off, int to, uint64_t to_off, uint64_t len)
{
	struct stat a, b;

	if (fstat(from, &a) < 0 || fstat(to, &b) < 0)
		return -errno;
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return 0;
	return from_off < to_off + len && to_off < from_off + len ? -EINVAL : 0;
}

/* Shares the whole blocks of the range; returns how many bytes those are. */
static uint64_t reflink_range(int from, uint64_t from_off, int to, uint64_t to_off, uint64_t len)
{
	struct file_clone_range range = {
		.src_fd = from,
		.src_offset = from_off,
		.src_length = len & ~(uint64_t)4095,
		.dest_offset = to_off,
	};

	/* A length of 0 would say "to the end". */
	if (range.src_length == 0 || from_off % 4096 != 0 || to_off % 4096 != 0)
		return 0;
	return ioctl(to, FICLONERANGE, &range) == 0 ? range.src_length : 0;
}

int data_copy_range(int from, off_t from_off, int to, off_t to_off, uint64_t len)
{
	struct data_source src = {.read = fd_read, .seek = fd_seek, .arg = &from, .fd = from};
	uint64_t done;
	int r;

	if (from_off < 0 || to_off < 0)
		return -EINVAL;
	if (len > (uint64_t)INT64_MAX - (uint64_t)from_off ||
	    len > (uint64_t)INT64_MAX - (uint64_t)to_off)
		return -EFBIG;
	if (len == 0)
		return 0;
	r = check_overlap(from, (uint64_t)from_off, to, (uint64_t)to_off, len);
	if (r < 0)
		return r;
	done = reflink_range(from, (uint64_t)from_off, to, (uint64_t)to_off, len);
	if (done == len)
		return 0;
	return copy_from(&src, (uint64_t)from_off + done, to, (uint64_t)to_off + done, len - done,
			 NULL);
}
