/* SPDX-License-Identifier: Apache-2.0 */
/* What a new inode is made of, for those that make one on the way. */
#ifndef PLYFS_FS_CREATE_H
#define PLYFS_FS_CREATE_H

#include "fs/change.h"

/* What is to be made, and where. */
struct wanted {
	const struct fs_caller *who;
	struct inode *dir;
	uint32_t mode; /* with type; umask not applied */
	uint32_t rdev_major, rdev_minor;
	const char *target; /* symlinks */
};

/*
 * The record of a new inode in the directory whose record DIR is: owner, group, mode and ACLs as the
 * directory hands them down. The name is the caller's.
 */
int create_rec(struct change *ch, const struct inode_rec *dir, const struct wanted *w,
	       struct inode_rec **ret_rec);

#endif
