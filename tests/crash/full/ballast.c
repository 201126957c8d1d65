/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody else's files, that take what space there is. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash/full/full.h"

/* Files are deleted to give space back: a full btrfs may not let one be made shorter. */
static unsigned int last;

static void name_of(char name[32], unsigned int i)
{
	snprintf(name, 32, "%08u", i);
}

/* One more file of SIZE bytes. */
static bool add(int dir, uint64_t size)
{
	char name[32];
	int fd, r;

	name_of(name, last);
	/* One that could not be deleted after it had failed. */
	(void)unlinkat(dir, name, 0);
	fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		r = fallocate(fd, 0, 0, (off_t)size) < 0 ? errno : 0;
		close(fd);
		if (r == 0) {
			last++;
			return true;
		}
		unlinkat(dir, name, 0);
		errno = r;
	}
	if (errno != ENOSPC && errno != EDQUOT)
		wrong("ballast: %s", strerror(errno));
	return false;
}

void ballast_fill(int dir)
{
	/* What delayed allocation holds back comes free when it is flushed. */
	for (int i = 0; i < 2; i++) {
		for (uint64_t step = 8 << 20; step >= 4096; step /= 2) {
			while (add(dir, step))
				;
		}
		(void)fsync(dir);
	}
}

void ballast_leave(int dir, uint64_t leave)
{
	ballast_fill(dir);
	ballast_shrink(dir, leave);
}

void ballast_shrink(int dir, uint64_t size)
{
	uint64_t freed = 0;
	char name[32];

	while (last > 0 && freed < size) {
		struct stat st;

		name_of(name, --last);
		if (fstatat(dir, name, &st, 0) < 0 || unlinkat(dir, name, 0) < 0)
			wrong("ballast: %s", strerror(errno));
		freed += (uint64_t)st.st_size;
	}
	(void)fsync(dir);
}
