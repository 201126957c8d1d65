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

/* Of the directory FD (borrowed). 0 or -errno. */
int ancestry_place(int fd, struct place_id *ret_id);

/* Zeroed memory is empty. */
struct place_ids {
	struct place_id *ids; /* owned */
	size_t n, cap;
};

/*
 * One directory, the upper's, against many, which are walked up as far as
 * directories that are known already, for the layers of an image lie side by side. One thread.
 */
struct ancestry {
	struct place_id self;	  /* the directory */
	struct place_ids outside; /* not the directory, and not in it */
};
void ancestry_done(struct ancestry *a);
DEFINE_CLEANUP(struct ancestry, ancestry, ancestry_done)

/* The directory FD (borrowed). 0 or -errno. */
int ancestry_init(struct ancestry *a, int fd);

enum ancestry_is { ANCESTRY_OUTSIDE, ANCESTRY_SAME, ANCESTRY_INSIDE };

/*
 * Is FD, which is ID, the directory, or does it lie in it? -errno. What may not be searched ends a walk: beyond it nothing is
 * known, and FD is taken to be outside.
 */
int ancestry_of(struct ancestry *a, int fd, const struct place_id *id);

#endif
