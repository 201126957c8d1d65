/* SPDX-License-Identifier: Apache-2.0 */
/* A disk under mirror_calls: what it holds after a power cut is not what the kernel shows. */
#ifndef PLYFS_TESTS_CATALOG_MIRROR_DISK_H
#define PLYFS_TESTS_CATALOG_MIRROR_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unit/catalog/helper.h"

/*
 * While it is installed every call reaches the real files, too. Writes wait, in pieces of a sector,
 * for the flush of their file; a rename waits for the flush of its directory. A flush that fails
 * loses some of what waited, for good, as the kernel does it.
 */

/* Puts itself into mirror_calls; R drives it. The file NAME in D is on the disk as it is now. */
void disk_install(struct rng *r, const struct dir *d, const char *name);
void disk_remove(void);

/* The next call fails with ERROR after ENOUGH calls; 0: none does. A write may have done a part. */
void disk_fail(int error, unsigned int enough);
/* True when that call has come. */
bool disk_has_failed(void);

/* Called before and after each call; may look at the disk. NULL: nobody is. */
extern void (*disk_watch)(void);
/* How many calls there were. */
extern uint64_t disk_calls;

/*
 * What a power cut right now may leave of the file NAME: owned bytes; NULL: no such file. Each
 * waiting piece is there or not, by the generator; with WORST none is.
 */
uint8_t *disk_after_cut(bool worst, size_t *ret_len);

#endif
