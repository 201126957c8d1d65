/* SPDX-License-Identifier: Apache-2.0 */
/* File systems that keep no nanoseconds: the mtime of a data file, made whole from its record. */
#include <sys/stat.h>
#include <time.h>

#include "data/private.h"

/* FAT's two seconds are the coarsest there are. */
#define COARSEST_S 2

bool times_are_coarse(int dirfd, bool read_only)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &times[1]);
	times[1].tv_nsec |= 1;
	/* Where it must not be tried, the last try or the last new name has left its mark. */
	if (!read_only)
		(void)futimens(dirfd, times);
	return fstat(dirfd, &st) == 0 && st.st_mtim.tv_nsec == 0;
}

void times_refine(const struct inode_rec *rec, struct timespec *mtime)
{
	const struct timespec *exact = &rec->attr.mtime;

	if (exact->tv_sec >= mtime->tv_sec && exact->tv_sec < mtime->tv_sec + COARSEST_S)
		*mtime = *exact;
}
