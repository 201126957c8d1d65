/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The override_stat codec: owner, mode and type kept in an xattr by fuse-overlayfs and by
 * containers/storage (force_mask). Value: "uid:gid:mode[:type]", mode octal, type one of dir, file,
 * symlink, pipe, socket, block-MAJ-MIN, char-MAJ-MIN. Only the beginning of the type is looked at;
 * a colon between the numbers, which fuse-overlayfs reads, is as good as the dash.
 */
#ifndef PLYFS_ATTR_OVERRIDE_H
#define PLYFS_ATTR_OVERRIDE_H

#include <stddef.h>

#include "attr/attr.h"
#include "base/buf.h"

/* The three spellings; a layer uses the one that its root carries. */
enum override_kind { OVERRIDE_NONE, OVERRIDE_SECURITY, OVERRIDE_CONTAINERS, OVERRIDE_USER };

/* The xattr name of a kind; NULL for OVERRIDE_NONE. */
const char *override_xattr(enum override_kind kind);

/*
 * Applies a value to A: owner and permission bits always, type and device only when the value
 * names a type. -EINVAL for anything else; A is then untouched.
 */
int override_apply(const char *value, size_t len, struct attr *a);

/* Appends the value that stands for A. */
void override_print(const struct attr *a, struct buf *out);

#endif
