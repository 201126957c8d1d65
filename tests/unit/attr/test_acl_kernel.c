/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of attr/acl against the kernel's own ACLs, on whatever temporary file system has them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attr/acl.h"
#include "unit/attr/fixture.h"

#define ROUNDS 600

static char dir[4096];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_dir(void)
{
	if (dir[0] != '\0')
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	dir[0] = '\0';
}

/* A directory in ROOT if ACLs work there. */
static bool make_dir(const char *root)
{
	CLEANUP(buf) struct buf b = {0};

	snprintf(dir, sizeof(dir), "%s/plyfs-test-XXXXXX", root);
	if (mkdtemp(dir) == NULL) {
		dir[0] = '\0';
		return false;
	}
	acl_begin(&b);
	acl_add(&b, USER_OBJ, 7, NO_ID);
	acl_add(&b, USER, 7, 1);
	acl_add(&b, GROUP_OBJ, 7, NO_ID);
	acl_add(&b, MASK, 7, NO_ID);
	acl_add(&b, OTHER, 7, NO_ID);
	if (setxattr(dir, ACL_XATTR_DEFAULT, b.data, b.len, 0) == 0 && chdir(dir) == 0)
		return true;
	remove_dir();
	return false;
}

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	if (!make_dir(tmp != NULL ? tmp : "/tmp") && !make_dir("/dev/shm") && !make_dir("/var/tmp"))
		cr_skip_test("no file system with ACLs here");
}

TestSuite(acl_kernel, .init = setup, .fini = remove_dir);

static uint32_t mode_of(const char *name)
{
	struct stat st;

	cr_assert_eq(lstat(name, &st), 0, "%s: %s", name, strerror(errno));
	return st.st_mode;
}

/* The kernel's ACL of NAME is ACL, or there is none when ACL is empty. */
static void assert_kernel_has(const char *name, const char *xattr, const struct buf *acl)
{
	static uint8_t bytes[65536];
	ssize_t n = lgetxattr(name, xattr, bytes, sizeof(bytes));

	if (acl->len == 0) {
		cr_assert_eq(n, -1);
		cr_assert(errno == ENODATA || errno == EOPNOTSUPP, "%s", strerror(errno));
		return;
	}
	cr_assert_eq(n, (ssize_t)acl->len, "%s: %zd, not %zu", name, n, acl->len);
	cr_assert_arr_eq(bytes, acl->data, acl->len);
}

/* Makes a thing of the type and mode MODE with the system call for it. */
static void create(const char *name, uint32_t mode)
{
	int fd;

	switch (mode & S_IFMT) {
	case S_IFDIR:
		cr_assert_eq(mkdir(name, mode & 07777), 0);
		break;
	case S_IFLNK:
		cr_assert_eq(symlink("target", name), 0);
		break;
	case S_IFREG:
		fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode & 07777);
		cr_assert_geq(fd, 0);
		close(fd);
		break;
	default:
		cr_assert_eq(mknod(name, mode, 0), 0);
		break;
	}
}

Test(acl_kernel, inherit)
{
	static const uint32_t types[] = {S_IFREG, S_IFDIR, S_IFIFO, S_IFSOCK, S_IFLNK};
	struct rng g = rng_seeded(0x1a41);
	CLEANUP(buf) struct buf def = {0}, access = {0};
	const struct buf none = {0};

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t type = types[rng_below(&g, 5)];
		/* mkdir(2) takes no set-id bits, and the sticky bit is kept for directories. */
		uint32_t mode = type | (type == S_IFLNK ? 0777 : rng_below(&g, 01000));

		acl_random(&g, &def);
		cr_assert_eq(setxattr(".", ACL_XATTR_DEFAULT, def.data, def.len, 0), 0);
		umask(rng_below(&g, 01000)); /* has no say where a default ACL is */
		create("new", mode);
		cr_assert_eq(acl_inherit(def.data, def.len, &mode, &access), 0);
		cr_assert_eq(mode_of("new"), mode, "round %d: %o, not %o", i, mode_of("new"), mode);
		assert_kernel_has("new", ACL_XATTR_ACCESS, &access);
		assert_kernel_has("new", ACL_XATTR_DEFAULT, S_ISDIR(mode) ? &def : &none);
		cr_assert_eq(remove("new"), 0);
	}
}

Test(acl_kernel, chmod)
{
	struct rng g = rng_seeded(0xc40d);
	CLEANUP(buf) struct buf acl = {0};

	create("f", S_IFREG | 0600);
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t mode = rng_below(&g, 010000), expected = S_IFREG | mode;
		bool equiv;

		do {
			acl_random(&g, &acl);
			cr_assert_eq(acl_to_mode(acl.data, acl.len, &expected, &equiv), 0);
		} while (equiv);
		cr_assert_eq(setxattr("f", ACL_XATTR_ACCESS, acl.data, acl.len, 0), 0);
		cr_assert_eq(chmod("f", mode), 0);
		cr_assert_eq(acl_chmod(acl.data, acl.len, mode, &acl), 0);
		assert_kernel_has("f", ACL_XATTR_ACCESS, &acl);
		cr_assert_eq(acl_to_mode(acl.data, acl.len, &expected, &equiv), 0);
		cr_assert_eq(mode_of("f") & 0777, expected & 0777);
		cr_assert_eq(mode_of("f") & 0777, mode & 0777);
	}
}

Test(acl_kernel, to_mode)
{
	struct rng g = rng_seeded(0x70de);
	CLEANUP(buf) struct buf acl = {0};
	const struct buf none = {0};
	int equivs = 0;

	create("f", S_IFREG | 0600);
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t mode = S_IFREG | rng_below(&g, 02000);
		bool equiv;

		acl_random(&g, &acl);
		cr_assert_eq(chmod("f", mode & 07777), 0);
		cr_assert_eq(setxattr("f", ACL_XATTR_ACCESS, acl.data, acl.len, 0), 0);
		cr_assert_eq(acl_to_mode(acl.data, acl.len, &mode, &equiv), 0);
		cr_assert_eq(mode_of("f"), mode);
		assert_kernel_has("f", ACL_XATTR_ACCESS, equiv ? &none : &acl);
		equivs += equiv;
	}
	cr_assert_gt(equivs, 20);
	cr_assert_lt(equivs, ROUNDS - 20);
}

Test(acl_kernel, check)
{
	struct rng g = rng_seeded(0xc4ec);
	CLEANUP(buf) struct buf acl = {0};
	int bad = 0, rounds = 0;

	for (int i = 0; i < 4 * ROUNDS; i++) {
		uint32_t changes = rng_below(&g, 4);
		int r;

		acl_random(&g, &acl);
		for (uint32_t j = 0; j < changes && acl.len > 4; j++)
			acl_disturb(&g, &acl);
		if (acl.len == 4)
			continue; /* the kernel takes it for "remove" */
		r = setxattr(".", ACL_XATTR_DEFAULT, acl.data, acl.len, 0) < 0 ? -errno : 0;
		cr_assert_eq(acl_check(acl.data, acl.len), r, "round %d: kernel says %d", i, r);
		bad += r < 0;
		rounds++;
	}
	cr_assert_gt(bad, 200);
	cr_assert_gt(rounds - bad, 200);
}

Test(acl_kernel, check_of_every_length)
{
	struct rng g = rng_seeded(0x1e4);
	CLEANUP(buf) struct buf acl = {0};

	for (int i = 0; i < 20; i++) {
		acl_random(&g, &acl);
		/* Shorter than the header is not an ACL to either, but by other errors. */
		for (size_t len = 5; len <= acl.len; len++) {
			int r = setxattr(".", ACL_XATTR_DEFAULT, acl.data, len, 0);

			cr_assert_eq(acl_check(acl.data, len), r < 0 ? -errno : 0, "%zu", len);
		}
	}
}
