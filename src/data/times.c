/* SPDX-License-Identifier: Apache-2.0 */
/* File systems that keep no nanoseconds, or few centuries: the mtime of a data file, made whole from its record. */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "data/files.h"
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

/*
 * What every file system can keep: from 1980, when FAT begins (in whatever zone), until a clock of 32 bits
 * ends.
 */
static bool fits_anywhere(const struct timespec *t)
{
	return t->tv_sec >= 315705600 && t->tv_sec < INT32_MAX;
}

/*
 * What a data file has whose time its file system cannot keep. The nearest that it could would not do, as it is not
 * the same in the next file system that the upper is copied to.
 */
static const struct timespec in_record = {.tv_sec = 1 << 30};

bool times_need_record(const struct data *d, const struct timespec *mtime)
{
	return d->coarse || !fits_anywhere(mtime);
}

int times_set(int fd, const struct timespec *mtime)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, *mtime};
	struct stat st;

	if (futimens(fd, times) < 0)
		return -errno;
	if (fits_anywhere(mtime))
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (timespec_cmp(&st.st_mtim, mtime) == 0)
		return 0;
	times[1] = in_record;
	return futimens(fd, times) < 0 ? -errno : 0;
}

bool times_in_record(const struct inode_rec *rec, const struct timespec *mtime)
{
	return (rec->flags & INODE_HAS_MTIME) && inode_mtime_tag(mtime) == rec->stale_mtime;
}

void times_moved(const struct inode_rec *rec, struct fdref *ref)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;

	if (!(rec->flags & INODE_HAS_MTIME) || atomic_load(&ref->mtime_moved) ||
	    fstat(ref->fd, &st) < 0)
		return;
	times[1] = st.st_mtim;
	times[1].tv_nsec += times[1].tv_nsec < 999999999 ? 1 : -1;
	if (!times_in_record(rec, &st.st_mtim) || futimens(ref->fd, times) == 0)
		atomic_store(&ref->mtime_moved, true);
}

void times_refine(const struct inode_rec *rec, bool coarse, struct timespec *mtime)
{
	const struct timespec *exact = &rec->attr.mtime;

	if (times_in_record(rec, mtime))
		*mtime = *exact;
	else if (timespec_cmp(mtime, &in_record) == 0 && !fits_anywhere(exact))
		*mtime = *exact;
	else if (coarse && exact->tv_sec >= mtime->tv_sec &&
		 exact->tv_sec < mtime->tv_sec + COARSEST_S)
		*mtime = *exact;
}

void data_file_mtime(const struct inode_rec *rec, struct timespec *mtime)
{
	times_refine(rec, false, mtime);
}
