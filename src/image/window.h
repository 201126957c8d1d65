/* SPDX-License-Identifier: Apache-2.0 */
/* The 32 KiB that a block of deflate may refer to, as little of them as is needed. */
#ifndef PLYFS_IMAGE_WINDOW_H
#define PLYFS_IMAGE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "image/blob.h"
#include "image/points.h"

/* Memory and state for many windows. Zeroed is new. One thread at a time. */
struct window_packer {
	void *z[2];				  /* owned */
	void *zstd;				  /* owned */
	uint8_t *in, *out[2], *marks[2], *packed; /* owned */
};
void window_packer_done(struct window_packer *w);
DEFINE_CLEANUP(struct window_packer, window_packer, window_packer_done)

/*
 * Sets window, window_len and packed_len of P, a point of the gzip blob B at P->in and P->bits, from
 * the LEN bytes before it. Those that are never referred to are zeroed in WINDOW; what remains is
 * packed into memory of W, valid until the next call. A window nothing refers to becomes none.
 */
int window_pack(struct window_packer *w, struct blob *b, uint8_t *window, size_t len,
		struct point *p);

/* Unpacks P's window into BUF, P->window_len bytes. -EIO when it is no window. */
int window_unpack(const struct point *p, uint8_t buf[static POINT_WINDOW_MAX]);

#endif
