/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of attr/override: the override_stat codec. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attr/override.h"
#include "unit/attr/fixture.h"

static const struct attr before = {
	.ino = 9,
	.size = 100,
	.mode = S_IFREG | 0700,
	.uid = 1,
	.gid = 2,
	.rdev_major = 3,
	.rdev_minor = 4,
};

Test(override, good_values)
{
	static const struct {
		const char *value;
		uint32_t uid, gid, mode, major, minor;
	} cases[] = {
		{"0:0:755", 0, 0, S_IFREG | 0755, 3, 4},
		{"0:0:0755", 0, 0, S_IFREG | 0755, 3, 4},
		{"1000:1001:4755", 1000, 1001, S_IFREG | 04755, 3, 4},
		{"4294967295:4294967294:0", UINT32_MAX, UINT32_MAX - 1, S_IFREG, 3, 4},
		{"0:0:100644", 0, 0, S_IFREG | 0644, 3, 4},
		{"0:0:40755", 0, 0, S_IFREG | 0755, 3, 4},
		{"5:6:1777:dir", 5, 6, S_IFDIR | 01777, 0, 0},
		{"5:6:644:file", 5, 6, S_IFREG | 0644, 0, 0},
		{"5:6:777:symlink", 5, 6, S_IFLNK | 0777, 0, 0},
		{"5:6:644:pipe", 5, 6, S_IFIFO | 0644, 0, 0},
		{"5:6:644:socket", 5, 6, S_IFSOCK | 0644, 0, 0},
		{"5:6:644:block-8:1", 5, 6, S_IFBLK | 0644, 8, 1},
		{"5:6:644:block-8-1", 5, 6, S_IFBLK | 0644, 8, 1},
		{"5:6:666:char-1-3", 5, 6, S_IFCHR | 0666, 1, 3},
		{"5:6:666:char-4294967295-0", 5, 6, S_IFCHR | 0666, UINT32_MAX, 0},
		{"5:6:666:char-1-3-later", 5, 6, S_IFCHR | 0666, 1, 3},
		{"5:6:755:directory", 5, 6, S_IFDIR | 0755, 0, 0},
		{"5:6:755:dir:later", 5, 6, S_IFDIR | 0755, 0, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct attr a = before;

		cr_assert_eq(override_apply(cases[i].value, strlen(cases[i].value), &a), 0, "%s",
			     cases[i].value);
		cr_assert_eq(a.uid, cases[i].uid, "%s", cases[i].value);
		cr_assert_eq(a.gid, cases[i].gid, "%s", cases[i].value);
		cr_assert_eq(a.mode, cases[i].mode, "%s: %o", cases[i].value, a.mode);
		cr_assert_eq(a.rdev_major, cases[i].major, "%s", cases[i].value);
		cr_assert_eq(a.rdev_minor, cases[i].minor, "%s", cases[i].value);
		cr_assert_eq(a.ino, before.ino);
		cr_assert_eq(a.size, before.size);
	}
}

Test(override, bad_values_change_nothing)
{
	static const char *const bad[] = {
		"",
		":",
		"::",
		"0",
		"0:0",
		"0:0:",
		":0:755",
		"0::755",
		"0:0:8",
		"0:0:789",
		"-1:0:755",
		"0:-1:755",
		"+0:0:755",
		" 0:0:755",
		"0:0:755 ",
		"0:0:755\n",
		"4294967296:0:0",
		"0:4294967296:0",
		"0:0:40000000000",
		"0x0:0:0",
		"0:0:755:",
		"0:0:755:di",
		"0:0:755:Dir",
		"0:0:755: dir",
		"0:0:755:x",
		"0:0:755:dev",
		"0:0:6:block",
		"0:0:6:block-",
		"0:0:6:block-8",
		"0:0:6:char-8-",
		"0:0:6:char-",
		"0:0:6:block--1",
		"0:0:6:block-8-x",
		"0:0:6:block8:1",
		"0:0:6:char-1-2x",
		"0:0:6:char-4294967296-0",
		"0:0:6:char-0-99999999999999999999",
		"0.0.755",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct attr a = before;

		cr_assert_eq(override_apply(bad[i], strlen(bad[i]), &a), -EINVAL, "%s", bad[i]);
		cr_assert_eq(memcmp(&a, &before, sizeof(a)), 0, "%s", bad[i]);
	}
}

Test(override, a_nul_is_not_part_of_a_value)
{
	struct attr a = before;

	cr_assert_eq(override_apply("0:0:755", 8, &a), -EINVAL);
	cr_assert_eq(override_apply("0:0\0:755", 8, &a), -EINVAL);
}

Test(override, every_length_of_a_value)
{
	static const char whole[] = "12:34:0567:block-89-10";

	for (size_t len = 0; len < sizeof(whole); len++) {
		/* As long as it says and without a NUL. */
		CLEANUP(free) char *cut = malloc(len != 0 ? len : 1);
		struct attr a = before;
		int r;

		cr_assert_not_null(cut);
		memcpy(cut, whole, len);
		r = override_apply(cut, len, &a);
		if ((len >= 7 && len <= 10) || len == 21 || len == 22)
			cr_assert_eq(r, 0, "%zu", len);
		else
			cr_assert_eq(r, -EINVAL, "%zu", len);
	}
}

Test(override, printed_as_containers_storage_does)
{
	static const struct {
		struct attr a;
		const char *text;
	} cases[] = {
		{{.mode = S_IFREG | 0644}, "0:0:0644:file"},
		{{.mode = S_IFDIR | 01777, .uid = 1, .gid = UINT32_MAX}, "1:4294967295:1777:dir"},
		{{.mode = S_IFLNK | 0777}, "0:0:0777:symlink"},
		{{.mode = S_IFIFO}, "0:0:0000:pipe"},
		{{.mode = S_IFSOCK | 06000}, "0:0:6000:socket"},
		{{.mode = S_IFBLK | 0660, .rdev_major = 8, .rdev_minor = 1}, "0:0:0660:block-8-1"},
		{{.mode = S_IFCHR | 0666, .rdev_major = 1, .rdev_minor = 3}, "0:0:0666:char-1-3"},
		{{.mode = 0644}, "0:0:0644:file"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf) struct buf b = {0};

		override_print(&cases[i].a, &b);
		cr_assert_str_eq(buf_cstr(&b), cases[i].text);
	}
}

Test(override, print_appends_and_apply_reads_it_back)
{
	static const uint32_t formats[] = {S_IFREG, S_IFDIR,  S_IFLNK, S_IFIFO,
					   S_IFBLK, S_IFSOCK, S_IFCHR};
	struct rng g = rng_seeded(0x0f);

	for (int i = 0; i < 5000; i++) {
		CLEANUP(buf) struct buf b = {0};
		uint32_t format = formats[rng_below(&g, 7)];
		bool device = format == S_IFBLK || format == S_IFCHR;
		struct attr back = before,
			    a = {
				    .mode = format | rng_below(&g, 010000),
				    .uid = (uint32_t)rng_next(&g),
				    .gid = (uint32_t)rng_next(&g),
				    .rdev_major = device ? (uint32_t)rng_next(&g) : 0,
				    .rdev_minor = device ? (uint32_t)rng_next(&g) : 0,
			    };

		buf_put_str(&b, "x");
		override_print(&a, &b);
		cr_assert_eq(override_apply((char *)b.data + 1, b.len - 1, &back), 0);
		cr_assert_eq(back.mode, a.mode);
		cr_assert_eq(back.uid, a.uid);
		cr_assert_eq(back.gid, a.gid);
		cr_assert_eq(back.rdev_major, a.rdev_major);
		cr_assert_eq(back.rdev_minor, a.rdev_minor);
	}
}

Test(override, random_bytes)
{
	static const char alphabet[] = "01234567:::-dirfilesymlinkpipesocketblockchar";
	struct rng g = rng_seeded(0x0f2);
	int good = 0;

	for (int i = 0; i < 100000; i++) {
		size_t len = rng_below(&g, 24);
		CLEANUP(free) char *value = malloc(len != 0 ? len : 1);
		struct attr a = before;

		cr_assert_not_null(value);
		for (size_t j = 0; j < len; j++)
			value[j] = i % 3 == 0 ? (char)rng_next(&g)
					      : alphabet[rng_below(&g, i % 3 == 1 ? 12 : 45)];
		if (override_apply(value, len, &a) == 0)
			good++;
		else
			cr_assert_eq(memcmp(&a, &before, sizeof(a)), 0);
	}
	cr_assert_gt(good, 50);
}

Test(override, names)
{
	cr_assert_null(override_xattr(OVERRIDE_NONE));
	cr_assert_str_eq(override_xattr(OVERRIDE_SECURITY), "security.fuseoverlayfs.override_stat");
	cr_assert_str_eq(override_xattr(OVERRIDE_CONTAINERS), "user.containers.override_stat");
	cr_assert_str_eq(override_xattr(OVERRIDE_USER), "user.fuseoverlayfs.override_stat");
}
