/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image/: the manifests that an index leads to, however deep, as candidates. */
#ifndef PLYFS_IMAGE_INDEX_H
#define PLYFS_IMAGE_INDEX_H

#include "image/source.h"

/* A manifest that an index leads to. */
struct candidate {
	struct descriptor d;	  /* owned */
	size_t top;		  /* which descriptor of the topmost index led to it */
	struct digest top_digest; /* of that descriptor */
	const char *name;	  /* borrowed from the topmost index; its tag, or NULL */
	const char *full_name;	  /* borrowed likewise; containerd's name, or NULL */
	struct platform platform; /* owned; empty while nobody has said it */
	bool chosen;		  /* by name, digest or position */
	bool aside;		  /* an attestation, signature or the like: nothing to mount */
	bool missing;		  /* its manifest or configuration is not there */

	/* Filled by candidate_look(). */
	struct digest id;
	uint64_t size;
	size_t n_layers;
};

struct candidates {
	struct image_source *source;
	const struct image_options *options;
	struct candidate *list; /* owned */
	size_t count;
	size_t documents; /* nested indexes that were read */
};

void candidates_done(struct candidates *c); /* zeroed is fine */
DEFINE_CLEANUP(struct candidates, candidates, candidates_done)

/*
 * Walks the index ROOT, which must outlive C, marking what CHOICE names (all, when it names nothing). An index that
 * is not there leads to nothing. -E2BIG: nested too deep, or too many of them.
 */
int candidates_collect(struct candidates *c, const struct document *root,
		       const struct image_choice *choice, struct err *err);

/*
 * Reads a candidate's manifest and, where nobody has said its platform, its configuration. What is not
 * there makes it missing; what is no image's puts it aside.
 */
int candidate_look(struct candidates *c, struct candidate *one, struct err *err);
/* The same with the MANIFEST in hand. */
int candidate_examine(struct candidates *c, struct candidate *one, const struct document *manifest,
		      struct err *err);

/* ---- choosing ---- */

/* Whether it can be the image that is meant. */
bool candidate_is_eligible(const struct candidate *one);
/* How many can. */
size_t candidates_count(const struct candidates *c);

/* Nothing was asked for, and there are two entries with names of their own. The same image twice is one. */
bool candidates_are_open(const struct candidates *c, const struct image_choice *choice);

/* Chooses by a configuration's digest, an image's id. */
int candidates_choose_by_id(struct candidates *c, const struct image_choice *choice,
			    struct err *err);

/* Where the index does not say the platform, the configuration does: for all that can be meant. */
int candidates_learn(struct candidates *c, struct err *err);

/* The candidate that is meant (borrowed), its manifest in RET. */
int candidates_choose(struct candidates *c, const struct image_choice *choice,
		      const struct platform *want, struct candidate **ret_one, struct document *ret,
		      struct err *err);

/* Gives IMAGE the name that the index has for it. */
int candidate_take_tag(struct image *image, const struct candidate *one, struct err *err);

/* The sentences, with what there is: -ENOENT for what was asked for and is not there; -EINVAL for too few words. */
int candidates_refuse(const struct candidates *c, const struct image_choice *choice,
		      struct err *err);
int candidates_refuse_open(const struct candidates *c, struct err *err);

#endif
