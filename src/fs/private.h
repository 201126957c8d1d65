/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of fs/ share. Nobody else includes this. */
#ifndef PLYFS_FS_PRIVATE_H
#define PLYFS_FS_PRIVATE_H

#include <pthread.h>

#include "catalog/catalog.h"
#include "data/data.h"
#include "fs/data_lock.h"
#include "fs/fs.h"
#include "fs/inode.h"
#include "fs/lower.h"
#include "union/union.h"

/*
 * Lock order, outermost first (doc/locking.md has the reasons):
 *
 *	1. a data lock (data_lock.h): the bytes of an inode, shared to read and to write in place,
 *	   exclusive to move them or to change their length. Never two at once.
 *	2. write_lock: names, records, everything that reads the catalog in order to change it.
 *	   Nothing under it waits for bytes to be copied or for a disk to be flushed.
 *	3. the locks of the inodes' stripes, lower_files.lock and the locks inside catalog, data, union and layer: leaves.
 *
 * Readers take none of 1 and 2 but the shared data lock for bytes.
 */
struct fs {
	const struct fs_options *options; /* borrowed */
	struct stack *stack;		  /* owned */
	struct union_dir *root;		  /* owned */
	struct catalog *catalog;	  /* owned; NULL without an upper */
	struct data *data;		  /* owned; NULL without an upper */
	int upper_fd;			  /* the upper's directory, -1 without */
	int work_fd;	      /* the work directory, held lest another gets its number; or -1 */
	struct stat upper_st; /* as it was before anything of ours was put into it */
	bool read_only;
	bool snapshot;
	bool renumbered; /* all records are like INODE_OTHER_LAYERS, which could not be written */
	struct inodes inodes;
	atomic_uint unlinked;	 /* seconds; the latest `unlinked` of all inodes */
	atomic_uint orphaned;	 /* seconds; when an inode last lost its last name; 0: never */
	atomic_size_t n_orphans; /* inodes without a name that keep their records */
	atomic_size_t forgotten; /* inodes that went since memory was given back */
	struct lower_files lower_files;
	pthread_mutex_t write_lock;
	struct data_locks data_locks;
	struct sum_keeper *sum_keeper; /* owned; NULL without the option `integrity` */
	struct nameless *nameless;     /* owned; NULL: nothing is looked for (nameless.h) */
	/*
	 * How often names were moved that a walk through all names could miss, and how often one was lost that may have
	 * been the last; protected by write_lock.
	 */
	uint64_t names_moved, names_lost;
};

/* The inode INO with a reference, to be given back by inode_put(); NULL: -ESTALE. */
struct inode *inode_get(struct fs *fs, uint64_t ino);
void inode_put(struct fs *fs, struct inode *inode);

/* An inode held by an operation, given back at the end of the scope. */
struct held {
	struct fs *fs;
	struct inode *inode;
};
static inline void held_put(struct held *h)
{
	if (h->inode != NULL)
		inode_put(h->fs, h->inode);
	h->inode = NULL;
}
DEFINE_CLEANUP(struct held, held, held_put)

/* Number of a directory of the union: the root of the union is FS_ROOT_INO. */
uint64_t fs_dir_ino(const struct fs *fs, const struct union_dir *dir);

/*
 * room.c: did an operation fail for want of room, and may there be some now? Then it is worth another try. TRIES counts
 * them, 0 at first; call it without locks. It waits for the disk, and a tenth of a second in all where something was
 * deleted a moment ago.
 */
bool fs_made_room(struct fs *fs, int result, unsigned int *tries);
/* The first of its waits, in milliseconds; the others are longer. Tests change it. */
extern unsigned int fs_room_wait_ms;
/* Seconds on a clock that only goes forward, never 0; and whether WHEN, of that clock, is so near that the kernel may not
 * be done yet with what was answered then. 0: never. */
unsigned int fs_seconds(void);
bool fs_is_recent(unsigned int when);
/* INODE has lost its last name and keeps its record until it is forgotten, or has got a name again. */
void inode_set_orphan(struct fs *fs, struct inode *inode, bool orphan);

/* record.c: records of inodes, for reading. */

/* The inode's record; -ENOENT when it has none (it is a lower one). */
int record_load(struct fs *fs, uint64_t ino, struct inode_rec *ret_rec);
/* The inode's record, or the one that copy-up would make of it, without making it. */
int record_peek(struct fs *fs, struct inode *inode, struct inode_rec *ret_rec);
/*
 * The lower part that a record's origin names. Nothing there, or something of another type: an empty ref and 0. -errno: it is not
 * known whether it is there, so nobody may be told that it is not.
 */
int record_lower(struct fs *fs, const struct inode_rec *rec, struct union_ref *ret_ref);

/* attrs.c */

/* Attributes with stored ids. */
int attr_load(struct fs *fs, struct inode *inode, struct attr *ret_attr);
/* As the mount shows them: ids mapped, ino32, static_nlink. */
void attr_show(const struct fs *fs, struct attr *attr);

/* xattrs.c: the stored value, wherever it is committed; ids not mapped. As fs_getxattr(). */
ssize_t xattr_load(struct fs *fs, struct inode *inode, const char *name, void *value, size_t size);

/* names.c */

/* A name that was resolved: the inode with a reference, and its attributes with stored ids. */
int name_resolve(struct fs *fs, struct inode *dir, const char *name, struct inode **ret_inode,
		 struct attr *ret_attr);
/* As name_resolve(), of a name that LIST, the layers' listing of DIR, has. */
int name_resolve_listed(struct fs *fs, struct inode *dir, const struct union_list *list,
			const struct union_name *name, struct inode **ret_inode,
			struct attr *ret_attr);
/* 0, -EINVAL, -ENAMETOOLONG. */
int name_check(const char *name);
/* Fills RET_ENTRY and counts the look-up. */
void entry_fill(struct fs *fs, struct inode *inode, const struct attr *attr,
		struct fs_entry *ret_entry);
/* The inode of a record that is known to exist. */
int inode_of_entry(struct fs *fs, uint64_t ino, struct inode **ret_inode, struct attr *ret_attr);

/*
 * recover.c: deletes N inodes without names, with their bytes. Those that fail are left as
 * they are, for the next open; returns the error of the last of them.
 */
int orphans_erase(struct fs *fs, const uint64_t *inos, size_t n);

/* sums.c: the keeper of the checksums of data files. Without it, as without memory, none are taken. */
int sum_keeper_start(struct fs *fs);
/* Ends its thread; to be called before anything of FS goes away. */
void sum_keeper_stop(struct fs *fs);
/* When the bytes are DURABLE, takes the sums of files that were changed and have none yet, for a few
 * seconds at most. Frees the keeper. */
void sum_keeper_finish(struct fs *fs, bool durable);
/* Tests shorten it. */
extern unsigned int sum_keeper_period_ms;

/* bytes.c: the kernel lets go of INODE, and what was kept of its times for as long as it did not is settled (data/kept.h). */
void bytes_settle(struct fs *fs, const struct inode *inode);

/* dirs.c: 0 when the directory shows no name; -ENOTEMPTY. */
int dir_check_empty(struct fs *fs, struct inode *dir);

#endif
