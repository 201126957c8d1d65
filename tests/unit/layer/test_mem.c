/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the notation of in-memory layers. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "layer/backends.h"

static int parse(const char *text, struct err *err)
{
	CLEANUP(layer) struct layer *l = NULL;

	return layer_open_mem(text, "text", 0, &l, err);
}

Test(mem, refused)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"dir", "a path is missing"},
		{"what x", "unknown type"},
		{"dir d 0755", "pair"},
		{"dir d 0755 0", "pair"},
		{"dir d 9 0:0", "not a number"},
		{"dir d 77777 0:0", "not a number"},
		{"dir d -1 0:0", "not a number"},
		{"file a/b 0644 0:0", "no directory"},
		{"file a 0644 0:0\nfile a/b 0644 0:0", "line 2"},
		{"whiteout a\nfile a/b 0644 0:0", "no directory"},
		{"file a 0644 0:0\nfile a 0644 0:0", "not a new name"},
		{"file a/ 0644 0:0", "no directory"},
		{"file a 0644 0:0 nonsense", "unknown field"},
		{"file a 0644 0:0 data=abc size=2", "less than the data"},
		{"file a 0644 0:0 size=x", "not a number"},
		{"file a 0644 4294967296:0", "not a number"},
		{"file a 0644 0:0 xattr:user.x", "xattr:NAME=VALUE"},
		{"symlink a", "target"},
		{"char a 0600 5", "pair"},
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CLEANUP(err) struct err err = {0};

		cr_assert_eq(parse(bad[i].text, &err), -EINVAL, "%s", bad[i].text);
		cr_assert_not_null(strstr(err_text(&err), bad[i].says), "%s: %s", bad[i].text,
				   err_text(&err));
	}
}

Test(mem, accepted)
{
	cr_assert_eq(parse("", NULL), 0);
	cr_assert_eq(parse("\n  \n\tdir  d\t0755   0:0  \n", NULL), 0);
	cr_assert_eq(parse("dir . 0700 1:2 opaque", NULL), 0);
}

Test(mem, escapes)
{
	CLEANUP(layer) struct layer *l = NULL;
	struct layer_dir *root;
	struct layer_entry e;
	char target[16];

	cr_assert_eq(layer_open_mem("file a\\x20b 0644 0:0 data=\\x00\\xff\\q\nsymlink s x\\x20y\n",
				    "text", 0, &l, NULL),
		     0);
	cr_assert_eq(layer_root(l, &root), 0);
	cr_assert_eq(layer_lookup(l, root, "a b", &e), 0);
	cr_assert_eq(e.attr.size, 4);
	cr_assert_eq(layer_readlink(l, root, "s", target, sizeof(target)), 3);
	cr_assert_str_eq(target, "x y");
	layer_dir_unref(l, root);
}

Test(mem, identity_is_the_text_s)
{
	CLEANUP(layer) struct layer *a = NULL;
	CLEANUP(layer) struct layer *b = NULL;
	CLEANUP(layer) struct layer *c = NULL;
	struct hash128 x, y, z;

	cr_assert_eq(layer_open_mem("dir d 0755 0:0", "a", 0, &a, NULL), 0);
	cr_assert_eq(layer_open_mem("dir d 0755 0:0", "b", 0, &b, NULL), 0);
	cr_assert_eq(layer_open_mem("dir e 0755 0:0", "c", 0, &c, NULL), 0);
	layer_identity(a, &x);
	layer_identity(b, &y);
	layer_identity(c, &z);
	cr_assert(x.low == y.low && x.high == y.high);
	cr_assert(x.low != z.low || x.high != z.high);
}
