/* SPDX-License-Identifier: Apache-2.0 */
/* What the files share that stand in for system calls. */
#ifndef TESTS_UNIT_FAULTS_CALLS_H
#define TESTS_UNIT_FAULTS_CALLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "unit/faults/faults.h"
#include "unit/faults/record.h"

/* A name in a directory. The descriptor of the directory is ours. */
struct place {
	int dir;
	char name[256];
	char path[4096];
};

/* False when the name is not below the watched directory. */
bool calls_place_of(int dirfd, const char *path, struct place *ret_place);
/* Watched calls are made one at a time: the lock, and letting go with a result as the C library has it. */
void calls_begin(void);
/* Begins a call on FD: true when it is watched, and then the lock is held. */
bool calls_begin_fd(int fd, char path[4096]);
long calls_end(long r, int error);
/* Counts a call; the error that it has to fail with, or 0. */
int calls_count(enum fault_call call, const char *name, const char *file, uint64_t off, uint64_t n);
/* Notes an event of the file FD, whose bytes are taken over. */
void calls_note(int fd, struct event event);
ino_t calls_fd_ino(int fd);
/* Whether the plan names such calls. */
bool calls_wanted(enum fault_call call);

#endif
