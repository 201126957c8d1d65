/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image/: descriptors, and the documents that they lead to. */
#ifndef PLYFS_IMAGE_DOCUMENT_H
#define PLYFS_IMAGE_DOCUMENT_H

#include "image/digest.h"
#include "image/json.h"

/* What a media type stands for; types nobody knows are DOCUMENT_OTHER and no error by themselves. */
enum document_type {
	DOCUMENT_UNSAID, /* no media type is given */
	DOCUMENT_INDEX,
	DOCUMENT_MANIFEST,
	DOCUMENT_SCHEMA1, /* Docker's manifests before 2015: signed, with the configuration inside */
	DOCUMENT_CONFIG,
	DOCUMENT_LAYER,
	DOCUMENT_OTHER,
};

enum document_type document_type_of(const char *media_type);

/* Borrows its texts from JSON, which it holds a reference of. */
struct descriptor {
	json_t *json;
	const char *media_type; /* "" when there is none */
	enum document_type type;
	struct digest digest; /* DIGEST_NONE: whatever there is; then there is no size either */
	uint64_t size;
};

void descriptor_done(struct descriptor *d); /* zeroed is fine */
DEFINE_CLEANUP(struct descriptor, descriptor, descriptor_done)

/*
 * Reads a descriptor out of JSON: digest and size have to be there and right. WHAT names it in errors. RET_D
 * is empty after a failure: -EBADMSG.
 */
int descriptor_read(json_t *json, const char *what, struct descriptor *ret_d, struct err *err);
/* Another reference. */
struct descriptor descriptor_copy(const struct descriptor *d);
/* The annotation's text, borrowed, or NULL. */
const char *descriptor_annotation(const struct descriptor *d, const char *key);

/* A document that was read: its bytes as they were, and what they mean. */
struct document {
	char *bytes; /* owned; a NUL follows them */
	size_t len;
	struct digest digest; /* of the bytes */
	json_t *root;	      /* owned */
	char name[160];	      /* for errors: "manifest.json", or a digest */
};

void document_done(struct document *d); /* zeroed is fine */
DEFINE_CLEANUP(struct document, document, document_done)

/* Whether LEN bytes are what WANT says: -EBADMSG with a sentence. */
int document_verify(const char *bytes, size_t len, const struct descriptor *want,
		    const char *source, struct err *err);

/*
 * Makes a document of LEN bytes, which are taken over, also on failure. With WANT, its digest and size are
 * compared before anything is parsed: -EBADMSG. SOURCE and NAME are for errors.
 */
int document_make(char *bytes, size_t len, const struct descriptor *want, const char *source,
		  const char *name, struct document *ret, struct err *err);

/*
 * What the document is: by its own mediaType, else by what is in it. -EBADMSG when it says another type than
 * SAID, or has both layers and manifests.
 */
int document_classify(const struct document *d, enum document_type said, const char *source,
		      enum document_type *ret_type, struct err *err);

#endif
