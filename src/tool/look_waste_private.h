/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of tool/look_waste*.c share. Nobody else includes this. */
#ifndef PLYFS_TOOL_LOOK_WASTE_PRIVATE_H
#define PLYFS_TOOL_LOOK_WASTE_PRIVATE_H

#include "base/hash.h"
#include "base/table.h"
#include "tool/look_private.h"
#include "union/union.h"

#define WASTE_NONE SIZE_MAX

/* Why bytes are not shown. */
enum waste_why {
	WASTE_SHOWN,
	WASTE_DELETED,	/* the path, or a directory above it, is gone */
	WASTE_REPLACED, /* the path is something else */
	WASTE_COPIED,	/* the path has the same bytes: only attributes were changed */
};

/* The bytes of one regular file in one layer, whatever names it has there. Layers are counted from the top, from 0. */
struct waste_file {
	char *path; /* owned; one of its names, without a slash at the front */
	uint64_t size, ino;
	size_t layer;
	enum waste_why why;
	size_t by;    /* not shown: the layer that is to blame */
	size_t above; /* the file that the next layer above has of that path, or WASTE_NONE */
	bool is_read; /* its content is wanted to be known */
	bool known;   /* and is */
	struct hash128 hash;
};

struct waste_layer {
	uint64_t bytes, hidden; /* of regular files */
	uint64_t hidden_names;	/* of all types, directories too */
};

/* Files of one content. */
struct waste_group {
	size_t first, n; /* in waste.order */
	uint64_t bytes;	 /* that all but one have */
};

struct waste {
	struct look *l;
	struct stack *stack;
	size_t n_layers;
	struct waste_layer *layers; /* owned */
	struct waste_file *files;   /* owned */
	size_t n, cap;
	uint64_t bytes, hidden;
	uint64_t copied;	    /* hidden ones that a layer has again, with other attributes */
	size_t *order;		    /* owned; of files, for whoever sorts */
	struct waste_group *groups; /* owned; the largest first */
	size_t n_groups;
	uint64_t duplicate; /* bytes of all groups */
};

/* ---- look_waste_walk.c ---- */

/* Fills layers, files and sums. */
int waste_walk(struct waste *w);

/* ---- look_waste_content.c ---- */

/* Reads what has to be read to find copies; fills groups. */
int waste_compare(struct waste *w);

/* ---- look_waste_show.c ---- */

int waste_show(struct waste *w);

#endif
