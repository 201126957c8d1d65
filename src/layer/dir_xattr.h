/* SPDX-License-Identifier: Apache-2.0 */
/* Walking the extended attributes of an inode. */
#ifndef PLYFS_LAYER_DIR_XATTR_H
#define PLYFS_LAYER_DIR_XATTR_H

/*
 * Calls FN with each attribute's name of NAME in DIRFD (NULL: of DIRFD itself), until one answers
 * other than 0. 0, that answer, or -errno; none when the file system has no attributes.
 */
int dir_each_xattr(int dirfd, const char *name, int (*fn)(const char *xattr, void *arg), void *arg);

#endif
