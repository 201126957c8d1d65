/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails, and a disk whose power is cut, for everything in this program. */
#ifndef TESTS_UNIT_FAULTS_FAULTS_H
#define TESTS_UNIT_FAULTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * calls.c defines the system calls that change files, under the C library's names; the program exports
 * them, so LMDB's calls come there too. Those on files below the watched directory are counted from
 * 1 up, and one of them, or all from one on, can be made to fail. What they did can be recorded, and
 * the directory as a power cut would leave it be made from the record at any point.
 *
 * Not seen: mapped memory that is written to, and syscall(2) itself; src/ uses neither to change a
 * file of an upper.
 */
enum fault_call {
	CALL_WRITE,    /* pwrite, pwritev, write, writev */
	CALL_SYNC,     /* fsync, fdatasync, syncfs */
	CALL_TRUNCATE, /* ftruncate */
	CALL_ALLOCATE, /* fallocate */
	CALL_CREATE,   /* open with O_CREAT, mkdirat */
	CALL_REMOVE,   /* unlinkat */
	CALL_RENAME,   /* renameat */
	CALL_COPY,     /* copy_file_range, FICLONE */
	CALL_HINT,     /* sync_file_range */
	/* Only where they are asked for: */
	CALL_OPEN,  /* open of what may be there: changes nothing */
	CALL_TIMES, /* futimens: the record of power cuts knows no times */
};

#define CALLS_ALL      0x1ffu /* but those that have to be asked for */
#define CALLS_OF(call) (1u << (call))

struct fault_plan {
	unsigned long at;   /* which call; 0: none fails */
	int code;	    /* EIO, ENOSPC, EDQUOT */
	bool for_good;	    /* and all after it */
	bool space;	    /* of writes, only those that take new blocks are counted and fail */
	bool partial;	    /* a write takes some of its bytes first; the rest of it fails */
	unsigned int calls; /* which are counted and can fail; 0: all */
};

/* Watches DIR, which has to exist, and begins a new record of what happens below it. */
void faults_watch(const char *dir, bool record);
/* Stops watching and frees the record. */
void faults_unwatch(void);

/* Counts from 1 again; PLAN NULL: nothing fails. */
void faults_begin(const struct fault_plan *plan);
/* Nothing fails any more. Returns how many calls there were. */
unsigned long faults_end(void);
/* How many calls have failed since faults_begin(), and which was the first. */
unsigned long faults_fired(void);
const char *faults_what(void);
/* How many of a kind there were. */
unsigned long faults_seen(enum fault_call call);

/* ---- power cuts ---- */

/* How many calls are in the record. */
size_t faults_recorded(void);
/* Calls from now on belong to the operation MARK; the mark of the call before POINT (0 at the start). */
void faults_mark(unsigned int mark);
unsigned int faults_mark_at(size_t point);

enum cut_mode {
	CUT_DURABLE, /* only what was flushed is there */
	CUT_RANDOM,  /* of what was written since, pages at random, and names up to a random one */
	CUT_ALL,     /* everything: no power cut, but a killed process */
};
/*
 * Makes in DEST, a new directory, what the watched directory would be after a power cut behind the
 * first POINT calls of the record.
 */
void faults_cut(size_t point, enum cut_mode mode, uint64_t seed, const char *dest);

#endif
