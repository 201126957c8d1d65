/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of union/ share: the stack and its nodes. */
#ifndef PLYFS_UNION_PRIVATE_H
#define PLYFS_UNION_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "union/ahead.h"
#include "union/place.h"
#include "union/union.h"

/* A directory of the union. Everything but refs, node, ino, listing, walked and asked is constant. */
struct union_dir {
	struct table_node node;	  /* protected by the lock of its stripe */
	atomic_uint refs;	  /* becomes 0 only under the lock of its stripe */
	struct stack *stack;	  /* borrowed */
	struct union_dir *parent; /* owned reference; NULL for the root */
	struct place *path;	  /* owned reference */
	_Atomic uint64_t ino;	  /* the topmost part's, or what its user calls it */
	struct listing *listing;  /* owned; protected by stack.lists.lock */
	atomic_uint walked;	  /* ahead.c's; when it was last listed with attributes; 0: never */
	atomic_uint asked;	  /* readdir.c's; look-ups that a listing would have spared */
	uint32_t n_parts;
	struct part parts[]; /* topmost first; each owns its references */
};

/* The nodes in memory, found by (parent, name), spread over locks of their own. */
#define STACK_STRIPES 32
struct stripe {
	pthread_mutex_t lock;
	struct table nodes; /* protected by lock */
};

/* Cached listings, least recently used first. All protected by lock. */
struct listings {
	pthread_mutex_t lock;
	struct listing *oldest, *newest; /* those that nobody uses */
	size_t bytes;			 /* of those */
	size_t unread;			 /* of those of them that were read ahead of a walk */
};

/* Everything but the nodes, the listings and what is read ahead is constant. */
struct stack {
	struct layer **layers;	  /* owned; topmost first; the data-only ones last */
	struct layer_dir **roots; /* owned references; one a layer */
	uint32_t n, n_visible;	  /* layers in all; without the data-only ones */
	uint32_t *origins;	  /* owned; layers that can be asked by_origin(), ascending */
	uint32_t n_origins;
	uint64_t seed;
	struct union_dir *root; /* owned reference */
	struct stripe stripes[STACK_STRIPES];
	struct listings lists;
	struct ahead ahead;
};

/* The union's number of a layer's inode. ABOVE: as LAYER_ABOVE. */
uint64_t stack_ino(const struct stack *s, uint32_t layer, uint64_t layer_ino, bool above);

/*
 * Nodes. The node NAME of PARENT if it is in memory, with a reference for the caller; else NULL.
 */
struct union_dir *node_find(struct union_dir *parent, const char *name);
/* Makes the node, or takes the one that another thread made meanwhile. PARTS are taken out. */
int node_obtain(struct union_dir *parent, const char *name, struct parts *parts, uint64_t ino,
		struct union_dir **ret_dir);
/* A node outside the table: the root. */
struct union_dir *node_new_root(struct stack *s, struct parts *parts, uint64_t ino);

/* Frees the listing, if any, of a node that is about to be freed. */
void listing_drop(struct union_dir *dir);

/*
 * A part number that stands for a hard link: its name is in a layer below, its record in a layer
 * that was asked by_origin(). Both numbers are packed into union_ref.part.
 */
#define PART_ORIGIN ((uint32_t)1 << 31)
static inline uint32_t part_origin(uint32_t layer, uint32_t part)
{
	return PART_ORIGIN | layer << 16 | part;
}

static inline uint32_t part_index(uint32_t part)
{
	return (part & PART_ORIGIN) != 0 ? part & 0xffff : part;
}

static inline uint32_t part_layer(uint32_t part)
{
	return part >> 16 & 0x7fff;
}

/* How a function of a layer names the file NAME of DIR in PART. NAME NULL: DIR itself. */
struct target {
	struct layer *layer;
	struct layer_dir *dir; /* owned reference */
	const char *name;      /* NULL: what `dir` stands for */
};
int target_of(struct union_dir *dir, const char *name, uint32_t part, struct target *ret_target);
static inline void target_done(struct target *t)
{
	if (t->layer != NULL)
		layer_dir_unref(t->layer, t->dir);
}
DEFINE_CLEANUP(struct target, target, target_done)

#endif
