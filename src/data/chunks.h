/* SPDX-License-Identifier: Apache-2.0 */
/* Chunk maps: which chunks of a file are in its data file. */
#ifndef PLYFS_DATA_CHUNKS_H
#define PLYFS_DATA_CHUNKS_H

#include "data/private.h"

/*
 * The rule: a byte at or past lower_size is the data file's. Below it, the bit of its chunk
 * decides: set, it is the data file's; clear, the lower file's, and what the data file has there is
 * never looked at. The length is the data file's. lower_size never grows, so bits of chunks past it may
 * be anything.
 *
 * A bit says that the lower file's bytes do not count any more. So the data file's must be on the
 * disk before the bit is committed (order.c): whoever brings chunks in waits for a flush.
 *
 * A map has at most CHUNKS_MAX chunks: huge lower files get larger chunks, so that no operation
 * touches more than a few thousand segments.
 */
#define CHUNKS_MAX ((uint64_t)1 << 22)

/* The shift of a lower file of SIZE bytes, at least MIN. */
uint8_t chunk_shift_for(uint64_t size, uint8_t min);

/* 0, or -EUCLEAN when no such map can be (a damaged record). */
int chunks_check(const struct inode_rec *rec);

/* Walks over the runs of a file: bytes that are all in the data file, or all in the lower one. */
struct chunk_walk {
	struct data *d;
	const struct inode_rec *rec;
	bool loaded;
	uint32_t segment;
	uint8_t bits[CHUNK_SEGMENT_BYTES];
};

/* The run at POS, cut at LIMIT (> POS). */
int chunk_walk_run(struct chunk_walk *w, uint64_t pos, uint64_t limit, bool *ret_ours,
		   uint64_t *ret_end);

/* The segments of the map that a change of a range touches. Zeroed memory is empty. */
struct chunk_map {
	uint32_t first; /* segment */
	uint32_t n;
	struct chunk_segment {
		uint8_t bits[CHUNK_SEGMENT_BYTES];
		bool dirty;
	} * segments; /* owned */
	bool dirty;   /* one of them is */
};
void chunk_map_done(struct chunk_map *m);
DEFINE_CLEANUP(struct chunk_map, chunk_map, chunk_map_done)

/* Loads what [OFF, END) needs; nothing when the range is empty or past lower_size. */
int chunk_map_load(struct data *d, const struct inode_rec *rec, uint64_t off, uint64_t end,
		   struct chunk_map *ret_map);

/*
 * Copies from the lower file what chunks that are not in the data file have outside [OFF, END):
 * after that only the bytes inside are missing from them. Only the first and the last chunk can
 * have such bytes. Shows nothing.
 */
int chunk_map_fill(struct data *d, const struct inode_rec *rec, const struct chunk_map *m,
		   const struct data_source *src, int fd, uint64_t off, uint64_t end);

/* Sets the bits of the chunks in [OFF, END) below lower_size. */
void chunk_map_set(const struct inode_rec *rec, struct chunk_map *m, uint64_t off, uint64_t end);

/*
 * Copies chunks that are not in the data file, about CHUNKS_AHEAD bytes of them, the next ones from
 * POS on (after the last comes the first), and sets their bits. M holds the whole map. An error
 * leaves out what could not be copied.
 */
#define CHUNKS_AHEAD ((uint64_t)4 << 20)
int chunk_map_ahead(struct data *d, const struct inode_rec *rec, struct chunk_map *m,
		    const struct data_source *src, int fd, uint64_t pos);

/* Adds the changed segments to B. Cannot fail, as batches cannot. */
void chunk_map_put(const struct inode_rec *rec, const struct chunk_map *m, struct batch *b);

/* True when all chunks are in the data file, M (as it will be) included. May miss it. */
bool chunk_map_complete(struct data *d, const struct inode_rec *rec, const struct chunk_map *m);

/*
 * Before a file grows: a truncation that was never committed (a crash, a failed commit) has left
 * the data file shorter than lower_size, and growing it would bring the bytes back that were cut
 * off. So the chunks from LENGTH on become the data file's, in a batch of their own that is
 * committed here, when the data file is on the disk. It holds segments of the map only, which nobody
 * else writes.
 */
int chunks_settle(struct data *d, struct inode_rec *rec, const struct data_source *src,
		  struct fdref *ref, uint64_t length);

#endif
