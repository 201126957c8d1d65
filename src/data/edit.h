/* SPDX-License-Identifier: Apache-2.0 */
/* One change of a file's bytes, done the same way wherever the bytes are. */
#ifndef PLYFS_DATA_EDIT_H
#define PLYFS_DATA_EDIT_H

#include "data/private.h"

enum edit_kind {
	EDIT_WRITE,    /* `bytes` to [off, end) */
	EDIT_ZERO,     /* zeros to [off, end) */
	EDIT_PUNCH,    /* zeros to what the file has of [off, end), as a hole */
	EDIT_ALLOCATE, /* room for [off, end); changes no byte that is there */
	EDIT_RESIZE,   /* the length becomes `end` */
};

struct edit {
	enum edit_kind kind;
	bool keep_size;	 /* ZERO, ALLOCATE */
	bool keep_mtime; /* WRITE */
	const void *bytes;
	uint64_t off, end; /* end > off, but for RESIZE; at most INT64_MAX */
};

/* Does it replace the bytes of [off, end), so that old ones need not be copied? */
static inline bool edit_replaces(const struct edit *e)
{
	return e->kind == EDIT_WRITE || e->kind == EDIT_ZERO || e->kind == EDIT_PUNCH;
}

/* The length of a file of OLD bytes after it. */
uint64_t edit_size(const struct edit *e, uint64_t old);
/* The length that its storage has to reach. */
uint64_t edit_room(const struct edit *e, uint64_t old);

/* Does it to a content in memory: SIZE bytes, then zeros up to DATA_INLINE_MAX. */
void edit_memory(const struct edit *e, uint8_t *content, uint64_t size);
/* Does it to a data file. A file that has grown when it fails gets its old length back. */
int edit_file(struct data *d, const struct edit *e, struct fdref *ref);

/* Does it to a file. The rules are those of data_write(). */
int data_edit(struct data *d, struct inode_rec *rec, const struct data_source *src,
	      const struct edit *e, struct batch *b, bool *ret_changed);

/*
 * For data_edit(): NEXT is a copy of the file's record that becomes the record when all is done
 * (its origin is the record's own); B is added to last, when nothing can fail any more.
 */

/* chunks_edit.c: a file with a chunk map. When NEXT or B has changed its bytes are on the disk. */
int edit_chunks(struct data *d, struct inode_rec *next, const struct data_source *src,
		struct fdref *ref, const struct edit *e, struct batch *b, bool *ret_changed);

/*
 * move.c: gives the file NEXT, inline or lower until now, a data file, and makes NEXT say so. All
 * its bytes are there, or reached by an empty chunk map, but for those that E replaces. After a
 * failure the data file may be there and mean nothing.
 */
int move_to_file(struct data *d, struct inode_rec *next, const struct data_source *src,
		 const struct edit *e, struct fdref **ret_ref);

#endif
