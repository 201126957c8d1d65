/* SPDX-License-Identifier: Apache-2.0 */
/* Loads for long runs: each knows at any time what the file system has to say. */
#ifndef PLYFS_TESTS_LONG_H
#define PLYFS_TESTS_LONG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* A small generator: the same numbers on every machine. */
uint64_t rnd(uint64_t *state);
static inline unsigned int below(uint64_t *state, unsigned int n)
{
	return (unsigned int)(rnd(state) % n);
}

/* Byte I of the content SEED. */
void content(uint64_t seed, uint64_t off, unsigned char *bytes, size_t n);

/* What was found is not what must be: says so with the seed, and ends the process. */
void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
extern uint64_t run_seed;

/* Seconds since some moment. */
double seconds(void);

/* Whole transfers, or wrong(). */
void read_at(int fd, void *bytes, size_t n, off_t off, const char *what);
void write_at(int fd, const void *bytes, size_t n, off_t off, const char *what);
/* A new file of SIZE bytes of content SEED. */
void make_file(int dirfd, const char *name, uint64_t seed, size_t size);
int open_dir(int dirfd, const char *name);

/* The lower layer's parts: LOWER/fsx, LOWER/tree, LOWER/race. */
void fsx_lower(int lower);
void stress_lower(int lower);
void race_lower(int lower);

/* The loads; they return how many operations were done. STATE is a plain directory for what must be. */
uint64_t fsx_run(const char *dir, const char *state, uint64_t seed, double secs);
void fsx_check(const char *dir, const char *state);
uint64_t stress_run(const char *dir, const char *state, uint64_t seed, double secs);
void stress_check(const char *dir, const char *state);
uint64_t race_run(const char *dir, uint64_t seed, bool writeback);

#endif
