/* SPDX-License-Identifier: Apache-2.0 */
/* Growing byte buffers, and readers that cannot run past the end. */
#ifndef PLYFS_BASE_BUF_H
#define PLYFS_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/*
 * A writer. Zeroed memory is an empty buffer. A failed allocation sticks in `failed`: later puts do
 * nothing, and one check of buf_ok() at the end is enough. Integers are written little-endian.
 */
struct buf {
	uint8_t *data; /* owned */
	size_t len;
	size_t cap;
	bool failed;
};

void buf_done(struct buf *b);
void buf_clear(struct buf *b); /* empty, keeps the memory, forgets a failure */
void buf_put(struct buf *b, const void *p, size_t len);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_str(struct buf *b, const char *s); /* without the NUL */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Overwrites four bytes already written at OFF (which must lie inside). */
void buf_set_u32(struct buf *b, size_t off, uint32_t v);

static inline bool buf_ok(const struct buf *b)
{
	return !b->failed;
}

/* NUL-terminates without counting the NUL and returns the text; NULL after a failure. */
const char *buf_cstr(struct buf *b);

DEFINE_CLEANUP(struct buf, buf, buf_done)

/*
 * A reader over borrowed bytes. Reading past the end yields zeros and sets `bad`, which sticks; one
 * check of reader_end() or reader_ok() at the end is enough. Integers are little-endian.
 */
struct reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline struct reader reader_of(const void *p, size_t len)
{
	return (struct reader){.p = p, .left = len};
}

uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
/* Borrowed pointer to LEN bytes inside the reader's memory; NULL (and bad) when there are fewer. */
const void *read_bytes(struct reader *r, size_t len);

static inline bool reader_ok(const struct reader *r)
{
	return !r->bad;
}

/* True when everything was read and nothing was missing. */
static inline bool reader_end(const struct reader *r)
{
	return !r->bad && r->left == 0;
}

#endif
