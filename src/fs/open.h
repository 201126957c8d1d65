/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of opening a file system. */
#ifndef PLYFS_FS_OPEN_H
#define PLYFS_FS_OPEN_H

#include "fs/private.h"

/* The layers of a mount while they are collected: topmost first. */
struct layers {
	struct layer **layers; /* owned, and what they point to, until a stack takes them */
	size_t n, cap;
	size_t n_data; /* data-only ones at the end */
	size_t n_own;  /* the first ones, which belong to the upper itself: 0 or 1 */
	/* Uppers among them: */
	struct upper_below {
		struct layer *layer; /* borrowed; not the one that traces it */
		size_t next; /* where the layers begin that are below it and all that is its own */
	} * uppers;	     /* owned */
	size_t n_uppers;
};
void layers_done(struct layers *l);
DEFINE_CLEANUP(struct layers, layers, layers_done)

/* Takes LAYER over in any case. */
int layers_add(struct layers *l, struct layer *layer, struct err *err);

/* open_image.c: adds the layers of the image that OPTIONS name, which must be the lowest ones of all. */
int layers_open_image(const struct fs_options *options, struct layers *l, struct err *err);

/* Opens the directory PATH, by the kernel's rules; WHAT ("lower layer") for messages. */
int open_directory(const char *path, const char *what, int *ret_fd, struct err *err);

/* Opens all lowers of OPTIONS and adds them to L; refuses one directory twice and loops with the
 * upper, whose directory is UPPER_FD (-1: none). Neither that nor WORK_FD (-1: none) is found in them as
 * long as both stay open. */
int layers_open(const struct fs_options *options, int upper_fd, int work_fd, struct layers *l,
		struct err *err);

/*
 * stacked.c: with all layers in L: an upper's numbers are the union's only over the layers that it was made over. Those of
 * others are made numbers of the upper's own. 0 or -errno with a sentence.
 */
int layers_check_uppers(struct layers *l, struct err *err);
/* For that: LAYER is an upper, and it and all that is its own are the lowest layers of L so far. */
int layers_note_upper(struct layers *l, struct layer *layer, struct err *err);

/* What lies in the upper's directory beside `.plyfs`, as the topmost layer of L where there is
 * anything; RET_LAYER (owned when not in L) is that directory as a layer in any case. */
int layers_open_upper_rest(const struct fs_options *options, int upper_fd, struct layers *l,
			   struct layer **ret_layer, struct err *err);

/* Opens or makes the catalog and data store of the upper; sets snapshot and read_only. */
int fs_upper_open(struct fs *fs, struct err *err);

/*
 * For a writable upper whose stack is open: a new one gets the root's record (from ROOT, the upper's
 * own directory) and the identity of the layers under it; an old one is checked against them.
 */
int fs_upper_check_stack(struct fs *fs, const struct layers *l, struct err *err);
int fs_upper_make_root(struct fs *fs, struct layer *root, struct err *err);

/*
 * recover.c: for a writable upper that is open: deletes orphans, and removes what an owner that died
 * has left. What fails is logged, and is no reason not to mount, unless bytes could be lost: then -errno and a sentence.
 */
int fs_recover(struct fs *fs, struct err *err);
/*
 * recover.c: as the file system is closed. What has no name and was not forgotten is held by nobody any more: FORGETs that the
 * kernel had still to send when the connection ended are dropped.
 */
void fs_erase_orphans(struct fs *fs);
/*
 * Before that, from inside the open of catalog C (catalog_options.replayed): gives what a power cut has
 * left without bytes something to show, by FIXES. DATA_DIR -1: there is none. What fails is logged and returned.
 */
int fs_recover_replayed(const struct fs_options *options, struct catalog *c, int data_dir,
			struct batch *fixes);
/*
 * The same when changes are lost (catalog_options.lost), and later when the tables show that records are: moves data
 * files that no record needs out of the way of those who delete and overwrite. DIR is `.plyfs`.
 */
int fs_keep_lost(const struct fs_options *options, struct catalog *c, int dir, struct err *err);

/*
 * accept.c: the upper is taken over other layers, described by IS, than those that it was made over, described by WAS: before
 * that is written down. 0 or -errno.
 */
int fs_upper_accept(struct fs *fs, const char *was, const char *is);

/*
 * accept.c: how many layers IS has on top of those of WAS; -1: it has others. Both as stack_describe() makes them.
 */
long stack_on_top(const char *was, const char *is);

/*
 * Identities of the layers under an upper, as text, one line a layer, topmost first. A line begins with the identity. An
 * upper's catalog has that of the layers that it was made over under SUPER_STACK; and SUPER_MIXED where it was taken over
 * others later, so that its numbers are those of several stacks.
 */
#define STACK_ID_LEN 32
#define SUPER_STACK  "stack"
#define SUPER_MIXED  "stack.mixed"
int layer_describe(struct layer *layer, struct buf *out, struct err *err);
int stack_describe(const struct fs *fs, size_t n_own, struct buf *out, struct err *err);

#endif
