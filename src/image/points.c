/* SPDX-License-Identifier: Apache-2.0 */
#include "image/points.h"

#include <string.h>

#include "base/hash.h"

/* The first byte of an encoded point: the version of its form. */
#define FORM 1

uint64_t span_check(const void *p, size_t len)
{
	return hash128(p, len).low;
}

void point_encode(const struct point *p, struct buf *b)
{
	buf_put_u8(b, FORM);
	buf_put_u8(b, (uint8_t)p->kind);
	buf_put_u8(b, p->bits);
	buf_put_u8(b, 0);
	buf_put_u32(b, p->window_len);
	buf_put_u64(b, p->out);
	buf_put_u64(b, p->out_len);
	buf_put_u64(b, p->in);
	buf_put_u64(b, p->in_len);
	buf_put_u64(b, p->check);
	buf_put(b, p->window, p->packed_len);
}

static bool overflows(uint64_t a, uint64_t b)
{
	return a + b < a;
}

static bool in_range(const struct point *p)
{
	if (overflows(p->out, p->out_len) || overflows(p->in, p->in_len))
		return false;
	if ((p->window_len > 0) != (p->packed_len > 0) || p->packed_len > 2 * POINT_WINDOW_MAX)
		return false;
	if (p->kind == COMPRESSION_GZIP)
		return p->bits < 8 && (p->bits == 0 || p->in > 0) &&
		       p->window_len <= POINT_WINDOW_MAX;
	return p->kind == COMPRESSION_ZSTD && p->bits == 0 && p->window_len == 0;
}

int point_decode(const void *bytes, size_t len, struct point *ret_p)
{
	struct reader r = reader_of(bytes, len);
	uint8_t form = read_u8(&r);
	struct point p = {.kind = (enum compression)read_u8(&r)};
	uint8_t spare;

	p.bits = read_u8(&r);
	spare = read_u8(&r);
	p.window_len = read_u32(&r);
	p.out = read_u64(&r);
	p.out_len = read_u64(&r);
	p.in = read_u64(&r);
	p.in_len = read_u64(&r);
	p.check = read_u64(&r);
	p.packed_len = r.left;
	p.window = p.packed_len > 0 ? read_bytes(&r, r.left) : NULL;
	if (!reader_end(&r) || form != FORM || spare != 0 || !in_range(&p))
		return -EINVAL;
	*ret_p = p;
	return 0;
}

int points_add(struct points *ps, const struct point *p)
{
	struct point copy = *p;

	if (ps->n == ps->cap) {
		size_t cap = ps->cap > 0 ? 2 * ps->cap : 64;
		void *bigger = reallocarray(ps->at, cap, sizeof(*ps->at));

		if (bigger == NULL)
			return -ENOMEM;
		ps->at = bigger;
		ps->cap = cap;
	}
	if (!ps->borrowed && p->packed_len > 0) {
		void *window = malloc(p->packed_len);

		if (window == NULL)
			return -ENOMEM;
		memcpy(window, p->window, p->packed_len);
		copy.window = window;
	}
	ps->at[ps->n++] = copy;
	return 0;
}

int points_check(const struct points *ps, enum compression c, uint64_t compressed_size,
		 uint64_t size)
{
	uint64_t out = 0, in = 0;
	bool long_span = false;

	for (size_t i = 0; i < ps->n; i++) {
		const struct point *p = &ps->at[i];

		if (!in_range(p) || p->kind != c || p->out != out || p->in < in ||
		    p->in + p->in_len > compressed_size)
			return -EINVAL;
		out += p->out_len;
		in = p->in + p->in_len;
		long_span |= p->out_len > SPAN_MAX;
	}
	if (out != size)
		return -EINVAL;
	return long_span ? -EFBIG : 0;
}

size_t points_find(const struct points *ps, uint64_t off)
{
	size_t low = 0, high = ps->n;

	while (high - low > 1) { /* at[low].out <= off < at[high].out */
		size_t middle = low + (high - low) / 2;

		if (ps->at[middle].out <= off)
			low = middle;
		else
			high = middle;
	}
	return low;
}

void points_done(struct points *ps)
{
	for (size_t i = 0; i < ps->n && !ps->borrowed; i++)
		free((void *)(uintptr_t)ps->at[i].window);
	free(ps->at);
	*ps = (struct points){0};
}
