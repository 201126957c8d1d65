/* SPDX-License-Identifier: Apache-2.0 */
/* Making OCI layouts, right ones and wrong ones, in a temporary directory. */
#ifndef PLYFS_TESTS_IMAGE_LAYOUT_H
#define PLYFS_TESTS_IMAGE_LAYOUT_H

#include "image/image.h"
#include "support/tmpdir.h"

#define TEXT_MAX 4096

struct layout {
	struct tmpdir dir;
};

/* An empty layout: oci-layout and blobs/sha256. */
void layout_make(struct layout *ret_l);
void layout_done(struct layout *l);
DEFINE_CLEANUP(struct layout, layout, layout_done)

/* Writes the file NAME, or with FMT's text. */
void layout_write(const struct layout *l, const char *name, const void *p, size_t len);
void layout_text(const struct layout *l, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes a blob; its descriptor of MEDIA_TYPE (with MORE members behind, or "") into BUF, which is returned. */
const char *layout_blob(const struct layout *l, const char *media_type, const char *more,
			const void *p, size_t len, char buf[static TEXT_MAX]);
const char *layout_json(const struct layout *l, const char *media_type, const char *more,
			char buf[static TEXT_MAX], const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

#define TYPE_INDEX    "application/vnd.oci.image.index.v1+json"
#define TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define TYPE_CONFIG   "application/vnd.oci.image.config.v1+json"
#define TYPE_LAYER    "application/vnd.oci.image.layer.v1.tar"

/*
 * An image with one layer that holds a file NAME; its manifest's descriptor with MORE members. An image of ARCH, or
 * with NULL of this machine.
 */
const char *layout_image(const struct layout *l, const char *name, const char *arch,
			 const char *more, char buf[static TEXT_MAX]);

/* Go's name of this machine's architecture. */
const char *host_arch(void);

/* Writes index.json of these descriptors, joined by commas. */
void layout_index(const struct layout *l, const char *descriptors);

/* Opens oci:DIR and what follows it. The caller's image must be open; or CODE and the sentence's part TEXT. */
struct image *layout_open(const struct layout *l, const char *which, const struct image_options *o);
void layout_refuses(const struct layout *l, const char *which, const struct image_options *o,
		    int code, const char *text);
/* The same of any reference. */
void image_refuses(const char *ref, const struct image_options *o, int code, const char *text);

#endif
