/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image/: podman's stores, read and never written. */
#ifndef PLYFS_IMAGE_STORE_H
#define PLYFS_IMAGE_STORE_H

#include "image/source.h"

/* One graph root. Its lists are replaced by renaming, so that a reader needs no lock. */
struct store {
	char *root;	 /* owned */
	json_t *images;	 /* owned; an array */
	json_t *layers;	 /* owned; an array */
	json_t *layers2; /* owned; layers that are gone after a boot: an array or NULL */
};

struct stores {
	struct store *list; /* owned; the writable one first */
	size_t count;
};

void stores_done(struct stores *s); /* zeroed is fine */
DEFINE_CLEANUP(struct stores, stores, stores_done)

/*
 * The stores that podman would look into: the one at ROOT, or with NULL those of storage.conf or the built-in
 * default for this user. -ENOENT when there is none.
 */
int stores_open(const char *root, struct stores *ret, struct err *err);

/* The graph roots alone, for stores_open() and its tests. */
int stores_find(struct image_strings *ret_roots, struct err *err);

/* The record of the layer ID and the store that has it, or NULL. */
const json_t *stores_layer(const struct stores *s, const char *id, const struct store **ret_store);

/* 64 hexadecimal digits: safe as a file's name. */
bool store_is_id(const char *id);

#endif
