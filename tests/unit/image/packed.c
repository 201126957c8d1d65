/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/image/packed.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

struct rng rng_seeded(uint64_t seed)
{
	cr_log_info("seed %#llx", (unsigned long long)seed);
	return (struct rng){.state = seed};
}

/* SplitMix64. */
uint64_t rng_next(struct rng *g)
{
	uint64_t z = g->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t rng_below(struct rng *g, uint32_t n)
{
	return (uint32_t)(rng_next(g) >> 32) % n;
}

void put_likely_bytes(struct buf *b, size_t len, struct rng *g)
{
	size_t end = b->len + len;

	while (b->len < end) {
		size_t n = 1 + rng_below(g, 60);
		size_t back = 1 + rng_below(g, rng_below(g, 4) > 0 ? 500 : 40000);

		n = n < end - b->len ? n : end - b->len;
		for (size_t i = 0; i < n; i++) {
			bool copy = back <= b->len && back % 3 > 0;

			buf_put_u8(b, copy ? b->data[b->len - back]
					   : (uint8_t)('a' + rng_below(g, 40)));
		}
	}
}

void put_likely_tar(struct buf *t, unsigned n, uint32_t max, struct rng *g)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t len = rng_below(g, max + 1);
		char name[32];

		snprintf(name, sizeof(name), "dir/file-%u", i);
		tarball_header(t, &(struct entry){'0', name, .mode = 0644, .size = len});
		put_likely_bytes(t, len, g);
		tarball_pad(t);
	}
	tarball_end(t);
	cr_assert(buf_ok(t));
}

static void deflate_some(z_stream *z, struct buf *b, const uint8_t *p, size_t len, int flush)
{
	uint8_t out[4096];

	z->next_in = (uint8_t *)(uintptr_t)p;
	z->avail_in = (uInt)len;
	do {
		z->next_out = out;
		z->avail_out = sizeof(out);
		deflate(z, flush);
		buf_put(b, out, sizeof(out) - z->avail_out);
	} while (z->avail_out == 0);
}

void put_gzip(struct buf *b, const void *p, size_t len, int level, size_t flush_every)
{
	z_stream z = {0};

	/* Little memory makes short blocks, so that there are many places to start. */
	cr_assert_eq(deflateInit2(&z, level, Z_DEFLATED, 16 + MAX_WBITS, 1, Z_DEFAULT_STRATEGY),
		     Z_OK);
	for (size_t off = 0; flush_every > 0 && off + flush_every < len; off += flush_every)
		deflate_some(&z, b, (const uint8_t *)p + off, flush_every, Z_FULL_FLUSH);
	if (flush_every > 0 && len > 0) {
		size_t tail = (len - 1) % flush_every + 1;

		deflate_some(&z, b, (const uint8_t *)p + len - tail, tail, Z_FINISH);
	} else {
		deflate_some(&z, b, p, len, Z_FINISH);
	}
	deflateEnd(&z);
	cr_assert(buf_ok(b));
}

void put_zstd(struct buf *b, const void *p, size_t len, int level)
{
	size_t cap = ZSTD_compressBound(len);
	CLEANUP(free) void *out = malloc(cap);
	size_t n = ZSTD_compress(out, cap, p, len, level);

	cr_assert_not(ZSTD_isError(n));
	buf_put(b, out, n);
	cr_assert(buf_ok(b));
}

/* ---- scanning --------------------------------------------------------------------------- */

static int keep_point(void *arg, const struct point *p)
{
	CLEANUP(buf) struct buf b = {0};
	struct point decoded;

	point_encode(p, &b);
	cr_assert(buf_ok(&b));
	cr_assert_eq(point_decode(b.data, b.len, &decoded), 0);
	return points_add(&((struct scanned *)arg)->points, &decoded);
}

int scan_bytes(const void *p, size_t len, const struct scan_options *o, struct scanned *ret_s,
	       struct err *e)
{
	CLEANUP(blob) struct blob *b = NULL;
	struct scan_sink sink = {
		.tar = transcript_sink(&ret_s->members),
		.point = keep_point,
		.point_arg = ret_s,
	};

	cr_assert_eq(blob_from_memory(p, len, &b), 0);
	return scan_layer(b, o, &sink, &ret_s->result, e);
}

void scanned_done(struct scanned *s)
{
	transcript_done(&s->members);
	points_done(&s->points);
}
