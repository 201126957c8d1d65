/* SPDX-License-Identifier: Apache-2.0 */
/* What a tree must look like: an own small file system in memory. */
#ifndef PLYFS_TESTS_CRASH_MODEL_H
#define PLYFS_TESTS_CRASH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#define NAME_SIZE  32
#define PATH_SIZE  512
#define FILE_MAX   700000
#define INLINE_MAX 4096 /* a file that was never larger has no data file */

/* One state of a file's bytes. */
struct content {
	uint64_t size;
	uint8_t *bytes;
};

/*
 * A file has several states when it is not known which it has now: written but not synced with the
 * writeback cache on, or changed by the operation during which the daemon was killed. The last is what
 * is right if nothing was lost.
 */
#define MAX_STATES 6

struct xattr {
	char name[NAME_SIZE];
	size_t len;
	uint8_t *value;
	struct xattr *next;
};

struct entry {
	char name[NAME_SIZE];
	struct node *node;
};

struct node {
	mode_t mode;
	uid_t uid;
	gid_t gid;
	dev_t rdev;
	ino_t ino;	   /* 0: not known yet */
	unsigned int refs; /* names and open files */
	unsigned int nlink;
	bool linkable; /* an O_TMPFILE that never had a name */

	bool mtime_known, ctime_known;
	struct timespec mtime, ctime;

	struct content states[MAX_STATES];
	unsigned int n_states;
	bool bytewise;	     /* any mixture of the states is right, else exactly one of them */
	bool grown;	     /* may have a data file */
	bool small_if_first; /* it has none if the first state is found */
	uint64_t piece_off, piece_len; /* the last state is a write of these bytes; 0: it is not */

	char *target;
	struct xattr *xattrs;

	/* What a comparison saw, to be believed if all of it is right. */
	struct stat seen;
	unsigned int seen_state;     /* N_STATES: a mixture */
	struct content seen_mixture; /* owned */

	struct node *parent;	/* of a directory */
	unsigned int dir_nlink; /* of a directory, as shown; 0: not known */
	struct entry *entries;
	size_t n_entries, cap;
};

/*
 * A lower file may have names that a layer above hides. They count as links, so such a file stays when all
 * names that can be seen are gone, and so does its data file.
 */
#define MAX_HIDDEN 128

struct tree {
	struct node *root;
	ino_t hidden[MAX_HIDDEN];
	unsigned int n_hidden;
};

struct node *node_new(mode_t mode);
struct node *node_ref(struct node *n);
void node_unref(struct node *n); /* NULL is fine */
void tree_done(struct tree *t);

/* The node at PATH ("" is the root), or NULL. */
struct node *tree_find(const struct tree *t, const char *path);
/* The directory that PATH lies in and its last part, or NULL. */
struct node *tree_parent(const struct tree *t, const char *path, const char **ret_name);
struct entry *dir_find(const struct node *dir, const char *name);
void dir_add(struct node *dir, const char *name, struct node *n);

/* Calls FN for each name, with its path; parents before their children. */
typedef void tree_fn(const char *path, struct node *n, void *arg);
void tree_each(const struct tree *t, tree_fn *fn, void *arg);

struct xattr *xattr_find(const struct node *n, const char *name);
void xattr_put(struct node *n, const char *name, const void *value, size_t len);
bool xattr_remove(struct node *n, const char *name);

static inline struct content *node_content(struct node *n)
{
	return &n->states[n->n_states - 1];
}
/* One more state, a copy of the last one. */
void node_push_state(struct node *n);
/* Only state I is left. */
void node_settle(struct node *n, unsigned int i);
void content_resize(struct content *c, uint64_t size);

#endif
