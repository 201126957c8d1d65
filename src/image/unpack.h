/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image/: what to do with a compressed archive that has no places to start from in it. */
#ifndef PLYFS_IMAGE_UNPACK_H
#define PLYFS_IMAGE_UNPACK_H

#include "base/err.h"
#include "image/compression.h"

struct image_options;

/*
 * The bytes of COMPRESSED as a temporary file without a name, in $TMPDIR or /var/tmp. *RET is the caller's. -E2BIG when
 * it becomes more than 200 times as large, and larger than 1 GiB; -EBADMSG for what is broken or cut off.
 */
int unpack_to_file(struct blob *compressed, enum compression c, const char *name,
		   const struct image_options *options, struct blob **ret, struct err *err);

#endif
