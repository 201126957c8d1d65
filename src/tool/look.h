/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into a tree without mounting it: what plyfs ls, cat, stat, find, du and which do. */
#ifndef PLYFS_TOOL_LOOK_H
#define PLYFS_TOOL_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "fs/fs.h"
#include "image/image.h"
#include "tool/json_out.h"

/* find -size: files of so many units, rounded up. */
struct look_size {
	uint64_t unit; /* bytes; 0: any size */
	uint64_t n;
	int sign; /* -1: fewer, 1: more, 0: just as many */
};

/* -EINVAL: TEXT is not [+-]N[ckMGb], where no letter means b, 512 bytes. */
int look_size_parse(const char *text, struct look_size *ret_size);

/*
 * Zeroed memory, then the first four. Owners are those that the tree has, so the file system is to be
 * opened without id maps. One thread.
 */
struct look {
	struct fs *fs;		   /* borrowed */
	const struct image *image; /* borrowed; NULL: the tree has none */
	size_t first_layer;	   /* index in the image of the lowest layer that is open */
	size_t n_image;		   /* how many of its layers are */
	FILE *out;		   /* borrowed */
	bool json;
	bool long_form, recursive, itself; /* ls -l, -R, -d */
	bool summary, human;		   /* du -s, -h */
	const char *name, *path;	   /* find: patterns, or NULL */
	char type;			   /* find: one of bcdpfls, or 0 */
	struct look_size size;		   /* find */
	bool quick;			   /* waste: nothing is read */
	size_t top;			   /* waste: so many of a kind; 0: all */
	const char *dest;		   /* extract: where to, made when it is not there */
	bool many;			   /* ls: several paths were given */
	bool failed;			   /* out: something was left out; a line said what */
	bool began;			   /* private: something was printed */
	struct json_out j;		   /* private */
};

/* Before the first path and after the last one. */
void look_begin(struct look *l);
void look_end(struct look *l);

/*
 * One path each, from the root of the tree. Links lead where they would lead in a container: never out. What fails
 * below PATH gets a line on standard error, and sets l->failed; what fails for PATH itself is returned.
 */
int look_ls(struct look *l, const char *path, struct err *err);
int look_cat(struct look *l, const char *path, struct err *err);
int look_stat(struct look *l, const char *path, struct err *err);
int look_find(struct look *l, const char *path, struct err *err);
int look_du(struct look *l, const char *path, struct err *err);
/*
 * A copy of PATH and all below it into the directory l->dest, under PATH's last name; of the root what is in it. Nothing
 * is written over, no link is followed. As root with owners, devices and all xattrs; else the files are the
 * caller's own, without set-id bits and with xattrs of users only.
 */
int look_extract(struct look *l, const char *path, struct err *err);
/* Which layers have PATH, whether one shows or not. -ENOENT: none has it. */
int look_which(struct look *l, const char *path, struct err *err);

/*
 * Which bytes of the layers nobody sees, and which are there several times. PATH is for messages: it is the whole. What is
 * printed is a document of its own, without look_begin() and look_end(). Holds all files' paths in memory.
 */
int look_waste(struct look *l, const char *path, struct err *err);

#endif
