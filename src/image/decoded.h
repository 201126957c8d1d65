/* SPDX-License-Identifier: Apache-2.0 */
/* The uncompressed bytes of a compressed blob, at any offset. */
#ifndef PLYFS_IMAGE_DECODED_H
#define PLYFS_IMAGE_DECODED_H

#include <stdint.h>

#include "image/blob.h"
#include "image/compression.h"
#include "image/points.h"

/*
 * A blob of the SIZE uncompressed bytes of COMPRESSED, of which it holds a reference. POINTS are those
 * of the scan of the same bytes, or of the transcoding; they are taken over and zeroed, on failure
 * too. -EINVAL when they do not fit (points_check()), -EFBIG when a span is too long, -ENOMEM.
 *
 * Reading decodes whole spans and checks each, -EIO when it is not what was scanned. Spans that were
 * decoded last are kept, for all blobs and threads together; two that want one wait for one
 * decoding. Who reads on from span to span finds the next one decoded ahead, by a thread of its own: a
 * process that forks and goes on as the child does so before it reads.
 */
int decoded_open(struct blob *compressed, enum compression c, struct points *points, uint64_t size,
		 struct blob **ret_b);

/* How many bytes of decoded spans this process keeps; 64 MiB when never called. Any time. */
void decoded_keep(uint64_t bytes);

#endif
