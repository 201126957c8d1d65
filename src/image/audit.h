/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening an image for who wants to know all that is wrong with it: what would be an error is told of, and
 * what can be read all the same is read.
 */
#ifndef PLYFS_IMAGE_AUDIT_H
#define PLYFS_IMAGE_AUDIT_H

#include "image/image.h"
#include "image/json.h"

struct document;

enum audit_document {
	AUDIT_INDEX_ON_TOP, /* the index that a layout, archive or registry begins with */
	AUDIT_INDEX,	    /* another, in it */
	AUDIT_MANIFEST,
};

/* Called from the thread that calls image_audit(), in the order of reading. Texts are borrowed for the call. */
struct image_audit {
	void *arg;
	/* What follows is of the image for that platform; NULL: of all, or of the only one. */
	void (*begin)(void *arg, const char *platform);
	/* TEXT is a sentence as in errors. */
	void (*fault)(void *arg, const char *text);
	/* A document that was read, before anything is taken of it. Configurations are in the image. */
	void (*document)(void *arg, enum audit_document what, const char *name, json_t *root);
	/* An image that is listed, and is not here: archives and layouts may do so. */
	void (*absent)(void *arg, const char *platform);
	/* As much of an image as is there; image_fetch() takes it. Anything but 0 ends the audit. */
	int (*image)(void *arg, struct image *image, struct err *err);
};

/*
 * Opens every image that REF leads to, one after the other: one a platform, or with OPTIONS->platform that one; layers
 * without a use have `unusable`. OPTIONS->audit and `strict` are not looked at. 0; -ENOMEM, -ECANCELED, or what AUDIT->image() gave; other
 * errors, with a sentence, when there is no image to tell of: as image_open().
 */
int image_audit(const char *ref, const struct image_options *options,
		const struct image_audit *audit, struct err *err);

/* ---- for image/ --------------------------------------------------------------------------- */

/*
 * RC, a failure with its sentence in ERR, which is not NULL: told to AUDIT, and 0, when there is one and the fault is the image's own;
 * else RC. Whatever is not negative comes back as it is.
 */
int audit_forgive(const struct image_audit *audit, int rc, struct err *err);

/*
 * Takes faults and says nothing: a source's while documents are looked at only to choose among them. Who reads
 * them then tells what is wrong with them.
 */
extern const struct image_audit audit_silent;

/* Tells of a document; NULL is fine. */
void audit_document(const struct image_audit *audit, enum audit_document what,
		    const struct document *d);

#endif
