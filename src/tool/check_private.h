/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of tool/check*.c share. Nobody else includes this. */
#ifndef PLYFS_TOOL_CHECK_PRIVATE_H
#define PLYFS_TOOL_CHECK_PRIVATE_H

#include "image/audit.h"
#include "layer/indexed_apply.h"
#include "tool/check.h"
#include "tool/json_out.h"

struct check {
	const struct check_options *options;
	struct image_options image_options;
	const char *pass; /* the name of the one that runs */
	char *platform; /* owned; what is told is of that one's image; NULL: of all, or of the only one */
	const char *document; /* what is told is of that index; "manifest": of the image's; or NULL */
	struct image *image;   /* borrowed; the one that is looked at */
	struct apply **layers; /* owned; what is in each layer of IMAGE; NULL: not known */
	size_t n_images, n_layers, n_absent;
	uint64_t warnings, errors;
	uint64_t members, bytes; /* of all layers; uncompressed */
	struct json_out j;
};

/* Something that is not as it should be. */
struct finding {
	bool broken;	  /* it cannot be put up with */
	size_t layer;	  /* 1 is the lowest; 0: it is about the whole */
	const char *path; /* in the layer; NULL or "": it is about all of it */
	const char *done; /* what is made of it; NULL with `broken` */
};

/* Tells of F, and counts it. */
void check_found(struct check *c, const struct finding *f, const char *what, ...)
	__attribute__((format(printf, 3, 4)));

/* Tells of an index or a manifest, as image_audit.document wants it; check_manifest.c. */
void check_document(void *arg, enum audit_document what, const char *name, json_t *root);

/* What comes after the documents, for each image, in this order: 0, or -errno and a sentence when the check cannot go on. */
int check_config(struct check *c, struct err *err); /* check_config.c */
int check_layers(struct check *c, struct err *err); /* check_layers.c */
int check_stack(struct check *c, struct err *err);  /* check_stack.c */

/* What the value of a member is to be. */
enum check_kind {
	CHECK_TEXT,
	CHECK_LIST,
	CHECK_MAP,
	CHECK_TRUTH,
	CHECK_ANY, /* looked at elsewhere: only how it is written is */
};
/* Lists end with a name of NULL. */
struct check_key {
	const char *name;
	enum check_kind kind;
};
/* Members of OBJECT, of which WHERE names the place ("config."), that are not as KEYS say; check_keys.c. */
void check_keys(struct check *c, const char *where, json_t *object, const struct check_key *keys);
/* Values that are no text in a map; members that are none in a list. Either may be NULL. */
void check_pairs(struct check *c, const char *where, json_t *object);
void check_texts(struct check *c, const char *where, const json_t *list);

/* What is made of a fault in a layer. */
const char *check_fault_done(enum apply_fault fault);

/* As many findings of one kind in one layer are told of; more are only counted. */
#define CHECK_LINES_MAX 20u

/* Faults of one layer, as apply_options.report wants them told. */
struct check_faults {
	struct check *check;
	size_t layer;
	uint64_t n[N_APPLY_FAULTS];
};
void check_report(void *arg, enum apply_fault fault, const char *path);
/* A line for each kind that there were more of. */
void check_faults_end(struct check_faults *f);

#endif
