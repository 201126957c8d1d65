/* SPDX-License-Identifier: Apache-2.0 */
/* Which directories lie in one another. */
#ifndef PLYFS_FS_ANCESTRY_H
#define PLYFS_FS_ANCESTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* A directory as it is seen through one mount: what ".." is depends on that. */
struct place_id {
	uint64_t dev, ino, mount;
};

/* Zeroed memory is empty. */
struct place_ids {
	struct place_id *ids; /* owned */
	size_t n, cap;
};

/*
 * One directory, the upper's, against many: its own parents are walked once, and those of the others as far as
 * directories that are known already, for the layers of an image lie side by side. One thread.
 */
struct ancestry {
	struct place_ids above;	  /* the directory itself, first, and all that it lies in */
	struct place_ids outside; /* not the directory, and not in it */
};
void ancestry_done(struct ancestry *a);
DEFINE_CLEANUP(struct ancestry, ancestry, ancestry_done)

/* The directory FD (borrowed). 0 or -errno. What may not be searched ends a walk: beyond it nothing is known. */
int ancestry_init(struct ancestry *a, int fd);

enum ancestry_is { ANCESTRY_APART, ANCESTRY_ABOVE, ANCESTRY_BELOW };

/* Does the directory lie in FD (ABOVE; also when they are one), FD in the directory (BELOW), or neither? -errno. */
int ancestry_of(struct ancestry *a, int fd);

#endif
