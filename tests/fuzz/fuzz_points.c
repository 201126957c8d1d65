/* SPDX-License-Identifier: Apache-2.0 */
/* Points that a broken index may hold: refused, or an error of reading; never more. */
#include <string.h>

#include "image/points.h"
#include "image/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

/* Bytes that pass as a point are its only form. */
static void check_form(const uint8_t *data, size_t size)
{
	CLEANUP(buf) struct buf again = {0};
	struct point p;

	if (point_decode(data, size, &p) < 0)
		return;
	point_encode(&p, &again);
	must(again.len == size && memcmp(again.data, data, size) == 0);
}

/* A point of the first bytes; what follows is its window, and then the blob. */
static struct point made_of(struct reader *r)
{
	uint8_t first = read_u8(r);
	struct point p = {
		.kind = first & 1 ? COMPRESSION_GZIP : COMPRESSION_ZSTD,
		.bits = first >> 1 & 15,
		.in = first >> 5 & 1,
		.out_len = read_u16(r),
		.window_len = first & 64 ? read_u16(r) : 0,
		.packed_len = first & 64 ? read_u8(r) : 0,
	};

	p.window = p.packed_len > 0 ? read_bytes(r, p.packed_len) : NULL;
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_of(data, size);
	struct point p = made_of(&r);
	CLEANUP(points) struct points points = {0};
	CLEANUP(blob) struct blob *b = NULL;
	uint8_t out[UINT16_MAX];

	check_form(data, size);
	if (!reader_ok(&r) || r.left < p.in)
		return 0;
	p.in_len = r.left - p.in;
	must(blob_from_memory(r.p, r.left, &b) == 0);
	must(points_add(&points, &p) == 0);
	if (points_check(&points, p.kind, b->size, p.out_len) == 0)
		span_decode(b, &points.at[0], out);
	return 0;
}
