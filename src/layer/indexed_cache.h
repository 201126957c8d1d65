/* SPDX-License-Identifier: Apache-2.0 */
/* The directory in which indexes are kept from one mount to the next. */
#ifndef PLYFS_LAYER_INDEXED_CACHE_H
#define PLYFS_LAYER_INDEXED_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "catalog/index.h"

/*
 * One directory of our own that new indexes go to, and any number of others that are only looked into: a site's, a
 * machine's. An index appears whole or not at all (a draft that is renamed), and one of a name is as good as any other, so
 * that writers need not know of each other. A draft whose writer died is removed by the next one.
 *
 *	DIR/index-1/sha256-HEX.idx	the index of a layer; doc/format.md says how it is named
 *	DIR/index-1/sha256-HEX.idx.zst	the layer in frames, where its own compression cannot be entered
 *	DIR/index-1/draft-PID-RANDOM	one that is being written, locked by its writer
 *	DIR/blobs/ALG/HEX		what was fetched from a registry: image/registry.h
 *
 * Where nothing can be written drafts are private files, and are lost with their last user.
 */
struct indexed_cache;

#define CACHE_INDEXES "index-1"
#define CACHE_BLOBS   "blobs"
#define CACHE_DRAFT   "draft-"

/*
 * DIR NULL: $XDG_CACHE_HOME/plyfs, else ~/.cache/plyfs. OTHERS: more of them, separated by colons, or NULL:
 * $PLYFS_CACHE_PATH. DIR is made when the first draft is. Threads: any.
 */
int indexed_cache_open(const char *dir, const char *others, struct indexed_cache **ret_cache,
		       struct err *err);
void indexed_cache_close(struct indexed_cache *c); /* NULL is fine */
DEFINE_CLEANUP_PTR(struct indexed_cache, indexed_cache, indexed_cache_close)

/* The directory of our own, made or not. NULL: nobody says where. The cache's own. */
const char *indexed_cache_dir(const struct indexed_cache *c);

/* Where blobs are kept beside the indexes, made or not: DIR/blobs. NULL: nobody says where. The cache's own. */
const char *indexed_cache_blob_dir(const struct indexed_cache *c);

/* Opens the index NAME (no path): -ENOENT also for one that is damaged, which is logged, or of another version. */
int indexed_cache_find(struct indexed_cache *c, const char *name, struct index_file **ret_index);

/* An index that is being written. */
struct indexed_draft {
	int dirfd;     /* owned; -1: a private file */
	int fd;	       /* owned */
	char name[64]; /* in `dirfd` */
};
int indexed_draft_new(struct indexed_cache *c, struct indexed_draft *ret_draft, struct err *err);
void indexed_draft_done(struct indexed_draft *d); /* removes it, unless it was published */
DEFINE_CLEANUP(struct indexed_draft, indexed_draft, indexed_draft_done)

/* Another file that belongs to an index, for reading: its descriptor, or -errno. */
int indexed_cache_file(struct indexed_cache *c, const char *name);

/* Gives the finished file its name; a private one stays without. */
int indexed_draft_name(struct indexed_draft *d, const char *name);
/* The same of a finished index, and opens it. */
int indexed_draft_publish(struct indexed_draft *d, const char *name, struct index_file **ret_index,
			  struct err *err);

#endif
