/* SPDX-License-Identifier: Apache-2.0 */
/* A change: the records that one operation loads, modifies and commits as one batch. */
#ifndef PLYFS_FS_CHANGE_H
#define PLYFS_FS_CHANGE_H

#include "fs/private.h"

/*
 * Use:
 *
 *	CLEANUP(change) struct change ch = {0};
 *	r = change_begin(&ch, fs);		   write lock taken, one moment in time
 *	r = change_rec(&ch, inode, &rec);	   loaded, or copied up
 *	rec->attr.mode = ...;			   records are modified in place
 *	batch_put_entry(&ch.batch, ...);
 *	return change_commit(&ch);		   all of it, or nothing
 *
 * Every record that was asked for is written at the commit, each once, so two parts of an operation
 * that need the same directory see each other's changes. Leaving the scope without a commit leaves
 * everything as it was.
 */
struct change {
	struct fs *fs;
	struct timespec now;
	struct batch batch;
	struct inode_rec **recs; /* owned, and what they point to */
	size_t n_recs, cap_recs;
	bool locked;
	/* bytes.c: the data file that was changed in place, as it was: the record without its origin,
	 * and the length. attr.ino 0: none. */
	struct inode_rec before;
	bool cut;   /* and it has lost its end, which cannot be undone */
	bool moved; /* bytes.c: the record has to say where the bytes are now */
	/* bytes.c: the inode that has got its first data file by this change, or 0. */
	uint64_t made;
};

/* -EROFS when nothing may be changed. */
int change_begin(struct change *ch, struct fs *fs);

/*
 * The same in two steps, for operations that move bytes first: between the two the batch can be
 * filled with what moving them takes, and the write lock is not held.
 */
int change_prepare(struct change *ch, struct fs *fs);
void change_lock(struct change *ch);

int change_commit(struct change *ch);
void change_done(struct change *ch);
DEFINE_CLEANUP(struct change, change, change_done)

/*
 * The record of INODE, valid until the change is done. One that has none is copied up: its
 * attributes, xattrs and link target are taken over; its name, and the records of the directories
 * above it, are put, so that the catalog alone is a tree.
 */
int change_rec(struct change *ch, struct inode *inode, struct inode_rec **ret_rec);

/* A new record with the number INO; the change's time in all three times. */
int change_new(struct change *ch, uint64_t ino, uint32_t mode, uint32_t uid, uint32_t gid,
	       struct inode_rec **ret_rec);

/* The record of INODE as that of a directory whose names change: mtime and ctime are now.
 * -ENOENT when it has been removed. */
int change_dir(struct change *ch, struct inode *dir, struct inode_rec **ret_rec);

/* The name is no longer there: a whiteout when a lower layer shows it, else nothing. */
int change_remove_name(struct change *ch, struct inode *dir, const char *name);

/* A directory more (+1) or less (-1) in a directory, where directories are counted. */
static inline void rec_count_dir(struct inode_rec *dir, int by)
{
	if (dir->attr.nlink > 1)
		dir->attr.nlink = (uint32_t)((int64_t)dir->attr.nlink + by);
}

/* Sets the flags that say that the record may have the attribute NAME. */
void rec_note_xattr(struct inode_rec *rec, const char *name);

/*
 * Puts what was read of a lower inode's attribute NAME: VALUE of LEN bytes, or what reading it said. One that vanished in
 * between is none, nor is one that nobody can read there.
 */
int change_take_xattr(struct change *ch, struct inode_rec *rec, const char *name, const void *value,
		      ssize_t len);

/* Clears set-id bits as a write by a stranger does: S_ISUID, and S_ISGID of an executable group. */
void rec_kill_suidgid(struct inode_rec *rec);
/* Drops security.capability, which no change of bytes or owner survives. */
void change_kill_caps(struct change *ch, struct inode_rec *rec);

#endif
