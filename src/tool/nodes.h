/* SPDX-License-Identifier: Apache-2.0 */
/* A table of inodes, for the passes. */
#ifndef PLYFS_TOOL_NODES_H
#define PLYFS_TOOL_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the passes know of an inode: its record as it is, or as it will be when all that was found so
 * far is mended. So one damage is one finding, and a check says what a repair does.
 */
struct node {
	uint64_t ino;
	uint64_t parent; /* the record's, of a directory */
	uint64_t up;	 /* the directory that has its first good name; 0: none */
	size_t name;	 /* that name, in fsck.names */
	uint64_t size;	 /* the record's */
	uint64_t inline_len, data_size;
	uint32_t mode;	  /* the record's */
	uint32_t nlink;	  /* the record's */
	uint32_t flags;	  /* the record's */
	uint32_t n_seen;  /* names that lead to it, good or bad */
	uint32_t n_names; /* good ones */
	uint32_t n_dirs;  /* directories in it */
	uint8_t where;
	uint8_t dtype;	/* as its first name has it; 0: it has none */
	uint8_t colour; /* pass_tree.c */
	bool has_record : 1;
	bool is_fresh : 1; /* its record was lost, and is made anew */
	bool has_origin : 1;
	bool has_names : 1; /* names lie in it */
	bool has_mark : 1;  /* an orphan's */
	bool is_dead : 1;   /* an orphan: it is about to go */
	bool has_inline : 1;
	bool has_data : 1; /* a data file */
	bool has_rows : 1; /* xattrs or a chunk map: it was there */
	bool has_sum : 1;
	bool is_replayed : 1; /* its record is in no table yet */
	bool is_partial : 1;  /* some of its bytes are lost */
	uint32_t xattr_flags; /* that its xattrs ask for */
};

/* Nodes stay where they are in memory until the table goes. */
struct nodes;

struct nodes *nodes_new(void); /* NULL: out of memory */
void nodes_free(struct nodes *t);
size_t nodes_count(const struct nodes *t);
/* NULL when there is none. */
struct node *nodes_find(const struct nodes *t, uint64_t ino);
/* Made, all zeros, when it is not there; NULL: out of memory. */
struct node *nodes_get(struct nodes *t, uint64_t ino);
/* All, sorted by their numbers: the table's, until the next call after one was made. NULL: out of
 * memory. */
struct node *const *nodes_sorted(struct nodes *t);
/* Calls FN for all, in no order. */
void nodes_each(const struct nodes *t, void (*fn)(const struct node *n, void *arg), void *arg);

#endif
