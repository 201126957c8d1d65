/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of a damaged LMDB file, read one by one. For salvage.c alone. */
#ifndef PLYFS_CATALOG_SALVAGE_PAGES_H
#define PLYFS_CATALOG_SALVAGE_PAGES_H

#include "catalog/catalog.h"
#include "catalog/salvage.h"

/* A state of the catalog: where its trees begin. */
struct state {
	uint64_t page;		/* that names the tables */
	bool is_meta;		/* a meta page leads to it */
	uint64_t applied, seed; /* 0: not known */
	size_t n_tables;
	bool has[N_TABLES];
	uint64_t root[N_TABLES];
	uint16_t depth[N_TABLES];
};

struct salvage {
	int dirfd;
	int fd; /* owned */
	struct catalog *into;
	int (*step)(void *arg);
	void *arg;
	uint64_t size, n_pages;
	uint32_t page_size;
	uint8_t *met;	      /* owned; a bit a page: it has been read as part of a tree */
	struct state *states; /* owned */
	size_t n_states;
	uint64_t seed; /* of the catalog; 0: not known */
	bool complete[N_TABLES];
	bool fills; /* only what is not there yet is taken */
	struct batch batch;
	struct salvage_counts counts;
};

/* Size and number of the pages. -ENOMEM. */
int pages_open(struct salvage *s);
/* The pages to which the meta pages lead, newest first; returns how many. */
size_t pages_meta_roots(struct salvage *s, uint64_t *ret_roots);
/* Is this a leaf that holds nothing but descriptions of our tables? */
bool pages_names_tables(struct salvage *s, uint64_t page);
/* Fills what the page says of tables; false when it is no page. */
bool pages_read_tables(struct salvage *s, uint64_t page, struct state *state);
/* Seed and number from the state's table `super`. */
void pages_read_super(struct salvage *s, struct state *state);
/* Copies the records of a tree; what cannot be read is counted in counts.bad_pages. */
int pages_walk(struct salvage *s, enum catalog_table table, uint64_t root, uint16_t depth);
/* Copies what looks like records from a leaf that was not met yet. */
int pages_copy_stray(struct salvage *s, uint64_t page);

/* Gives the key of an entry the hash that it has in the catalog `into`. */
void salvage_rehash(struct salvage *s, uint8_t *key, size_t key_len);

#endif
