/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the aufs family of whiteouts. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "layer/whiteout.h"
#include "unit/layer/plain.h"

Test(whiteout_aufs, reserved_names)
{
	cr_assert(aufs_reserved(".wh.a"));
	cr_assert(aufs_reserved(".wh."));
	cr_assert(aufs_reserved(".wh..wh..opq"));
	cr_assert_not(aufs_reserved(".wh"));
	cr_assert_not(aufs_reserved(".whx"));
	cr_assert_not(aufs_reserved("a.wh.a"));
	cr_assert_not(aufs_reserved(""));
}

Test(whiteout_aufs, set)
{
	CLEANUP(aufs_set) struct aufs_set s = {0};
	char name[32];
	int i;

	cr_assert_eq(aufs_set_find(&s, "x"), -1);
	for (i = 999; i >= 0; i--) {
		snprintf(name, sizeof(name), ".wh.%d", i);
		aufs_set_add(&s, name);
	}
	aufs_set_add(&s, ".wh..wh..opq");
	aufs_set_add(&s, ".wh..wh.plnk");
	aufs_set_add(&s, ".wh..opq");
	aufs_set_add(&s, ".wh.");
	cr_assert_eq(aufs_set_sort(&s), 0);
	cr_assert_eq(s.n, 1000);
	for (i = 0; i < 1000; i++) {
		ptrdiff_t at;

		snprintf(name, sizeof(name), "%d", i);
		at = aufs_set_find(&s, name);
		cr_assert_geq(at, 0);
		cr_assert_str_eq(s.names[at], name);
	}
	cr_assert_eq(aufs_set_find(&s, "1000"), -1);
	cr_assert_eq(aufs_set_find(&s, ".opq"), -1);
	cr_assert_eq(aufs_set_find(&s, ""), -1);
}

Test(whiteout_aufs, asks_the_directory)
{
	CLEANUP(plain) struct plain p = {0};
	char long_name[256];

	plain_make(&p);
	cr_assert_eq(aufs_opaque(p.tmp.fd), 0);
	put_file(&p, ".wh..wh..opq", "");
	put_file(&p, ".wh.a", "");
	put_file(&p, ".wh..opq", "");
	cr_assert_eq(aufs_opaque(p.tmp.fd), 1);
	cr_assert_eq(aufs_hides(p.tmp.fd, "a"), 1);
	cr_assert_eq(aufs_hides(p.tmp.fd, "b"), 0);
	cr_assert_eq(aufs_hides(p.tmp.fd, ".opq"), 0);
	cr_assert_eq(aufs_hides(p.tmp.fd, ".wh..opq"), 0);
	memset(long_name, 'x', 255);
	long_name[255] = '\0';
	cr_assert_eq(aufs_hides(p.tmp.fd, long_name), 0);
	cr_assert_eq(aufs_opaque(-1), -EBADF);
	cr_assert_eq(aufs_opaque_in(-1, "d"), -EBADF);
}
