/* SPDX-License-Identifier: Apache-2.0 */
/* Look-ups that a listing in memory answers, and those that it must not. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit/union/support.h"

static const struct layer_ops *inner;
static size_t looked_up, listed; /* how often layers were asked */
static int list_result;

static int lookup(struct layer *l, struct layer_dir *dir, const char *name, struct layer_entry *e)
{
	looked_up++;
	return inner->lookup(l, dir, name, e);
}

static int list(struct layer *l, struct layer_dir *dir, struct layer_list *to)
{
	listed++;
	return list_result < 0 ? list_result : inner->list(l, dir, to);
}

static struct layer_ops ops, hiding_ops;

/* Counts what the layers of S are asked. */
static void count(struct stack *s)
{
	looked_up = listed = 0;
	list_result = 0;
	inner = stack_layer(s, 0)->ops;
	ops = *inner;
	ops.lookup = lookup;
	ops.list = list;
	hiding_ops = ops;
	hiding_ops.lists_all = NULL;
	for (size_t i = 0; i < stack_count(s); i++)
		stack_layer(s, i)->ops = &ops;
}

static int found(struct union_dir *dir, const char *name)
{
	struct union_ref ref = {0};
	int r = union_lookup(dir, name, &ref);

	cr_assert_eq(union_exists(dir, name), r == 0, "%s", name);
	union_ref_done(&ref);
	return r;
}

static void list_once(struct union_dir *dir)
{
	const struct union_list *l;

	cr_assert_eq(union_list_get(dir, &l), 0);
	union_list_put(dir, l);
}

Test(listed, absent_names_are_asked_of_nobody)
{
	struct stack *s = STACK("file a 644 0:0\nwhiteout w\n", "file b 644 0:0\n",
				"file w 644 0:0\nfile c 644 0:0\ndir d 755 0:0\n");
	struct union_dir *root = union_root(s);

	count(s);
	list_once(root);
	looked_up = 0;
	cr_assert_eq(found(root, "none"), -ENOENT);
	cr_assert_eq(found(root, "A"), -ENOENT);
	cr_assert_eq(found(root, "w"), -ENOENT);
	cr_assert_eq(looked_up, 0);
	/* And what is there only of the layer that has it. */
	cr_assert_eq(found(root, "c"), 0);
	cr_assert_eq(looked_up, 1);
	cr_assert_eq(found(root, "d"), 0);
	cr_assert_eq(looked_up, 2);
	/* Without the listing all are asked. */
	stack_trim(s);
	cr_assert_eq(found(root, "none"), -ENOENT);
	cr_assert_eq(looked_up, 2 + 2 * 3);
	union_dir_unref(root);
	stack_free(s);
}

Test(listed, one_layer_alone)
{
	struct stack *s = STACK("file a 644 0:0\n");
	struct union_dir *root = union_root(s);

	count(s);
	list_once(root);
	cr_assert_eq(found(root, "none"), -ENOENT);
	cr_assert_eq(looked_up, 0);
	cr_assert_eq(found(root, "a"), 0);
	cr_assert_eq(looked_up, 1);
	union_dir_unref(root);
	stack_free(s);
}

/* A layer that finds more than it lists, as file systems do that ignore case. */
Test(listed, a_layer_with_other_names_is_asked)
{
	struct stack *s = STACK("file a 644 0:0\n", "file b 644 0:0\n");
	struct union_dir *root = union_root(s);

	count(s);
	stack_layer(s, 1)->ops = &hiding_ops;
	list_once(root);
	looked_up = 0;
	cr_assert_eq(found(root, "none"), -ENOENT);
	cr_assert_eq(looked_up, 2 * 2);
	cr_assert_eq(found(root, "a"), 0);
	cr_assert_eq(found(root, "b"), 0);
	union_dir_unref(root);
	stack_free(s);
}

enum { MANY = 64 };

static struct stack *many_layers(char (*texts)[64])
{
	const char *v[MANY];

	for (int i = 0; i < MANY; i++) {
		snprintf(texts[i], sizeof(texts[i]), "file f%d 644 0:0\n", i);
		v[i] = texts[i];
	}
	return stack_of_texts(v, MANY, 0, TRUST_ALL);
}

/* As a client's look-up, with no lock held. */
static int asked(struct union_dir *dir, const char *name)
{
	union_asked(dir);
	return found(dir, name);
}

Test(listed, many_lookups_in_many_layers_make_a_listing)
{
	char texts[MANY][64], name[16];
	struct stack *s = many_layers(texts);
	struct union_dir *root = union_root(s);

	count(s);
	cr_assert_eq(asked(root, "none"), -ENOENT);
	cr_assert_eq(listed, 0, "one look-up is not worth it");
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "none%d", i);
		cr_assert_eq(asked(root, name), -ENOENT);
	}
	cr_assert_eq(listed, MANY);
	cr_assert_lt(looked_up, (size_t)MANY * 10);
	looked_up = 0;
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		cr_assert_eq(asked(root, name), 0);
	}
	cr_assert_eq(looked_up, MANY);
	union_dir_unref(root);
	stack_free(s);
}

Test(listed, what_cannot_be_listed_can_be_looked_up)
{
	char texts[MANY][64], name[16];
	struct stack *s = many_layers(texts);
	struct union_dir *root = union_root(s);

	count(s);
	list_result = -EACCES;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "none%d", i);
		cr_assert_eq(asked(root, name), -ENOENT);
		snprintf(name, sizeof(name), "f%d", i % MANY);
		cr_assert_eq(asked(root, name), 0);
	}
	cr_assert_eq(listed, 1, "that is not tried again and again");
	union_dir_unref(root);
	stack_free(s);
}

/* What is looked up in the course of a change, under the lock of writers, must not take long. */
Test(listed, changes_make_no_listing)
{
	char texts[MANY][64];
	struct stack *s = many_layers(texts);
	struct union_dir *root = union_root(s);

	count(s);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(found(root, "none"), -ENOENT);
	cr_assert_eq(listed, 0);
	cr_assert_eq(asked(root, "none"), -ENOENT);
	cr_assert_eq(listed, MANY);
	union_dir_unref(root);
	stack_free(s);
}
