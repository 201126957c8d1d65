/* SPDX-License-Identifier: Apache-2.0 */
/* data_copy_range(): bytes, holes, ends and overlaps. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/data/fixture.h"

static char dir[256];

static void setup(void)
{
	make_temp_dir(dir, sizeof(dir));
}

static void done(void)
{
	remove_tree(dir);
}

TestSuite(copy, .init = setup, .fini = done);

static int temp_file(void)
{
	int fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	return fd;
}

static void put(int fd, char c, size_t len, off_t off)
{
	CLEANUP(free) char *bytes = malloc(len);

	memset(bytes, c, len);
	cr_assert_eq(pwrite(fd, bytes, len, off), (ssize_t)len);
}

/* All LEN bytes at OFF are C. */
static void expect(int fd, char c, size_t len, off_t off)
{
	CLEANUP(free) char *bytes = malloc(len);
	size_t i;

	cr_assert_eq(pread(fd, bytes, len, off), (ssize_t)len);
	for (i = 0; i < len; i++)
		cr_assert_eq(bytes[i], c, "byte %zu is %02x", i, bytes[i]);
}

Test(copy, keeps_holes)
{
	CLEANUP(fd) int from = temp_file();
	CLEANUP(fd) int to = temp_file();
	struct stat st;

	put(from, 'a', 8192, 0);
	put(from, 'b', 4096, 100 << 20);
	cr_assert_eq(ftruncate(from, 200 << 20), 0);
	cr_assert_eq(data_copy_range(from, 0, to, 0, 200 << 20), 0);
	cr_assert_eq(fstat(to, &st), 0);
	cr_assert_eq(st.st_size, 200 << 20);
	cr_assert_leq(st.st_blocks, 64);
	expect(to, 'a', 8192, 0);
	expect(to, 0, 100000, 8192);
	expect(to, 'b', 4096, 100 << 20);
	cr_assert_eq(lseek(to, 8192, SEEK_DATA), 100 << 20);
}

Test(copy, a_hole_replaces_what_was_there)
{
	CLEANUP(fd) int from = temp_file();
	CLEANUP(fd) int to = temp_file();

	put(from, 'a', 10, 0);
	cr_assert_eq(ftruncate(from, 100000), 0);
	put(to, 'x', 200000, 0);
	cr_assert_eq(data_copy_range(from, 0, to, 50, 100000), 0);
	expect(to, 'x', 50, 0);
	expect(to, 'a', 10, 50);
	expect(to, 0, 100000 - 10, 60);
	expect(to, 'x', 200000 - 100050, 100050);
}

Test(copy, odd_ranges)
{
	CLEANUP(fd) int from = temp_file();
	CLEANUP(fd) int to = temp_file();
	struct stat st;

	put(from, 'a', 300000, 0);
	cr_assert_eq(data_copy_range(from, 7, to, 1001, 200003), 0);
	cr_assert_eq(fstat(to, &st), 0);
	cr_assert_eq(st.st_size, 1001 + 200003);
	expect(to, 0, 1001, 0);
	expect(to, 'a', 200003, 1001);
	cr_assert_eq(data_copy_range(from, 7, to, 1001, 0), 0);
}

Test(copy, one_file)
{
	CLEANUP(fd) int fd = temp_file();

	put(fd, 'a', 1000, 0);
	cr_assert_eq(data_copy_range(fd, 0, fd, 999, 1000), -EINVAL);
	cr_assert_eq(data_copy_range(fd, 0, fd, 1000, 1000), 0);
	expect(fd, 'a', 2000, 0);
}

Test(copy, short_source_and_bad_arguments)
{
	CLEANUP(fd) int from = temp_file();
	CLEANUP(fd) int to = temp_file();

	put(from, 'a', 1000, 0);
	cr_assert_eq(data_copy_range(from, 0, to, 0, 1001), -EIO);
	cr_assert_eq(data_copy_range(from, 5000, to, 0, 1), -EIO);
	cr_assert_eq(data_copy_range(from, -1, to, 0, 1), -EINVAL);
	cr_assert_eq(data_copy_range(from, 1, to, 0, INT64_MAX), -EFBIG);
	cr_assert_eq(data_copy_range(from, 0, -1, 0, 10), -EBADF);
}
