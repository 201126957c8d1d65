/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed layers: made from bytes, scanned into memory, and compared. */
#ifndef PLYFS_TESTS_IMAGE_PACKED_H
#define PLYFS_TESTS_IMAGE_PACKED_H

#include <stdint.h>

#include "base/buf.h"
#include "image/points.h"
#include "image/scan.h"
#include "unit/image/tarball.h"

/* A repeatable sequence; the seed is printed. */
struct rng {
	uint64_t state;
};
struct rng rng_seeded(uint64_t seed);
uint64_t rng_next(struct rng *g);
uint32_t rng_below(struct rng *g, uint32_t n);

/* LEN bytes like those of programs and texts: repeats near and far, some noise. */
void put_likely_bytes(struct buf *b, size_t len, struct rng *g);
/* A tar of N files of such bytes, up to MAX each. */
void put_likely_tar(struct buf *t, unsigned n, uint32_t max, struct rng *g);

/* Appends one member of gzip; LEVEL as zlib's, FLUSH_EVERY > 0: a flush after so many bytes. */
void put_gzip(struct buf *b, const void *p, size_t len, int level, size_t flush_every);
/* Appends one frame of zstd. */
void put_zstd(struct buf *b, const void *p, size_t len, int level);

/* What a scan gives. */
struct scanned {
	struct transcript members;
	struct points points;
	struct scan_result result;
};
void scanned_done(struct scanned *s);
DEFINE_CLEANUP(struct scanned, scanned, scanned_done)

/* Scans LEN bytes. The scan's result. Points go through their encoded form. */
int scan_bytes(const void *p, size_t len, const struct scan_options *o, struct scanned *ret_s,
	       struct err *e);

#endif
