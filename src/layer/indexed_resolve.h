/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of layer/indexed_resolve*.c share. Nobody else includes this. */
#ifndef PLYFS_LAYER_INDEXED_RESOLVE_H
#define PLYFS_LAYER_INDEXED_RESOLVE_H

#include <limits.h>

#include "base/buf.h"
#include "layer/indexed_apply.h"

/* Members that belong where PATH leads. */
struct aside {
	struct aside *next;
	struct apply_name *dir; /* has them meanwhile */
	unsigned int links;
	char path[];
};

struct resolving {
	struct apply *a;
	const struct apply_below *below;
	struct table
		lowers; /* of files of the layers below that have new names, owned; indexed_resolve_links.c */
	struct err *err;
	uint64_t seq;	      /* of the first member that what is made now is for */
	unsigned int depth;   /* of directories that wait for others */
	struct aside *asides; /* owned; in the order of their making */
	uint64_t n_asides;    /* ever made */
	unsigned int links;   /* of this layer that have led on what is on the move */
};

/* The layers below: 1 and RET_ATTR, 0 when there is nothing; the target of a link there. */
int resolve_stat(const struct resolving *r, const char *path, struct attr *ret_attr);
int resolve_readlink(const struct resolving *r, const char *path, char target[PATH_MAX]);

/* The path of NAME in its layer. -ENAMETOOLONG. */
int resolve_path(const struct apply_name *name, struct buf *out);
/* Do the layers below show through at NAME? */
bool resolve_is_open(const struct apply_name *name);

/* The text ahead of a walk; a link's target comes before the rest. */
struct ahead {
	struct buf text;
	size_t at;
	unsigned int links;
};

static void ahead_done(struct ahead *w)
{
	buf_done(&w->text);
}
DEFINE_CLEANUP(struct ahead, ahead, ahead_done)

/* Puts TARGET before the rest. -ELOOP: that was once too often. */
int ahead_push(struct ahead *w, const char *target);
/* The next component: 1, 0 at the end, -ENAMETOOLONG. "." and nothing are passed over. */
int ahead_next(struct ahead *w, char component[NAME_MAX + 1]);

/*
 * The directory that PATH leads to from START in the tree of this layer over those below; what is missing is made. -ELOOP,
 * -ENOTDIR.
 */
int resolve_walk(struct resolving *r, struct apply_name *start, const char *path,
		 struct apply_name **ret_dir);

/* Implicit directories become what they are; then no link is pending any more. */
int resolve_dirs(struct resolving *r);
int resolve_links(struct resolving *r);

#endif
