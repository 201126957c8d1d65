/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the backend for an image's layer: names out of an index, bytes out of its archive. */
#ifndef PLYFS_LAYER_INDEXED_H
#define PLYFS_LAYER_INDEXED_H

#include <pthread.h>

#include "catalog/index.h"
#include "image/blob.h"
#include "image/compression.h"
#include "layer/backends.h"
#include "layer/ino_node.h"

/*
 * The uncompressed archive of a layer. What it takes to read a compressed one is got out of the index at the
 * first read only: most layers of an image are never read from.
 */
struct indexed_bytes {
	struct blob *stored; /* owned reference; the archive as it is stored */
	enum compression compression;
	uint64_t size;		   /* uncompressed */
	struct index_file *points; /* borrowed */
	pthread_mutex_t lock;	   /* protects what follows */
	struct blob *plain;	   /* owned reference; NULL: not opened yet */
	struct buf encoded;	   /* the points, which `plain` looks at */
	int error;		   /* why it could not be: it is not tried again */
};

struct indexed_layer {
	struct layer base;
	struct index_file *names;  /* owned */
	struct index_file *points; /* owned; NULL: NAMES has them */
	struct indexed_bytes bytes;
	struct layer *root_of; /* borrowed; whose root ours looks like; NULL: ours says itself */
	struct hash128 id;
	struct hash128 archive; /* what identifies its uncompressed bytes */
};

static inline struct indexed_layer *indexed_of(struct layer *l)
{
	return (struct indexed_layer *)l;
}

/* The record of NAME in DIR (NULL: of DIR itself); -ENOENT also for a whiteout. */
int indexed_find(struct indexed_layer *x, struct layer_dir *dir, const char *name,
		 struct index_rec *ret_rec);

/* ---- indexed_bytes.c ---- */

/* Takes over a reference of STORED. */
void indexed_bytes_init(struct indexed_bytes *b, struct blob *stored, enum compression compression,
			uint64_t size, struct index_file *points);
void indexed_bytes_done(struct indexed_bytes *b);
/* LEN bytes from OFF, or -errno: -EIO when the archive has fewer. */
int indexed_bytes_read(struct indexed_bytes *b, void *bytes, size_t len, uint64_t off);

/* ---- indexed_file.c: the functions of struct layer_ops that open and read files ---- */

int indexed_file_open(struct layer *l, struct layer_dir *dir, const char *name,
		      struct layer_file **ret_file);
ssize_t indexed_file_read(struct layer_file *f, void *bytes, size_t size, off_t off);
off_t indexed_file_seek(struct layer_file *f, off_t off, int whence);
int indexed_file_fd(struct layer_file *f);
int indexed_file_identity(struct layer_file *f, struct hash128 *ret_id);
void indexed_file_close(struct layer_file *f);

#endif
