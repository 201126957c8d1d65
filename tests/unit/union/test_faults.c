/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that fail, or that do not know the types of what they list. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "unit/union/support.h"

static const struct layer_ops *inner;
static const char *bad_name;
static int bad_result;

static int lookup(struct layer *l, struct layer_dir *dir, const char *name, struct layer_entry *e)
{
	return strcmp(name, bad_name) == 0 ? bad_result : inner->lookup(l, dir, name, e);
}

static int list(struct layer *l, struct layer_dir *dir, struct layer_list *to)
{
	int r = inner->list(l, dir, to);

	for (size_t i = 0; i < to->n; i++) {
		to->names[i].dtype = DT_UNKNOWN;
		to->names[i].ino = 0;
	}
	return bad_name[0] == '!' ? bad_result : r;
}

static struct layer_ops ops;

/* Layer INDEX of S lists without types, and its look-up of NAME gives RESULT. */
static void spoil(struct stack *s, size_t index, const char *name, int result)
{
	struct layer *l = stack_layer(s, index);

	inner = l->ops;
	ops = *inner;
	ops.lookup = lookup;
	ops.list = list;
	l->ops = &ops;
	bad_name = name;
	bad_result = result;
}

Test(faults, listing_without_types)
{
	struct stack *s = STACK("file a 644 0:0 data=1\nwhiteout w\ndir d 755 0:0\nwhiteout x\n",
				"file w 644 0:0\nfile b 644 0:0 data=0\ndir d 755 0:0\n");
	struct union_dir *root = union_root(s);
	const struct union_list *l = NULL;

	spoil(s, 0, "", 0);
	cr_assert_eq(union_list_get(root, &l), 0);
	cr_assert_eq(l->n, 3);
	for (size_t i = 0; i < l->n; i++) {
		cr_assert_neq(l->names[i].dtype, DT_UNKNOWN);
		cr_assert_neq(l->names[i].ino, 0);
	}
	union_list_put(root, l);
	union_dir_unref(root);
	assert_tree(s, "file a 1\nfile b 0\ndir d 2\n");
}

Test(faults, a_name_that_cannot_be_looked_at_is_listed)
{
	struct stack *s = STACK("file a 644 0:0\nfile b 644 0:0\n");
	struct union_dir *root = union_root(s);
	const struct union_list *l = NULL;

	spoil(s, 0, "a", -EACCES);
	cr_assert_eq(union_list_get(root, &l), 0);
	cr_assert_eq(l->n, 2);
	for (size_t i = 0; i < l->n; i++)
		cr_assert_eq(l->names[i].dtype,
			     strcmp(l->names[i].name, "a") == 0 ? DT_UNKNOWN : DT_REG);
	union_list_put(root, l);
	cr_assert_eq(union_exists(root, "a"), -EACCES);
	assert_error(s, "a", -EACCES);
	assert_error(s, "b", 0);
	union_dir_unref(root);
	stack_free(s);
}

Test(faults, a_name_that_vanishes_is_not_listed)
{
	struct stack *s = STACK("file a 644 0:0\nfile b 644 0:0\n");
	struct union_dir *root = union_root(s);
	const struct union_list *l = NULL;

	spoil(s, 0, "a", -ENOENT);
	cr_assert_eq(union_list_get(root, &l), 0);
	cr_assert_eq(l->n, 1);
	cr_assert_str_eq(l->names[0].name, "b");
	union_list_put(root, l);
	union_dir_unref(root);
	stack_free(s);
}

Test(faults, listing_fails_with_its_layer)
{
	struct stack *s = STACK("file a 644 0:0\n", "file b 644 0:0\n", "file c 644 0:0\n");
	struct union_dir *root = union_root(s);
	const struct union_list *l = NULL;

	spoil(s, 1, "!", -EIO);
	cr_assert_eq(union_list_get(root, &l), -EIO);
	cr_assert_null(l);
	bad_name = "";
	cr_assert_eq(union_list_get(root, &l), 0, "a failure is not kept");
	cr_assert_eq(l->n, 3);
	union_list_put(root, l);
	union_dir_unref(root);
	stack_free(s);
}

Test(faults, lookup_fails_with_a_layer_that_counts)
{
	struct stack *s = STACK("file a 644 0:0 data=1\ndir d 755 0:0\nfile m 644 0:0 metacopy\n",
				"file a 644 0:0 data=0\ndir d 755 0:0\nfile m 644 0:0\n");

	spoil(s, 1, "a", -EIO);
	assert_file(s, "a", "1");
	bad_name = "d";
	assert_error(s, "d", -EIO);
	bad_name = "m";
	assert_error(s, "m", -EIO);
	bad_result = -ESTALE;
	assert_error(s, "m", -ESTALE);
	stack_free(s);
}

Test(faults, a_name_too_long_for_one_layer)
{
	struct stack *s = STACK("file a 644 0:0 data=1\n", "file b 644 0:0 data=0\n");

	spoil(s, 0, "b", -ENAMETOOLONG);
	assert_file(s, "b", "0");
	stack_free(s);
}

Test(faults, redirect_into_a_layer_that_fails)
{
	struct stack *s =
		STACK("dir d 755 0:0 redirect=/x/y\nfile f 644 0:0 metacopy redirect=/x/f\n",
		      "dir x 755 0:0\ndir x/y 755 0:0\nfile x/f 644 0:0\n");

	spoil(s, 1, "x", -EIO);
	assert_error(s, "d", -EIO);
	assert_error(s, "f", -EIO);
	bad_name = "y";
	assert_error(s, "d", -EIO);
	assert_file(s, "f", "");
	stack_free(s);
}
