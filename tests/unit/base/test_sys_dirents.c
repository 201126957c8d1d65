/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/sys: reading directories. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "unit/base/fixture.h"

TestSuite(dirents, .init = tmp_setup, .fini = tmp_teardown);

/* Room for entries, as aligned as the kernel packs them. */
#define ENTRIES(name, size) uint64_t name[(size) / sizeof(uint64_t)]

/* Reads the rest of FD, which holds files named by numbers; the sum of the numbers. */
static size_t sum_names(int fd, size_t size, size_t *ret_sum)
{
	ENTRIES(buf, 4096);
	const struct linux_dirent64 *d;
	size_t count = 0;
	ssize_t n;

	*ret_sum = 0;
	while ((n = sys_getdents(fd, buf, size)) > 0) {
		struct sys_dirents it = sys_dirents_of(buf, (size_t)n);

		while ((d = sys_dirents_next(&it)) != NULL) {
			if (d->d_name[0] == '.')
				continue;
			cr_assert_eq(d->d_type, DT_REG);
			*ret_sum += strtoul(d->d_name, NULL, 10);
			count++;
		}
		cr_assert_not(it.bad);
	}
	cr_assert_eq(n, 0);
	return count;
}

Test(dirents, every_name_once_whatever_the_buffer)
{
	static const size_t sizes[] = {64, 128, 1000, 4096};
	size_t sum;

	for (int i = 1; i <= 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		tmp_file(name, "", 0);
	}
	for (size_t i = 0; i < 4; i++) {
		CLEANUP(fd) int fd = sys_openat(tmp_fd, ".", O_RDONLY | O_DIRECTORY, 0);

		cr_assert_geq(fd, 0);
		cr_assert_eq(sum_names(fd, sizes[i], &sum), 300);
		cr_assert_eq(sum, 300 * 301 / 2);
	}
}

Test(dirents, errors)
{
	ENTRIES(buf, 4096);
	CLEANUP(fd) int fd = sys_openat(tmp_fd, ".", O_RDONLY | O_DIRECTORY, 0);

	cr_assert_eq(sys_getdents(-1, buf, sizeof(buf)), -EBADF);
	cr_assert_eq(sys_getdents(tmp_fd, buf, sizeof(buf)), -EBADF);
	cr_assert_eq(sys_getdents(fd, buf, 8), -EINVAL);
	cr_assert_eq(sys_unlinkat(AT_FDCWD, tmp_path, AT_REMOVEDIR), 0);
	cr_assert_eq(sys_getdents(fd, buf, sizeof(buf)), -ENOENT);
}

/* Appends an entry at P; its length. */
static size_t put_dirent(void *p, const char *name)
{
	struct linux_dirent64 *d = p;
	size_t len = (offsetof(struct linux_dirent64, d_name) + strlen(name) + 1 + 7) & ~(size_t)7;

	memset(d, 0, len);
	d->d_ino = 1;
	d->d_reclen = (uint16_t)len;
	memcpy((char *)p + offsetof(struct linux_dirent64, d_name), name, strlen(name));
	return len;
}

static size_t count_names(const void *buf, size_t len, bool *ret_bad)
{
	struct sys_dirents it = sys_dirents_of(buf, len);
	const struct linux_dirent64 *d;
	size_t n = 0;

	while ((d = sys_dirents_next(&it)) != NULL)
		n += strlen(d->d_name) > 0;
	cr_assert_null(sys_dirents_next(&it));
	*ret_bad = it.bad;
	return n;
}

Test(dirents, a_buffer_cut_anywhere)
{
	ENTRIES(whole, 256);
	size_t a = put_dirent(whole, "first");
	size_t b = a + put_dirent((char *)whole + a, "the-second-name");

	for (size_t len = 0; len <= b; len++) {
		/* As long as it says, so that the sanitizer sees a byte too many. */
		CLEANUP(free) void *cut = malloc(len != 0 ? len : 1);
		bool bad;

		cr_assert_not_null(cut);
		memcpy(cut, whole, len);
		cr_assert_eq(count_names(cut, len, &bad), len == b ? 2 : len >= a ? 1 : 0);
		cr_assert_eq(bad, len != 0 && len != a && len != b);
	}
}

Test(dirents, malformed_entries_are_refused)
{
	ENTRIES(buf, 256);
	struct linux_dirent64 *d = (void *)buf;
	size_t len = put_dirent(buf, "name");
	bool bad;

	static const uint16_t lengths[] = {0, 1, 8, 18, 19, 20, 23, 25, 32, 0xfff8};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		d->d_reclen = lengths[i];
		cr_assert_eq(count_names(buf, len, &bad), 0, "%u", lengths[i]);
		cr_assert(bad);
	}
	put_dirent(buf, "");
	cr_assert_eq(count_names(buf, len, &bad), 0);
	cr_assert(bad);
	len = put_dirent(buf, "name");
	memset((char *)buf + offsetof(struct linux_dirent64, d_name), 'x', 5);
	cr_assert_eq(count_names(buf, len, &bad), 0);
	cr_assert(bad);
}

Test(dirents, random_bytes)
{
	struct rng g = rng_seeded(0xd1e);

	for (int i = 0; i < 20000; i++) {
		size_t len = rng_below(&g, 200);
		CLEANUP(free) uint8_t *bytes = malloc(len != 0 ? len : 1);
		bool bad;

		cr_assert_not_null(bytes);
		for (size_t j = 0; j < len; j++)
			bytes[j] = (uint8_t)(rng_below(&g, 3) == 0 ? rng_next(&g) : 0);
		/* Lengths that are nearly right get further in. */
		if (len > 18)
			bytes[16] = (uint8_t)(24 + 8 * rng_below(&g, 6));
		cr_assert_leq(count_names(bytes, len, &bad), len / 24);
	}
}
