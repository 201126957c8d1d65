/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image/: the bytes of a compressed archive from first to last, once. */
#ifndef PLYFS_IMAGE_UNPACK_H
#define PLYFS_IMAGE_UNPACK_H

#include "base/err.h"
#include "image/compression.h"

struct image_options;
struct unpack;

/*
 * Begins to read COMPRESSED, of which NAME is for errors and borrowed. NONE passes the bytes on; xz and bzip2 are
 * refused: -ENOTSUP with a sentence. *RET is the caller's.
 */
int unpack_open(struct blob *compressed, enum compression c, const char *name, struct unpack **ret,
		struct err *err);
void unpack_free(struct unpack *u);
DEFINE_CLEANUP_PTR(struct unpack, unpack, unpack_free)

/* Up to LEN bytes; 0 at the end. -EBADMSG for what is broken or cut off. One thread at a time. */
ssize_t unpack_read(struct unpack *u, void *buf, size_t len, struct err *err);

/* How many of the compressed bytes were read. */
uint64_t unpack_at(const struct unpack *u);

/*
 * All of it as a temporary file without a name, in $TMPDIR or /var/tmp. *RET is the caller's. -E2BIG when it becomes
 * more than 200 times as large, and larger than 1 GiB.
 */
int unpack_to_file(struct blob *compressed, enum compression c, const char *name,
		   const struct image_options *options, struct blob **ret, struct err *err);

#endif
