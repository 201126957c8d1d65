/* SPDX-License-Identifier: Apache-2.0 */
/* What the tree of one thread must be after some of its operations. */
#ifndef PLYFS_TESTS_POWER_MODEL_H
#define PLYFS_TESTS_POWER_MODEL_H

#include "crash/power/power.h"

/* What changed bytes. */
struct event {
	uint32_t seq;
	enum { EV_WRITE, EV_ZERO, EV_TRUNCATE } kind;
	uint64_t off, len; /* truncate: len is the size */
	uint64_t size;	   /* of the file afterwards */
};

struct name {
	char text[NAME_SIZE];
	struct minode *inode;
};

struct minode {
	uint32_t id;   /* the same in every replay of the same operations */
	uint32_t mode; /* with the type */
	uint32_t uid;
	uint32_t nlink; /* names; 0: deleted */
	bool lower;	/* of the lower tree */
	uint64_t size;
	struct {
		uint32_t seq; /* 0: none */
		uint32_t len;
	} xattrs[XATTRS];
	char target[PATH_SIZE];

	struct event *events; /* of a file, by seq */
	size_t n_events;
	uint32_t *syncs; /* seqs of the fsyncs of a file */
	size_t n_syncs;

	struct name *names; /* of a directory */
	size_t n_names;
	struct minode *parent;
	char name[NAME_SIZE]; /* of a directory, in its parent */
};

struct model {
	uint32_t thread;
	uint32_t seq;	     /* of the last operation */
	uint32_t lower_seq;  /* of the last one that made the lower tree */
	struct minode *root; /* the directory tN */
	struct minode **inodes;
	size_t n_inodes;
	uint64_t bytes; /* sizes of all files that have names */
};

/* The lower tree of THREAD: the model after the operations that make it. */
void model_init(struct model *m, uint32_t thread);
void model_done(struct model *m);

/* The N-th operation (1, 2 ...) that makes the lower tree of THREAD; false when there are no more. */
bool lower_op(uint32_t thread, uint32_t n, struct op *ret_op);

/* OP is the next one, and must be possible: aborts otherwise. */
void model_apply(struct model *m, const struct op *op);

/* NULL: no such name. */
struct minode *model_find(const struct model *m, const char *path);
/* The path of NAME in DIR, from the mount's root; NULL: DIR itself. */
void model_path(const struct model *m, const struct minode *dir, const char *name, char *ret_path);

/* Every name, directories before what is in them, until EACH returns nonzero. */
int model_walk(const struct model *m,
	       int (*each)(void *arg, const struct minode *dir, const struct name *name),
	       void *arg);

/* ---- bytes ---- */

/* Files that never were longer may be held by the catalog itself. */
#define INLINE_MAX 4096

/*
 * The operation by which F's bytes left the catalog (or the lower file) for a file of the backing
 * file system, as far as its events tell; UINT32_MAX: they have not.
 */
uint32_t bytes_moved_at(const struct minode *f, uint32_t lower_seq);

/*
 * Whether BYTES (SIZE of them) can be what is left of F by a crash after operation LAST if all its
 * bytes were safe after operation SAFE: each byte must be that of the state after one of the
 * operations from SAFE to LAST; where one of those states is shorter, zero is fine too. With SAFE ==
 * LAST there is one state, and BYTES must be equal to it. Returns NULL, or what is wrong (static).
 */
const char *bytes_check(const struct minode *f, uint32_t thread, uint32_t safe, uint32_t last,
			const uint8_t *bytes, uint64_t size);

/* A random operation that is possible in M; FSYNC_PERMILLE of them are syncs. */
void gen_op(const struct model *m, uint64_t *rng, uint32_t fsync_permille, struct op *ret_op);

#endif
