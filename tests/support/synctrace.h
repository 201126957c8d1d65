/* SPDX-License-Identifier: Apache-2.0 */
/* Flushes and deletions of the test's own process: written down, and made to fail. */
#ifndef PLYFS_TESTS_SUPPORT_SYNCTRACE_H
#define PLYFS_TESTS_SUPPORT_SYNCTRACE_H

#include <stddef.h>
#include <stdint.h>

/*
 * A test program that uses this has fsync(2), fdatasync(2), syncfs(2), sync_file_range(2),
 * fallocate(2) and unlinkat(2) from here, for all of its code. They do what they always do, but for those that were
 * told to fail. Threads: calls from any; the functions below from one.
 */
struct sync_call {
	char name[16];	/* "fdatasync", ... */
	char path[160]; /* what it was called for, as far as it can be told */
	uint64_t clock; /* what the clock said before the call, 0 without one */
};

/* Forgets all calls and orders to fail. CLOCK (may be NULL) is asked for calls with "/data/" in
 * their path: it must not call any of these functions. */
void synctrace_start(uint64_t (*clock)(void));

/* How many calls NAME there were for a path that contains PART; NULL: any. */
size_t synctrace_count(const char *name, const char *part);
/* Fails the test when there is none: the first, or the last one. */
struct sync_call synctrace_first(const char *name, const char *part);

/* The next TIMES calls NAME for a path that contains PART fail with ERROR and do nothing. */
void synctrace_fail(const char *name, const char *part, int error, unsigned int times);
/* The next call NAME for a path that contains PART has its thread call HOOK first, as if another one were quicker. */
void synctrace_before(const char *name, const char *part, void (*hook)(void *arg), void *arg);
/* Each call NAME for a path that contains PART takes so long. */
void synctrace_slow(const char *name, const char *part, unsigned int milliseconds);

#endif
