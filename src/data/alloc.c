/* SPDX-License-Identifier: Apache-2.0 */
/* fallocate(2): real where the file system has it, written zeros where not. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "base/sys.h"
#include "data/edit.h"

static int mode_of(const struct edit *e)
{
	int mode = e->keep_size ? FALLOC_FL_KEEP_SIZE : 0;

	if (e->kind == EDIT_PUNCH)
		return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	return e->kind == EDIT_ZERO ? mode | FALLOC_FL_ZERO_RANGE : mode;
}

/* What can be done by writing. Room past the end of a file that keeps its length cannot. */
static int write_instead(const struct edit *e, int fd, uint64_t size)
{
	uint64_t end = edit_size(e, size);
	uint64_t off = e->kind == EDIT_ALLOCATE ? size : e->off;

	if (end > e->end)
		end = e->end;
	return off < end ? datafile_write_zeros(fd, off, end) : 0;
}

/*
 * A hole may take room for its edges, and for what says that it is one. Zeros over the bytes that are there take none
 * and read the same: nobody is told that a hole is half made.
 */
static int zero_instead(const struct edit *e, int fd, uint64_t size)
{
	uint64_t pos = e->off, limit = e->end < size ? e->end : size;
	int r = 0;

	while (r == 0 && pos < limit) {
		off_t from = lseek(fd, (off_t)pos, SEEK_DATA), to;

		if (from < 0 && errno == ENXIO)
			return 0;
		if (from < 0)
			from = (off_t)pos;
		to = lseek(fd, from, SEEK_HOLE);
		if (to <= from || (uint64_t)to > limit)
			to = (off_t)limit;
		if (from < to)
			r = datafile_write_zeros(fd, (uint64_t)from, (uint64_t)to);
		pos = (uint64_t)to;
	}
	return r;
}

static int edit_fallocate(struct data *d, const struct edit *e, struct fdref *ref)
{
	int fd = ref->fd;
	uint64_t size;
	int r = datafile_size(fd, &size);

	if (r < 0)
		return r;
	do {
		r = fallocate(fd, mode_of(e), (off_t)e->off, (off_t)(e->end - e->off)) < 0 ? -errno
											   : 0;
	} while (r == -EINTR);
	if (r == -EOPNOTSUPP || r == -ENOSYS)
		r = write_instead(e, fd, size);
	if (sys_is_full(r) && e->kind == EDIT_PUNCH)
		r = zero_instead(e, fd, size);
	/* A large allocation may have come half the way. */
	if (r < 0)
		datafile_undo_growth(d, ref, size);
	return r;
}

int edit_file(struct data *d, const struct edit *e, struct fdref *ref)
{
	switch (e->kind) {
	case EDIT_WRITE:
		return datafile_write(d, ref, e->bytes, (size_t)(e->end - e->off), e->off);
	case EDIT_RESIZE:
		return datafile_resize(d, ref, e->end);
	default:
		return edit_fallocate(d, e, ref);
	}
}

int data_fallocate(struct data *d, struct inode_rec *rec, const struct data_source *src, int mode,
		   off_t off, off_t len, struct batch *b, bool *ret_changed)
{
	struct edit e = {.off = (uint64_t)off};

	if (off < 0 || len <= 0)
		return -EINVAL;
	if (len > INT64_MAX - off)
		return -EFBIG;
	e.end = e.off + (uint64_t)len;
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
		e.kind = EDIT_ALLOCATE;
		break;
	case FALLOC_FL_ZERO_RANGE:
		e.kind = EDIT_ZERO;
		break;
	case FALLOC_FL_PUNCH_HOLE:
		if (!(mode & FALLOC_FL_KEEP_SIZE))
			return -EOPNOTSUPP;
		e.kind = EDIT_PUNCH;
		return data_edit(d, rec, src, &e, b, ret_changed);
	default:
		return -EOPNOTSUPP;
	}
	e.keep_size = mode & FALLOC_FL_KEEP_SIZE;
	return data_edit(d, rec, src, &e, b, ret_changed);
}
