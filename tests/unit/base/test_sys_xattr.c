/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/sys: extended attributes by directory and name. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "unit/base/fixture.h"

TestSuite(sys_xattr, .init = tmp_setup, .fini = tmp_teardown);

#define NR_GETXATTRAT  464
#define NR_LISTXATTRAT 465

/* The name in tmp_path, for the calls of old. */
static const char *at(const char *name)
{
	static char path[5000];

	snprintf(path, sizeof(path), "%s/%s", tmp_path, name);
	return path;
}

/* A file, a link to it and a directory, each with an attribute of its own. */
static void make_attributes(void)
{
	tmp_file("f", "x", 1);
	cr_assert_eq(symlinkat("f", tmp_fd, "l"), 0);
	cr_assert_eq(sys_mkdirat(tmp_fd, "d", 0755), 0);
	if (lsetxattr(at("f"), "user.a", "of the file", 11, 0) < 0 ||
	    lsetxattr(at("f"), "trusted.a", "file", 4, 0) < 0 ||
	    lsetxattr(at("l"), "trusted.a", "a link", 6, 0) < 0 ||
	    lsetxattr(at("d"), "user.a", "dir", 3, 0) < 0)
		cr_skip_test("no attributes on this file system: %s", strerror(errno));
}

static bool lists(const char *buf, ssize_t len, const char *name)
{
	for (ssize_t i = 0; i < len; i += (ssize_t)strlen(buf + i) + 1) {
		if (strcmp(buf + i, name) == 0)
			return true;
	}
	return false;
}

static void check_names(int dirfd)
{
	char v[1000];
	ssize_t n;

	cr_assert_eq(sys_getxattr_at(dirfd, "f", "user.a", v, sizeof(v)), 11);
	cr_assert_eq(memcmp(v, "of the file", 11), 0);
	cr_assert_eq(sys_getxattr_at(dirfd, "l", "trusted.a", v, sizeof(v)), 6);
	cr_assert_eq(memcmp(v, "a link", 6), 0);
	cr_assert_eq(sys_getxattr_at(dirfd, "d", "user.a", v, sizeof(v)), 3);
	cr_assert_eq(sys_getxattr_at(dirfd, "f", "user.a", NULL, 0), 11);
	cr_assert_eq(sys_getxattr_at(dirfd, "f", "user.a", v, 11), 11);
	cr_assert_eq(sys_getxattr_at(dirfd, "f", "user.a", v, 10), -ERANGE);
	cr_assert_eq(sys_getxattr_at(dirfd, "f", "user.none", v, sizeof(v)), -ENODATA);
	cr_assert_eq(sys_getxattr_at(dirfd, "none", "user.a", v, sizeof(v)), -ENOENT);
	cr_assert_eq(sys_getxattr_at(dirfd, "", "user.a", v, sizeof(v)), -ENOENT);
	cr_assert_eq(sys_getxattr_at(dirfd, "f/x", "user.a", v, sizeof(v)), -ENOTDIR);

	n = sys_listxattr_at(dirfd, "f", v, sizeof(v));
	cr_assert(n > 0 && lists(v, n, "user.a") && lists(v, n, "trusted.a"));
	cr_assert_eq(sys_listxattr_at(dirfd, "f", NULL, 0), n);
	cr_assert_eq(sys_listxattr_at(dirfd, "f", v, (size_t)n - 1), -ERANGE);
	n = sys_listxattr_at(dirfd, "l", v, sizeof(v));
	cr_assert(n > 0 && lists(v, n, "trusted.a") && !lists(v, n, "user.a"));
	cr_assert_eq(sys_listxattr_at(dirfd, "none", v, sizeof(v)), -ENOENT);
}

static void check_descriptors(void)
{
	static const struct {
		const char *name;
		int flags;
		const char *xattr;
		ssize_t len;
	} cases[] = {
		{"f", O_RDONLY, "user.a", 11},
		{"f", O_PATH, "user.a", 11},
		{"l", O_PATH | O_NOFOLLOW, "trusted.a", 6},
		{"d", O_RDONLY | O_DIRECTORY, "user.a", 3},
		{"d", O_PATH, "user.a", 3},
	};
	char v[1000];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(fd) int fd = sys_openat(tmp_fd, cases[i].name, cases[i].flags, 0);
		ssize_t n;

		cr_assert_geq(fd, 0);
		cr_assert_eq(sys_getxattr_at(fd, NULL, cases[i].xattr, v, sizeof(v)), cases[i].len,
			     "case %zu", i);
		cr_assert_eq(sys_getxattr_at(fd, NULL, cases[i].xattr, v, 1), -ERANGE);
		cr_assert_eq(sys_getxattr_at(fd, NULL, "trusted.none", v, 1), -ENODATA);
		n = sys_listxattr_at(fd, NULL, v, sizeof(v));
		cr_assert(n > 0 && lists(v, n, cases[i].xattr));
	}
	cr_assert_eq(sys_getxattr_at(9999, NULL, "user.a", v, 1), -EBADF);
	cr_assert_eq(sys_listxattr_at(9999, NULL, v, 1), -EBADF);
}

static void check_all(void)
{
	CLEANUP(fd) int plain = sys_openat(tmp_fd, ".", O_RDONLY | O_DIRECTORY, 0);
	char v[16];

	make_attributes();
	check_names(plain);
	check_names(tmp_fd);
	check_descriptors();
	cr_assert_eq(sys_getxattr_at(AT_FDCWD, at("f"), "user.a", v, sizeof(v)), 11);
	cr_assert_eq(sys_getxattr_at(tmp_fd, at("f"), "user.a", v, sizeof(v)), 11);
}

static void without_xattrat(int error)
{
	if (!deny_syscall(NR_GETXATTRAT, error) || !deny_syscall(NR_LISTXATTRAT, error))
		cr_skip_test("no seccomp here");
}

Test(sys_xattr, with_what_the_kernel_has)
{
	check_all();
}

Test(sys_xattr, without_the_calls_of_6_13)
{
	without_xattrat(ENOSYS);
	check_all();
}

Test(sys_xattr, where_a_filter_forbids_them)
{
	without_xattrat(EPERM);
	check_all();
}

Test(sys_xattr, a_size_above_the_limit_is_no_error)
{
	static char v[1 << 20];

	make_attributes();
	cr_assert_eq(sys_getxattr_at(tmp_fd, "f", "user.a", v, sizeof(v)), 11);
	cr_assert_eq(sys_listxattr_at(tmp_fd, "f", v, sizeof(v)) > 0, true);
}

/* A ramfs stands for the file systems that have no attributes: it needs no device. */
static void check_none_supported(void)
{
	char v[100];

	cr_assert_eq(sys_mkdirat(tmp_fd, "mnt", 0755), 0);
	if (!private_mounts() || mount("none", at("mnt"), "ramfs", 0, NULL) < 0)
		cr_skip_test("no mount namespace here");
	cr_assert_eq(lgetxattr(at("mnt"), "user.a", v, sizeof(v)), -1);
	cr_assert_eq(errno, EOPNOTSUPP);
	cr_assert_eq(sys_getxattr_at(tmp_fd, "mnt", "user.a", v, sizeof(v)), -ENODATA);
	cr_assert_geq(sys_listxattr_at(tmp_fd, "mnt", v, sizeof(v)), 0);
	umount2(at("mnt"), MNT_DETACH);
}

Test(sys_xattr, a_file_system_without_attributes_has_none)
{
	check_none_supported();
}

Test(sys_xattr, and_has_none_the_old_way)
{
	without_xattrat(ENOSYS);
	check_none_supported();
}
