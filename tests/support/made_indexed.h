/* SPDX-License-Identifier: Apache-2.0 */
/* An image's layer made of another layer's tree. */
#ifndef PLYFS_TESTS_SUPPORT_MADE_INDEXED_H
#define PLYFS_TESTS_SUPPORT_MADE_INDEXED_H

#include "layer/backends.h"
#include "layer/indexed_write.h"

/*
 * The tree of FROM as a layer of an image, uncompressed: an index and an archive, both in files without a
 * name. FROM must have no redirects and no metacopies, which such a layer cannot have.
 */
struct layer *made_indexed(struct layer *from);

/* Writes A into an index without a name, and opens that. */
struct index_file *made_index(struct apply *a, struct indexed_head *head);

#endif
