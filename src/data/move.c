/* SPDX-License-Identifier: Apache-2.0 */
/* The first data file of an inode: inline bytes and lower files move into it. */
#include <errno.h>

#include "data/chunks.h"
#include "data/edit.h"

static int move_inline(struct data *d, const struct inode_rec *next, struct fdref *ref)
{
	uint8_t content[DATA_INLINE_MAX];
	int r = inline_load(d, next, content);

	d->stats.moved_inline++;
	return r < 0 ? r : datafile_pwrite(ref->fd, content, next->attr.size, 0);
}

/* The whole lower file without the bytes that E replaces. */
static int copy_around(struct data *d, const struct inode_rec *next, const struct data_source *src,
		       const struct edit *e, int fd)
{
	uint64_t size = next->lower_size;
	uint64_t off = edit_replaces(e) && e->off < size ? e->off : size;
	uint64_t end = e->end < size ? e->end : size;
	int r = 0;

	if (size == 0)
		return 0;
	if (src == NULL)
		return -EIO;
	if (off > 0)
		r = copy_from(src, 0, fd, 0, off, &d->stats.copied_bytes);
	if (r == 0 && off < size && end < size)
		r = copy_from(src, end, fd, end, size - end, &d->stats.copied_bytes);
	return r;
}

/* The clone has the lower file's length, which may have changed behind our back. */
static int check_clone(struct data *d, const struct inode_rec *next, struct fdref *ref)
{
	uint64_t size;
	int r = datafile_size(ref->fd, &size);

	if (r < 0 || size < next->lower_size)
		return r < 0 ? r : -EIO;
	return size > next->lower_size ? datafile_resize(d, ref, next->lower_size) : 0;
}

static int move_lower(struct data *d, struct inode_rec *next, const struct data_source *src,
		      const struct edit *e, struct fdref *ref)
{
	int r = 0;

	next->where = BYTES_FILE;
	if (next->lower_size > 0 && src != NULL && src->fd >= 0 && copy_reflink(src->fd, ref->fd)) {
		d->stats.reflinks++;
		r = check_clone(d, next, ref);
	} else if (next->lower_size <= d->whole_max) {
		d->stats.moved_whole++;
		r = copy_around(d, next, src, e, ref->fd);
	} else {
		d->stats.moved_chunks++;
		next->where = BYTES_CHUNKS;
		next->chunk_shift = chunk_shift_for(next->lower_size, d->chunk_shift);
	}
	return r;
}

int move_to_file(struct data *d, struct inode_rec *next, const struct data_source *src,
		 const struct edit *e, struct fdref **ret_ref)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	uint64_t size;
	int r;

	reaper_finish(d, next->attr.ino);
	r = fdcache_create(d->fds, next->attr.ino, &ref);
	if (r < 0)
		return r;
	unsynced_created(d, next->attr.ino);
	if (next->where == BYTES_INLINE) {
		r = move_inline(d, next, ref);
		next->where = BYTES_FILE;
	} else {
		r = move_lower(d, next, src, e, ref);
	}
	if (r == 0)
		r = datafile_size(ref->fd, &size);
	if (r == 0 && size < next->attr.size)
		r = datafile_resize(d, ref, next->attr.size);
	if (r < 0)
		return r;
	*ret_ref = steal_ptr(&ref);
	return 0;
}
