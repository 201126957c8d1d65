/* SPDX-License-Identifier: Apache-2.0 */
/* How layers are opened. The only list of backends. */
#ifndef PLYFS_LAYER_BACKENDS_H
#define PLYFS_LAYER_BACKENDS_H

#include <stdbool.h>

#include "image/compression.h"
#include "layer/layer.h"

/*
 * Detached mounts that layers opened one after the other may share. Zeroed is empty. For one thread;
 * layer_clones_done() may be called before the layers are closed, which need it only to be opened.
 */
#define LAYER_CLONES_MAX 8
struct layer_clone {
	int fd;		/* owned; -1: it cannot be cloned */
	uint64_t mount; /* what was cloned: a directory of this mount... */
	char *path;	/* ...by this name; owned; without a slash at its end */
	size_t len;
};
struct layer_clones {
	struct layer_clone v[LAYER_CLONES_MAX];
	size_t n;
	bool forbidden; /* this process may not clone mounts */
	/* Of the file system of the last layer that was opened: what it is, as statfs(2) says; 0: not known. */
	unsigned long type;
	dev_t type_of;
};
void layer_clones_done(struct layer_clones *c);
DEFINE_CLEANUP(struct layer_clones, layer_clones, layer_clones_done)

/* A directory, whatever path leads to it. */
struct layer_trap {
	dev_t dev;
	ino_t ino;
};
#define LAYER_TRAPS_MAX 2

struct layer_options {
	uint32_t trust;	   /* enum layer_trust */
	bool hide_private; /* the directory is our own upper: its `.plyfs` is not shown */
	bool noxattr;	   /* never ask the backing file system for xattrs (noxattrs=1) */
	/*
	 * The tree is detached with open_tree(2) where that is allowed, so that mounts placed over
	 * or below it later (our own among them) are not seen. Without it look-ups stay on the one
	 * mount (RESOLVE_NO_XDEV).
	 */
	bool detach;
	struct layer_clones *clones; /* borrowed; NULL: each layer gets a detached mount of its own */
	/*
	 * Directories that are listed, but -ELOOP for who looks them up: what is written to the mount appears in them, and who
	 * copies a tree into itself would never be done.
	 */
	struct layer_trap traps[LAYER_TRAPS_MAX];
	size_t n_traps;
};

/*
 * Opens the plain directory FD (a directory descriptor, taken over on success and on failure; PATH
 * is for messages) with every whiteout format in it, mixed. Never reads more than the root, which
 * must be readable. Descriptors are a cache that all such layers of the process share: 128, besides one a layer, until
 * layer_dir_keep_fds() says another number, of which 8 to 4096 are taken.
 */
int layer_open_dir(int fd, const char *path, const struct layer_options *options,
		   struct layer **ret_layer, struct err *err);
void layer_dir_keep_fds(size_t n);

/*
 * Opens a plyfs upper (the directory FD, which holds `.plyfs`) as a layer, from a snapshot of its
 * catalog. Its data files are read in place. FD is taken over. It trusts its own redirects and
 * metacopies, whatever OPTIONS say, and numbers of lower inodes in it are valid only above the
 * layers that it was made over. What else lies in the directory is not shown: that is a plain
 * directory (with hide_private), for the caller to stack below this layer.
 */
int layer_open_upper(int fd, const char *path, const struct layer_options *options,
		     struct layer **ret_layer, struct err *err);

/*
 * For who knows which layers are below one that layer_open_upper() has opened, before it is used. The first appends what
 * its catalog has under KEY in the table `super`: 0, -ENOENT, -errno. The second says that of the numbers that its records
 * have, those of lower inodes are numbers of this union up to END (without it) only. The others mean inodes of other
 * layers: they become numbers of this layer, and layer_by_origin() finds nothing by them.
 */
int layer_upper_super(struct layer *l, const char *key, struct buf *out);
void layer_upper_set_above(struct layer *l, uint64_t end);

/*
 * Which of the two a directory is for: it is an upper when it holds `.plyfs` and in that anything of ours.
 * (What else lies in an upper's directory is a layer of its own: see layer_open_upper().)
 */
bool layer_is_upper(int fd);

struct index_file;

/* What a layer of an image is opened from. All but `below` is taken over, on failure too. */
struct indexed_parts {
	struct index_file *names;  /* for this layer alone, or for it over those below (RESOLVED) */
	struct index_file *points; /* NULL, or who has the restart points that NAMES has not */
	struct blob *stored;	   /* the archive, as it is stored, or anew in frames */
	enum compression compression; /* of STORED */
	struct layer
		*below; /* the layer whose root this one's looks like when its archive says nothing
				of it; NULL: none; must live as long */
};

/*
 * A layer of an image where it lies: names out of its index, bytes out of its archive. PATH is for
 * messages.
 */
int layer_open_indexed(const struct indexed_parts *parts, const char *path,
		       struct layer **ret_layer, struct err *err);
/* Such a layer, or the one below it that its root looks like: for `below` of the next. */
struct layer *layer_indexed_root(struct layer *l);

/*
 * A layer from text, for tests; one line a node, fields separated by blanks, parents first:
 *
 *	dir PATH MODE UID:GID [opaque] [redirect=/x] [xattr:NAME=VALUE]...
 *	file PATH MODE UID:GID [data=TEXT] [size=N] [metacopy] [redirect=/x] [link=ID] [xattr:..]...
 *	symlink PATH TARGET
 *	char|block PATH MODE MAJ:MIN		fifo|socket PATH MODE
 *	whiteout PATH
 *
 * link=ID: files with one ID are one inode. "." is the root. \xHH in a path, target, text or value
 * is that byte. A file's bytes are TEXT and then, up to SIZE, a hole. All times are the same. The
 * xattrs are as stored: marks among them are hidden, and mean nothing. -EINVAL: a line that is
 * wrong; ERR names it.
 */
int layer_open_mem(const char *text, const char *path, uint32_t trust, struct layer **ret_layer,
		   struct err *err);

/* Logs every call on INNER (taken over) and its result at debug level. */
int layer_open_trace(struct layer *inner, struct layer **ret_layer, struct err *err);

#endif
