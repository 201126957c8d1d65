/* SPDX-License-Identifier: Apache-2.0 */
/* One change of a file's bytes, done the same way wherever the bytes are. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/sys.h"
#include "data/edit.h"
#include "data/files.h"

/*
 * The four kinds of files meet every change here. A plain data file is changed in place. All else
 * ends in records: the change prepares bytes that nobody can see yet, and only when they are
 * complete does it touch the record and the batch. So whatever fails on the way, and a crash before
 * the commit, leaves the old content (what a power cut leaves is order.c's):
 *
 *	inline, lower -> inline		the new content is in the batch
 *	inline, lower -> data file	the data file means nothing until the record names it
 *	chunks				bytes of chunks that are not in the map mean nothing until
 *					they are (chunks_edit.c has the exceptions)
 *	lower, another length		only the record changes
 */

uint64_t edit_size(const struct edit *e, uint64_t old)
{
	if (e->kind == EDIT_RESIZE)
		return e->end;
	if (e->kind == EDIT_PUNCH || e->keep_size)
		return old;
	return old > e->end ? old : e->end;
}

uint64_t edit_room(const struct edit *e, uint64_t old)
{
	/* Room that is asked for beyond the end is real only in a data file. */
	if (e->keep_size && e->end > old)
		return e->end;
	return edit_size(e, old);
}

void edit_memory(const struct edit *e, uint8_t *content, uint64_t size)
{
	uint64_t after = edit_size(e, size);
	uint64_t end = e->end < after ? e->end : after;

	if (e->kind == EDIT_WRITE)
		memcpy(content + e->off, e->bytes, e->end - e->off);
	else if (edit_replaces(e) && e->off < end)
		memset(content + e->off, 0, end - e->off);
	else if (e->kind == EDIT_RESIZE && after < size)
		memset(content + after, 0, size - after);
}

/* NEXT becomes the record. A file that has nothing of a lower one any more loses its origin. */
static void settle(struct inode_rec *rec, struct inode_rec *next)
{
	if (next->where == BYTES_FILE || next->where == BYTES_INLINE) {
		free(rec->origin);
		next->origin = NULL;
		next->lower_size = 0;
		next->chunk_shift = 0;
	}
	*rec = *next;
}

/* The result stays in, or comes into, the catalog. CONTENT is the old one. */
static int edit_to_inline(struct data *d, struct inode_rec *rec, const struct edit *e,
			  uint8_t *content, struct batch *b, bool *ret_changed)
{
	struct inode_rec next = *rec;

	if (rec->where == BYTES_INLINE && rec->attr.size == 0)
		order_first_bytes(d, rec);
	edit_memory(e, content, rec->attr.size);
	next.where = BYTES_INLINE;
	next.attr.size = edit_size(e, rec->attr.size);
	next.attr.blocks = 0;
	batch_put_inline(b, rec->attr.ino, content, next.attr.size);
	settle(rec, &next);
	*ret_changed = true;
	return 0;
}

/* Sees to it that REF's file is not on the disk later than the record that will name it. */
static int order_move(struct data *d, const struct inode_rec *rec, struct fdref *ref)
{
	/* In this order: see order_is_unflushed(). */
	unsynced_moved(d, ref);
	if (order_is_needed(d, rec))
		return unsynced_wait(d, ref);
	atomic_store(&ref->born, order_now(d));
	return 0;
}

/* The result is in a data file, or in chunks. */
static int edit_moving(struct data *d, struct inode_rec *rec, const struct data_source *src,
		       const struct edit *e, struct batch *b, bool *ret_changed)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	struct inode_rec next = *rec;
	bool waited = false;
	int r;

	r = move_to_file(d, &next, src, e, &ref);
	if (r == 0 && next.where == BYTES_CHUNKS)
		r = edit_chunks(d, &next, src, ref, e, b, &waited);
	else if (r == 0)
		r = edit_file(d, e, ref);
	if (r == 0 && !waited)
		r = order_move(d, rec, ref);
	if (r < 0) {
		(void)data_remove_file(d, rec->attr.ino);
		return r;
	}
	if (e->keep_mtime)
		kept_moved(d, rec);
	sums_note(d, ref);
	if (rec->where == BYTES_INLINE && rec->attr.size > 0)
		batch_put_inline(b, rec->attr.ino, NULL, 0);
	settle(rec, &next);
	*ret_changed = true;
	return 0;
}

static int edit_inline(struct data *d, struct inode_rec *rec, const struct edit *e, struct batch *b,
		       bool *ret_changed)
{
	uint8_t content[DATA_INLINE_MAX];
	int r;

	if (edit_room(e, rec->attr.size) > DATA_INLINE_MAX)
		return edit_moving(d, rec, NULL, e, b, ret_changed);
	r = inline_load(d, rec, content);
	return r < 0 ? r : edit_to_inline(d, rec, e, content, b, ret_changed);
}

/*
 * Could a data file be so long? A length that none can have would be found out by the first write, which nobody could
 * make any more. -EFBIG when not; where no nameless file can be made it is taken for granted.
 */
static int check_length(const struct data *d, uint64_t size)
{
	CLEANUP(fd) int fd = -1;

	/* Every file system has files of so many bytes. */
	if (size <= INT32_MAX)
		return 0;
	fd = openat(d->dirfd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	return fd >= 0 && sys_ftruncate(fd, (off_t)size) == -EFBIG ? -EFBIG : 0;
}

/* Another length of a lower file: a matter of the record alone. */
static int resize_lower(const struct data *d, struct inode_rec *rec, uint64_t size,
			bool *ret_changed)
{
	struct inode_rec next = *rec;
	int r = size > rec->attr.size ? check_length(d, size) : 0;

	if (r < 0)
		return r;
	next.attr.size = size;
	next.attr.blocks = 0;
	if (next.lower_size > size)
		next.lower_size = size;
	if (size == 0)
		next.where = BYTES_INLINE;
	settle(rec, &next);
	*ret_changed = true;
	return 0;
}

static int edit_lower(struct data *d, struct inode_rec *rec, const struct data_source *src,
		      const struct edit *e, struct batch *b, bool *ret_changed)
{
	uint8_t content[DATA_INLINE_MAX];
	int r;

	if (rec->lower_size > rec->attr.size)
		return -EUCLEAN;
	if (e->kind == EDIT_RESIZE)
		return resize_lower(d, rec, e->end, ret_changed);
	if (edit_room(e, rec->attr.size) > DATA_INLINE_MAX)
		return edit_moving(d, rec, src, e, b, ret_changed);
	r = inline_from_lower(rec, src, content);
	return r < 0 ? r : edit_to_inline(d, rec, e, content, b, ret_changed);
}

/*
 * The data file of REC. One that a power cut has taken is an error to everybody but those who want
 * the file empty anyhow: to them it is an empty file.
 */
static int file_of(struct data *d, const struct inode_rec *rec, const struct edit *e,
		   struct fdref **ret_ref)
{
	int r;

	if (e->kind != EDIT_RESIZE || e->end > 0)
		return datafile_get(d, rec->attr.ino, ret_ref);
	r = fdcache_get(d->fds, rec->attr.ino, ret_ref);
	if (r != -ENOENT)
		return r;
	r = fdcache_create(d->fds, rec->attr.ino, ret_ref);
	if (r == 0)
		unsynced_created(d, rec->attr.ino);
	return r;
}

/* Bytes of the data file before this offset stay as they are. */
static uint64_t first_changed(const struct inode_rec *rec, const struct edit *e)
{
	/* The chunk around it is filled, and others may be settled. */
	if (rec->where == BYTES_CHUNKS)
		return 0;
	if (e->kind == EDIT_ALLOCATE)
		return UINT64_MAX;
	return e->kind == EDIT_RESIZE ? e->end : e->off;
}

/* Are all bytes of the file, as it is now, of this edit? */
static bool edit_is_whole(const struct edit *e, int fd)
{
	uint64_t size;

	if (e->kind == EDIT_RESIZE)
		return e->end == 0;
	return e->kind == EDIT_WRITE && e->off == 0 && datafile_size(fd, &size) == 0 &&
	       e->end >= size;
}

static int edit_in_place(struct data *d, struct inode_rec *rec, const struct data_source *src,
			 const struct edit *e, struct batch *b, bool *ret_changed)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	struct inode_rec next = *rec;
	bool changed = false;
	int r;

	r = file_of(d, rec, e, &ref);
	if (r < 0)
		return r;
	if (e->keep_mtime)
		kept_before_change(d, rec, ref);
	else
		kept_drop(d, ref->ino);
	sums_before_change(d, ref, first_changed(rec, e));
	if (rec->where == BYTES_CHUNKS)
		r = edit_chunks(d, &next, src, ref, e, b, &changed);
	else
		r = edit_file(d, e, ref);
	/* Also when it failed: bytes may have been written. */
	unsynced_written(d, ref);
	times_moved(rec, ref);
	if (r < 0)
		return r;
	if (unsynced_any_failed(&d->unsynced) && edit_is_whole(e, ref->fd))
		unsynced_forget_loss(d, ref->ino);
	if (changed)
		settle(rec, &next);
	*ret_changed = changed;
	return 0;
}

int data_edit(struct data *d, struct inode_rec *rec, const struct data_source *src,
	      const struct edit *e, struct batch *b, bool *ret_changed)
{
	if (d->read_only)
		return -EROFS;
	switch (rec->where) {
	case BYTES_INLINE:
		return edit_inline(d, rec, e, b, ret_changed);
	case BYTES_LOWER:
		return edit_lower(d, rec, src, e, b, ret_changed);
	case BYTES_FILE:
	case BYTES_CHUNKS:
		return edit_in_place(d, rec, src, e, b, ret_changed);
	}
	return -EUCLEAN;
}

static int write_bytes(struct data *d, struct inode_rec *rec, const struct data_source *src,
		       struct edit *e, size_t size, struct batch *b, bool *ret_changed)
{
	if (e->off > INT64_MAX)
		return -EINVAL;
	if (size > (uint64_t)INT64_MAX - e->off)
		return -EFBIG;
	if (size == 0) {
		*ret_changed = false;
		return 0;
	}
	e->end = e->off + size;
	return data_edit(d, rec, src, e, b, ret_changed);
}

int data_write(struct data *d, struct inode_rec *rec, const struct data_source *src,
	       const void *bytes, size_t size, off_t off, struct batch *b, bool *ret_changed)
{
	struct edit e = {.kind = EDIT_WRITE, .bytes = bytes, .off = (uint64_t)off};

	return write_bytes(d, rec, src, &e, size, b, ret_changed);
}

int data_write_back(struct data *d, struct inode_rec *rec, const struct data_source *src,
		    const void *bytes, size_t size, off_t off, struct batch *b, bool *ret_changed)
{
	struct edit e = {
		.kind = EDIT_WRITE, .keep_mtime = true, .bytes = bytes, .off = (uint64_t)off};

	return write_bytes(d, rec, src, &e, size, b, ret_changed);
}

int data_truncate(struct data *d, struct inode_rec *rec, const struct data_source *src,
		  uint64_t size, struct batch *b, bool *ret_changed)
{
	struct edit e = {.kind = EDIT_RESIZE, .end = size};

	return size > INT64_MAX ? -EFBIG : data_edit(d, rec, src, &e, b, ret_changed);
}
