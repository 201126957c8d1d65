/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of a read-only layer: one documented table of functions, several backends. */
#ifndef PLYFS_LAYER_LAYER_H
#define PLYFS_LAYER_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "attr/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

/*
 * A layer is a directory tree that never changes while it is open, with marks: whiteouts, opaque
 * directories, redirects, metacopies. Every backend speaks of marks as flags; how a mark is spelled
 * on disk is known to the backend only, and the names and xattrs that spell it are never shown.
 *
 * Directories are nodes (struct layer_dir, counted references, made by root() and lookup()).
 * Anything else is named by its directory and its name: backends keep nothing for a file that
 * nobody has open. In functions that take (dir, name), a NULL name means the directory itself.
 * NAME is NUL-terminated, one component, never "." or "..".
 *
 * A layer has no way to be written. Threads: all functions may be called from any thread at once.
 *
 * Errors: 0 or -errno. -ENOENT: no such name. -EINVAL: NAME is no name ("a/b", ".."; the wrappers
 * check that, for redirects carry names too). Anything else of the backing store (-EIO, -EACCES;
 * -ESTALE: it is no longer what it was) is passed on to the caller of the file system, for a lower
 * file may vanish or change under us: no backend may crash, hang or loop for that.
 */
struct layer;
struct layer_dir;
struct layer_file;

enum layer_flags {
	LAYER_WHITEOUT = 1 << 0, /* the name hides what is below; nothing else is set */
	LAYER_OPAQUE = 1 << 1,	 /* a directory that hides what is below it */
	LAYER_REDIRECT = 1 << 2, /* `redirect` says where its lower part or its bytes are */
	LAYER_METACOPY = 1 << 3, /* a regular file whose bytes are in a layer below */
	LAYER_ABOVE = 1 << 4,	 /* attr.ino is already a number of the whole union (layer/upper) */
};

/* What a layer says of a name. */
struct layer_entry {
	uint32_t flags;
	struct attr attr;      /* with override_stat applied; owner as stored */
	struct layer_dir *dir; /* directories: an owned reference */
	/*
	 * Owned. An absolute path ("/a/b": from the root of the layers below) or one name (in the
	 * same directory of the layers below), as overlayfs writes it; NULL without LAYER_REDIRECT.
	 */
	char *redirect;
};

/* One name of a listing. Whiteouts are listed too. */
struct layer_name {
	uint64_t ino; /* as attr.ino; 0 when not known without a look-up */
	uint32_t off; /* of the NUL-terminated name in layer_list.text */
	uint16_t len;
	uint8_t dtype; /* DT_*; DT_WHT: a whiteout; DT_UNKNOWN: look it up */
	bool above;    /* as LAYER_ABOVE */
};

/* A whole directory, in any order, each name once, without "." and "..". Zeroed is empty. */
struct layer_list {
	struct layer_name *names; /* owned */
	size_t n, cap;
	struct buf text;
};
void layer_list_done(struct layer_list *l);
DEFINE_CLEANUP(struct layer_list, layer_list, layer_list_done)
/* For backends: 0 or -ENOMEM. */
int layer_list_add(struct layer_list *l, const char *name, size_t len, uint64_t ino, uint8_t dtype,
		   bool above);

enum layer_caps {
	LAYER_CAP_FD = 1 << 0,	      /* all open files have descriptors (layer_file_fd) */
	LAYER_CAP_BY_ORIGIN = 1 << 1, /* by_origin() is there */
	LAYER_CAP_COMPOSE = 1 << 2,   /* open_over() is there */
};

struct layer_ops {
	const char *kind; /* "dir", "upper", "mem", "trace" */

	/* A new reference to the root directory. */
	int (*root)(struct layer *l, struct layer_dir **ret_dir);

	/* Fills RET_ENTRY (zeroed by the caller); to be freed by layer_entry_done(). */
	int (*lookup)(struct layer *l, struct layer_dir *dir, const char *name,
		      struct layer_entry *ret_entry);

	/*
	 * Optional. As lookup(), where the caller has no layer below to look into: LAYER_OPAQUE and
	 * the redirect of a directory may be left out, and a name that only a whiteout mentions may be
	 * -ENOENT. For backends that must ask for each of these.
	 */
	int (*lookup_bottom)(struct layer *l, struct layer_dir *dir, const char *name,
			     struct layer_entry *ret_entry);

	/* Is DIR opaque, and its attributes; for the root, which no lookup() returns. */
	int (*dir_entry)(struct layer *l, struct layer_dir *dir, struct layer_entry *ret_entry);

	/* Appends to LIST. */
	int (*list)(struct layer *l, struct layer_dir *dir, struct layer_list *list);

	/*
	 * Optional. Does lookup() find exactly the names that list() gives? Not where case is ignored,
	 * or where there are names that are not listed. NULL: it may not.
	 */
	bool (*lists_all)(struct layer *l, struct layer_dir *dir);

	int (*getattr)(struct layer *l, struct layer_dir *dir, const char *name,
		       struct attr *ret_attr);

	/* The target, NUL-terminated; returns its length; -ENAMETOOLONG when SIZE does not hold it. */
	ssize_t (*readlink)(struct layer *l, struct layer_dir *dir, const char *name, char *target,
			    size_t size);

	/* As getxattr(2): SIZE 0 asks for the length; -ENODATA also where xattrs do not exist. */
	ssize_t (*getxattr)(struct layer *l, struct layer_dir *dir, const char *name,
			    const char *xattr, void *value, size_t size);

	/* Appends names, each with its NUL; marks are left out. */
	int (*listxattr)(struct layer *l, struct layer_dir *dir, const char *name, struct buf *out);

	/*
	 * Opens a regular file for reading; never follows a symlink, never blocks on a fifo.
	 * -EISDIR, and -ESTALE for anything else that is not regular. -EPERM: a metacopy, which the
	 * layer is not trusted with, and of which lookup() may not have told.
	 */
	int (*open)(struct layer *l, struct layer_dir *dir, const char *name,
		    struct layer_file **ret_file);

	/*
	 * Optional (LAYER_CAP_COMPOSE). As open(), of a LAYER_METACOPY file of which the layer has
	 * some bytes itself: the others are BELOW's, which is taken over on success only.
	 */
	int (*open_over)(struct layer *l, struct layer_dir *dir, const char *name,
			 struct layer_file *below, struct layer_file **ret_file);

	int (*statfs)(struct layer *l, struct statvfs *ret_st);

	/*
	 * Optional (LAYER_CAP_BY_ORIGIN). Does this layer carry a record that stands for the lower
	 * inode INO (a number of the whole union)? As lookup(), without a name. -ENOENT if not.
	 * RET_ENTRY's dir is set whatever the type: with a NULL name it names the inode itself. The
	 * redirect of a metacopy is absolute.
	 */
	int (*by_origin)(struct layer *l, uint64_t ino, struct layer_entry *ret_entry);

	/*
	 * What identifies this layer across mounts (not its path): equal for the same tree, and
	 * different when it was replaced or copied.
	 */
	int (*identity)(struct layer *l, struct hash128 *ret_id);

	void (*dir_ref)(struct layer_dir *dir);
	void (*dir_unref)(struct layer_dir *dir); /* never NULL */

	ssize_t (*file_read)(struct layer_file *f, void *bytes, size_t size, off_t off);
	/* SEEK_DATA or SEEK_HOLE; returns the offset; -ENXIO. */
	off_t (*file_seek)(struct layer_file *f, off_t off, int whence);
	/*
	 * A borrowed descriptor, valid until file_close(), that cannot be written: of a plain file with exactly the
	 * bytes of F. -EOPNOTSUPP when there is none; without LAYER_CAP_FD other files of the layer may have one.
	 */
	int (*file_fd)(struct layer_file *f);
	/*
	 * Optional. Files of one identity and one size have the same bytes; of others nothing is known without reading.
	 * -EOPNOTSUPP: this one has none.
	 */
	int (*file_identity)(struct layer_file *f, struct hash128 *ret_id);
	void (*file_close)(struct layer_file *f);

	void (*close)(struct layer *l);
};

/* What every backend embeds as its first member. */
struct layer {
	const struct layer_ops *ops;
	char *path; /* owned; as the user named it, for messages */
	uint32_t caps;
	uint32_t trust; /* enum layer_trust */
};

/* What is followed in a layer; never by default, for an image's author writes these marks. */
enum layer_trust { LAYER_TRUST_REDIRECT = 1 << 0, LAYER_TRUST_METACOPY = 1 << 1 };

/* Embedded by backends as the first member of their open files. */
struct layer_file {
	struct layer *layer;
};

void layer_close(struct layer *l); /* NULL is fine */
DEFINE_CLEANUP_PTR(struct layer, layer, layer_close)
void layer_entry_done(struct layer *l, struct layer_entry *e);
void layer_file_close(struct layer_file *f); /* NULL is fine */
DEFINE_CLEANUP_PTR(struct layer_file, layer_file, layer_file_close)

/*
 * Thin wrappers, so that callers read `layer_lookup(l, dir, name, &e)`. They check NAME, leave
 * outputs untouched on failure, and answer for what a backend lacks: layer_by_origin() -ENOENT,
 * layer_open_over() -EOPNOTSUPP, layer_lookup_bottom() as layer_lookup(), layer_file_identity() by
 * the file behind the descriptor, if there is one.
 */
int layer_root(struct layer *l, struct layer_dir **ret_dir);
int layer_lookup(struct layer *l, struct layer_dir *dir, const char *name,
		 struct layer_entry *ret_entry);
int layer_lookup_bottom(struct layer *l, struct layer_dir *dir, const char *name,
			struct layer_entry *ret_entry);
int layer_dir_entry(struct layer *l, struct layer_dir *dir, struct layer_entry *ret_entry);
int layer_readdir(struct layer *l, struct layer_dir *dir, struct layer_list *list);
bool layer_lists_all(struct layer *l, struct layer_dir *dir);
int layer_getattr(struct layer *l, struct layer_dir *dir, const char *name, struct attr *ret_attr);
ssize_t layer_readlink(struct layer *l, struct layer_dir *dir, const char *name, char *target,
		       size_t size);
ssize_t layer_getxattr(struct layer *l, struct layer_dir *dir, const char *name, const char *xattr,
		       void *value, size_t size);
int layer_listxattr(struct layer *l, struct layer_dir *dir, const char *name, struct buf *out);
int layer_open(struct layer *l, struct layer_dir *dir, const char *name,
	       struct layer_file **ret_file);
int layer_open_over(struct layer *l, struct layer_dir *dir, const char *name,
		    struct layer_file *below, struct layer_file **ret_file);
int layer_statfs(struct layer *l, struct statvfs *ret_st);
int layer_by_origin(struct layer *l, uint64_t ino, struct layer_entry *ret_entry);
int layer_identity(struct layer *l, struct hash128 *ret_id);
struct layer_dir *layer_dir_ref(struct layer *l, struct layer_dir *dir);
void layer_dir_unref(struct layer *l, struct layer_dir *dir); /* NULL is fine */
ssize_t layer_file_read(struct layer_file *f, void *bytes, size_t size, off_t off);
off_t layer_file_seek(struct layer_file *f, off_t off, int whence);
int layer_file_fd(struct layer_file *f);
int layer_file_identity(struct layer_file *f, struct hash128 *ret_id);

#endif
