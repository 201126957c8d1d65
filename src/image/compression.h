/* SPDX-License-Identifier: Apache-2.0 */
/* How a layer's or an archive's bytes are compressed, told by the bytes and not by a name. */
#ifndef PLYFS_IMAGE_COMPRESSION_H
#define PLYFS_IMAGE_COMPRESSION_H

#include "image/blob.h"

enum compression {
	COMPRESSION_NONE, /* a tar as it is */
	COMPRESSION_GZIP,
	COMPRESSION_ZSTD,
	COMPRESSION_XZ,	     /* recognised, and refused by those that read */
	COMPRESSION_BZIP2,   /* the same */
	COMPRESSION_UNKNOWN, /* neither compressed in a known way nor a tar */
};

/*
 * Looks at the first bytes. NONE is what begins with a header of tar (its checksum is right) or with
 * a block of zeros, and the empty blob. Reads at most 512 bytes; -errno of reading.
 */
int compression_detect(struct blob *b, enum compression *ret_c);

/* "none", "gzip", "zstd", "xz", "bzip2", "unknown". */
const char *compression_name(enum compression c);

#endif
