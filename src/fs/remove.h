/* SPDX-License-Identifier: Apache-2.0 */
/* One name less for an inode, as unlink, rmdir and an overwriting rename need it. */
#ifndef PLYFS_FS_REMOVE_H
#define PLYFS_FS_REMOVE_H

#include "fs/change.h"

/* What becomes of the inode once the change is committed. */
enum removal { REMOVAL_KEEPS, REMOVAL_GONE, REMOVAL_ORPHAN };

/*
 * Takes one link from INODE in the change (all of them from a directory, which must be empty). The
 * name itself is the caller's. Call it before the name is removed: copying up puts the name.
 */
int removal_plan(struct change *ch, struct inode *inode, const struct attr *attr,
		 enum removal *ret_removal);
/* After a successful commit. */
void removal_apply(struct fs *fs, struct inode *inode, enum removal removal);

#endif
