/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions between struct attr and what system calls fill in. */
#include "attr/attr.h"

#include <sys/sysmacros.h>

void attr_from_stat(const struct stat *st, struct attr *ret_attr)
{
	*ret_attr = (struct attr){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = st->st_atim,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev_major = major(st->st_rdev),
		.rdev_minor = minor(st->st_rdev),
		.blksize = (uint32_t)st->st_blksize,
	};
}

void attr_to_stat(const struct attr *a, struct stat *ret_st)
{
	*ret_st = (struct stat){
		.st_ino = a->ino,
		.st_size = (off_t)a->size,
		.st_blocks = (blkcnt_t)a->blocks,
		.st_atim = a->atime,
		.st_mtim = a->mtime,
		.st_ctim = a->ctime,
		.st_mode = a->mode,
		.st_nlink = a->nlink,
		.st_uid = a->uid,
		.st_gid = a->gid,
		.st_rdev = makedev(a->rdev_major, a->rdev_minor),
		.st_blksize = (blksize_t)a->blksize,
	};
}

static struct timespec from_statx_time(const struct statx_timestamp *t)
{
	return (struct timespec){.tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec};
}

void attr_from_statx(const struct statx *stx, struct attr *ret_attr)
{
	*ret_attr = (struct attr){
		.ino = stx->stx_ino,
		.size = stx->stx_size,
		.blocks = stx->stx_blocks,
		.atime = from_statx_time(&stx->stx_atime),
		.mtime = from_statx_time(&stx->stx_mtime),
		.ctime = from_statx_time(&stx->stx_ctime),
		.mode = stx->stx_mode,
		.nlink = stx->stx_nlink,
		.uid = stx->stx_uid,
		.gid = stx->stx_gid,
		.rdev_major = stx->stx_rdev_major,
		.rdev_minor = stx->stx_rdev_minor,
		.blksize = stx->stx_blksize,
	};
}

int timespec_cmp(const struct timespec *a, const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	if (a->tv_nsec != b->tv_nsec)
		return a->tv_nsec < b->tv_nsec ? -1 : 1;
	return 0;
}
