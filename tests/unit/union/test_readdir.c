/* SPDX-License-Identifier: Apache-2.0 */
/* Merged listings: order, contents, and how long they are kept. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit/union/support.h"

static const struct union_name *find(const struct union_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->names[i].name, name) == 0)
			return &l->names[i];
	}
	return NULL;
}

Test(readdir, types_and_numbers_are_the_topmost_ones)
{
	struct stack *s = STACK("dir d 755 0:0\nfile n 644 0:0\nwhiteout w\n",
				"dir d 755 0:0\ndir n 755 0:0\nfile w 644 0:0\nsymlink l x\n"
				"fifo p 600\nchar c 600 1:1\n");
	struct union_dir *root = union_root(s);
	const struct union_list *l = NULL;

	cr_assert_eq(union_list_get(root, &l), 0);
	cr_assert_eq(l->n, 5);
	cr_assert_eq(find(l, "d")->dtype, DT_DIR);
	cr_assert_eq(find(l, "d")->ino >> 48, 2);
	cr_assert_eq(find(l, "n")->dtype, DT_REG);
	cr_assert_eq(find(l, "l")->dtype, DT_LNK);
	cr_assert_eq(find(l, "l")->ino >> 48, 1);
	cr_assert_eq(find(l, "p")->dtype, DT_FIFO);
	cr_assert_eq(find(l, "c")->dtype, DT_CHR);
	cr_assert_null(find(l, "w"));
	union_list_put(root, l);
	union_dir_unref(root);
	stack_free(s);
}

Test(readdir, is_made_once_and_kept)
{
	struct stack *s = STACK("file a 644 0:0\n", "file b 644 0:0\n");
	struct union_dir *root = union_root(s);
	const struct union_list *one = NULL, *two = NULL;

	cr_assert_eq(union_list_get(root, &one), 0);
	cr_assert_eq(union_list_get(root, &two), 0);
	cr_assert_eq(one, two);
	stack_trim(s);
	cr_assert_eq(one->n, 2, "what is in use is not freed");
	union_list_put(root, one);
	union_list_put(root, two);
	cr_assert_eq(union_list_get(root, &two), 0);
	cr_assert_eq(one, two, "kept when nobody uses it");
	union_list_put(root, two);
	stack_trim(s);
	cr_assert_eq(union_list_get(root, &two), 0);
	cr_assert_eq(two->n, 2);
	union_list_put(root, two);
	union_dir_unref(root);
	stack_free(s);
}

Test(readdir, empty_directory)
{
	struct stack *s = STACK("whiteout a\n", "file a 644 0:0\n");
	struct union_dir *root = union_root(s);
	const struct union_list *l = NULL;

	cr_assert_eq(union_list_get(root, &l), 0);
	cr_assert_eq(l->n, 0);
	union_list_put(root, l);
	union_dir_unref(root);
	stack_free(s);
}

Test(readdir, listings_go_with_their_directory)
{
	struct stack *s = STACK("dir d 755 0:0\nfile d/f 644 0:0\ndir e 755 0:0\n");
	const struct union_list *l = NULL;
	struct union_ref d = {0}, e = {0};

	cr_assert_eq(union_walk(s, "d", &d), 0);
	cr_assert_eq(union_walk(s, "e", &e), 0);
	cr_assert_eq(union_list_get(e.dir, &l), 0);
	union_list_put(e.dir, l);
	cr_assert_eq(union_list_get(d.dir, &l), 0);
	union_list_put(d.dir, l);
	union_ref_done(&d);
	cr_assert_eq(union_list_get(e.dir, &l), 0);
	union_list_put(e.dir, l);
	stack_trim(s);
	union_ref_done(&e);
	stack_free(s);
}
