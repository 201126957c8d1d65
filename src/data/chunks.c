/* SPDX-License-Identifier: Apache-2.0 */
/* Chunk maps: which chunks of a file are in its data file. */
#include <errno.h>
#include <string.h>

#include "data/chunks.h"

uint8_t chunk_shift_for(uint64_t size, uint8_t min)
{
	while (size >> min >= CHUNKS_MAX)
		min++;
	return min;
}

int chunks_check(const struct inode_rec *rec)
{
	if (rec->chunk_shift < 9 || rec->chunk_shift > 62 || rec->lower_size > INT64_MAX ||
	    rec->lower_size >> rec->chunk_shift > CHUNKS_MAX)
		return -EUCLEAN;
	return 0;
}

static bool bit_get(const uint8_t *bits, uint64_t n)
{
	return bits[n / 8 % CHUNK_SEGMENT_BYTES] >> n % 8 & 1;
}

static void bit_set(uint8_t *bits, uint64_t n)
{
	bits[n / 8 % CHUNK_SEGMENT_BYTES] |= (uint8_t)(1u << n % 8);
}

static int walk_bit(struct chunk_walk *w, uint64_t chunk, bool *ret_bit)
{
	uint32_t segment = (uint32_t)(chunk / CHUNK_SEGMENT_BITS);

	if (!w->loaded || w->segment != segment) {
		int r = catalog_chunks(w->d->catalog, w->rec->attr.ino, segment, w->bits);

		w->loaded = r == 0;
		w->segment = segment;
		if (r < 0)
			return r;
	}
	*ret_bit = bit_get(w->bits, chunk);
	return 0;
}

int chunk_walk_run(struct chunk_walk *w, uint64_t pos, uint64_t limit, bool *ret_ours,
		   uint64_t *ret_end)
{
	const struct inode_rec *rec = w->rec;
	uint64_t chunk, end;
	bool ours, next;
	int r;

	if (pos >= rec->lower_size) {
		*ret_ours = true;
		*ret_end = limit;
		return 0;
	}
	if (limit > rec->lower_size)
		limit = rec->lower_size;
	chunk = pos >> rec->chunk_shift;
	r = walk_bit(w, chunk, &ours);
	end = ++chunk << rec->chunk_shift;
	while (r == 0 && end < limit) {
		r = walk_bit(w, chunk, &next);
		if (r == 0 && next != ours)
			break;
		end = ++chunk << rec->chunk_shift;
	}
	if (r < 0)
		return r;
	*ret_ours = ours;
	*ret_end = end < limit ? end : limit;
	return 0;
}

void chunk_map_done(struct chunk_map *m)
{
	free(m->segments);
	m->segments = NULL;
	m->n = 0;
}

int chunk_map_load(struct data *d, const struct inode_rec *rec, uint64_t off, uint64_t end,
		   struct chunk_map *ret_map)
{
	CLEANUP(chunk_map) struct chunk_map m = {0};
	uint32_t i;

	if (end > rec->lower_size)
		end = rec->lower_size;
	if (off < end) {
		m.first = (uint32_t)((off >> rec->chunk_shift) / CHUNK_SEGMENT_BITS);
		m.n = (uint32_t)(((end - 1) >> rec->chunk_shift) / CHUNK_SEGMENT_BITS) - m.first +
		      1;
		m.segments = calloc(m.n, sizeof(*m.segments));
		if (m.segments == NULL)
			return -ENOMEM;
	}
	for (i = 0; i < m.n; i++) {
		int r = catalog_chunks(d->catalog, rec->attr.ino, m.first + i, m.segments[i].bits);

		if (r < 0)
			return r;
	}
	*ret_map = m;
	m.segments = NULL;
	return 0;
}

static struct chunk_segment *segment_of(const struct chunk_map *m, uint64_t chunk)
{
	return &m->segments[chunk / CHUNK_SEGMENT_BITS - m->first];
}

static bool map_has(const struct chunk_map *m, uint64_t chunk)
{
	return bit_get(segment_of(m, chunk)->bits, chunk);
}

static void map_set(struct chunk_map *m, uint64_t chunk)
{
	struct chunk_segment *s = segment_of(m, chunk);

	if (bit_get(s->bits, chunk))
		return;
	bit_set(s->bits, chunk);
	s->dirty = m->dirty = true;
}

static int copy_old(struct data *d, const struct data_source *src, int fd, uint64_t from,
		    uint64_t to)
{
	if (from >= to)
		return 0;
	return src == NULL ? -EIO
			   : copy_from(src, from, fd, from, to - from, &d->stats.copied_bytes);
}

/* What CHUNK has outside [OFF, END). */
static int fill_chunk(struct data *d, const struct inode_rec *rec, const struct data_source *src,
		      int fd, uint64_t chunk, uint64_t off, uint64_t end)
{
	uint64_t from = chunk << rec->chunk_shift;
	uint64_t to = (chunk + 1) << rec->chunk_shift;
	int r;

	if (to > rec->lower_size)
		to = rec->lower_size;
	if (from < off || end < to)
		d->stats.filled_chunks++;
	r = copy_old(d, src, fd, from, off < to ? off : to);
	return r < 0 ? r : copy_old(d, src, fd, end > from ? end : from, to);
}

int chunk_map_fill(struct data *d, const struct inode_rec *rec, const struct chunk_map *m,
		   const struct data_source *src, int fd, uint64_t off, uint64_t end)
{
	uint64_t first, last, limit = end < rec->lower_size ? end : rec->lower_size;
	int r = 0;

	if (off >= limit)
		return 0;
	first = off >> rec->chunk_shift;
	last = (limit - 1) >> rec->chunk_shift;
	if (!map_has(m, first))
		r = fill_chunk(d, rec, src, fd, first, off, end);
	if (r == 0 && last != first && !map_has(m, last))
		r = fill_chunk(d, rec, src, fd, last, off, end);
	return r;
}

void chunk_map_set(const struct inode_rec *rec, struct chunk_map *m, uint64_t off, uint64_t end)
{
	uint64_t chunk, limit = end < rec->lower_size ? end : rec->lower_size;

	if (off >= limit)
		return;
	for (chunk = off >> rec->chunk_shift; chunk <= (limit - 1) >> rec->chunk_shift; chunk++)
		map_set(m, chunk);
}

/* Copies what is missing of [FROM, END), chunks, up to the end of a run; returns where to go on. */
static int copy_run(struct data *d, const struct inode_rec *rec, struct chunk_map *m,
		    const struct data_source *src, int fd, uint64_t *from, uint64_t end,
		    uint64_t *budget)
{
	uint64_t first, last, off, until;
	int r;

	while (*from < end && map_has(m, *from))
		(*from)++;
	first = last = *from;
	while (last < end && !map_has(m, last) && (last - first) << rec->chunk_shift < *budget)
		last++;
	*from = last;
	if (first == last)
		return 0;
	off = first << rec->chunk_shift;
	until = last << rec->chunk_shift;
	if (until > rec->lower_size)
		until = rec->lower_size;
	r = copy_old(d, src, fd, off, until);
	if (r < 0)
		return r;
	d->stats.ahead_bytes += until - off;
	*budget -= until - off < *budget ? until - off : *budget;
	chunk_map_set(rec, m, off, until);
	return 0;
}

int chunk_map_ahead(struct data *d, const struct inode_rec *rec, struct chunk_map *m,
		    const struct data_source *src, int fd, uint64_t pos)
{
	uint64_t end = ((rec->lower_size - 1) >> rec->chunk_shift) + 1;
	uint64_t start = pos < rec->lower_size ? pos >> rec->chunk_shift : 0;
	uint64_t budget = CHUNKS_AHEAD, at;
	int r = 0;

	for (at = start; r == 0 && budget > 0 && at < end;)
		r = copy_run(d, rec, m, src, fd, &at, end, &budget);
	for (at = 0; r == 0 && budget > 0 && at < start;)
		r = copy_run(d, rec, m, src, fd, &at, start, &budget);
	return r;
}

void chunk_map_put(const struct inode_rec *rec, const struct chunk_map *m, struct batch *b)
{
	uint32_t i;

	for (i = 0; m->dirty && i < m->n; i++)
		if (m->segments[i].dirty)
			batch_put_chunks(b, rec->attr.ino, m->first + i, m->segments[i].bits);
}

/* Are all bits of the segment set, as far as lower_size goes? */
static bool segment_full(const struct inode_rec *rec, uint32_t segment, const uint8_t *bits)
{
	uint64_t chunk = (uint64_t)segment * CHUNK_SEGMENT_BITS;
	uint64_t end = ((rec->lower_size - 1) >> rec->chunk_shift) + 1;

	if (end > chunk + CHUNK_SEGMENT_BITS)
		end = chunk + CHUNK_SEGMENT_BITS;
	while (chunk < end && bit_get(bits, chunk))
		chunk++;
	return chunk >= end;
}

bool chunk_map_complete(struct data *d, const struct inode_rec *rec, const struct chunk_map *m)
{
	uint8_t bits[CHUNK_SEGMENT_BYTES];
	uint32_t i, last;

	if (rec->lower_size == 0)
		return true;
	/* The others are asked only when these, which cost nothing, leave it possible. */
	for (i = 0; i < m->n; i++)
		if (!segment_full(rec, m->first + i, m->segments[i].bits))
			return false;
	last = (uint32_t)(((rec->lower_size - 1) >> rec->chunk_shift) / CHUNK_SEGMENT_BITS);
	for (i = 0; i <= last; i++) {
		if (i >= m->first && i - m->first < m->n)
			continue;
		if (catalog_chunks(d->catalog, rec->attr.ino, i, bits) < 0 ||
		    !segment_full(rec, i, bits))
			return false;
	}
	return true;
}

int chunks_settle(struct data *d, struct inode_rec *rec, const struct data_source *src,
		  struct fdref *ref, uint64_t length)
{
	CLEANUP(chunk_map) struct chunk_map m = {0};
	CLEANUP(batch) struct batch b = {0};
	int r;

	if (length >= rec->lower_size)
		return 0;
	r = chunk_map_load(d, rec, length, rec->lower_size, &m);
	/* [LENGTH, lower_size) is "written": it will be zeros, which a file that grows has. */
	if (r == 0)
		r = chunk_map_fill(d, rec, &m, src, ref->fd, length, rec->lower_size);
	if (r == 0)
		r = unsynced_wait(d, ref);
	if (r < 0)
		return r;
	chunk_map_set(rec, &m, length, rec->lower_size);
	batch_begin(&b, d->catalog);
	chunk_map_put(rec, &m, &b);
	return m.dirty ? catalog_commit(d->catalog, &b) : 0;
}
