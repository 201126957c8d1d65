/* SPDX-License-Identifier: Apache-2.0 */
/* How the index of a layer is called in the cache: doc/format.md, "Indexes of image layers". */
#ifndef PLYFS_LAYER_INDEXED_KEY_H
#define PLYFS_LAYER_INDEXED_KEY_H

#include "layer/indexed_scan.h"

/* Of the longest name, with its NUL. */
#define INDEXED_KEY_MAX 256

/*
 * By the DiffID, and for a compressed layer by its own digest too: the restart points are that blob's. A layer that
 * nobody has told the digests of goes by where it is and when it changed. -ENOENT: it is in no file that has a name, as
 * in an archive that is compressed as a whole: who learns its digest can ask again.
 */
int indexed_key_of(const struct indexed_source *s, enum compression c, char name[INDEXED_KEY_MAX]);

/* Reads the layer as it is stored for its digest. -ECANCELED, -ENOMEM, what reading says. */
int indexed_key_digest(const struct indexed_source *s, const struct indexed_scan_options *options,
		       struct digest *ret_digest);

/* Of a layer over those below it, which CHAIN names together. */
void indexed_key_resolved(const struct digest *chain, char name[INDEXED_KEY_MAX]);

#endif
