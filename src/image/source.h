/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image/: where documents and blobs come from, behind one table of functions. */
#ifndef PLYFS_IMAGE_SOURCE_H
#define PLYFS_IMAGE_SOURCE_H

#include "image/audit.h"
#include "image/document.h"

struct image_source;

struct source_ops {
	/*
	 * The bytes that D describes; the size is compared by the caller. -ENOENT, without a sentence, when they are
	 * not here.
	 */
	int (*open_blob)(struct image_source *s, const struct descriptor *d, struct blob **ret,
			 struct err *err);
	/* The file NAME at the source's root, for instance "index.json". -ENOENT, without a sentence. NULL: none. */
	int (*open_file)(struct image_source *s, const char *name, struct blob **ret,
			 struct err *err);
	/* The layers in BLOB_DIR; NULL where open_blob() gives layers too. */
	int (*fetch)(struct image_source *s, struct image *image,
		     const struct image_options *options, struct err *err);
	void (*close)(struct image_source *s);
};

/* First member of each implementation. */
struct image_source {
	const struct source_ops *ops;
	char *name;			 /* owned by the implementation; what errors call it */
	const struct image_audit *audit; /* borrowed; is told of documents' faults, or NULL */
};

static inline void source_close(struct image_source *s)
{
	if (s != NULL)
		s->ops->close(s);
}
DEFINE_CLEANUP_PTR(struct image_source, source, source_close)

/* An OCI layout or a directory of skopeo's ("dir:") at PATH. *RET is the caller's. */
int source_open_layout(const char *path, struct image_source **ret, struct err *err);
int source_open_dir(const char *path, struct image_source **ret, struct err *err);

/* A tar of files, compressed or not. With the tar's own name rules and links: see archive.h. */
int source_open_archive(const char *path, const struct image_options *options,
			struct image_source **ret, struct err *err);

/* A registry's repository; no byte is sent before the first document is asked for. */
int source_open_registry(const struct reference *r, const struct image_options *options,
			 struct image_source **ret, struct err *err);
/* The manifest or index that R names. */
int registry_root(struct image_source *s, const struct reference *r, struct document *ret,
		  struct err *err);

/* Reads the document D describes, whole and verified. -ENOENT, without a sentence, when it is not here. */
int source_document(struct image_source *s, const struct descriptor *d, struct document *ret,
		    struct err *err);
/* Reads the file NAME at the root. -ENOENT, without a sentence. */
int source_file(struct image_source *s, const char *name, struct document *ret, struct err *err);

/* All bytes of BLOB, at most LIMIT, with a NUL after them. *RET is the caller's. -E2BIG. */
int source_read_all(struct blob *blob, size_t limit, const char *what, char **ret, size_t *ret_len,
		    struct err *err);

/* ---- building an image out of documents -------------------------------------------------- */

/* Whether it is to stop: -ECANCELED with a sentence, or 0. */
int image_check_cancel(const struct image_options *o, struct err *err);

/* Notes a warning; with OPTIONS->strict it is the error instead: -EBADMSG. */
int image_warn(struct image *image, const struct image_options *options, struct err *err,
	       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Fills IMAGE's id, platform, configuration and history out of CONFIG; its bytes are taken over. */
int image_take_config(struct image *image, struct document *config, struct err *err);

/* Allocates N layers. */
int image_make_layers(struct image *image, size_t n, struct err *err);

/*
 * Once layers and configuration are there: gives each layer its DiffID and ties the history to the
 * layers. -EBADMSG when their numbers differ.
 */
int image_tie(struct image *image, const json_t *config, const struct image_options *options,
	      struct err *err);

/* Sets the layer's blob, size and compression; BLOB is taken over, also on failure. */
int image_set_blob(struct image *image, size_t layer, struct blob *blob,
		   const struct image_options *options, struct err *err);

/* Fills IMAGE out of a manifest (which is taken over) and what it leads to in S. With an audit: as much as there is. */
int image_take_manifest(struct image *image, struct image_source *s, struct document *manifest,
			const struct image_options *options, struct err *err);

/* -ENOENT with a sentence when a platform was asked for and IMAGE is of another. */
int image_check_platform(const struct image *image, const struct image_options *options,
			 struct err *err);

/* ---- what each kind of source does ------------------------------------------------------- */

/* Out of the index (or manifest) ROOT, which is taken over, chooses and reads an image. */
int index_open(struct image *image, struct image_source *s, struct document *root,
	       const struct image_choice *choice, const struct image_options *options,
	       struct err *err);
int index_list(struct image_source *s, struct document *root, const struct image_options *options,
	       struct image_list *ret_list, struct err *err);
/* index_open() for options->audit: every image that is chosen. IMAGE_NAME is what they are called. */
int index_audit(const char *image_name, struct image_source *s, struct document *root,
		const struct image_choice *choice, const struct image_options *options,
		struct err *err);

/*
 * Of the index ROOT beside another list: what CHOICE names and is none of the N images with the configurations IDS, which
 * were audited. That there is nothing else is no error.
 */
int index_audit_others(const char *image_name, struct image_source *s, const struct document *root,
		       const struct image_choice *choice, const struct image_options *options,
		       const struct digest *ids, size_t n, struct err *err);

/* docker-archive: ROOT is its manifest.json. */
int docker_open(struct image *image, struct image_source *s, struct document *root,
		const struct image_choice *choice, const struct image_options *options,
		struct err *err);
int docker_audit(const char *image_name, struct image_source *s, struct document *root,
		 const struct image_choice *choice, const struct image_options *options,
		 struct err *err);
int docker_list(struct image_source *s, struct document *root, const struct image_options *options,
		struct image_list *ret_list, struct err *err);

int storage_open(struct image *image, const struct reference *r,
		 const struct image_options *options, struct err *err);
int storage_list(const struct reference *r, const struct image_options *options,
		 struct image_list *ret_list, struct err *err);

/* ---- lists ------------------------------------------------------------------------------- */

/* Appends an empty item; NULL when memory is short. */
struct image_item *list_add(struct image_list *list);
/* 0 or -ENOMEM. */
int strings_add(struct image_strings *s, const char *text);
void strings_done(struct image_strings *s);
int pairs_add(struct image_pairs *p, const char *name, const char *value);
void pairs_done(struct image_pairs *p);

#endif
