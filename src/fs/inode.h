/* SPDX-License-Identifier: Apache-2.0 */
/* The inodes that the kernel knows: numbers, look-up counts and where the lower part is. */
#ifndef PLYFS_FS_INODE_H
#define PLYFS_FS_INODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "union/union.h"

/*
 * An inode in memory says where its lower part is, and nothing that the catalog or the layer says
 * better: attributes are read where they are. It lives while the kernel has look-ups on it or an
 * operation holds it. Everything but the counts, the three flags and `unlinked` is constant.
 */
struct inode {
	struct table_node node; /* protected by the lock of its stripe */
	uint64_t ino;
	uint64_t nlookup; /* protected by the lock of its stripe */
	uint32_t refs;	  /* operations that hold it; protected by the lock of its stripe */
	uint32_t type;	  /* S_IFMT bits */
	/*
	 * Its last name is gone. `gone`: a lower inode that never had a record. `orphan`: it has a
	 * record with nlink 0, to be deleted with its bytes when the inode is forgotten.
	 */
	atomic_bool gone;
	atomic_bool orphan;
	/* It had names and lost them all: unlike one that was made without (O_TMPFILE) it can get none again. */
	atomic_bool deleted;
	atomic_uint unlinked;	 /* seconds; when it last lost a name and kept others; 0: never */
	uint32_t part;		 /* as union_ref.part */
	struct union_dir *dir;	 /* owned; directories: their lower part; others: what holds the
				    lower name; NULL when nothing of a lower layer shows */
	struct union_data *data; /* owned; as union_ref.data */
	char name[];		 /* the lower name; "" for directories and without a lower part */
};

/* A directory of which this is true shows nothing, whatever its lower part has. */
static inline bool inode_removed(const struct inode *inode)
{
	return inode->gone || inode->orphan;
}

/* Spread over locks of their own: every operation takes one, several times. */
#define INODES_STRIPES 16
struct inodes_stripe {
	pthread_mutex_t lock;
	struct table table; /* protected by lock */
};
struct inodes {
	struct inodes_stripe stripes[INODES_STRIPES];
};

int inodes_init(struct inodes *t);
/* Frees all inodes, whatever their counts. */
void inodes_done(struct inodes *t);
/* When nobody else uses them any more. */
void inodes_each(struct inodes *t, void (*fn)(struct inode *inode, void *arg), void *arg);

/* The inode INO with a reference for the caller, or NULL. */
struct inode *inodes_find(struct inodes *t, uint64_t ino);

/*
 * The inode INO with a reference for the caller, made when it is not there. REF (may be NULL: no
 * lower part) is taken over in either case; NAME is its lower name. NULL: out of memory.
 */
struct inode *inodes_obtain(struct inodes *t, uint64_t ino, uint32_t type, struct union_ref *ref,
			    const char *name);

/*
 * Gives back a reference and LOOKUPS look-ups. True when that was the last of both: the inode is
 * out of the table and the caller frees it with inode_free().
 */
bool inodes_drop(struct inodes *t, struct inode *inode, uint64_t lookups);

/* Counts one look-up. */
void inodes_count(struct inodes *t, struct inode *inode);
/* Makes a reference of the caller's a look-up. */
void inodes_keep(struct inodes *t, struct inode *inode);
size_t inodes_held(struct inodes *t);
void inode_free(struct inode *inode);

#endif
