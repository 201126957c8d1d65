/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's tree in memory, into an index and out of one. */
#ifndef PLYFS_LAYER_INDEXED_WRITE_H
#define PLYFS_LAYER_INDEXED_WRITE_H

#include "image/compression.h"
#include "image/digest.h"
#include "layer/indexed_apply.h"

/* Of the head alone. An index that says other things than before has another INDEX_VERSION. */
#define INDEXED_HEAD_VERSION 1

/*
 * What a name's number in an index says where the tree is still to be resolved: its member's place in the archive, and
 * whether the layer has a whiteout of the name, too. That one hides what is below even where no member describes the
 * directory of this name, and also when the name moves elsewhere.
 */
#define INDEXED_PLACE_WHITEOUT 1
#define INDEXED_PLACE_SHIFT    1
static inline uint64_t indexed_place(const struct apply_name *n)
{
	return n->seq << INDEXED_PLACE_SHIFT | (n->whiteout ? INDEXED_PLACE_WHITEOUT : 0);
}

enum indexed_head_flags {
	INDEXED_IMPLICIT =
		1 << 0,		  /* has implicit directories: not whole without the layers below */
	INDEXED_PENDING = 1 << 1, /* has pending links: not even alone */
	INDEXED_RESOLVED = 1 << 2, /* made for the layers below that `chain` names */
	INDEXED_FRAMES = 1 << 3,   /* the points are those of a file of frames beside the index */
};

/* What an index says of itself. */
struct indexed_head {
	uint32_t flags;
	enum compression compression; /* of the blob */
	uint64_t blob_size;	      /* as stored */
	uint64_t size;		      /* of the uncompressed archive */
	uint64_t n_names;
	uint64_t frames_size; /* FRAMES: bytes of that file */
	struct digest diff_id, blob;
	struct digest chain; /* RESOLVED: of this layer and all below; else none */
	uint64_t faults[N_APPLY_FAULTS];
};

/*
 * Writes the head (its n_names is filled in) and the tree, after all points: 0 or what index_build.c says.
 * Numbers the inodes of A, and takes the reserved names out of it. The order of the archive goes in only where the
 * head says that the tree is still to be resolved over others.
 */
int indexed_write(struct apply *a, struct indexed_head *head, struct index_builder *b);

/* -EUCLEAN: no head, or one that makes no sense. */
int indexed_read_head(struct index_file *x, struct indexed_head *ret_head);

/* Reads a whole index back into an empty tree, names with their order. Total: -EUCLEAN for one whose directories go in circles. */
int indexed_load(struct index_file *x, struct apply *a);

#endif
