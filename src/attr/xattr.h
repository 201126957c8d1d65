/* SPDX-License-Identifier: Apache-2.0 */
/* Names of extended attributes: which are marks of union file systems and which are the user's. */
#ifndef PLYFS_ATTR_XATTR_H
#define PLYFS_ATTR_XATTR_H

#include <stdbool.h>
#include <stddef.h>

/* The marks that layers carry. One table in xattr.c gives every spelling of each. */
enum xattr_mark {
	XATTR_MARK_NONE,
	XATTR_MARK_OPAQUE,   /* {trusted,user}.overlay.opaque, user.fuseoverlayfs.opaque */
	XATTR_MARK_WHITEOUT, /* {trusted,user}.overlay.whiteout */
	XATTR_MARK_REDIRECT, /* {trusted,user}.overlay.redirect */
	XATTR_MARK_METACOPY, /* {trusted,user}.overlay.metacopy */
	XATTR_MARK_OVERRIDE, /* security.fuseoverlayfs., user.containers., user.fuseoverlayfs.
				override_stat */
	XATTR_MARK_OTHER,    /* any other name under those prefixes: origin, impure, nlink, ... */
};

/* Which mark NAME is; NONE for a name of the user's own. */
enum xattr_mark xattr_mark(const char *name);

/*
 * The name under which a lower layer's attribute NAME is shown, or NULL when it is hidden. Marks
 * are hidden; an escaped mark of a nested overlay ("trusted.overlay.overlay.x") loses one level,
 * as kernel overlayfs shows it; everything else is itself. The result points into NAME or into
 * BUF (of XATTR_NAME_MAX + 1 bytes).
 */
const char *xattr_lower_shown(const char *name, char *buf, size_t size);

/* The inverse for a lookup: the name to ask a lower layer for; NULL when the layer cannot have it. */
const char *xattr_lower_stored(const char *name, char *buf, size_t size);

#endif
