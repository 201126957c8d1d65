/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles for mounts: a plain directory, or kernel overlayfs, says what is right. */
#ifndef PLYFS_TESTS_ORACLE_H
#define PLYFS_TESTS_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

/* What compare_trees() leaves out. */
struct compare_options {
	bool times;  /* compare mtime too */
	bool kernel; /* the first tree is one of kernel overlayfs */
	bool inos;   /* the same tree twice: st_ino must be equal */
};

/* Prints each difference as a line; returns how many (at most about 50 are looked for). */
int compare_trees(const char *a, const char *b, const struct compare_options *o);

/* N random operations on both directories; prints the first difference. 0: none. */
int run_ops(const char *a, const char *b, uint64_t seed, unsigned long n, bool verbose);

/* A random tree in DIR. */
int make_tree(const char *dir, uint64_t seed, unsigned int size);

/* N_LAYERS random layers DIR/0 (top) ... in overlayfs' format, made by privileged means. */
int make_stack(const char *dir, uint64_t seed, unsigned int n_layers, bool marks);

/* One line an entry: everything compare_trees() looks at, for one tree. */
int print_tree(const char *dir, const struct compare_options *o);

/* A small generator of our own: the same numbers on every machine. */
uint64_t rnd(uint64_t *state);
static inline unsigned int rnd_below(uint64_t *state, unsigned int n)
{
	return (unsigned int)(rnd(state) % n);
}

#endif
