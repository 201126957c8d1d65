/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of attr/attr: conversions from and to what the kernel fills in. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "attr/attr.h"

static void assert_same(const struct attr *a, const struct attr *b)
{
	cr_assert_eq(a->ino, b->ino);
	cr_assert_eq(a->size, b->size);
	cr_assert_eq(a->blocks, b->blocks);
	cr_assert_eq(timespec_cmp(&a->atime, &b->atime), 0);
	cr_assert_eq(timespec_cmp(&a->mtime, &b->mtime), 0);
	cr_assert_eq(timespec_cmp(&a->ctime, &b->ctime), 0);
	cr_assert_eq(a->mode, b->mode);
	cr_assert_eq(a->nlink, b->nlink);
	cr_assert_eq(a->uid, b->uid);
	cr_assert_eq(a->gid, b->gid);
	cr_assert_eq(a->rdev_major, b->rdev_major);
	cr_assert_eq(a->rdev_minor, b->rdev_minor);
	cr_assert_eq(a->blksize, b->blksize);
}

static const char *const paths[] = {"/", "/dev/null", "/proc/self/exe", "/etc/passwd"};

Test(attr, stat_and_statx_agree)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct attr a, b;
		struct statx stx;
		struct stat st;

		cr_assert_eq(fstatat(AT_FDCWD, paths[i], &st, AT_SYMLINK_NOFOLLOW), 0);
		cr_assert_eq(
			statx(AT_FDCWD, paths[i], AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx), 0);
		attr_from_stat(&st, &a);
		attr_from_statx(&stx, &b);
		if (i == 2) /* proc makes its times when asked */
			b.atime = a.atime, b.mtime = a.mtime, b.ctime = a.ctime;
		assert_same(&a, &b);
		cr_assert_eq(a.ino, st.st_ino);
		cr_assert_eq(a.mode, st.st_mode);
	}
}

Test(attr, there_and_back)
{
	struct attr a = {
		.ino = UINT64_MAX,
		.size = INT64_MAX,
		.blocks = INT64_MAX,
		.atime = {-1, 999999999},
		.mtime = {INT64_MAX, 0},
		.ctime = {INT64_MIN, 1},
		.mode = S_IFBLK | 07777,
		.nlink = UINT32_MAX,
		.uid = UINT32_MAX,
		.gid = UINT32_MAX - 1,
		.rdev_major = UINT32_MAX,
		.rdev_minor = UINT32_MAX,
		.blksize = 4096,
	};
	struct attr b;
	struct stat st;

	attr_to_stat(&a, &st);
	cr_assert_eq(st.st_size, INT64_MAX);
	cr_assert_eq(major(st.st_rdev), UINT32_MAX);
	cr_assert_eq(st.st_dev, 0);
	attr_from_stat(&st, &b);
	assert_same(&a, &b);
}

Test(attr, dtypes)
{
	cr_assert_eq(attr_dtype(S_IFREG | 0644), DT_REG);
	cr_assert_eq(attr_dtype(S_IFDIR | 07777), DT_DIR);
	cr_assert_eq(attr_dtype(S_IFLNK), DT_LNK);
	cr_assert_eq(attr_dtype(S_IFIFO), DT_FIFO);
	cr_assert_eq(attr_dtype(S_IFSOCK), DT_SOCK);
	cr_assert_eq(attr_dtype(S_IFBLK), DT_BLK);
	cr_assert_eq(attr_dtype(S_IFCHR), DT_CHR);
	cr_assert(attr_is_dir(&(struct attr){.mode = S_IFDIR}));
	cr_assert_not(attr_is_dir(&(struct attr){.mode = S_IFLNK | 0777}));
}

Test(attr, times_are_ordered)
{
	static const struct timespec times[] = {
		{INT64_MIN, 0}, {-1, 0}, {-1, 999999999}, {0, 0}, {0, 1}, {1, 0}, {INT64_MAX, 0},
	};
	const int n = sizeof(times) / sizeof(times[0]);

	for (int i = 0; i < n; i++) {
		for (int j = 0; j < n; j++)
			cr_assert_eq(timespec_cmp(&times[i], &times[j]), (i > j) - (i < j));
	}
}
