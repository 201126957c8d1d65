/* SPDX-License-Identifier: Apache-2.0 */
/* A tree in memory that does what a file system under test says it has done. Needs only libc. */
#ifndef TESTS_SUPPORT_SHADOW_H
#define TESTS_SUPPORT_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SHADOW_PATH  200
#define SHADOW_XATTR "user.shadow"

/* One operation on paths (without a leading slash; "" is the root). */
struct shadow_op {
	enum shadow_kind {
		SHADOW_CREATE,	/* an empty regular file: MODE */
		SHADOW_MKDIR,	/* MODE */
		SHADOW_FIFO,	/* MODE */
		SHADOW_SYMLINK, /* to PATH2 */
		SHADOW_LINK,	/* PATH2 is the new name */
		SHADOW_UNLINK,
		SHADOW_RMDIR,
		SHADOW_RENAME,	 /* to PATH2 */
		SHADOW_WRITE,	 /* LEN bytes of SEED at OFF */
		SHADOW_TRUNCATE, /* to OFF */
		SHADOW_PUNCH,	 /* LEN bytes at OFF become zeros, the length stays */
		SHADOW_CHMOD,	 /* MODE */
		SHADOW_SETXATTR, /* SHADOW_XATTR is the text of SEED */
		SHADOW_RMXATTR,
		SHADOW_FSYNC,
		SHADOW_SYNCFS,
		SHADOW_CHECKPOINT, /* for those who can */
		SHADOW_REOPEN,	   /* for those who can */
	} kind;
	char path[SHADOW_PATH], path2[SHADOW_PATH];
	uint64_t off, len;
	uint32_t mode;
	unsigned int seed;
};

struct shadow_blob {
	unsigned int refs;
	uint64_t size;
	uint8_t *bytes; /* owned */
};

/* Numbers of nodes stay the same in copies, and are not used again. 0 is the root. */
struct shadow_node {
	uint32_t mode;		  /* with the type; 0: unlinked */
	uint32_t nlink;		  /* of a directory always 1 */
	struct shadow_blob *blob; /* content, target of a symlink; shared with copies */
	char xattr[16];		  /* "": none */
};

struct shadow_name {
	unsigned int parent, node;
	char *name; /* owned */
};

struct shadow {
	struct shadow_node *nodes; /* owned */
	unsigned int n_nodes;
	struct shadow_name *names; /* owned, in no order */
	unsigned int n_names;
};

struct shadow *shadow_new(void);
struct shadow *shadow_copy(const struct shadow *s);
void shadow_free(struct shadow *s); /* NULL is fine */

/* 0, or -errno and nothing has changed. Operations that make durable change nothing. */
int shadow_apply(struct shadow *s, const struct shadow_op *op);
/* The node at PATH, or -ENOENT, -ENOTDIR. */
int shadow_find(const struct shadow *s, const char *path);
/* The path of a name that NODE has; false when it has none. */
bool shadow_path(const struct shadow *s, unsigned int node, char *ret_path, size_t size);
void shadow_op_text(const struct shadow_op *op, char *ret_text, size_t size);
/* What SHADOW_WRITE writes. */
void shadow_fill(uint8_t *bytes, uint64_t off, size_t size, unsigned int seed);

/* The file system under test, by path; each returns -errno on failure. */
struct shadow_stat {
	uint64_t ino, size;
	uint32_t mode, nlink;
};
struct shadow_view {
	int (*list)(void *arg, const char *path, void (*each)(void *to, const char *name),
		    void *to);
	int (*stat)(void *arg, const char *path, struct shadow_stat *ret_st);
	ssize_t (*read)(void *arg, const char *path, void *bytes, size_t size, uint64_t off);
	ssize_t (*readlink)(void *arg, const char *path, char *target, size_t size);
	ssize_t (*getxattr)(void *arg, const char *path, char *value, size_t size);
};
/* Everything that VIEW shows. NULL when something could not be read; WHY says what. */
struct shadow *shadow_load(const struct shadow_view *view, void *arg, char *why, size_t size);

enum shadow_flags {
	SHADOW_NAMES_ONLY = 1, /* sizes and bytes of regular files are not compared */
	SHADOW_MAY_GROW = 2,   /* shadow_settle(): a file may have become longer by new bytes */
};
/*
 * Both show the same, hard links included. PAIRS, if not NULL, has room for a number a node of A: the
 * node of B that it is, or -1. Otherwise false, and WHY says where they differ.
 */
bool shadow_same(const struct shadow *a, const struct shadow *b, int flags, int *pairs, char *why,
		 size_t size);

/*
 * After OP has failed: of a write in place a part may be there. Each byte has to be the old one or the
 * new one, and the length the old one; then the shadow takes over what is there. False otherwise.
 */
bool shadow_settle(struct shadow *s, const struct shadow_op *op, int flags,
		   const struct shadow_view *view, void *arg, char *why, size_t size);

/* One more operation, at random and mostly one that succeeds; files up to about MAX bytes. */
void shadow_random(const struct shadow *s, uint64_t *state, uint64_t max, struct shadow_op *ret_op);
unsigned int shadow_rnd(uint64_t *state, unsigned int n);

#endif
