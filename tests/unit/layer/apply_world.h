/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the rules of layers: members in, the tree as text out. */
#ifndef PLYFS_TESTS_UNIT_LAYER_APPLY_WORLD_H
#define PLYFS_TESTS_UNIT_LAYER_APPLY_WORLD_H

#include <criterion/criterion.h>

#include "layer/indexed_apply.h"

/* A layer that is being read, and what it was told of. */
struct world {
	struct apply *a;
	struct err err;
	uint64_t next; /* where the next file's bytes are: 512, 1536, 2560... */
};

void world_begin(struct world *w, bool strict);
void world_done(struct world *w);
DEFINE_CLEANUP(struct world, world, world_done)

/* A member, whatever comes of it; the others must succeed. LINK "": none. */
int put(struct world *w, enum tar_type type, const char *path, const char *link);
void file(struct world *w, const char *path);
void dir(struct world *w, const char *path);
void symlink_(struct world *w, const char *path, const char *target);
void hardlink(struct world *w, const char *path, const char *target);

/*
 * Compares the tree with lines, sorted: "f path off", "d path [!] [w] [?]" (opaque, with a whiteout, implicit),
 * "l path>target", "w path" (a whiteout), "p path>target" (pending), "L path>path below nlink", "x path".
 */
void check_names(struct world *w, const char *expected);
void check_fault(const struct world *w, enum apply_fault fault, uint64_t n);

#endif
