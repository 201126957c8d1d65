/* SPDX-License-Identifier: Apache-2.0 */
/* A tree as it is found on the mount. */
#ifndef PLYFS_TESTS_POWER_SEEN_H
#define PLYFS_TESTS_POWER_SEEN_H

#include <sys/stat.h>

#include "crash/power/power.h"

struct seen_file {
	char path[PATH_SIZE];
	struct stat st;
	char target[PATH_SIZE];
	uint8_t *bytes; /* st.st_size of them */
	struct {
		ssize_t len; /* -1: none */
		uint8_t value[4096];
	} xattrs[XATTRS];
};

struct seen {
	struct seen_file *files; /* sorted by path */
	size_t n, cap;
	unsigned int errors; /* calls that failed; each was printed */
};

/* Reads all that is below DIR in the directory ROOT_FD. */
void seen_read(struct seen *s, int root_fd, const char *dir);
void seen_done(struct seen *s);
const struct seen_file *seen_find(const struct seen *s, const char *path);

#endif
