/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/decoded and image/points: any bytes, in any order, from several threads. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "image/decoded.h"
#include "image/span.h"
#include "unit/image/packed.h"

static void setup(void)
{
	/* Few spans are kept, so that most reads decode. */
	decoded_keep(100000);
}
TestSuite(decoded, .init = setup);

/* Scans PACKED and opens what it holds. RET_COMPRESSED lives on in the blob; it may be NULL. */
static void open_packed(const struct buf *packed, const struct buf *tar, uint64_t span,
			struct blob **ret_b)
{
	CLEANUP(scanned) struct scanned s = {0};
	CLEANUP(blob) struct blob *compressed = NULL;
	CLEANUP(err) struct err e = {0};
	const struct scan_options o = {.span = span};

	cr_assert_eq(scan_bytes(packed->data, packed->len, &o, &s, &e), 0, "%s", err_text(&e));
	cr_assert_eq(blob_from_memory(packed->data, packed->len, &compressed), 0);
	cr_assert_eq(decoded_open(compressed, s.result.compression, &s.points, tar->len, ret_b), 0);
	cr_assert_eq(s.points.n, 0);
}

static void expect_read(struct blob *b, const struct buf *tar, size_t off, size_t len)
{
	CLEANUP(free) uint8_t *buf = malloc(len + 1);
	size_t there = off >= tar->len ? 0 : len < tar->len - off ? len : tar->len - off;
	ssize_t n = blob_pread(b, buf, len, off);

	cr_assert_eq(n, (ssize_t)there, "%zd", n);
	cr_assert(memcmp(buf, tar->data + off, there) == 0, "%zu bytes at %zu", len, off);
}

static void read_at_random(struct blob *b, const struct buf *tar, unsigned n, struct rng *g)
{
	for (unsigned i = 0; i < n; i++)
		expect_read(b, tar, rng_below(g, (uint32_t)tar->len + 10),
			    rng_below(g, rng_below(g, 3) > 0 ? 5000 : 100000));
}

/* Random, then each byte in order in odd pieces. */
static void expect_reads(const struct buf *packed, const struct buf *tar, uint64_t span,
			 struct rng *g)
{
	CLEANUP(blob) struct blob *b = NULL;

	open_packed(packed, tar, span, &b);
	read_at_random(b, tar, 200, g);
	for (size_t off = 0; off < tar->len; off += 3333)
		expect_read(b, tar, off, 3333);
}

Test(decoded, gzip_gives_any_bytes)
{
	struct rng g = rng_seeded(11);

	for (int level = 0; level <= 9; level += 3) {
		CLEANUP(buf) struct buf tar = {0}, packed = {0};

		put_likely_tar(&tar, 30, 30000, &g);
		put_gzip(&packed, tar.data, tar.len, level, 0);
		expect_reads(&packed, &tar, 1, &g);
		expect_reads(&packed, &tar, 20000, &g);
		expect_reads(&packed, &tar, 1 << 20, &g);
	}
}

/* Members and frames shorter and longer than a span, empty ones among them. */
Test(decoded, members_and_frames_give_any_bytes)
{
	struct rng g = rng_seeded(12);
	CLEANUP(buf) struct buf tar = {0}, gzip = {0}, zstd = {0};

	put_likely_tar(&tar, 30, 30000, &g);
	for (size_t off = 0; off < tar.len;) {
		size_t len = rng_below(&g, 3) == 0 ? 0 : rng_below(&g, 50000);

		len = len < tar.len - off ? len : tar.len - off;
		put_gzip(&gzip, tar.data + off, len, 6, 0);
		put_zstd(&zstd, tar.data + off, len, 3);
		off += len;
	}
	expect_reads(&gzip, &tar, 1, &g);
	expect_reads(&gzip, &tar, 30000, &g);
	expect_reads(&zstd, &tar, 1, &g);
	expect_reads(&zstd, &tar, 30000, &g);
}

static void expect_span(struct blob *b, const struct point *p, const struct buf *tar,
			int (*decode)(struct blob *b, const struct point *p, uint8_t *out))
{
	CLEANUP(free) uint8_t *out = malloc((size_t)p->out_len + 1);

	cr_assert_eq(decode(b, p, out), 0);
	cr_assert(memcmp(out, tar->data + p->out, (size_t)p->out_len) == 0);
}

/* Of one member each span is decoded by whatever there is, and all of it the same. */
Test(decoded, isal_and_zlib_give_the_same)
{
	struct rng g = rng_seeded(16);
	uint8_t byte;

	for (int level = 1; level <= 9; level += 4) {
		CLEANUP(buf) struct buf tar = {0}, packed = {0};
		CLEANUP(scanned) struct scanned s = {0};
		CLEANUP(blob) struct blob *b = NULL;
		const struct scan_options o = {.span = 20000};
		bool fast;

		put_likely_tar(&tar, 30, 30000, &g);
		put_gzip(&packed, tar.data, tar.len, level, 0);
		cr_assert_eq(scan_bytes(packed.data, packed.len, &o, &s, NULL), 0);
		cr_assert_eq(blob_from_memory(packed.data, packed.len, &b), 0);
		cr_assert_gt(s.points.n, 10);
		fast = span_decode_fast(b, &(struct point){.kind = COMPRESSION_GZIP}, &byte) !=
		       -ENOTSUP;
		for (size_t i = 0; i < s.points.n; i++) {
			expect_span(b, &s.points.at[i], &tar, span_decode_plain);
			if (fast)
				expect_span(b, &s.points.at[i], &tar, span_decode_fast);
		}
	}
}

Test(decoded, windows_hold_only_what_is_referred_to)
{
	CLEANUP(buf) struct buf tar = {0}, packed = {0}, full = {0};
	CLEANUP(scanned) struct scanned s = {0}, f = {0};
	const struct scan_options o = {.span = 10000};
	CLEANUP(err) struct err e = {0};
	struct rng g = rng_seeded(13);
	size_t kept = 0;

	put_likely_tar(&tar, 30, 30000, &g);
	put_gzip(&packed, tar.data, tar.len, 6, 0);
	cr_assert_eq(scan_bytes(packed.data, packed.len, &o, &s, &e), 0);
	for (size_t i = 0; i < s.points.n; i++)
		kept += s.points.at[i].packed_len;
	cr_assert_gt(s.points.n, 10);
	cr_assert_gt(kept, 0);
	cr_assert_lt(kept, s.points.n * POINT_WINDOW_MAX / 2);
	/* After a full flush nothing before it is referred to. */
	put_gzip(&full, tar.data, tar.len, 6, 10000);
	cr_assert_eq(scan_bytes(full.data, full.len, &(struct scan_options){.span = 10000}, &f, &e),
		     0);
	kept = 0;
	for (size_t i = 0; i < f.points.n; i++)
		kept += f.points.at[i].packed_len > 0;
	cr_assert_lt(kept, f.points.n);
}

struct job {
	struct blob *b;
	const struct buf *tar;
	uint64_t seed;
};

static void *run_job(void *arg)
{
	const struct job *j = arg;
	struct rng g = {.state = j->seed};

	read_at_random(j->b, j->tar, 300, &g);
	return NULL;
}

Test(decoded, threads_read_two_blobs_with_one_cache)
{
	struct rng g = rng_seeded(14);
	CLEANUP(buf) struct buf tar = {0}, gzip = {0}, zstd = {0};
	CLEANUP(blob) struct blob *a = NULL;
	CLEANUP(blob) struct blob *b = NULL;
	pthread_t threads[4];
	struct job jobs[4];

	put_likely_tar(&tar, 30, 30000, &g);
	put_gzip(&gzip, tar.data, tar.len, 6, 0);
	for (size_t off = 0; off < tar.len; off += 40000)
		put_zstd(&zstd, tar.data + off, tar.len - off < 40000 ? tar.len - off : 40000, 1);
	open_packed(&gzip, &tar, 10000, &a);
	open_packed(&zstd, &tar, 10000, &b);
	for (size_t i = 0; i < 4; i++) {
		jobs[i] = (struct job){i % 2 ? a : b, &tar, 100 + i / 2};
		cr_assert_eq(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
	}
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

/* A changed byte of the compressed data is an error of those bytes that come from it, never a lie. */
Test(decoded, damage_is_an_error_and_never_wrong_bytes)
{
	struct rng g = rng_seeded(15);
	CLEANUP(buf) struct buf tar = {0}, packed = {0};
	CLEANUP(err) struct err e = {0};
	unsigned errors = 0;

	put_likely_tar(&tar, 10, 3000, &g);
	put_gzip(&packed, tar.data, tar.len, 6, 0);
	for (size_t i = 10; i < packed.len; i += 7) {
		CLEANUP(scanned) struct scanned s = {0};
		CLEANUP(blob) struct blob *compressed = NULL;
		CLEANUP(blob) struct blob *b = NULL;
		CLEANUP(free) uint8_t *buf = malloc(tar.len);
		const struct scan_options o = {.span = 2000};
		ssize_t n;

		cr_assert_eq(scan_bytes(packed.data, packed.len, &o, &s, &e), 0);
		packed.data[i] ^= 0x40;
		cr_assert_eq(blob_from_memory(packed.data, packed.len, &compressed), 0);
		packed.data[i] ^= 0x40;
		cr_assert_eq(decoded_open(compressed, COMPRESSION_GZIP, &s.points, tar.len, &b), 0);
		n = blob_pread(b, buf, tar.len, 0);
		/* The trailer is not looked at, and a reference may find the same bytes elsewhere. */
		if (n >= 0)
			cr_assert(memcmp(buf, tar.data, tar.len) == 0);
		else
			cr_assert_eq(n, -EIO);
		errors += n < 0;
	}
	cr_assert_gt(errors, 0);
}

Test(decoded, points_that_do_not_fit_are_refused)
{
	CLEANUP(buf) struct buf tar = {0}, packed = {0};
	CLEANUP(err) struct err e = {0};
	CLEANUP(blob) struct blob *compressed = NULL;
	struct rng g = rng_seeded(16);
	struct blob *b = NULL;

	put_likely_tar(&tar, 10, 3000, &g);
	put_gzip(&packed, tar.data, tar.len, 6, 0);
	cr_assert_eq(blob_from_memory(packed.data, packed.len, &compressed), 0);
	for (int i = 0; i < 7; i++) {
		CLEANUP(scanned) struct scanned s = {0};
		const struct scan_options o = {.span = 2000};
		uint64_t size = tar.len;

		cr_assert_eq(scan_bytes(packed.data, packed.len, &o, &s, &e), 0);
		cr_assert_gt(s.points.n, 2);
		switch (i) {
		case 0:
			s.points.at[1].out++;
			break;
		case 1:
			s.points.at[1].in_len = UINT64_MAX;
			break;
		case 2:
			s.points.at[1].in = packed.len;
			break;
		case 3:
			s.points.at[0].bits = 8;
			break;
		case 4:
			s.points.at[0].kind = COMPRESSION_ZSTD;
			break;
		case 5:
			size++;
			break;
		case 6:
			s.points.at[1].window_len = POINT_WINDOW_MAX + 1;
			break;
		}
		cr_assert_eq(decoded_open(compressed, COMPRESSION_GZIP, &s.points, size, &b),
			     -EINVAL, "case %d", i);
		cr_assert_eq(s.points.n, 0);
	}
}

Test(decoded, a_span_too_long_is_refused)
{
	CLEANUP(blob) struct blob *compressed = NULL;
	struct points points = {0};
	struct blob *b = NULL;
	struct point p = {.kind = COMPRESSION_ZSTD, .out_len = SPAN_MAX + 1, .in_len = 1};

	cr_assert_eq(blob_from_memory("x", 1, &compressed), 0);
	cr_assert_eq(points_add(&points, &p), 0);
	cr_assert_eq(decoded_open(compressed, COMPRESSION_ZSTD, &points, SPAN_MAX + 1, &b), -EFBIG);
}

Test(points, are_stored_as_bytes_and_checked_when_read)
{
	CLEANUP(buf) struct buf b = {0};
	struct point p = {
		.kind = COMPRESSION_GZIP,
		.out = 1,
		.out_len = UINT64_MAX - 1,
		.in = 3,
		.in_len = 4,
		.bits = 7,
		.check = 5,
		.window_len = 32768,
		.window = "window",
		.packed_len = 6,
	};
	struct point q;

	point_encode(&p, &b);
	cr_assert_eq(point_decode(b.data, b.len, &q), 0);
	cr_assert_eq(q.out_len, p.out_len);
	cr_assert_eq(q.bits, 7);
	cr_assert_eq(q.check, 5);
	cr_assert_eq(q.packed_len, 6);
	cr_assert(memcmp(q.window, "window", 6) == 0);
	for (size_t len = 0; len <= b.len - 6; len++)
		cr_assert_eq(point_decode(b.data, len, &q), -EINVAL, "%zu", len);
	/* Version, kind, bits, a spare byte, the window's length; an end beyond all numbers. */
	for (size_t i = 0; i < 16; i++) {
		uint8_t old = b.data[i];

		b.data[i] = 0xff;
		cr_assert_eq(point_decode(b.data, b.len, &q), -EINVAL, "%zu", i);
		b.data[i] = old;
	}
}
