/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a file with a chunk map. */
#include <errno.h>

#include "data/chunks.h"
#include "data/edit.h"

/*
 * What a crash, or a commit that fails, can show of a change that was not acknowledged:
 *
 *  - Bytes of chunks that were in the map, and bytes past lower_size, are changed in place, so they
 *    may be new while those of other chunks are old: torn, as a write that a crash interrupts is.
 *  - A write past the end makes the file longer by writing, never by setting a length, so a new
 *    length never shows zeros that nobody wrote. (data_truncate() to the old length takes it back
 *    without any record.)
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

static int shrink(struct inode_rec *next, struct fdref *ref, uint64_t size, struct batch *b,
		  bool *ret_changed)
{
	int r = datafile_resize(ref->fd, size);

	if (r < 0)
		return r;
	*ret_changed = size < next->lower_size;
	if (size < next->lower_size)
		next->lower_size = size;
	if (size == 0) {
		become_file(next, b);
		*ret_changed = true;
	}
	return 0;
}

static int replace(struct data *d, struct inode_rec *next, const struct data_source *src,
		   struct fdref *ref, const struct edit *e, uint64_t length, struct batch *b,
		   bool *ret_changed)
{
	CLEANUP(chunk_map) struct chunk_map m = {0};
	uint64_t after = edit_size(e, length);
	uint64_t end = e->end < after ? e->end : after;
	int r;

	r = chunk_map_load(d, next, e->off, end, &m);
	if (r == 0)
		r = chunk_map_fill(d, next, &m, src, ref->fd, e->off, end);
	if (r == 0)
		r = edit_file(e, ref);
	if (r < 0)
		return r;
	chunk_map_set(next, &m, e->off, end);
	*ret_changed = m.dirty;
	if (m.dirty && chunk_map_complete(d, next, &m))
		become_file(next, b);
	else
		chunk_map_put(next, &m, b);
	return 0;
}

/*
 * A truncation that was lost has left fewer bytes than lower_size says. The record learns it now;
 * and before the file GROWS nothing of what was cut off may be left to come back.
 */
static int catch_up(struct data *d, struct inode_rec *next, const struct data_source *src,
		    struct fdref *ref, uint64_t length, bool grows)
{
	int r = 0;

	if (grows) {
		/* The batch that is committed there depends on bytes that it copies. */
		unsynced_moved(d, ref);
		r = chunks_settle(d, next, src, ref->fd, length);
	}
	if (r == 0)
		next->lower_size = length;
	return r;
}

int edit_chunks(struct data *d, struct inode_rec *next, const struct data_source *src,
		struct fdref *ref, const struct edit *e, struct batch *b, bool *ret_changed)
{
	bool mapped = false, late = false;
	uint64_t length, after;
	int r;

	r = chunks_check(next);
	if (r == 0)
		r = datafile_size(ref->fd, &length);
	if (r < 0)
		return r;
	after = edit_size(e, length);
	if (e->kind == EDIT_RESIZE && after <= length)
		return shrink(next, ref, after, b, ret_changed);
	late = length < next->lower_size;
	if (late)
		r = catch_up(d, next, src, ref, length, after > length);
	if (r == 0 && edit_replaces(e))
		r = replace(d, next, src, ref, e, length, b, &mapped);
	else if (r == 0)
		r = edit_file(e, ref);
	if (r < 0)
		return r;
	*ret_changed = late || mapped;
	return 0;
}
