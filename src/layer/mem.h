/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the in-memory backend: a tree that never changes once it is parsed. */
#ifndef PLYFS_LAYER_MEM_H
#define PLYFS_LAYER_MEM_H

#include "layer/backends.h"

struct mem_xattr {
	struct mem_xattr *next;
	char *name;	/* owned */
	uint8_t *value; /* owned */
	size_t len;
};

/* Shared by all names of a hard link. */
struct mem_inode {
	struct mem_inode *next; /* all of the layer's */
	struct attr attr;
	uint32_t flags; /* LAYER_OPAQUE, LAYER_REDIRECT, LAYER_METACOPY */
	char *link;	/* owned; the ID of link=ID */
	char *target;	/* owned; of a symlink */
	char *redirect; /* owned */
	uint8_t *data;	/* owned; the bytes from here to attr.size are a hole */
	size_t len;
	struct mem_xattr *xattrs; /* owned list */
};

/* A name. Without an inode it is a whiteout. */
struct mem_node {
	char *name; /* owned; "" for the root */
	struct mem_inode *inode;
	struct mem_node *parent; /* NULL for the root */
	struct mem_node *children, *next;
};

struct mem_layer {
	struct layer base;
	struct mem_node *root;	  /* owned tree */
	struct mem_inode *inodes; /* owned list, newest first */
	struct hash128 id;
};

/* The child NAME of N, or NULL. */
struct mem_node *mem_find(const struct mem_node *n, const char *name);

/*
 * Adds a name below PARENT (NULL: makes the root) with a new inode; NULL when out of memory. The
 * inode is a bare one of mode MODE. INO is its number.
 */
struct mem_node *mem_add(struct mem_layer *l, struct mem_node *parent, const char *name);
struct mem_inode *mem_add_inode(struct mem_layer *l, uint32_t mode);

/* ---- mem_parse.c ---- */

/* Fills L, which has a root, from TEXT. -EINVAL: the sentence names the line. */
int mem_parse(struct mem_layer *l, const char *text, struct err *err);

#endif
