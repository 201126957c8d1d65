/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the union as shared texts, and the parts that make up a directory. */
#ifndef PLYFS_UNION_PLACE_H
#define PLYFS_UNION_PLACE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct layer;
struct layer_dir;

/* A path without a leading slash, "" for the root. Constant; counted references. */
struct place {
	atomic_uint refs;
	size_t len;
	char text[];
};

/* NULL: out of memory. */
struct place *place_new(const char *text, size_t len);
struct place *place_child(const struct place *p, const char *name);
struct place *place_ref(struct place *p);
void place_unref(struct place *p); /* NULL is fine */
DEFINE_CLEANUP_PTR(struct place, place, place_unref)

/*
 * One layer's share of a directory of the union. The parts after it are what the union of the
 * layers below `layer` alone shows at the path `below`. That is the directory's own path, unless a
 * redirect led elsewhere, or below an opaque directory, where it is no path at all.
 */
struct part {
	struct layer_dir *dir; /* owned reference */
	struct place *below;   /* owned reference */
	uint32_t layer;	       /* index in the stack */
};

/* The parts of a directory, topmost first. Zeroed is empty. */
struct parts {
	struct layer *const *layers; /* borrowed; the stack's */
	struct part *v;		     /* owned */
	size_t n, cap;
};

void parts_done(struct parts *p);
DEFINE_CLEANUP(struct parts, parts, parts_done)

/* Takes DIR and BELOW over, on failure too. 0 or -ENOMEM. */
int parts_add(struct parts *p, uint32_t layer, struct layer_dir *dir, struct place *below);

#endif
