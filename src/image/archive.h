/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image/: an archive of files as a source: where each member's bytes are in the tar. */
#ifndef PLYFS_IMAGE_ARCHIVE_H
#define PLYFS_IMAGE_ARCHIVE_H

#include "image/blob.h"
#include "image/image.h"

struct archive_index;

/*
 * Reads the headers of the archive FILE. A tar's contents are passed over. A compressed archive is read once, which
 * finds the places from which it can be read at random (image/scan.h); one that has none, zstd in a single
 * frame, becomes a temporary file. Of a name that occurs twice the last one counts. *RET is the caller's:
 * archive_index_free(). It holds a reference of FILE. NAME is for errors.
 */
int archive_index_read(struct blob *file, const char *name, const struct image_options *options,
		       struct archive_index **ret, struct err *err);
void archive_index_free(struct archive_index *a);
DEFINE_CLEANUP_PTR(struct archive_index, archive_index, archive_index_free)

/*
 * The member PATH. Links are followed inside the archive, as docker save's "layer.tar" needs. -ENOENT, without a
 * sentence; -ELOOP; -EXDEV for a link that leads out; -EBADMSG for a member that ends after the archive.
 */
int archive_index_open(struct archive_index *a, const char *path, struct blob **ret,
		       struct err *err);

/* What the members of a tar look like, by the first one's name. */
enum archive_look { ARCHIVE_OF_IMAGES, ARCHIVE_LAYER, ARCHIVE_NONE };
/* Looks into BLOB, compressed or not. */
int archive_look(struct blob *blob, const char *name, enum archive_look *ret, struct err *err);

#endif
