/* SPDX-License-Identifier: Apache-2.0 */
/* One logical tree, written to disk with the marks of one format or another. */
#ifndef PLYFS_TESTS_SUPPORT_TREE_H
#define PLYFS_TESTS_SUPPORT_TREE_H

#include "attr/override.h"
#include "layer/layer.h"

enum tree_whiteouts {
	TREE_DEVICES, /* character device 0:0 */
	TREE_XATTRS,  /* xattr whiteouts of kernel 6.7, in directories marked "x" */
	TREE_AUFS,    /* .wh.NAME and .wh..wh..opq */
};

struct tree_format {
	enum tree_whiteouts whiteouts;
	const char *prefix; /* of overlayfs' marks: "trusted.overlay." or "user.overlay." */
	const char *opaque; /* the mark of opaque directories; NULL with TREE_AUFS */
	enum override_kind override;
};

/*
 * Writes the tree of layer FROM into the empty directory DIRFD. Stops the test when that fails.
 * Directories get their times last.
 */
void tree_write(struct layer *from, int dirfd, const struct tree_format *format);

/* As tree_write(), of an in-memory layer made from TEXT (layer/backends.h). */
void tree_write_text(const char *text, int dirfd, const struct tree_format *format);

/* The usual: character devices and trusted xattrs. */
extern const struct tree_format tree_overlay;

#endif
