/* SPDX-License-Identifier: Apache-2.0 */
/* What a cache directory holds, and getting rid of what nobody needs. */
#ifndef PLYFS_LAYER_INDEXED_USAGE_H
#define PLYFS_LAYER_INDEXED_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "image/digest.h"

enum cached_kind {
	CACHED_LAYER,	   /* the index of a layer, with its frames if it has any */
	CACHED_STACK,	   /* the index of a layer over those below it */
	CACHED_BLOB,	   /* fetched from a registry: a layer or a document */
	CACHED_PART,	   /* the beginning of one, which the next fetch continues */
	CACHED_UNFINISHED, /* written by somebody, or by nobody any more */
	CACHED_OUTDATED,   /* an index of another version, which only another plyfs would use */
	CACHED_DAMAGED,	   /* an index that no mount would use */
};

const char *cached_kind_name(enum cached_kind kind);

struct cached {
	enum cached_kind kind;
	char *path;	      /* owned; below the cache's directory */
	struct digest digest; /* DiffID, ChainID, or of the bytes; the last three have none */
	uint64_t size;	      /* bytes, of both files if there are frames */
	int64_t used; /* last used or written: seconds since the epoch, an hour's exactness */
	bool in_use;  /* by a mount or a writer on this machine */
	bool frames;  /* PATH.zst belongs to it */
	bool chosen;  /* by cached_choose() */
};

struct cached_list {
	struct cached *v; /* owned */
	size_t n, cap;
};
void cached_list_done(struct cached_list *l); /* zeroed is fine */
DEFINE_CLEANUP(struct cached_list, cached_list, cached_list_done)

/*
 * Lists the cache DIR (indexed_cache.h says what is in it), the least recently used first. Files with other names
 * are nobody's business, links are not followed. A cache that is not there yet is empty. Disturbs neither mounts nor
 * writers.
 */
int cached_list(const char *dir, struct cached_list *ret_list, struct err *err);

struct cached_policy {
	int64_t older; /* seconds: only what was not used for that long */
	bool sized;    /* and of that only as much as is needed to come down to `keep` */
	uint64_t keep; /* bytes */
};

/*
 * Marks what is to go: of what is not in use, the leavings of dead writers and damaged indexes always, the rest as POLICY says,
 * the least recently used first. Pure.
 */
void cached_choose(struct cached_list *l, const struct cached_policy *policy, int64_t now);

/*
 * Removes E. -EBUSY: somebody uses it by now; -ENOENT: somebody else was faster. A mount that opens it at that moment keeps what
 * it has opened, and makes or fetches anew what it has not.
 */
int cached_remove(const char *dir, const struct cached *e);

#endif
