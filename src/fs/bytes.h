/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the bytes of a file: the two-step dance around data/. */
#ifndef PLYFS_FS_BYTES_H
#define PLYFS_FS_BYTES_H

#include "fs/change.h"

/* Larger ACLs than the kernel's own limit for one xattr do not exist. */
#define XATTR_ACL_MAX 65536

/*
 * For a prepared, unlocked change, under INODE's exclusive data lock: moves or changes bytes, then
 * takes the write lock and gives the record with its new place and size, in the change. The caller
 * sets times and ends with bytes_commit(). On failure nothing has changed, but for bytes that were to
 * be replaced in place.
 */
int bytes_truncate(struct change *ch, struct inode *inode, uint64_t size,
		   struct inode_rec **ret_rec);
/* HOW: of fs_write(). */
int bytes_write(struct change *ch, struct inode *inode, const void *bytes, size_t size, off_t off,
		unsigned int how, struct inode_rec **ret_rec);
int bytes_fallocate(struct change *ch, struct inode *inode, int mode, off_t off, off_t len,
		    struct inode_rec **ret_rec);

/*
 * Commits such a change. When that fails, a data file that had become longer gets its old length back.
 * One that was cut stays so, and then it is no failure: what the lost record would have said of it the
 * file says itself, or data/ finds out. So what else the record is to say is committed before.
 * After a failure the change may be done already, and its records gone.
 */
int bytes_commit(struct change *ch);

/* Instead, for a change that is not to be committed after all. Without the write lock, and the records, from here on. */
void bytes_abandon(struct change *ch);

/* The lower file that REC's bytes come from, held in RET_HELD, as RET_SOURCE; *RET_SRC is NULL when
 * the record needs none. */
int bytes_source(struct fs *fs, const struct inode *inode, const struct inode_rec *rec,
		 struct lower_held *ret_held, struct data_source *ret_source,
		 const struct data_source **ret_src);

#endif
