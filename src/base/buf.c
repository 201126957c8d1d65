/* SPDX-License-Identifier: Apache-2.0 */
/* Growing byte buffers, and readers that cannot run past the end. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BUF_FIRST_CAP 64

/* Makes room for LEN more bytes; false (and failed) when there is none. */
static bool reserve(struct buf *b, size_t len)
{
	size_t cap = b->cap;
	uint8_t *data;

	if (b->failed)
		return false;
	if (len <= cap - b->len)
		return true;
	if (len > SIZE_MAX / 2 - b->len) {
		b->failed = true;
		return false;
	}
	if (cap == 0)
		cap = BUF_FIRST_CAP;
	while (cap - b->len < len)
		cap *= 2;
	data = realloc(b->data, cap);
	if (data == NULL) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

void buf_put(struct buf *b, const void *p, size_t len)
{
	if (len == 0 || !reserve(b, len))
		return;
	memcpy(b->data + b->len, p, len);
	b->len += len;
}

/* Writes the low N bytes of V at P, the least significant first. */
static void store_le(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void put_le(struct buf *b, uint64_t v, size_t n)
{
	if (!reserve(b, n))
		return;
	store_le(b->data + b->len, v, n);
	b->len += n;
}

void buf_put_u8(struct buf *b, uint8_t v)
{
	put_le(b, v, 1);
}

void buf_put_u16(struct buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void buf_put_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void buf_put_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	/* vsnprintf() writes a NUL, which is not counted. */
	if (!reserve(b, (size_t)n + 1))
		return;
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_set_u32(struct buf *b, size_t off, uint32_t v)
{
	if (b->failed)
		return;
	if (b->len < 4 || off > b->len - 4) {
		b->failed = true;
		return;
	}
	store_le(b->data + off, v, 4);
}

const char *buf_cstr(struct buf *b)
{
	if (!reserve(b, 1))
		return NULL;
	b->data[b->len] = '\0';
	return (const char *)b->data;
}

const void *read_bytes(struct reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || len > r->left) {
		r->bad = true;
		return NULL;
	}
	/* No bytes of no memory is still an answer, and NULL would say it is not. */
	if (len == 0)
		return p != NULL ? p : (const uint8_t *)"";
	r->p += len;
	r->left -= len;
	return p;
}

static uint64_t read_le(struct reader *r, size_t n)
{
	const uint8_t *p = read_bytes(r, n);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint8_t read_u8(struct reader *r)
{
	return (uint8_t)read_le(r, 1);
}

uint16_t read_u16(struct reader *r)
{
	return (uint16_t)read_le(r, 2);
}

uint32_t read_u32(struct reader *r)
{
	return (uint32_t)read_le(r, 4);
}

uint64_t read_u64(struct reader *r)
{
	return read_le(r, 8);
}
