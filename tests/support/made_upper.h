/* SPDX-License-Identifier: Apache-2.0 */
/* An upper made record by record, and the layer on it. */
#ifndef PLYFS_TESTS_SUPPORT_MADE_UPPER_H
#define PLYFS_TESTS_SUPPORT_MADE_UPPER_H

#include "catalog/catalog.h"
#include "data/data.h"
#include "layer/backends.h"
#include "support/tmpdir.h"

#define CHUNK_SHIFT 12
#define ABOVE(n)    (CATALOG_FIRST_LOWER_INO + (n))

struct made_upper {
	struct tmpdir tmp;
	struct catalog *catalog;
	struct data *data;
};

/* An empty upper, open for writing; closes it, as an unmount does; removes it. */
void made_upper_make(struct made_upper *u);
/* As made_upper_make(), in u->tmp, an empty directory that is there already. */
void made_upper_make_in(struct made_upper *u);
void made_upper_close(struct made_upper *u);
void made_upper_done(struct made_upper *u);
DEFINE_CLEANUP(struct made_upper, made_upper, made_upper_done)

/* Puts the record, and the name NAME of PARENT unless that is NULL. */
void made_record(struct made_upper *u, uint64_t parent, const char *name,
		 const struct inode_rec *rec);
void made_name(struct made_upper *u, uint64_t parent, const char *name, uint64_t ino,
	       uint8_t dtype);
void made_whiteout(struct made_upper *u, uint64_t parent, const char *name);
/* ORIGIN NULL: nothing shows through. */
void made_dir(struct made_upper *u, uint64_t parent, const char *name, uint64_t ino,
	      const char *origin);
void made_inline(struct made_upper *u, uint64_t parent, const char *name, uint64_t ino,
		 uint32_t type, const char *bytes);
/* A file whose SIZE bytes are those of the file at ORIGIN below. */
void made_lower(struct made_upper *u, uint64_t parent, const char *name, uint64_t ino,
		const char *origin, uint64_t size, uint32_t nlink);
/* Writes into a file; BELOW: what its record's origin names, or NULL. */
void made_write(struct made_upper *u, uint64_t ino, struct layer_file *below, const void *bytes,
		size_t size, off_t off);

/* Sets the length of a file whose bytes are all the upper's own. */
void made_truncate(struct made_upper *u, uint64_t ino, uint64_t size);

/*
 * Writes the tree of layer FROM into the empty upper. What the marks of FROM let show through gets
 * an origin: what the redirect names, or the same path; and so a number of the lower union. Names
 * of one file share its record.
 */
void made_tree(struct made_upper *u, struct layer *from);

/* The layer on it, the writer open or not. */
struct layer *made_upper_layer(struct made_upper *u);

#endif
