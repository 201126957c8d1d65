/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations: chosen, done by system calls, and done to the model. */
#ifndef PLYFS_TESTS_CRASH_OPS_H
#define PLYFS_TESTS_CRASH_OPS_H

#include <stdatomic.h>
#include <stdio.h>

#include "crash/kill/model.h"

enum op_kind {
	OP_NONE,
	OP_OPEN,
	OP_CLOSE,
	OP_CREATE,
	OP_MKNOD,
	OP_TMPFILE,
	OP_LINKFD,
	OP_MKDIR,
	OP_SYMLINK,
	OP_LINK,
	OP_UNLINK,
	OP_RMDIR,
	OP_RENAME,
	OP_CHMOD,
	OP_CHOWN,
	OP_UTIMENS,
	OP_SETXATTR,
	OP_RMXATTR,
	OP_SETACL,
	OP_WRITE,
	OP_TRUNCATE,
	OP_FTRUNCATE,
	OP_FALLOCATE,
	OP_COPY,
	OP_FSYNC,
	N_OPS
};

struct op {
	enum op_kind kind;
	char path[PATH_SIZE], other[PATH_SIZE]; /* relative to the worker's directory */
	unsigned int slot, slot2;
	off_t off, off2;
	size_t len;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	dev_t rdev;
	unsigned int flags;
	uint8_t fill;
	size_t skip;	      /* of the bytes: they were written before */
	char name[NAME_SIZE]; /* of an xattr */
	struct timespec mtime;
};

#define N_SLOTS	  5
#define TRACE_LEN 60

/* What a round is about. */
enum profile { PROFILE_MIXED, PROFILE_NAMES, PROFILE_BYTES, PROFILE_JOURNAL, N_PROFILES };

/* One client: its directory, its model, its open files. */
struct worker {
	const char *dir;
	struct tree tree;
	uint64_t rng;
	enum profile profile;
	bool writeback; /* bytes count when they are synced */
	bool plain;	/* a directory of a file system without large xattrs */
	struct {
		int fd;
		struct node *node;
	} slots[N_SLOTS];
	atomic_ulong *done;  /* counts operations of all workers */
	atomic_bool *killed; /* set before the daemon is killed */

	struct op inflight; /* OP_NONE: all were answered */
	bool failed;
	char why[1200];
	struct op trace[TRACE_LEN];
	long results[TRACE_LEN];
	unsigned long n_ops;
};

void worker_init(struct worker *w, const char *dir);
void worker_done(struct worker *w);
/* Forgets open files, whether they can be closed or not. */
void worker_close_all(struct worker *w);

/*
 * Does operations until N are done, one fails since the daemon is dead, or something is wrong. What the kernel answers
 * by itself after the death counts, too.
 */
void worker_run(struct worker *w, unsigned long n);

/*
 * Does to the model what OP did; without REALLY only says whether it could. False: the operation has
 * to fail, and nothing was changed. RESULT is the system call's, for those that may do less than asked.
 */
bool op_apply(struct worker *w, const struct op *op, long result, bool really);
/* As op_apply(), for an operation on bytes that may or may not have happened. */
void op_apply_maybe(struct worker *w, const struct op *op);
/* True for operations on bytes. */
bool op_is_bytes(const struct op *op);

/* The system call: its result, or -errno. */
long op_do(struct worker *w, const struct op *op);
/* A random one that is likely to succeed. */
void op_choose(struct worker *w, struct op *ret_op);

void op_bytes(const struct op *op, uint8_t *bytes, size_t len);
void op_acl(const struct op *op, uint8_t acl[44]);
void op_print(const struct op *op, FILE *out);
void worker_print_trace(const struct worker *w, FILE *out);

#endif
