/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of merging: one small stack a rule. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "unit/union/support.h"

Test(lookup, one_layer_shows_as_it_is)
{
	assert_tree(STACK("dir a 755 0:0\nfile a/f 644 0:0 data=x\nsymlink l a/f\nfifo p 600\n"
			  "char c 600 1:3\n"),
		    "dir a 1\nfile a/f x\nother c\nsymlink l a/f\nother p\n");
}

Test(lookup, topmost_file_wins)
{
	assert_tree(STACK("file f 644 0:0 data=2\n", "file f 644 0:0 data=1\n",
			  "file f 644 0:0 data=0\nfile g 644 0:0 data=0\n"),
		    "file f 2\nfile g 0\n");
}

Test(lookup, directories_merge)
{
	assert_tree(STACK("dir d 755 0:0\nfile d/a 644 0:0 data=2\n",
			  "dir d 755 0:0\nfile d/b 644 0:0 data=1\nfile d/a 644 0:0 data=1\n",
			  "dir d 755 0:0\nfile d/c 644 0:0 data=0\nfile d/b 644 0:0 data=0\n"),
		    "dir d 3\nfile d/a 2\nfile d/b 1\nfile d/c 0\n");
}

Test(lookup, whiteout_hides_file_at_any_level)
{
	const char *top = "file x 644 0:0 data=x\n";
	const char *low = "file f 644 0:0 data=0\nfile x 644 0:0 data=y\n";

	assert_tree(STACK("whiteout f\n", low), "file x y\n");
	assert_tree(STACK(top, "whiteout f\n", low), "file x x\n");
	assert_tree(STACK("whiteout f\n", top, low), "file x x\n");
}

Test(lookup, whiteout_hides_directory_and_what_is_in_it)
{
	assert_tree(STACK("whiteout d\n", "dir d 755 0:0\nfile d/f 644 0:0\n"), "");
}

Test(lookup, whiteout_is_no_name)
{
	struct stack *s = STACK("whiteout f\n", "file f 644 0:0\n");
	struct union_dir *root = union_root(s);

	cr_assert_eq(union_exists(root, "f"), 0);
	cr_assert_eq(union_exists(root, "none"), 0);
	assert_error(s, "f", -ENOENT);
	assert_error(s, "f/below", -ENOENT);
	union_dir_unref(root);
	stack_free(s);
}

Test(lookup, whiteout_then_made_again)
{
	assert_tree(STACK("file f 644 0:0 data=new\n", "whiteout f\n", "file f 644 0:0 data=old\n"),
		    "file f new\n");
	assert_tree(STACK("dir d 755 0:0\nfile d/n 644 0:0\n", "whiteout d\n",
			  "dir d 755 0:0\nfile d/o 644 0:0\n"),
		    "dir d 1\nfile d/n \n");
}

Test(lookup, whiteout_without_anything_below)
{
	assert_tree(STACK("whiteout f\n", ""), "");
	assert_tree(STACK("", "whiteout f\n"), "");
}

Test(lookup, opaque_stops_at_each_level)
{
	const char *plain = "dir d 755 0:0\nfile d/p 644 0:0\n";
	const char *opaque = "dir d 755 0:0 opaque\nfile d/o 644 0:0\n";
	const char *low = "dir d 755 0:0\nfile d/low 644 0:0\n";

	assert_tree(STACK(opaque, plain, low), "dir d 1\nfile d/o \n");
	assert_tree(STACK(plain, opaque, low), "dir d 2\nfile d/o \nfile d/p \n");
	assert_tree(STACK(plain, low, opaque), "dir d 3\nfile d/low \nfile d/o \nfile d/p \n");
}

Test(lookup, opaque_root)
{
	assert_tree(STACK("file a 644 0:0\n", "dir . 755 0:0 opaque\nfile b 644 0:0\n",
			  "file c 644 0:0\n"),
		    "file a \nfile b \n");
}

Test(lookup, file_over_directory_and_back)
{
	assert_tree(STACK("file n 644 0:0 data=f\n", "dir n 755 0:0\nfile n/x 644 0:0\n"),
		    "file n f\n");
	assert_tree(STACK("dir n 755 0:0\nfile n/y 644 0:0\n", "file n 644 0:0 data=f\n",
			  "dir n 755 0:0\nfile n/x 644 0:0\n"),
		    "dir n 1\nfile n/y \n");
}

Test(lookup, symlink_over_directory_stops_the_merge)
{
	assert_tree(STACK("dir n 755 0:0\n", "symlink n t\n", "dir n 755 0:0\nfile n/x 644 0:0\n"),
		    "dir n 1\n");
}

Test(lookup, directory_over_nothing_is_alone)
{
	assert_tree(STACK("dir a 755 0:0\n", "dir b 755 0:0\n"), "dir a 1\ndir b 1\n");
}

Test(lookup, layers_that_skip_a_directory)
{
	assert_tree(STACK("dir a 755 0:0\ndir a/b 755 0:0\nfile a/b/2 644 0:0\n",
			  "dir a 755 0:0\nfile a/1 644 0:0\n",
			  "dir a 755 0:0\ndir a/b 755 0:0\nfile a/b/0 644 0:0\n"),
		    "dir a 3\nfile a/1 \ndir a/b 2\nfile a/b/0 \nfile a/b/2 \n");
}

Test(lookup, attributes_of_a_directory)
{
	struct stack *s = STACK("dir d 700 5:6\ndir d/s 755 0:0\n",
				"dir d 755 0:0\ndir d/t 755 0:0\ndir alone 755 0:0\n"
				"dir alone/x 755 0:0\n");
	struct union_ref ref = {0};

	cr_assert_eq(union_walk(s, "d", &ref), 0);
	cr_assert_eq(ref.attr.mode, S_IFDIR | 0700);
	cr_assert_eq(ref.attr.uid, 5);
	cr_assert_eq(ref.attr.gid, 6);
	cr_assert_eq(ref.attr.nlink, 1);
	cr_assert_eq(ref.attr.ino >> 48, 2);
	union_ref_done(&ref);
	cr_assert_eq(union_walk(s, "alone", &ref), 0);
	cr_assert_eq(ref.attr.nlink, 3);
	cr_assert_eq(ref.attr.ino >> 48, 1);
	union_ref_done(&ref);
	stack_free(s);
}

Test(lookup, xattrs_are_those_of_the_topmost)
{
	struct stack *s = STACK("dir d 755 0:0 xattr:user.a=1\nfile f 644 0:0 xattr:user.f=top\n",
				"dir d 755 0:0 xattr:user.b=2\nfile f 644 0:0 xattr:user.f=low\n");
	struct union_ref d = {0}, f = {0};
	struct buf names = {0};
	char value[8] = "";

	cr_assert_eq(union_walk(s, "d", &d), 0);
	cr_assert_eq(union_walk(s, "f", &f), 0);
	cr_assert_eq(union_getxattr(d.dir, NULL, 0, "user.a", value, 8), 1);
	cr_assert_eq(union_getxattr(d.dir, NULL, 0, "user.b", value, 8), -ENODATA);
	cr_assert_eq(union_getxattr(f.dir, "f", f.part, "user.f", value, 8), 3);
	cr_assert_arr_eq(value, "top", 3);
	cr_assert_eq(union_listxattr(d.dir, NULL, 0, &names), 0);
	cr_assert_eq(names.len, sizeof("user.a"));
	buf_done(&names);
	union_ref_done(&d);
	union_ref_done(&f);
	stack_free(s);
}

Test(lookup, walk_refuses_what_is_no_path)
{
	struct stack *s = STACK("dir a 755 0:0\nfile a/f 644 0:0\n");
	char longest[300];

	memset(longest, 'x', sizeof(longest));
	longest[256] = '\0';
	assert_error(s, "a/./f", -EINVAL);
	assert_error(s, "a/..", -EINVAL);
	assert_error(s, "a//f", -EINVAL);
	assert_error(s, "/a", -EINVAL);
	assert_error(s, "a/f/x", -ENOTDIR);
	assert_error(s, longest, -ENAMETOOLONG);
	longest[255] = '\0';
	assert_error(s, longest, -ENOENT);
	stack_free(s);
}

Test(lookup, walk_of_the_root)
{
	struct stack *s = STACK("dir . 711 3:4\n", "");
	struct union_ref ref = {0};

	cr_assert_eq(union_walk(s, "", &ref), 0);
	cr_assert_eq(ref.attr.mode, S_IFDIR | 0711);
	cr_assert_eq(ref.attr.uid, 3);
	cr_assert_eq(ref.attr.ino >> 48, 2);
	cr_assert_eq(union_dir_parent(ref.dir), NULL);
	cr_assert_str_eq(union_dir_name(ref.dir), "");
	union_ref_done(&ref);
	stack_free(s);
}

Test(lookup, deep_tree_goes_at_once)
{
	struct buf text = {0}, path = {0};
	struct union_ref ref = {0};
	struct stack *s;

	for (int i = 0; i < 1500; i++)
		buf_put_str(&path, i == 0 ? "d" : "/d");
	for (size_t len = 1; len <= path.len; len += 2) {
		buf_put_str(&text, "dir ");
		buf_put(&text, path.data, len);
		buf_put_str(&text, " 755 0:0\n");
	}
	s = STACK(buf_cstr(&text));
	cr_assert_eq(union_walk(s, buf_cstr(&path), &ref), 0);
	buf_clear(&text);
	cr_assert_eq(union_path(ref.dir, NULL, &text), 0);
	cr_assert_str_eq(buf_cstr(&text), buf_cstr(&path));
	union_ref_done(&ref);
	stack_free(s);
	buf_done(&text);
	buf_done(&path);
}
