/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of inode numbers: open addressing, eight bytes a slot. */
#ifndef PLYFS_DATA_INOSET_H
#define PLYFS_DATA_INOSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* More than these are not remembered: 16 MiB. */
#define INO_SET_MAX ((size_t)1 << 20)

/* Zeroed memory is an empty set. Threads: the owner's lock. */
struct ino_set {
	uint64_t *slots; /* owned; 0 is a free one, and never an inode number */
	size_t n, cap;
	bool full; /* others were left out: too many of them, or no memory */
};

void ino_set_done(struct ino_set *s);
DEFINE_CLEANUP(struct ino_set, ino_set, ino_set_done)

/* Cannot fail: what finds no room makes the set `full`. */
void ino_set_add(struct ino_set *s, uint64_t ino);
void ino_set_del(struct ino_set *s, uint64_t ino);
/* Is it one of those that are remembered? `full` is the caller's to look at. */
bool ino_set_has(const struct ino_set *s, uint64_t ino);

/* The members go to RET_SET, which was empty; S is empty then. */
void ino_set_move(struct ino_set *s, struct ino_set *ret_set);
/* One after the other: *AT is 0 at first; 0 at the end. */
uint64_t ino_set_next(const struct ino_set *s, size_t *at);

#endif
