/* SPDX-License-Identifier: Apache-2.0 */
/* An intrusive hash table with chains. Not locked: the owner's lock covers it. */
#ifndef PLYFS_BASE_TABLE_H
#define PLYFS_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* Embedded in the things that a table holds. */
struct table_node {
	struct table_node *next;
	uint64_t hash;
};

struct table {
	struct table_node **buckets; /* owned; a power of two of them */
	size_t n_buckets;
	size_t count;
};

/* 0 or -ENOMEM. */
int table_init(struct table *t);
/* Frees the buckets, not the nodes. Accepts a zeroed table. */
void table_done(struct table *t);

/* Adds NODE under HASH. Never fails: when the table cannot grow its chains get longer. */
void table_add(struct table *t, struct table_node *node, uint64_t hash);
/* Takes NODE out; it must be in the table. Shrinks when mostly empty. */
void table_del(struct table *t, struct table_node *node);

/* First node whose hash is HASH, then the next one after NODE; NULL at the end. */
struct table_node *table_first(const struct table *t, uint64_t hash);
struct table_node *table_next(const struct table_node *node);

/* Calls FN for every node; FN may free the node it is given, nothing else. */
void table_each(struct table *t, void (*fn)(struct table_node *node, void *arg), void *arg);

#define table_entry(node, type, member)                                                            \
	((node) == NULL ? NULL : (type *)((char *)(node)-offsetof(type, member)))

#endif
