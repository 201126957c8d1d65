/* SPDX-License-Identifier: Apache-2.0 */
/* What several tests of base/ need: a directory, random numbers, a kernel that lacks calls. */
#ifndef PLYFS_TESTS_BASE_FIXTURE_H
#define PLYFS_TESTS_BASE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A new directory under $TMPDIR or /tmp: its path in tmp_path, open (O_PATH) as tmp_fd. */
extern char tmp_path[];
extern int tmp_fd;
void tmp_setup(void);
/* Removes it and all that is in it, without crossing into what a test mounted. */
void tmp_teardown(void);

/* Creates a file in tmp_fd. */
void tmp_file(const char *name, const void *data, size_t len);

/* A repeatable sequence; the seed is printed, so that a failure can be run again. */
struct rng {
	uint64_t state;
};
struct rng rng_seeded(uint64_t seed);
uint64_t rng_next(struct rng *g);
/* A number below N. */
uint32_t rng_below(struct rng *g, uint32_t n);

/* From now on system call NR of this process fails with ERROR. False: not allowed here. */
bool deny_syscall(long nr, int error);

/*
 * A mount namespace of our own, so that mounts end with the test; tmp_fd is opened anew in it.
 * False: not allowed here.
 */
bool private_mounts(void);

#endif
