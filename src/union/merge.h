/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a directory's parts, merged. */
#ifndef PLYFS_UNION_MERGE_H
#define PLYFS_UNION_MERGE_H

#include "union/private.h"

/*
 * A merge in the making. The topmost part that lists a name says all there is to know about it:
 * what it is, or that it is hidden. So parts are added from the top and later ones only fill up.
 */
struct merge {
	struct layer_list *lists; /* owned; n_lists of them; they hold the names' texts */
	uint32_t n_lists;
	struct union_name *names; /* owned; DT_WHT: a hidden one */
	size_t n;
	/* Of several parts: a hash table of indices + 1, and who lists each name. All owned. */
	uint32_t *slots;
	size_t mask;
	struct merge_part *parts;
	size_t n_parts;
};
/* A part that lists a name; chains from union_name.parts, indices + 1, the topmost part last. */
struct merge_part {
	uint32_t next;
	uint16_t index;
};
void merge_done(struct merge *m);
DEFINE_CLEANUP(struct merge, merge, merge_done)

/* Reads all parts of DIR. Afterwards M has its visible names, in order of (hash, name). */
int merge_dir(struct union_dir *dir, struct merge *m);

#endif
