/* SPDX-License-Identifier: Apache-2.0 */
/* The index of an image layer: its names and attributes in one LMDB file that never changes again. */
#ifndef PLYFS_CATALOG_INDEX_H
#define PLYFS_CATALOG_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attr/attr.h"
#include "base/buf.h"
#include "base/err.h"

/*
 * What the catalog of an upper is for names that change, an index is for names that do not: no journal, no
 * lock, no free pages. It is written in one go in the order of its keys, closed with a checksum
 * of all its bytes, and only read from then on. doc/format.md, "Indexes of image layers".
 *
 * Inodes are numbered from 1 (the root), below 2^32. A name either holds its inode's record itself (one
 * link, no directory), or refers to a record under the inode's number.
 */
#define INDEX_ROOT_INO 1
#define INDEX_INO_MAX  UINT32_MAX

/* Flags of a record. Values are on disk: never reuse one. */
enum index_flags {
	INDEX_HAS_XATTRS = 1 << 0,
	INDEX_OPAQUE = 1 << 1,	 /* a directory that hides what is below it */
	INDEX_IMPLICIT = 1 << 2, /* a directory that no member of the archive describes */
	INDEX_LOWER = 1 << 3,	 /* stands for an inode of the layers below: `union_ino`, and `text`
				    is its path there */
	INDEX_PENDING = 1 << 4,	 /* a hard link to `text`, which this layer alone does not have */
};

/* Data of a sparse file: bytes that are not in any extent are zero. */
struct index_extent {
	uint64_t logical, physical, len; /* physical: in the uncompressed archive */
};

struct index_rec {
	struct attr attr; /* ino, mode, nlink, owner, rdev, size; all times are mtime */
	uint32_t flags;
	uint64_t data_off; /* regular files: of the first byte, in the uncompressed archive; PENDING:
			       which member the link is, from 1 */
	uint64_t union_ino;	      /* LOWER */
	char *text;		      /* owned; a symlink's target; LOWER, PENDING; else NULL */
	struct index_extent *extents; /* owned; NULL: not sparse */
	size_t n_extents;
};
void index_rec_done(struct index_rec *rec);
DEFINE_CLEANUP(struct index_rec, index_rec, index_rec_done)

/* What a name leads to: 0 is a whiteout. */
struct index_name {
	const char *name; /* until the callback returns; NUL-terminated */
	size_t len;
	uint64_t ino;
	uint64_t seq;  /* as index_put_name() was told; of a whiteout 0 */
	uint8_t dtype; /* DT_*; DT_WHT */
};

/* ---- writing: index_build.c ---- */

/*
 * Fills the file FD (empty, reading and writing; borrowed) in the order of this list; within one kind in the
 * order of (ino, name bytes). -ENOSPC, -EIO, -ENOMEM; -EINVAL: out of order, or a name, value or number out
 * of range. After a failure nothing else can be done than to free it. One thread at a time.
 */
struct index_builder;
int index_builder_new(int fd, struct index_builder **ret_builder);
/* Any bytes, in pieces that are read back by index_file_points() as one stream. */
int index_put_points(struct index_builder *b, const void *bytes, size_t len);
int index_put_super(struct index_builder *b, const char *key, const void *value, size_t len);
int index_put_whiteout(struct index_builder *b, uint64_t parent, const char *name, size_t len);
/* A name whose record is REC itself. SEQ: its place in the archive, as the caller counts; 0: nobody will ask. */
int index_put_name(struct index_builder *b, uint64_t parent, const char *name, size_t len,
		   uint64_t seq, const struct index_rec *rec);
/* A name of the inode INO, whose record comes later. */
int index_put_link(struct index_builder *b, uint64_t parent, const char *name, size_t len,
		   uint64_t seq, uint64_t ino, uint8_t dtype);
int index_put_inode(struct index_builder *b, const struct index_rec *rec);
int index_put_xattr(struct index_builder *b, uint64_t ino, const char *name, const void *value,
		    size_t len);
/* Closes the file with its checksum; SYNC: waits until it is on the disk. The builder stays the caller's. */
int index_finish(struct index_builder *b, bool sync);
void index_builder_free(struct index_builder *b); /* NULL is fine */
DEFINE_CLEANUP_PTR(struct index_builder, index_builder, index_builder_free)

/* ---- reading: index_open.c, index_read.c; any thread ---- */

struct index_file;

/*
 * Opens the index FD (taken over, on failure too; PATH is for messages). All of it is read once and compared
 * with its checksum. One on another machine, or that another user may have written, is copied into
 * memory first and its pages are checked, so that nobody can change it under us. -EUCLEAN: damaged;
 * -EPROTONOSUPPORT: of another version (older or newer), to be made anew.
 */
int index_file_open(int fd, const char *path, struct index_file **ret_index, struct err *err);
/* One more who uses X, and closes it; any thread. NULL is fine. */
struct index_file *index_file_ref(struct index_file *x);
void index_file_close(struct index_file *x); /* NULL is fine */
DEFINE_CLEANUP_PTR(struct index_file, index_file, index_file_close)

/* Appends the value of KEY; -ENOENT. */
int index_file_super(struct index_file *x, const char *key, struct buf *out);

/* 0 and RET_REC, to be given to index_rec_done(); a whiteout has attr.ino 0. -ENOENT, -EUCLEAN. */
int index_file_lookup(struct index_file *x, uint64_t parent, const char *name, size_t len,
		      struct index_rec *ret_rec);
int index_file_inode(struct index_file *x, uint64_t ino, struct index_rec *ret_rec);
/* Of any number, whatever its name: only records under a number are found. */

/* Calls EACH for the names of PARENT in the order of their bytes; an error of EACH ends it. EACH must not
 * call the index. */
int index_file_list(struct index_file *x, uint64_t parent,
		    int (*each)(void *arg, const struct index_name *name), void *arg);

/* The record that has LOWER and this union_ino: its inode number; -ENOENT. */
int index_file_by_union_ino(struct index_file *x, uint64_t union_ino, uint64_t *ret_ino);

/* As getxattr(2): -ENODATA, -ERANGE; SIZE 0 asks for the length. */
ssize_t index_file_xattr(struct index_file *x, uint64_t ino, const char *name, void *value,
			 size_t size);
/* Appends all names, each with its NUL. */
int index_file_xattr_names(struct index_file *x, uint64_t ino, struct buf *out);

/* Appends the stream of index_put_points(). */
int index_file_points(struct index_file *x, struct buf *out);

/* Bytes of the file. */
uint64_t index_file_size(const struct index_file *x);

#endif
