/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the plain-directory backend: its layer, its nodes, their descriptors. */
#ifndef PLYFS_LAYER_DIR_H
#define PLYFS_LAYER_DIR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "attr/override.h"
#include "layer/backends.h"
#include "layer/whiteout.h"

/*
 * A node is a directory: its parent, its name, its inode, and what its marks say. It need not have
 * a descriptor: those are a cache, shared by all layers of the process, and a missing one is opened
 * again from the nearest ancestor that has one, a component at a time, so that neither the depth
 * of a tree nor the number of layers and nodes is limited by PATH_MAX or RLIMIT_NOFILE.
 *
 * Everything but the reference count, `xwhiteout`, `hidden` and the cache's fields is fixed once the
 * node is handed out.
 */
enum dir_xwhiteout { DIR_XWHITEOUT_UNKNOWN, DIR_XWHITEOUT_NO, DIR_XWHITEOUT_YES };

struct dir_node {
	atomic_uint refs;
	struct dir_layer *layer;
	struct dir_node *parent; /* owned reference; NULL: the root */
	char *name;		 /* owned; NULL: the root */
	dev_t dev;
	ino_t ino;
	uint64_t number; /* of its path (dir_number.c) */
	uint64_t space;	 /* what numbers in it are hashed with; 0: they are not */
	uint64_t shown;	 /* the number that the layer shows it with */
	uint32_t depth;	 /* the root's is 0 */
	bool opaque;
	bool empty; /* of another mount: what is in it is not the layer's */

	/* May files in here be xattr whiteouts? enum dir_xwhiteout; read when first asked for. */
	atomic_int xwhiteout;

	/* Names hidden by whiteouts in here; owned; NULL until asked for (dir_node_hidden()). */
	_Atomic(struct aufs_set *) hidden;

	/* The descriptor cache's (dir_fds.c). */
	atomic_int users; /* of `fd`; DIR_FD_CLOSED: there is none */
	atomic_bool recent;
	int fd;
	struct dir_node *newer, *older;

	/* Whose turn it is to move the position of `fd` (dir_list.c). */
	atomic_flag listing;
	bool listed; /* that position may be anywhere; protected by `listing` */
};

#define DIR_FD_CLOSED (-1)

/* Which numbers a layer's inodes have. */
enum dir_numbering {
	DIR_NUMBERS_OWN,     /* the file system's; of another device in it: hashes of those */
	DIR_NUMBERS_BTRFS,   /* as OWN, but a subvolume is listed with another number than it has */
	DIR_NUMBERS_OVERLAY, /* the path's of directories, and of files of another device */
	DIR_NUMBERS_PATH,    /* the path's: the file system's do not outlast a mount */
};

struct dir_layer {
	struct layer base;
	struct dir_node *root; /* owned reference; its descriptor is always there */
	enum override_kind override;
	struct hash128 id;
	struct layer_trap traps[LAYER_TRAPS_MAX];
	size_t n_traps;
	atomic_bool may_noatime; /* O_NOATIME has not been refused yet */
	atomic_bool told_of_mounts;
	bool hide_private;
	bool noxattr;
	bool detached;	  /* of a mount of its own: no other is mounted in it */
	bool local;	  /* no other machine writes to it */
	bool loose_ino;	  /* the file system numbers inodes anew each time it looks them up */
	bool exact_names; /* of its directories those are that do not say that they ignore case */
	enum dir_numbering numbering;
};

static inline struct dir_layer *dir_layer_of(struct layer *l)
{
	return (struct dir_layer *)l;
}

static inline struct dir_node *dir_node_of(struct layer_dir *d)
{
	return (struct dir_node *)d;
}

static inline struct layer_dir *dir_node_handle(struct dir_node *n)
{
	return (struct layer_dir *)n;
}

/* ---- dir_node.c ---- */

/*
 * A node for the directory NAME of PARENT (or, with NULL for both, the root), whose inode is ST.
 * It takes references of its own and has no marks and no descriptor yet.
 */
int dir_node_new(struct dir_layer *l, struct dir_node *parent, const char *name,
		 const struct stat *st, struct dir_node **ret_node);
struct dir_node *dir_node_ref(struct dir_node *n);
void dir_node_unref(struct dir_node *n);
DEFINE_CLEANUP_PTR(struct dir_node, dir_node, dir_node_unref)

/* Is NAME in N the `.plyfs` of an upper that is our own? */
bool dir_node_private(const struct dir_node *n, const char *name);

/*
 * A name in N that is to be looked at, or N itself (NULL): a descriptor of N, to be given back by
 * dir_fd_put(). -ENOENT: N shows no such name, whatever the directory holds.
 */
int dir_node_enter(struct dir_node *n, const char *name);

/* Does N, of which FD is a descriptor, hold an aufs whiteout of NAME? 1, 0 or -errno. */
int dir_node_hides(struct dir_node *n, int fd, const char *name);

/* May files in N, of which FD is a descriptor, be xattr whiteouts? 1, 0 or -errno. */
int dir_node_xwhiteout(struct dir_node *n, int fd);

/* Keeps SET at N as what its listing said; SET is emptied. Failing does no harm. */
void dir_node_keep_hidden(struct dir_node *n, struct aufs_set *set);

/* ---- dir_fds.c ---- */

/*
 * A descriptor of N for dir_open_in(), fstatat(2) and xattrs, not for reading: its position is
 * everybody's. It stays open until dir_fd_put(). -ESTALE: the directory is no longer where it was.
 */
int dir_fd_get(struct dir_node *n);
void dir_fd_put(struct dir_node *n);

/* Gives N the descriptor FD, which is taken over, until it is closed by the cache. */
void dir_fd_install(struct dir_node *n, int fd);

/* For the root: FD stays. For a node that is freed: closes what it has. */
void dir_fd_pin(struct dir_node *n, int fd);
void dir_fd_drop(struct dir_node *n);

/* sys_open_in() on the layer's own mount; makes room when the process has too many descriptors. */
int dir_open_in(struct dir_layer *l, int dirfd, const char *name, int flags);

/*
 * Opens the directory of node N in its parent's descriptor PARENT_FD and checks that it is the
 * same inode. A directory that may not be read is opened O_PATH.
 */
int dir_open_node(struct dir_node *n, int parent_fd);

/* ---- dir_clone.c ---- */

/*
 * The directory FD opened anew, for reading, in a detached mount that others share; -errno: it must
 * get one of its own, if it can.
 */
int layer_clones_open(struct layer_clones *c, int fd);

/* ---- dir_number.c ---- */

/*
 * Which numbers are shown on the file system of FD, of TYPE (statfs(2)). A file that is copied up is known by its number, in
 * this mount and the next, so all that are shown must last. FUSE file systems often count inodes as they are asked for
 * them, FAT when it reads them.
 */
enum dir_numbering dir_numbering(int fd, unsigned long type);
/* The number of the path to NAME in PARENT; NULL and NULL: the root's. */
uint64_t dir_number(const struct dir_node *parent, const char *name);
/* Is the inode ST in N, or N's own, if it is the root, shown with the number of its path? */
bool dir_has_path_number(const struct dir_node *n, const struct stat *st);
/* N's `space`, once everything that its parent and its inode say is known. */
uint64_t dir_space(const struct dir_node *n);
/* What is shown for the number INO of an inode in N that does not have its path's. */
uint64_t dir_number_in(const struct dir_node *n, uint64_t ino);
/*
 * Puts what is shown for NAME in N, whose inode is ST, into A. MOUNT: that is another mount's, and the name is numbered as
 * what it hides. FD: a descriptor of N.
 */
void dir_renumber(struct dir_node *n, int fd, const char *name, const struct stat *st, bool mount,
		  struct attr *a);

/* ---- dir_stat.c ---- */

/*
 * lstat(2) of NAME in FD, a directory of L: and is it where something is mounted? A mount is asked for nothing that the
 * kernel does not have, for it can be our own.
 */
int dir_stat(const struct dir_layer *l, int fd, const char *name, struct stat *ret_st,
	     bool *ret_mount);

/* ---- dir_list.c ---- */

int dir_list(struct layer *l, struct layer_dir *dir, struct layer_list *list);
/* Do directories on a file system of TYPE (statfs(2)) tell when they ignore case? */
bool dir_names_exact(unsigned long type);
bool dir_lists_all(struct layer *l, struct layer_dir *dir);
/* The number with which N, of which FD is a descriptor, lists NAME; the path's when it cannot be listed. */
uint64_t dir_listed_number(struct dir_node *n, int fd, const char *name);
/* Reads N's names for the whiteouts among them; -EACCES when they cannot be listed. */
int dir_scan_hidden(struct dir_node *n, int fd, struct aufs_set *ret_set);

/* ---- dir_override.c ---- */

/* The kind that the root directory FD carries. */
enum override_kind dir_override_kind(int fd);
/* Applies NAME's override to A, if the layer has such and the inode can carry one. */
int dir_override(const struct dir_layer *l, int dirfd, const char *name, struct attr *a);
/* The target of a regular file that its override makes a symlink; -EINVAL if it is none. */
ssize_t dir_override_readlink(struct dir_layer *l, int dirfd, const char *name, char *target,
			      size_t size);

/* ---- dir_xattr.c ---- */

ssize_t dir_getxattr(struct layer *l, struct layer_dir *dir, const char *name, const char *xattr,
		     void *value, size_t size);
int dir_listxattr(struct layer *l, struct layer_dir *dir, const char *name, struct buf *out);

/* ---- dir_file.c ---- */

int dir_open(struct layer *l, struct layer_dir *dir, const char *name,
	     struct layer_file **ret_file);
ssize_t dir_file_read(struct layer_file *f, void *bytes, size_t size, off_t off);
off_t dir_file_seek(struct layer_file *f, off_t off, int whence);
int dir_file_fd(struct layer_file *f);
void dir_file_close(struct layer_file *f);

#endif
