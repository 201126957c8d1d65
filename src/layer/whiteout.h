/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How directories spell whiteouts and the other marks: two families, one codec each. The overlay
 * family (kernel overlayfs, fuse-overlayfs) marks inodes: a device number, xattrs. The aufs family
 * (OCI layers) marks names: ".wh.NAME". Nothing else in the program knows these spellings.
 */
#ifndef PLYFS_LAYER_WHITEOUT_H
#define PLYFS_LAYER_WHITEOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/buf.h"

/* ---- whiteout_overlay.c ---- */

/* What the xattrs of one inode say. */
struct overlay_marks {
	bool any;	/* there are xattrs at all */
	bool opaque;	/* "y": hides what is below */
	bool xwhiteout; /* opaque is "x": files in here may be xattr whiteouts */
	bool whiteout;	/* is an xattr whiteout, if its directory allows them */
	bool metacopy;
	char *redirect; /* owned */
};

void overlay_marks_done(struct overlay_marks *m);
DEFINE_CLEANUP(struct overlay_marks, overlay_marks, overlay_marks_done)

/*
 * Reads the marks of NAME in DIRFD (NULL: of DIRFD itself): one system call when there are none.
 * -EUCLEAN: a redirect that is empty or holds a NUL.
 */
int overlay_read_marks(int dirfd, const char *name, struct overlay_marks *ret_marks);

/* A character device 0:0. */
bool overlay_is_whiteout(const struct stat *st);

/* Could be an xattr whiteout, if the directory's mark allows them: a regular file without bytes. */
bool overlay_may_be_whiteout(const struct stat *st);

/*
 * A size, but no block: worth asking whether it is a metacopy. One that has blocks can be one, too: ext4 and XFS
 * count those of xattrs that the inode has no room for.
 */
bool overlay_is_hollow(const struct stat *st);

/* Is the open file FD a metacopy? 1, 0 or -errno. One system call. */
int overlay_is_metacopy(int fd);

/* ---- whiteout_aufs.c ---- */

/* A name that is never shown, whatever it means. */
bool aufs_reserved(const char *name);

/* Does DIRFD hold the mark of an opaque directory? 1, 0 or -errno. */
int aufs_opaque(int dirfd);
/* The same of the directory NAME in DIRFD, of which nobody has a descriptor. */
int aufs_opaque_in(int dirfd, const char *name);

/* Does DIRFD hold a whiteout of NAME? 1, 0 or -errno. Asks the directory: for one whose names
 * cannot be listed. */
int aufs_hides(int dirfd, const char *name);

/* The names that a directory's whiteouts hide. Zeroed is empty. */
struct aufs_set {
	struct buf text;    /* the names, each with its NUL */
	const char **names; /* owned array into text; sorted */
	size_t n;
};

void aufs_set_done(struct aufs_set *s);
DEFINE_CLEANUP(struct aufs_set, aufs_set, aufs_set_done)

/* To be called for each reserved name of a listing; those that are no whiteouts are skipped. */
void aufs_set_add(struct aufs_set *s, const char *reserved_name);
/* To be called after the last one, before aufs_set_find(). 0 or -ENOMEM. */
int aufs_set_sort(struct aufs_set *s);
/* The index of NAME, or -1. */
ptrdiff_t aufs_set_find(const struct aufs_set *s, const char *name);

#endif
