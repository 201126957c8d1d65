/* SPDX-License-Identifier: Apache-2.0 */
/* What a file system says of one inode: a pure value. */
#ifndef PLYFS_ATTR_ATTR_H
#define PLYFS_ATTR_ATTR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* Pieces of a sparse file in an archive. With more it is refused: its record is read at every open. */
#define ATTR_EXTENTS_MAX (1u << 20)

struct attr {
	uint64_t ino;
	uint64_t size;	 /* bytes */
	uint64_t blocks; /* 512-byte units */
	struct timespec atime, mtime, ctime;
	uint32_t mode; /* type and permission bits, as st_mode */
	uint32_t nlink;
	uint32_t uid, gid;
	uint32_t rdev_major, rdev_minor;
	uint32_t blksize;
};

void attr_from_stat(const struct stat *st, struct attr *ret_attr);
void attr_to_stat(const struct attr *a, struct stat *ret_st);
struct statx;
void attr_from_statx(const struct statx *stx, struct attr *ret_attr);

static inline bool attr_is_dir(const struct attr *a)
{
	return S_ISDIR(a->mode);
}

/* The d_type of a mode: DT_REG and friends. */
static inline uint8_t attr_dtype(uint32_t mode)
{
	return (mode & S_IFMT) >> 12;
}

/* -1, 0, 1 as A is before, at, after B. */
int timespec_cmp(const struct timespec *a, const struct timespec *b);

#endif
