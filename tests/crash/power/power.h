/* SPDX-License-Identifier: Apache-2.0 */
/* The power-cut test: what its parts share. ../power.sh says how they fit together. */
#ifndef PLYFS_TESTS_POWER_H
#define PLYFS_TESTS_POWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The load's threads; each has a tree of its own, t0, t1 ... */
#define THREADS	  2
#define PATH_SIZE 96
#define NAME_SIZE 16
#define XATTRS	  3

/* ---- operations ----------------------------------------------------------------------- */

enum op_kind {
	OP_CREATE,
	OP_MKDIR,
	OP_SYMLINK,  /* path; path2 is the target */
	OP_LINK,     /* path2 is the new name */
	OP_RENAME,   /* path to path2, which may exist */
	OP_EXCHANGE, /* path and path2 */
	OP_UNLINK,
	OP_RMDIR,
	OP_WRITE,	/* off, len; the bytes are pattern_byte(thread, seq, position) */
	OP_WRITE_FSYNC, /* the same, and an fsync before the file is closed */
	OP_PUNCH,	/* off, len; zeros, and the size stays */
	OP_TRUNCATE,	/* len is the new size */
	OP_CHMOD,	/* mode */
	OP_CHOWN,	/* mode is the uid, and the gid */
	OP_SETXATTR,	/* mode is the number of the name; len bytes of the pattern */
	OP_RMXATTR,
	OP_FSYNC, /* of files and directories */
	OP_FDATASYNC,
	OP_KINDS
};

/* One system call of the load (or open, call, close). */
struct op {
	uint32_t thread;
	uint32_t seq; /* 1, 2 ... in each thread; the first ones make the lower tree */
	uint32_t kind;
	uint32_t mode;
	uint64_t off;
	uint64_t len;
	char path[PATH_SIZE]; /* from the mount's root */
	char path2[PATH_SIZE];
};

static inline bool op_is_sync(const struct op *op)
{
	return op->kind == OP_FSYNC || op->kind == OP_FDATASYNC || op->kind == OP_WRITE_FSYNC;
}

/* Does OP below the directory ROOT_FD: 0 or -errno. */
int op_run(int root_fd, const struct op *op);
void op_print(const struct op *op, FILE *to);

/* Never 0, so that a byte that was lost is never taken for one that was written. */
static inline uint8_t pattern_byte(uint32_t thread, uint32_t seq, uint64_t pos)
{
	uint64_t x = (seq * 2654435761U + thread + 1) * 0x9e3779b97f4a7c15U + (pos >> 3);

	x ^= x >> 31;
	x *= 0xbf58476d1ce4e5b9U;
	x ^= x >> 29;
	return (uint8_t)(1 + (x >> (pos & 7) * 8) % 255);
}

/* Numbers that depend on nothing but the seed. */
static inline uint64_t rnd(uint64_t *state)
{
	uint64_t x = (*state += 0x9e3779b97f4a7c15U);

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
	x = (x ^ x >> 27) * 0x94d049bb133111ebU;
	return x ^ x >> 31;
}

static inline uint32_t rnd_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(rnd(state) % n);
}

/* ---- the record ----------------------------------------------------------------------- */

enum rec_kind {
	REC_WRITE = 1, /* the disk has taken bytes; payload */
	REC_FLUSH,     /* the disk is about to answer a flush */
	REC_START,     /* the load is about to do an operation; the payload is a struct op */
	REC_DONE,      /* the operation of (thread, seq) has returned 0 */
};

struct rec {
	uint32_t kind;
	uint32_t len; /* of the payload that follows */
	uint64_t off;
	uint32_t thread;
	uint32_t seq;
	uint64_t ns; /* CLOCK_MONOTONIC */
};

/*
 * The record is one file. The disk and the load append to it, each record with one write(2) to an
 * O_APPEND descriptor: so its order is the order in which things happened.
 */
int record_open(const char *path);
/* Puts the time into REC. */
void record_append(int fd, struct rec *rec, const void *payload);

/* The whole record in memory. */
struct record {
	uint8_t *bytes;
	size_t size;
	size_t n;
	const struct rec **recs; /* the payload follows each */
};
int record_load(const char *path, struct record *ret_record);
static inline const void *rec_payload(const struct rec *rec)
{
	return rec + 1;
}

/* ---- programs: argv[0] is the name ---------------------------------------------------- */

int disk_main(int argc, char **argv);
int lower_main(int argc, char **argv);
int load_main(int argc, char **argv);
int cut_main(int argc, char **argv);
int check_main(int argc, char **argv);

#endif
