/* SPDX-License-Identifier: Apache-2.0 */
/* From the members of a layer's archive to names: the rules of OCI layers. Pure, in memory. */
#ifndef PLYFS_LAYER_INDEXED_APPLY_H
#define PLYFS_LAYER_INDEXED_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/table.h"
#include "catalog/index.h"
#include "image/tar.h"

/*
 * The rules, where the specification leaves room or archives in the wild break it:
 *
 *  - Whiteouts act on the layers below only, whatever the order: `.wh.x` and `x` in one layer is `x`, and a
 *    directory `x` with a whiteout is opaque. `.wh..wh..opq` makes its directory opaque. The name alone makes a
 *    whiteout, not the type of the member. Other `.wh..wh.*` names are hidden, but hard links may lead there.
 *  - Names are normalised (`./`, `//`, a leading `/`, `..` inside). One that leaves the root is left out.
 *  - The last member of a name wins; a directory over a directory only changes its attributes. A directory
 *    over something else is new, and hides what is below.
 *  - Parents that no member describes are "implicit" directories. One below a symbolic link of this
 *    layer is made where the link leads, inside the root. What the layers below have in its place is
 *    seen by apply_resolve().
 *  - A hard link is another name of the inode that its target has at that point of the archive. If there is
 *    none, it is "pending" until apply_resolve().
 *  - Mode, owner, time and extended attributes in the header of a hard link become the file's, as containerd, Docker and podman
 *    have it; those of the last member count. (umoci and GNU tar do not look at them; the specification does not
 *    say.) A symbolic link has no mode, and attributes that the header has not stay.
 *
 * Where an archive breaks the specification, `report` is told; in strict mode that is an error, else the rule above
 * says what is done.
 */
enum apply_fault {
	APPLY_OUTSIDE,	       /* the name leads out of the root; left out */
	APPLY_BAD_NAME,	       /* empty, too long, or with a NUL; left out */
	APPLY_BARE_WHITEOUT,   /* `.wh.` alone, or of `.` or `..`; left out */
	APPLY_BELOW_WHITEOUT,  /* a member below `.wh.x`; left out */
	APPLY_WHITEOUT_TYPE,   /* a whiteout that is no regular file; it counts */
	APPLY_WHITEOUT_TWIN,   /* a name and its whiteout; the name stays */
	APPLY_UNKNOWN_META,    /* another `.wh..wh.*`; hidden */
	APPLY_DUPLICATE,       /* a second member of a name; it wins */
	APPLY_NOT_A_DIRECTORY, /* a parent is no directory; it becomes one */
	APPLY_LOOP,	 /* symbolic links in the parents lead in circles, or too deep; left out */
	APPLY_BAD_LINK,	 /* a hard link without a target, or to a directory; left out */
	APPLY_LATE_LINK, /* a hard link before its target; made all the same */
	APPLY_BAD_OWNER, /* an id that no file can have; 0 instead */
	APPLY_BAD_XATTR, /* an attribute whose name or value is too long; left out */
	APPLY_BAD_TYPE,	 /* a member of no known type; left out */
	N_APPLY_FAULTS,
};
/* A sentence without the path: "a second member of the same name". */
const char *apply_fault_text(enum apply_fault fault);

struct apply_options {
	bool strict;
	/* May be NULL. PATH is the member's, as stored. */
	void (*report)(void *arg, enum apply_fault fault, const char *path);
	void *arg;
};

struct apply_xattr {
	struct apply_xattr *next; /* owned */
	size_t len;
	uint8_t *value; /* points behind the name */
	char name[];
};

/* An inode of the layer. */
struct apply_inode {
	struct index_rec rec;	    /* owned; attr.ino is set by the writer, nlink is kept here */
	struct apply_xattr *xattrs; /* owned; sorted by name */
	uint32_t n_names;
	bool implied;		  /* for apply_resolve(): a directory that was implicit */
	struct apply_inode *next; /* all of them, in the order of their making; owned */
};

/* Directories in one another: as many as a path can have. Deeper ones would be reached through links only. */
#define APPLY_DEPTH_MAX 2048

/* A name, whether it has an inode or not. Never freed before the whole. */
struct apply_name {
	struct table_node node; /* by parent and text */
	struct apply_name *parent, *child, *sibling;
	struct apply_inode *inode; /* NULL: nothing, or a whiteout */
	uint64_t seq;		   /* of the member that put the inode: the order of the archive */
	uint32_t depth;		   /* 0: the root */
	bool whiteout;
	bool busy; /* for apply_resolve() */
	uint16_t len;
	char text[];
};

struct apply {
	struct apply_options options;
	struct table names;
	struct apply_name *root; /* owned, with all below */
	struct apply_inode *inodes, *last_inode;
	uint64_t seq;
	uint64_t faults[N_APPLY_FAULTS];
	uint64_t n_members;
};

int apply_new(const struct apply_options *options, struct apply **ret_apply);
void apply_free(struct apply *a); /* NULL is fine */
DEFINE_CLEANUP_PTR(struct apply, apply, apply_free)

/* Takes the next member in. -EBADMSG (strict) and a sentence, -ENOMEM. */
int apply_member(struct apply *a, const struct tar_member *m, struct err *err);

/* Does the tree depend on what is below: are there implicit directories (the root counts not), pending links? */
bool apply_has_implicit(const struct apply *a);
bool apply_has_pending(const struct apply *a);

/* What the layers below show as one tree. PATH has no symbolic links on the way; "" is the root. */
struct apply_below {
	/* -ENOENT or -ENOTDIR: nothing there. attr.ino is a number of the union. */
	int (*stat)(void *arg, const char *path, struct attr *ret_attr);
	/* NUL-terminated; the length. */
	ssize_t (*readlink)(void *arg, const char *path, char *target, size_t size);
	/* Adds the attributes of PATH with apply_xattr_set(). */
	int (*xattrs)(void *arg, const char *path, struct apply_inode *inode);
	void *arg;
};

/*
 * Makes the tree whole with what is below (NULL: nothing):
 *
 *  - An implicit directory over a directory takes its attributes. Over a symbolic link, what is in it moves to
 *    where the link leads, in the tree of this layer over those below; of two members that come to one place so the
 *    later one counts, as if the archive were unpacked there. A link of this layer that was there before leads on.
 *  - A pending link's target is looked for in the tree of this layer over those below, as the archive's order has it.
 *    What this layer has there by then gets another name. Else the file below does (INDEX_LOWER), which gets its own
 *    name in this layer too; of anything but a regular file the link becomes a copy. Else it becomes a name of
 *    what this layer has there later; if there is none either it goes away.
 *
 * -EBADMSG (strict), -ENOMEM, and the errors of BELOW.
 */
int apply_resolve(struct apply *a, const struct apply_below *below, struct err *err);

/* ---- for the other files that build such trees ---- */

static inline bool apply_is_dir(const struct apply_name *n)
{
	return n->inode != NULL && S_ISDIR(n->inode->rec.attr.mode);
}

/* Tells of a fault: 0, or in strict mode -EBADMSG and a sentence. */
int apply_report(struct apply *a, enum apply_fault fault, const char *path, struct err *err);
struct apply_name *apply_find(const struct apply *a, const struct apply_name *dir, const char *text,
			      size_t len);
/* Finds or makes; NULL: no memory. */
struct apply_name *apply_name_in(struct apply *a, struct apply_name *dir, const char *text,
				 size_t len);
/* The name after N in the tree below TOP (N may be TOP), parents first; NULL at the end. */
struct apply_name *apply_next(const struct apply_name *top, struct apply_name *n);
/* The inode of the name PATH, through the symbolic links of this layer among its parents; NULL: none. -ENOMEM. */
int apply_find_path(struct apply *a, const char *path, struct apply_inode **ret_inode);
/* A new inode without names; NULL: no memory. */
struct apply_inode *apply_inode_new(struct apply *a);
/* An implicit directory's. */
struct apply_inode *apply_implicit_new(struct apply *a);
/* Sorted in; one of that name is replaced. */
int apply_xattr_set(struct apply_inode *inode, const char *name, const void *value, size_t len);
/* NAME has INODE now (NULL: nothing); what was below a directory that goes away goes, too. */
void apply_set(struct apply *a, struct apply_name *name, struct apply_inode *inode);

#endif
