/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of directories, who comes again for what did not fit. */
#ifndef TESTS_UNIT_FS_READER_H
#define TESTS_UNIT_FS_READER_H

#include "unit/fs/support.h"

/* Names that tests make, at most. */
#define MANY 700 /* more than the catalog gives at a time */
/* Cookies from here on cannot be read by programs of 32 bits. */
#define WIDE ((uint64_t)1 << 31)

/* Takes MAX entries a call. */
struct reader_state {
	char names[4 * MANY][16];
	uint64_t cookies[4 * MANY];
	uint64_t inos[4 * MANY]; /* whose look-ups were counted; 0: not */
	size_t n, max, taken;
	uint64_t cookie;
	bool plus;
	bool alone; /* as the kernel is answered: entries that come together are an answer of their own */
};

/* False at the end of the directory. Look-ups that were counted are given back. */
bool read_some(struct world *w, uint64_t ino, struct reader_state *s, size_t max);
size_t count_name(const struct reader_state *s, const char *name);

/* Position of NAME in listings. */
uint64_t hash_of(struct world *w, const char *name);
/* For qsort(3), of uint64_t. */
int by_value(const void *a, const void *b);

#endif
