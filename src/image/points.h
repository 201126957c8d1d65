/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places where decompressing can start. They cut the uncompressed bytes into spans, each decoded by
 * itself: from one point's OUT to the next one's. Pure values.
 *
 * zlib shows where the blocks of deflate end, and those may refer to the 32 KiB before them: such a
 * point carries that window, without the bytes that its span never looks at, compressed. A frame of
 * zstd refers to nothing.
 */
#ifndef PLYFS_IMAGE_POINTS_H
#define PLYFS_IMAGE_POINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "image/compression.h"

#define POINT_WINDOW_MAX (32u << 10) /* of deflate */
/* A longer span has no random access worth the name: such blobs are transcoded, see transcode.h. */
#define SPAN_MAX (32u << 20)

struct point {
	enum compression kind; /* COMPRESSION_GZIP or COMPRESSION_ZSTD */
	uint64_t out, out_len; /* the span in the uncompressed bytes */
	uint64_t in, in_len;   /* the same in the compressed: its first whole byte */
	uint8_t bits;	/* gzip: so many high bits of the byte before IN belong to it, 0 .. 7 */
	uint64_t check; /* of the span's uncompressed bytes, see span_check() */
	uint32_t window_len; /* gzip: bytes of the window, unpacked */
	const void *window;  /* packed; NULL when none is needed */
	size_t packed_len;
};

/* The checksum of a span: against errors of memory and disk, and against a wrong window. */
uint64_t span_check(const void *p, size_t len);

/* Appends POINT as bytes of a fixed form. */
void point_encode(const struct point *p, struct buf *b);

/*
 * The opposite. The window is borrowed from BYTES. -EINVAL when the bytes are no point: every field
 * is in its range, nothing is missing or too much.
 */
int point_decode(const void *bytes, size_t len, struct point *ret_p);

/* All points of a blob, in order. Zeroed memory has none. */
struct points {
	struct point *at; /* owned, the windows too unless BORROWED */
	size_t n, cap;
	bool borrowed; /* set before the first is added: windows outlive this and are not copied */
};

/* 0 or -ENOMEM. */
int points_add(struct points *ps, const struct point *p);

/*
 * Whether they cut SIZE uncompressed bytes of a blob of COMPRESSED_SIZE of kind C without gap or
 * overlap. -EINVAL when not; -EFBIG when a span is longer than SPAN_MAX.
 */
int points_check(const struct points *ps, enum compression c, uint64_t compressed_size,
		 uint64_t size);

/* The index of the point whose span has the byte OFF, which must lie inside. */
size_t points_find(const struct points *ps, uint64_t off);

void points_done(struct points *ps);
DEFINE_CLEANUP(struct points, points, points_done)

#endif
