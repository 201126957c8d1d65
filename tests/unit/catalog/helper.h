/* SPDX-License-Identifier: Apache-2.0 */
/* What the catalog's tests share: a directory, numbered commits, children that die. */
#ifndef PLYFS_TESTS_CATALOG_HELPER_H
#define PLYFS_TESTS_CATALOG_HELPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "catalog/catalog.h"

/*
 * ThreadSanitizer cannot follow a child of the test that makes a thread, because the framework has
 * threads: such children then do without the checkpoint thread.
 */
#ifdef __SANITIZE_THREAD__
#define NO_THREADS_IN_CHILDREN true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_THREADS_IN_CHILDREN true
#endif
#endif
#ifndef NO_THREADS_IN_CHILDREN
#define NO_THREADS_IN_CHILDREN false
#endif

/* A temporary directory, removed with all that is in it. */
struct dir {
	char path[256];
	int fd;
};
struct dir dir_make(void);
void dir_remove(struct dir *d);
DEFINE_CLEANUP(struct dir, dir, dir_remove)

/* Whole files in it; they fail the test when they cannot. */
uint8_t *file_read(const struct dir *d, const char *name, size_t *ret_len);
void file_write(const struct dir *d, const char *name, const void *bytes, size_t len);
off_t file_size(const struct dir *d, const char *name); /* -1: none */
/* Is there a checksum of the tables? */
bool has_sum(const struct dir *d);

/* Opens for writing, creating, without a thread and without waiting for a disk. With
 * PLYFS_TEST_UNMAPPED in the environment the catalog is as on a network file system. */
struct catalog *open_quick(const struct dir *d);
struct catalog *open_snapshot(const struct dir *d);
/* The error of opening, in one of the two ways. */
int open_error(const struct dir *d, enum catalog_mode mode, struct err *err);

/*
 * Commit number N (from 1 on): a name, an inode, an xattr, every tenth time a deletion of an older
 * name, and the number itself. Returns what catalog_commit() does.
 */
int commit_numbered(struct catalog *c, uint64_t n);
/*
 * How many numbered commits are in C; -1 when what is there is not exactly what the commits up to
 * some number leave. Does not use assertions: children call it.
 */
int64_t count_numbered(struct catalog *c);

/* All that makes up a catalog, to put it back as it was. */
#define N_SAVED 3
extern const char *const saved_names[N_SAVED];
struct saved {
	uint8_t *bytes[N_SAVED]; /* owned; NULL: no such file */
	size_t len[N_SAVED];
};
struct saved save_files(const struct dir *d);
/* Without the checksum, which then would not fit. */
void restore_files(const struct dir *d, const struct saved *s);
void saved_done(struct saved *s);
DEFINE_CLEANUP(struct saved, saved, saved_done)

/* Runs FN in a child: its exit status, or 1000 + the signal that ended it. */
int in_child(int (*fn)(void *arg), void *arg);

/* In a child that would go on for ever: ends with its parent, should a test fail. */
void die_with_parent(void);

/* Sends what is logged nowhere, in tests that damage things thousands of times. */
void be_quiet(void);

/* A small generator, so that a printed seed repeats a test. */
struct rng {
	uint64_t state;
};
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n);
/* From PLYFS_TEST_SEED or the clock; printed. */
struct rng rng_seeded(const char *what);

#endif
