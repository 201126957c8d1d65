/* SPDX-License-Identifier: Apache-2.0 */
/* A plain directory as the oracle: the same operations on it and on the file system. */
#ifndef TESTS_UNIT_FS_MODEL_H
#define TESTS_UNIT_FS_MODEL_H

#include <dirent.h>

#include "unit/fs/support.h"

#define MODEL_HELD 6

/*
 * The oracle is the directory "plain" beside the layers. Everything random comes from `state`, so a
 * seed is a test. Where a thing was done is in `step` and in the log that a failure prints.
 */
struct model {
	struct world *w;
	uint64_t state;
	unsigned int seed;
	unsigned long step, done[32];
	char last[600]; /* the operation, in words */
	struct {
		uint64_t ino; /* 0: free */
		int fd;
		char path[256];
	} held[MODEL_HELD];
};

unsigned int model_random(struct model *m, unsigned int n);
/* Random names: 1 to 3 components out of a few, so that they often meet. */
void model_path(struct model *m, char *path, size_t size);

/* model_build.c: a random tree, in the oracle and spread over the lower layers. */
void model_build(struct model *m);

/* model_compare.c: the trees and the held files are the same, or the test fails. */
void model_compare(struct model *m);
void model_compare_held(struct model *m, size_t i);
/* One directory, by path. */
void model_compare_dir(struct model *m, const char *path);
void model_fail(const struct model *m, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

/* model_ops.c: one random operation, done to both. */
void model_step(struct model *m);
void model_release(struct model *m);

#endif
