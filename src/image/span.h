/* SPDX-License-Identifier: Apache-2.0 */
/* Decompressing one span. */
#ifndef PLYFS_IMAGE_SPAN_H
#define PLYFS_IMAGE_SPAN_H

#include <stdint.h>

#include "image/blob.h"
#include "image/points.h"

/*
 * Writes P->out_len bytes to OUT: the span that begins at P in the compressed blob B. -EIO when the
 * data is broken or not what was scanned, -ENOMEM, or of reading. Any thread.
 */
int span_decode(struct blob *b, const struct point *p, uint8_t *out);

/* ---- its two ways; for tests ---- */

/* By ISA-L. -ENOTSUP without it, and for zstd; it also fails, with -EIO, where a span goes from one member into the next. */
int span_decode_fast(struct blob *b, const struct point *p, uint8_t *out);
/* By zlib and zstd, which do all. */
int span_decode_plain(struct blob *b, const struct point *p, uint8_t *out);

#endif
