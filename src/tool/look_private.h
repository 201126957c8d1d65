/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of tool/look*.c share. Nobody else includes this. */
#ifndef PLYFS_TOOL_LOOK_PRIVATE_H
#define PLYFS_TOOL_LOOK_PRIVATE_H

#include "base/cleanup.h"
#include "layer/layer.h"
#include "tool/look.h"

/* ---- look_path.c: where a path leads ---- */

struct look_place {
	struct fs *fs; /* borrowed; NULL: nothing is held */
	uint64_t ino;  /* with a look-up, the root's excepted */
	struct attr attr;
	char *path; /* owned; without links: "/", "/usr/bin/sh" */
};
void look_place_done(struct look_place *p);
DEFINE_CLEANUP(struct look_place, look_place, look_place_done)

/*
 * FOLLOW: a link at the end is followed too. On -ENOENT and -ENOTDIR `path` is set nevertheless: where it would be. Its
 * other errors: -ELOOP, -ENAMETOOLONG, and what the layers answer.
 */
int look_resolve(struct fs *fs, const char *path, bool follow, struct look_place *ret_place);
/* The same, with a sentence. */
int look_at(struct fs *fs, const char *path, bool follow, struct look_place *ret_place,
	    struct err *err);

/* ---- look_walk.c: what is in a directory ---- */

/* Sorted by their bytes, without "." and "..". */
struct look_names {
	char **v; /* owned, with its texts */
	size_t n, cap;
	bool failed;
};
void look_names_done(struct look_names *n);
DEFINE_CLEANUP(struct look_names, look_names, look_names_done)
int look_names_read(struct fs *fs, uint64_t dir, struct look_names *ret_names);

/* One name of a walk; all borrowed for the call. */
struct look_item {
	const char *path; /* the path that was given, and the way from there */
	const char *name; /* the last part of it */
	uint64_t ino;
	const struct attr *attr;
	size_t depth; /* 0: the path that was given */
};

/*
 * ENTER is called for everything, parents first: 0, -errno, or 1: not what is below it. LEAVE (may be NULL) for
 * directories that were entered, when all in them was.
 */
struct look_visitor {
	int (*enter)(void *arg, const struct look_item *item);
	int (*leave)(void *arg, const struct look_item *item);
	void *arg;
	bool flat; /* no deeper than what is in the directory */
};
/* From PLACE on, called PATH. What cannot be read gets a line, and the walk goes on. -errno of a visitor ends it. */
int look_walk(struct look *l, const struct look_place *place, const char *path,
	      const struct look_visitor *visitor);

/* A line on standard error; sets l->failed. */
void look_complain(struct look *l, const char *path, int code);

/* ---- look_show.c: how an inode is shown ---- */

#define LOOK_TIME_MAX 40
/* "2024-02-29 12:00:00", in UTC. */
const char *look_time(const struct timespec *t, char text[static LOOK_TIME_MAX]);
/* "drwxr-xr-x" */
const char *look_mode(uint32_t mode, char text[static 11]);
const char *look_type(uint32_t mode);
/* Of a symlink, else "". TARGET has PATH_MAX bytes. 0 or -errno. */
int look_target(struct fs *fs, uint64_t ino, const struct attr *a, char *target);
/* The members of the object that stands for it; the caller begins and ends the object. */
int look_json(struct look *l, const char *path, uint64_t ino, const struct attr *a);
/* Those of them that are not its name. TARGET is of a symlink. */
void look_json_attr(struct json_out *j, const struct attr *a, const char *target);
/* The whole object. What of it cannot be read gets a line. */
void look_put_json(struct look *l, const struct look_item *item);

/* ---- look_holes.c: reading without holes ---- */

/* Bytes from `data` up to `hole`, which may be anything; what is between such ranges is zeros. */
struct look_range {
	uint64_t data, hole;
};
/*
 * The range of F, a file of SIZE bytes, that ends behind OFF (< SIZE), if RANGE, zeroed at first and then of a lower OFF,
 * is not that one. At the end there is none, { SIZE, SIZE }. -EIO: the file is shorter.
 */
int look_range_at(struct layer_file *f, uint64_t off, uint64_t size, struct look_range *range);
/* SIZE bytes unless the file ends. */
ssize_t look_read_piece(struct layer_file *f, char *bytes, size_t size, uint64_t off);

/* ---- look_layers.c: which layers have a path ---- */

enum look_find {
	LOOK_HAS,      /* the layer has it */
	LOOK_WHITEOUT, /* the layer deletes it, or a directory above it */
	LOOK_OPAQUE,   /* a directory above it hides the ones below */
	LOOK_REPLACED, /* what should be a directory above it is none */
};

struct look_found {
	enum look_find what;
	size_t layer; /* its position, 1 is the lowest */
	char *at; /* owned; the path in the layer, without a slash at the front: what has or hides it */
	struct attr attr; /* HAS, REPLACED */
	bool shown;	  /* HAS: what is seen, or a directory that is part of it */
	bool attrs_only;  /* HAS: the content is that of the next one below */
	size_t hidden_by; /* HAS, not shown: index in the list of what hides it */
};

struct look_layers {
	struct look_found *v; /* owned; from the top */
	size_t n, cap;
};
void look_layers_done(struct look_layers *f);
DEFINE_CLEANUP(struct look_layers, look_layers, look_layers_done)
/* PATH is one without links, as look_place.path. Nothing found is 0. */
int look_layers_find(struct fs *fs, const char *path, struct look_layers *ret_layers);

/* The number that the image counts the layer at POSITION by, and what made it; without an image its place. */
size_t look_layer_number(const struct look *l, size_t position);
const char *look_layer_by(const struct look *l, size_t position);

#endif
