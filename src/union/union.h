/* SPDX-License-Identifier: Apache-2.0 */
/* Which layers make up a name: the read-only union of a stack of layers. */
#ifndef PLYFS_UNION_UNION_H
#define PLYFS_UNION_UNION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "layer/layer.h"

/*
 * The union is a tree of its own, a pure function of its layers. Its directories are nodes (struct
 * union_dir: counted references, each holds its parent, so a node knows its path). Everything else
 * is named by (directory, name) plus the part of the directory that holds it: struct union_ref.
 *
 * Rules (Documentation/filesystems/overlayfs.rst): the topmost layer that has a name gives it; a
 * whiteout ends the search; directories merge downwards until an opaque one, a whiteout or a
 * non-directory; a trusted redirect continues at its path in the layers below; the bytes of a
 * trusted metacopy are the next regular file below (or at its redirect, or in a data-only layer).
 * A redirect or metacopy of a layer that is not trusted is -EPERM, as the kernel answers; a metacopy, where
 * telling it from a file would cost each look-up a question, only when its bytes are wanted.
 *
 * Threads: all functions from any thread. Nodes are cached while referenced.
 */
struct stack;
struct union_dir;

/* Bottom-up position of a layer: 1 for the lowest. Stable when layers are put on top. */
#define UNION_MAX_LAYERS 32000

/*
 * Inode numbers of the union: (position << 48 | ino of the layer) when that fits 48 bits, else bit
 * 63 set and a hash of both. A number below 2^48 is never made. See catalog/records.h.
 */
uint64_t union_ino(uint32_t position, uint64_t layer_ino);

/* A name that was found. Zeroed memory is empty. */
struct union_ref {
	struct attr attr;	 /* attr.ino is a number of the union; nlink of a directory: the
				   layer's when it stands alone, else 1 */
	struct union_dir *dir;	 /* directories: the node itself; otherwise the directory that holds
				   the name; an owned reference */
	struct union_data *data; /* owned; NULL unless the bytes are elsewhere (metacopy) */
	/*
	 * Not a directory: says which part of `dir` has it. To be handed back, with `dir` and the
	 * name, as it is: it is more than an index where another layer has the record of a hard
	 * link.
	 */
	uint32_t part;
};
void union_ref_done(struct union_ref *r);
DEFINE_CLEANUP(struct union_ref, union_ref, union_ref_done)

/*
 * Where the bytes of a metacopy are. They are looked for when it is looked up, and a metacopy
 * without any is -EIO, as the kernel answers; but in data-only layers only when it is opened.
 */
struct union_data {
	struct layer *layer; /* borrowed from the stack; NULL: NAME is a path in data-only layers */
	struct layer_dir *dir;	  /* owned reference; NULL when layer is */
	char *name;		  /* owned; NULL: `dir` stands for the file (layer_by_origin()) */
	struct union_data *below; /* owned; the bytes under a layer that has only some; or NULL */
};
void union_data_free(struct union_data *d); /* NULL is fine */

/*
 * Takes over LAYERS[0 .. N) (topmost first) on success and on failure. The last N_DATA of them are
 * data-only: reached by metacopies with an absolute redirect, never seen by name. N - N_DATA may be
 * 0: an empty root. SEED is that of catalog_name_hash(), which orders listings.
 */
int stack_new(struct layer **layers, size_t n, size_t n_data, uint64_t seed,
	      struct stack **ret_stack, struct err *err);
void stack_free(struct stack *s); /* NULL is fine; all references must be gone */
DEFINE_CLEANUP_PTR(struct stack, stack, stack_free)

size_t stack_count(const struct stack *s);
struct layer *stack_layer(const struct stack *s, size_t index); /* 0: topmost */

/* The root; a new reference. */
struct union_dir *union_root(struct stack *s);
struct union_dir *union_dir_ref(struct union_dir *d);
void union_dir_unref(struct union_dir *d); /* NULL is fine */
DEFINE_CLEANUP_PTR(struct union_dir, union_dir, union_dir_unref)

/* The name in DIR; -ENOENT when no layer has it or a whiteout hides it. */
int union_lookup(struct union_dir *dir, const char *name, struct union_ref *ret_ref);

/* Is the name visible in DIR? 1, 0 or -errno. Cheaper than a look-up. */
int union_exists(struct union_dir *dir, const char *name);

/*
 * Resolves a path of the union ("" is the root, components separated by single slashes). -ENOENT, and -ENOTDIR where the path goes
 * on behind what is no directory: these are known. All other errors say nothing of what is there.
 */
int union_walk(struct stack *s, const char *path, struct union_ref *ret_ref);

/* Appends the path of DIR ("" for the root), or of NAME in it. */
int union_path(const struct union_dir *dir, const char *name, struct buf *out);

/* The directory that holds DIR (borrowed; NULL for the root), and DIR's name in it ("" for it). */
struct union_dir *union_dir_parent(const struct union_dir *dir);
const char *union_dir_name(const struct union_dir *dir);
/* As attr.ino of the directory, without asking a layer. */
uint64_t union_dir_ino(const struct union_dir *dir);
/*
 * DIR has the number INO from now on, for all who hold it or find it: until its node goes, which is not before the last
 * reference to it, or to anything below it, does. For one who knows directories by numbers that are to last longer than
 * the layers' own: those change when a layer is copied, and when another part comes to be the topmost one.
 */
void union_dir_set_ino(struct union_dir *dir, uint64_t ino);

/* How many layers have this directory. */
size_t union_dir_parts(const struct union_dir *dir);

/* Attributes now: of a directory (name NULL) or of a file in part PART of DIR. */
int union_getattr(struct union_dir *dir, const char *name, uint32_t part, struct attr *ret_attr);
ssize_t union_readlink(struct union_dir *dir, const char *name, uint32_t part, char *target,
		       size_t size);
ssize_t union_getxattr(struct union_dir *dir, const char *name, uint32_t part, const char *xattr,
		       void *value, size_t size);
int union_listxattr(struct union_dir *dir, const char *name, uint32_t part, struct buf *out);
/* Opens the bytes of a regular file; DATA as in its union_ref. */
int union_open(struct union_dir *dir, const char *name, uint32_t part,
	       const struct union_data *data, struct layer_file **ret_file);

/* A merged listing, made once a directory and shared. */
struct union_name {
	uint64_t hash; /* catalog_name_hash() with the stack's seed: the listing's order and cookie */
	uint64_t ino; /* as union_ref.attr.ino; 0 when it takes a look-up */
	const char *name;
	uint16_t len;
	uint8_t dtype;	/* DT_UNKNOWN: look it up */
	uint32_t parts; /* union_lookup_listed()'s */
};
struct union_list {
	const struct union_name *names; /* visible names only, in order of (hash, name) */
	size_t n;
	bool any_dir; /* are directories, or names of unknown type, among them */
	/* Which parts of the directory list a name: from names[].parts on, their number and they. */
	const uint16_t *parts; /* NULL: there is but one */
};

/* The listing of DIR, cached at the node. RET_LIST is valid until union_list_put(). */
int union_list_get(struct union_dir *dir, const struct union_list **ret_list);
void union_list_put(struct union_dir *dir, const struct union_list *list);
/* As union_list_put(), by who was told that there is nothing more: few will ask for it again soon. */
void union_list_end(struct union_dir *dir, const struct union_list *list);

/*
 * As union_lookup(), of a name that LIST, the listing of DIR, has: asks only those layers that list it.
 * With hundreds of layers most have a directory but not the name.
 */
int union_lookup_listed(struct union_dir *dir, const struct union_list *list,
			const struct union_name *name, struct union_ref *ret_ref);

/*
 * A client is about to look a name up in DIR. Without a listing that asks one layer after the other; when as many were asked as
 * a listing costs, more or less, it is made, and later look-ups are answered from it. Without any lock: it may take long.
 */
void union_asked(struct union_dir *dir);

/*
 * Starts the thread that reads ahead of walks. Once, by the main thread after the process has forked: a thread
 * is of the class, and on the processors, of the one that made it.
 */
void union_start(struct stack *s);

/*
 * A client was given DIR's listing, or a piece of it, with the attributes of its names. Who goes down from directory to
 * directory like this finds what comes next in memory. ANY_DIR: as the listing says.
 */
void union_walked(struct union_dir *dir, bool any_dir);

/* Frees cached listings that nobody uses (memory pressure, tests). */
void stack_trim(struct stack *s);

/* The topmost layer that answers. */
int union_statfs(struct stack *s, struct statvfs *ret_st);

/* One line a layer: kind, path, identity. For messages and statistics. */
void stack_to_text(struct stack *s, struct buf *out);

#endif
