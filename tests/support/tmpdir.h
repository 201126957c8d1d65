/* SPDX-License-Identifier: Apache-2.0 */
/* A temporary directory of a test, and a count of open descriptors. */
#ifndef PLYFS_TESTS_SUPPORT_TMPDIR_H
#define PLYFS_TESTS_SUPPORT_TMPDIR_H

#include <stddef.h>

#include "base/cleanup.h"

/* Empty and of mode 0755, under $TMPDIR or /tmp; removed with all that is in it. */
struct tmpdir {
	int fd; /* owned */
	char path[256];
};

void tmpdir_make(struct tmpdir *ret_tmp);
void tmpdir_done(struct tmpdir *tmp); /* zeroed is fine */
DEFINE_CLEANUP(struct tmpdir, tmpdir, tmpdir_done)

/* Removes NAME in DIRFD and, of a directory, all that is in it, however deep. */
void remove_all(int dirfd, const char *name);

/* How many descriptors this process has open. */
size_t count_fds(void);

#endif
