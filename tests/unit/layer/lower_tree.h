/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of layers over others: a tree below as a table. */
#ifndef PLYFS_TESTS_UNIT_LAYER_LOWER_TREE_H
#define PLYFS_TESTS_UNIT_LAYER_LOWER_TREE_H

#include "unit/layer/apply_world.h"

/* A row of a tree below, which one of zeros ends. One with 9 links has the attribute user.x. */
struct lower {
	const char *path;
	uint32_t mode;
	const char *target;
	uint64_t ino;
	uint32_t nlink;
};

/* A distribution that has merged its directories: lib leads to usr/lib. */
extern const struct lower usr_merged[];

/* How often the layers below were asked for a name. */
extern uint64_t n_stats;

/* The tree as a mount has it: out of the layer's own index. */
void store(struct world *w);
/* Must succeed, and leave nothing open. */
void resolve(struct world *w, const struct lower *tree);
/* Of a name that must be there. */
uint32_t mode_of(const struct world *w, const char *path);

#endif
