/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the backend for a plyfs upper that is used as a layer. */
#ifndef PLYFS_LAYER_UPPER_H
#define PLYFS_LAYER_UPPER_H

#include "catalog/catalog.h"
#include "data/data.h"
#include "layer/backends.h"
#include "layer/ino_node.h"

struct upper_layer {
	struct layer base;
	int fd;			 /* owned; the directory that holds `.plyfs` */
	struct catalog *catalog; /* owned; a snapshot */
	struct data *data;	 /* owned */
	uint64_t above_end; /* numbers of records below this, if not its own, are the union's */
};

static inline struct upper_layer *upper_of(struct layer *l)
{
	return (struct upper_layer *)l;
}

/* The number of NAME in DIR (NULL: of DIR itself); -ENOENT also for a whiteout. */
int upper_find(struct upper_layer *u, struct layer_dir *dir, const char *name, uint64_t *ret_ino);
/* Its record, sizes and times completed. -EUCLEAN: a name without a record. */
int upper_record(struct upper_layer *u, uint64_t ino, struct inode_rec *ret_rec);

/* ---- upper_file.c: the functions of struct layer_ops that open and read files ---- */

int upper_open(struct layer *l, struct layer_dir *dir, const char *name,
	       struct layer_file **ret_file);
int upper_open_over(struct layer *l, struct layer_dir *dir, const char *name,
		    struct layer_file *below, struct layer_file **ret_file);
ssize_t upper_file_read(struct layer_file *f, void *bytes, size_t size, off_t off);
off_t upper_file_seek(struct layer_file *f, off_t off, int whence);
int upper_file_fd(struct layer_file *f);
int upper_file_identity(struct layer_file *f, struct hash128 *ret_id);
void upper_file_close(struct layer_file *f);

#endif
