/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of tool/look_diff*.c share. Nobody else includes this. */
#ifndef PLYFS_TOOL_LOOK_DIFF_PRIVATE_H
#define PLYFS_TOOL_LOOK_DIFF_PRIVATE_H

#include "base/buf.h"
#include "base/table.h"
#include "tool/look_diff.h"
#include "union/union.h"

/* One name in both trees; all borrowed for the call. */
struct diff_pair {
	const char *path;
	const char *name;		/* its last part */
	const struct union_ref *ref[2]; /* A's and B's; NULL: this one has no such name */
};

/* ---- look_diff_compare.c: what is different ---- */

enum diff_reason {
	DIFF_SIZE = 1 << 0, /* of regular files, and so the content */
	DIFF_CONTENT = 1 << 1,
	DIFF_MODE = 1 << 2,
	DIFF_OWNER = 1 << 3,
	DIFF_TIME = 1 << 4,
	DIFF_TARGET = 1 << 5,
	DIFF_DEVICE = 1 << 6,
	DIFF_LINKS = 1 << 7, /* it is one file with other names than before */
	DIFF_XATTR = 1 << 8,
};

struct diff_reasons {
	unsigned int set;  /* enum diff_reason */
	struct buf xattrs; /* each: '+', '-' or '~', the name, NUL */
};

/* What comparing remembers. Zeroed is empty. */
struct differ {
	bool times;
	struct table twins[2]; /* files with several names, by their numbers in A and in B */
	char *bytes[2];	       /* owned; a piece of either file */
	uint64_t compared;     /* bytes, for the progress */
};
int differ_init(struct differ *d);
void differ_done(struct differ *d);
DEFINE_CLEANUP(struct differ, differ, differ_done)

/* Fills RET (whose buffer is used again) for two of one type. 0 or -errno: something could not be read. */
int differ_compare(struct differ *d, const struct diff_pair *pair, struct diff_reasons *ret);

/* The name that R's xattrs and target are asked by. */
static inline const char *diff_name(const struct union_ref *r, const char *name)
{
	return attr_is_dir(&r->attr) ? NULL : name;
}

/* ---- look_diff_show.c: how it is told ---- */

/* One difference; R: of a pair of one type. Adds it to the sums. */
void diff_show(struct look_diff *d, const struct diff_pair *pair, const struct diff_reasons *r);
void diff_show_begin(struct look_diff *d);
void diff_show_end(struct look_diff *d);

#endif
