/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks as a whole: making them, numbers, many layers. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/union/support.h"

Test(stack, empty)
{
	struct stack *s = stack_of_texts(NULL, 0, 0, 0);
	struct union_ref ref = {0};
	struct statvfs st = {0};
	struct buf names = {0};
	char value[4];

	cr_assert_eq(stack_count(s), 0);
	cr_assert_eq(union_walk(s, "", &ref), 0);
	cr_assert_eq(ref.attr.mode, S_IFDIR | 0755);
	cr_assert_eq(ref.attr.uid, 0);
	cr_assert_eq(ref.attr.nlink, 2);
	cr_assert_geq(ref.attr.ino, (uint64_t)1 << 48);
	cr_assert_eq(union_dir_parts(ref.dir), 0);
	cr_assert_eq(union_getxattr(ref.dir, NULL, 0, "user.x", value, 4), -ENODATA);
	cr_assert_eq(union_listxattr(ref.dir, NULL, 0, &names), 0);
	cr_assert_eq(names.len, 0);
	cr_assert_eq(union_statfs(s, &st), 0);
	cr_assert_eq(st.f_namemax, 255);
	union_ref_done(&ref);
	assert_error(s, "x", -ENOENT);
	assert_tree(s, "");
}

Test(stack, refuses_too_many)
{
	struct layer **layers = calloc(UNION_MAX_LAYERS + 1, sizeof(*layers));
	struct stack *s = NULL;
	struct err err = {0};

	for (size_t i = 0; i <= UNION_MAX_LAYERS; i++)
		cr_assert_eq(layer_open_mem("", "/l", 0, &layers[i], &err), 0);
	cr_assert_eq(stack_new(layers, UNION_MAX_LAYERS + 1, 0, SEED, &s, &err), -E2BIG);
	cr_assert_not_null(strstr(err_text(&err), "32000"));
	cr_assert_null(s);
	err_done(&err);
	cr_assert_eq(layer_open_mem("", "/l", 0, &layers[0], &err), 0);
	cr_assert_eq(stack_new(layers, 1, 2, SEED, &s, &err), -EINVAL);
	err_done(&err);
	free(layers);
}

Test(stack, numbers)
{
	uint64_t big = union_ino(3, (uint64_t)1 << 48);

	cr_assert_eq(union_ino(1, 5), ((uint64_t)1 << 48) + 5);
	cr_assert_eq(union_ino(32000, 0), (uint64_t)32000 << 48);
	cr_assert_eq(union_ino(2, ((uint64_t)1 << 48) - 1), ((uint64_t)3 << 48) - 1);
	cr_assert_eq(big >> 63, 1);
	cr_assert_eq(union_ino(3, (uint64_t)1 << 48), big);
	cr_assert_neq(union_ino(4, (uint64_t)1 << 48), big);
	cr_assert_neq(union_ino(3, UINT64_MAX), big);
}

Test(stack, numbers_do_not_change_when_layers_are_put_on_top)
{
	const char *low = "file f 644 0:0\ndir d 755 0:0\n";
	struct stack *a = STACK(low), *b = STACK("dir x 755 0:0\n", "", low);
	struct union_ref fa = {0}, fb = {0}, da = {0}, db = {0};

	cr_assert_eq(union_walk(a, "f", &fa), 0);
	cr_assert_eq(union_walk(b, "f", &fb), 0);
	cr_assert_eq(union_walk(a, "d", &da), 0);
	cr_assert_eq(union_walk(b, "d", &db), 0);
	cr_assert_eq(fa.attr.ino, fb.attr.ino);
	cr_assert_eq(da.attr.ino, db.attr.ino);
	union_ref_done(&fa);
	union_ref_done(&fb);
	union_ref_done(&da);
	union_ref_done(&db);
	stack_free(a);
	stack_free(b);
}

Test(stack, five_hundred_layers)
{
	const char *texts[500];
	struct buf want = {0};
	struct stack *s;

	for (int i = 0; i < 500; i++) {
		char *text = NULL;

		cr_assert_gt(asprintf(&text,
				      "dir d 755 0:0\nfile d/all 644 0:0 data=%d\n"
				      "file d/f%03d 644 0:0 data=%d\n%s",
				      i, i, i, i % 100 == 99 ? "whiteout d/f250\n" : ""),
			     0);
		texts[i] = text;
	}
	buf_put_str(&want, "dir d 500\nfile d/all 0\n");
	for (int i = 0; i < 500; i++) {
		if (i != 250)
			buf_printf(&want, "file d/f%03d %d\n", i, i);
	}
	s = stack_of_texts(texts, 500, 0, TRUST_ALL);
	cr_assert_eq(stack_count(s), 500);
	cr_assert_str_eq(stack_layer(s, 499)->path, "/layer499");
	assert_tree(s, buf_cstr(&want));
	buf_done(&want);
	for (int i = 0; i < 500; i++)
		free((char *)(uintptr_t)texts[i]);
}

Test(stack, text)
{
	const char *const texts[] = {"", "file f 644 0:0\n"};
	struct stack *s = stack_of_texts(texts, 2, 1, 0);
	struct buf out = {0};

	stack_to_text(s, &out);
	cr_assert_eq(strncmp(buf_cstr(&out), "mem /layer0", 11), 0, "%s", buf_cstr(&out));
	cr_assert_not_null(strstr(buf_cstr(&out), "\nmem (data only) /layer1"));
	buf_done(&out);
	stack_free(s);
}
