/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a layer: found in the cache, or made by reading the layer once. */
#ifndef PLYFS_LAYER_INDEXED_SCAN_H
#define PLYFS_LAYER_INDEXED_SCAN_H

#include "image/scan.h"
#include "layer/indexed_cache.h"
#include "layer/indexed_write.h"

/* A layer as an image has it. Everything is borrowed for the call. */
struct indexed_source {
	struct blob *blob;
	const struct digest *digest;  /* of the bytes as stored; DIGEST_NONE: nobody says */
	const struct digest *diff_id; /* of the uncompressed bytes; the same */
	const char *name;	      /* for messages: "layer 3 of IMAGE" */
};

struct indexed_scan_options {
	/* What breaks the specification is an error, not counted and put up with. */
	bool strict;
	/* Of the bytes as stored; may be NULL. */
	void (*progress)(void *arg, const char *name, uint64_t done, uint64_t total);
	void *arg;
	const atomic_bool *cancel; /* may be NULL */
};

/* What it takes to read a layer. Zeroed is empty. */
struct indexed_found {
	struct index_file *index; /* owned */
	struct indexed_head head;
	struct blob *
		bytes; /* owned reference: the layer as it is stored, or a file of frames beside the index */
	enum compression compression; /* of BYTES */
};
void indexed_found_done(struct indexed_found *f);
DEFINE_CLEANUP(struct indexed_found, indexed_found, indexed_found_done)

/*
 * 0 and RET_FOUND. A layer that is read is checked against its digests. Errors with a
 * sentence: -EBADMSG: broken, not what its digest says, or (strict) breaks the specification; those of scan_layer()
 * and of the cache.
 */
int indexed_get(struct indexed_cache *cache, const struct indexed_source *source,
		const struct indexed_scan_options *options, struct indexed_found *ret_found,
		struct err *err);

/*
 * The index of a layer over those below it: HEAD is that of its own index ALONE, CHAIN names it and all layers
 * under it. Found (-ENOENT: there is none yet), or made over what BELOW shows (NULL: nothing).
 */
int indexed_find_resolved(struct indexed_cache *cache, const struct indexed_head *head,
			  const struct digest *chain, struct index_file **ret_index,
			  struct indexed_head *ret_head);
int indexed_make_resolved(struct indexed_cache *cache, struct index_file *alone,
			  const struct indexed_head *head, const struct digest *chain,
			  const struct apply_below *below, bool strict, const char *name,
			  struct index_file **ret_index, struct err *err);

/* Was anything put up with when the index was made? -EBADMSG and a sentence about it then. */
int indexed_check_strict(const struct indexed_head *head, const char *name, struct err *err);

/* The ChainID of a layer with DIFF_ID over those of BELOW (DIGEST_NONE: over none). */
int indexed_chain(const struct digest *below, const struct digest *diff_id,
		  struct digest *ret_chain);

#endif
