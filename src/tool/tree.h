/* SPDX-License-Identifier: Apache-2.0 */
/* An upper layer's own tree, written out as plain files. */
#ifndef PLYFS_TOOL_TREE_H
#define PLYFS_TOOL_TREE_H

#include "tool/private.h"

/* Lists in the directory of the result, one path a line, with a slash in front. */
#define TREE_WHITEOUTS	".plyfs-whiteouts"
#define TREE_INCOMPLETE ".plyfs-incomplete" /* and, behind a tab, the lower path of the bytes */
#define TREE_MISSING	".plyfs-missing"    /* and, behind a tab, why */

struct tree_counts {
	uint64_t files, dirs, links, others, bytes;
	uint64_t whiteouts, incomplete, missing;
};

/*
 * Writes the tree of F's catalog, which must be in order, into the empty directory TO. SCRATCH is a
 * directory on the same file system for hard links. Owners, modes, times, xattrs and devices as
 * far as the caller may; a name that cannot be written is listed and does not end the work.
 */
int tree_write(struct fsck *f, int to, int scratch, struct tree_counts *ret_counts,
	       struct err *err);

#endif
