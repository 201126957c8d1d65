/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a file with a chunk map. */
#include <errno.h>

#include "data/chunks.h"
#include "data/edit.h"

/*
 * What a crash, or a commit that fails, can show of a change that was not acknowledged:
 *
 *  - Zeros are not even that: of data_fallocate() the first call makes them where the record will show them,
 *    and the second, when that is committed, everywhere, for which it needs no record.
 *  - Bytes of chunks that were in the map, and bytes past lower_size, are changed in place, so they
 *    may be new while those of other chunks are old: torn, as a write that a crash interrupts is.
 *  - A write past the end makes the file longer by writing, never by setting a length, so a new
 *    length never shows zeros that nobody wrote. (data_truncate() to the old length takes it back
 *    without any record.)
 *  - Bits of the map, and a lower lower_size, are committed when the bytes, and the cut, are on the
 *    disk: a power cut shows no bit whose bytes it took.
 *  - Shrinking cuts the data file first. Without the record that lowers lower_size the file is
 *    as long as it should be and only growing it could show what was cut off: chunks_settle() sees
 *    to that. The other order would show the old length with zeros for a moment.
 */

/* The last chunk has come into the data file: the map is not needed any more. */
static void become_file(struct inode_rec *next, struct batch *b)
{
	batch_del_chunks(b, next->attr.ino);
	next->where = BYTES_FILE;
}

static int shrink(struct data *d, struct inode_rec *next, struct fdref *ref, uint64_t size,
		  struct batch *b, bool *ret_changed)
{
	bool changed = size < next->lower_size || size == 0;
	int r = datafile_resize(d, ref, size);

	if (r < 0)
		return r;
	/*
	 * With the record and without the cut the file would be as long as before, and holes. What was cut
	 * off does not come back, so this is no failure: the record stays as it is, which is as good.
	 */
	if (changed && unsynced_wait(d, ref) < 0) {
		*ret_changed = false;
		return 0;
	}
	if (size < next->lower_size)
		next->lower_size = size;
	if (size == 0)
		become_file(next, b);
	*ret_changed = changed;
	return 0;
}

/*
 * A flush for each chunk that comes in is cheaper than copying a file whole; but not for ever. When a
 * quarter as many flushes were waited for as the file has MiB, chunks are copied ahead with each
 * further one, which costs about as much again: so a file that is written all over waits at
 * most for half as many flushes as it has MiB, and a single write never waits for long.
 */
#define WAITS_MIN 16

static bool is_often_waited(const struct data *d, const struct inode_rec *next,
			    const struct fdref *ref)
{
	return !d->no_sync && ref->waits >= WAITS_MIN && ref->waits >= next->lower_size >> 22;
}

/* The part of E in [OFF, END). */
static int edit_part(struct data *d, const struct edit *e, struct fdref *ref, uint64_t off,
		     uint64_t end)
{
	struct edit part = *e;

	part.off = off;
	part.end = end;
	return off < end ? edit_file(d, &part, ref) : 0;
}

/*
 * Zeros only where nobody sees them before the record: in chunks that are not in the map, and past the
 * end at LENGTH. All of E at once when no record is needed, not even for a LATE truncation.
 */
static int edit_unseen(struct data *d, const struct inode_rec *next, struct fdref *ref,
		       const struct edit *e, uint64_t length, bool late)
{
	uint64_t limit = e->end < next->lower_size ? e->end : next->lower_size;
	uint64_t pos = e->off, end = 0;
	struct chunk_walk w = {.d = d, .rec = next};
	bool ours, record = late;
	int r = 0;

	for (; r == 0 && pos < limit; pos = end) {
		r = chunk_walk_run(&w, pos, limit, &ours, &end);
		if (r == 0 && !ours)
			r = edit_part(d, e, ref, pos, end);
		record |= r == 0 && !ours;
	}
	if (r < 0)
		return r;
	return record ? edit_part(d, e, ref, e->off > length ? e->off : length, e->end)
		      : edit_file(d, e, ref);
}

/* The bytes of a write, and what it takes of the lower file. */
static int replace(struct data *d, struct inode_rec *next, const struct data_source *src,
		   struct fdref *ref, const struct edit *e, uint64_t length, bool late,
		   struct chunk_map *m)
{
	bool ahead = is_often_waited(d, next, ref);
	uint64_t after = edit_size(e, length);
	uint64_t end = e->end < after ? e->end : after;
	int r;

	r = chunk_map_load(d, next, ahead ? 0 : e->off, ahead ? next->lower_size : end, m);
	if (r == 0)
		r = chunk_map_fill(d, next, m, src, ref->fd, e->off, end);
	if (r == 0)
		r = e->kind == EDIT_WRITE ? edit_file(d, e, ref)
					  : edit_unseen(d, next, ref, e, length, late);
	if (r < 0)
		return r;
	chunk_map_set(next, m, e->off, end);
	if (!m->dirty)
		return 0;
	ref->waits++;
	/* What is not copied ahead, for want of room, is copied when it is needed. */
	if (ahead && chunk_map_ahead(d, next, m, src, ref->fd, end) < 0)
		ref->waits = 0;
	return 0;
}

/*
 * A truncation that was lost has left fewer bytes than lower_size says. The record learns it now;
 * and before the file GROWS nothing of what was cut off may be left to come back.
 */
static int catch_up(struct data *d, struct inode_rec *next, const struct data_source *src,
		    struct fdref *ref, uint64_t length, bool grows)
{
	int r = grows ? chunks_settle(d, next, src, ref, length) : 0;

	if (r == 0)
		next->lower_size = length;
	return r;
}

/* The record is about to change: its bytes first. A file that has grown becomes LENGTH again. */
static int wait_for_bytes(struct data *d, struct fdref *ref, uint64_t length)
{
	int r = unsynced_wait(d, ref);

	if (r < 0)
		datafile_undo_growth(d, ref, length);
	return r;
}

int edit_chunks(struct data *d, struct inode_rec *next, const struct data_source *src,
		struct fdref *ref, const struct edit *e, struct batch *b, bool *ret_changed)
{
	CLEANUP(chunk_map) struct chunk_map m = {0};
	uint64_t length, after;
	bool late;
	int r;

	r = chunks_check(next);
	if (r == 0)
		r = datafile_size(ref->fd, &length);
	if (r < 0)
		return r;
	after = edit_size(e, length);
	if (e->kind == EDIT_RESIZE && after <= length)
		return shrink(d, next, ref, after, b, ret_changed);
	late = length < next->lower_size;
	if (late)
		r = catch_up(d, next, src, ref, length, after > length);
	if (r == 0)
		r = edit_replaces(e) ? replace(d, next, src, ref, e, length, late, &m)
				     : edit_file(d, e, ref);
	if (r == 0 && (late || m.dirty))
		r = wait_for_bytes(d, ref, length);
	if (r < 0)
		return r;
	if (m.dirty && chunk_map_complete(d, next, &m))
		become_file(next, b);
	else
		chunk_map_put(next, &m, b);
	*ret_changed = late || m.dirty;
	return 0;
}
