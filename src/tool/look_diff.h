/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing two trees that are not mounted: what plyfs diff does. */
#ifndef PLYFS_TOOL_LOOK_DIFF_H
#define PLYFS_TOOL_LOOK_DIFF_H

#include "tool/look.h"

/* Names, and the bytes of regular files among them before and after. */
struct look_diff_sum {
	uint64_t names, before, after;
};

/* Zeroed memory, then the first members. One thread. */
struct look_diff {
	struct fs *a, *b; /* borrowed; NULL: an empty tree */
	struct look l; /* `out` and `json`; `failed` is set: what is compared is not all there is */
	bool times;    /* times of modification count too */
	bool quiet;    /* nothing is printed, and the first difference ends it */
	bool totals;   /* a line of sums at the end */
	bool differs;  /* out */
	struct look_diff_sum added, deleted, changed; /* out */
};

/*
 * Prints how what B has at PATH and below differs from what A has, sorted by names: one line, or one object of a JSON
 * document, for each name. As much is held in memory as the directories on the way to one name have names, and the
 * files with several names. What cannot be read gets a line on standard error. -errno with a sentence: PATH cannot be compared.
 */
int look_diff(struct look_diff *d, const char *path, struct err *err);

#endif
