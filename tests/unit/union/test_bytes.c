/* SPDX-License-Identifier: Apache-2.0 */
/* Metacopies: whose bytes are shown. */
#include <criterion/criterion.h>
#include <errno.h>

#include "unit/union/support.h"

static struct stack *with_data(const char *const *texts, size_t n, size_t n_data)
{
	return stack_of_texts(texts, n, n_data, TRUST_ALL);
}

Test(bytes, of_the_next_file_below)
{
	struct stack *s = STACK("file f 600 7:8 size=3 metacopy\n", "", "file f 644 0:0 data=abc\n",
				"file f 644 0:0 data=wrong\n");
	struct union_ref ref = {0};

	cr_assert_eq(union_walk(s, "f", &ref), 0);
	cr_assert_eq(ref.attr.mode, S_IFREG | 0600);
	cr_assert_eq(ref.attr.uid, 7);
	cr_assert_not_null(ref.data);
	union_ref_done(&ref);
	assert_tree(s, "file f abc\n");
}

Test(bytes, chain_of_metacopies)
{
	assert_tree(STACK("file f 600 0:0 metacopy\n", "file f 640 0:0 metacopy\n",
			  "file f 644 0:0 data=abc\n"),
		    "file f abc\n");
}

Test(bytes, at_an_absolute_redirect)
{
	assert_tree(
		STACK("dir d 755 0:0\nfile d/new 600 0:0 metacopy redirect=/o/old\nwhiteout o\n",
		      "dir o 755 0:0\nfile o/old 644 0:0 data=abc\ndir d 755 0:0\n"
		      "file d/new 644 0:0 data=wrong\n"),
		"dir d 2\nfile d/new abc\n");
}

Test(bytes, at_a_relative_redirect)
{
	assert_tree(
		STACK("dir d 755 0:0\nfile d/new 600 0:0 metacopy redirect=old\n",
		      "dir d 755 0:0\nfile d/old 644 0:0 data=abc\nfile old 644 0:0 data=wrong\n"),
		"dir d 2\nfile d/new abc\nfile d/old abc\nfile old wrong\n");
}

Test(bytes, redirects_in_a_row)
{
	assert_tree(STACK("file c 600 0:0 metacopy redirect=/b\nwhiteout b\n",
			  "file b 600 0:0 metacopy redirect=a\nwhiteout a\n",
			  "file a 644 0:0 data=abc\n"),
		    "file c abc\n");
}

Test(bytes, below_a_renamed_directory)
{
	assert_tree(STACK("dir n 755 0:0 redirect=/o\nfile n/f 600 0:0 metacopy\n"
			  "file n/g 600 0:0 metacopy redirect=/o/g\nwhiteout o\n",
			  "dir o 755 0:0\nfile o/f 644 0:0 data=f\nfile o/g 644 0:0 data=g\n"),
		    "dir n 2\nfile n/f f\nfile n/g g\n");
}

Test(bytes, missing)
{
	assert_tree(STACK("file f 644 0:0 metacopy\n"), "error f EIO\n");
	assert_tree(STACK("file f 644 0:0 metacopy\n", "dir f 755 0:0\n"), "error f EIO\n");
	assert_tree(STACK("file f 644 0:0 metacopy\n", "symlink f x\n", "file f 644 0:0\n"),
		    "error f EIO\n");
	assert_tree(STACK("file f 644 0:0 metacopy\n", "whiteout f\n", "file f 644 0:0\n"),
		    "error f EIO\n");
	assert_tree(STACK("file f 644 0:0 metacopy redirect=/x\n", "file f 644 0:0\n"),
		    "error f EIO\n");
	assert_tree(STACK("file f 644 0:0 metacopy redirect=/\n", "file f 644 0:0\n"),
		    "error f EIO\n");
	assert_tree(STACK("file f 644 0:0 metacopy redirect=/../f\n", "file f 644 0:0\n"),
		    "error f EINVAL\n");
}

Test(bytes, loops_end)
{
	assert_tree(
		STACK("file a 644 0:0 metacopy redirect=/b\nfile b 644 0:0 metacopy redirect=/a\n",
		      "file a 644 0:0 metacopy redirect=/b\nfile b 644 0:0 metacopy redirect=/a\n"),
		"error a EIO\nerror b EIO\n");
}

Test(bytes, untrusted)
{
	const char *const texts[] = {"file f 600 0:0 metacopy redirect=/s\n",
				     "file s 600 0:0 data=secret\n"};
	struct stack *s = stack_of_texts(texts, 2, 0, LAYER_TRUST_REDIRECT);

	assert_tree(s, "error f EPERM\nfile s secret\n");
	s = stack_of_texts(texts, 2, 0, LAYER_TRUST_METACOPY);
	assert_tree(s, "error f EPERM\nfile s secret\n");
	s = stack_of_texts(texts, 2, 0, TRUST_ALL);
	assert_tree(s, "file f secret\nfile s secret\n");
}

Test(bytes, untrusted_metacopy_without_redirect)
{
	const char *const texts[] = {"file f 600 0:0 metacopy\n", "file f 600 0:0 data=x\n"};

	assert_tree(stack_of_texts(texts, 2, 0, LAYER_TRUST_REDIRECT), "error f EPERM\n");
	assert_tree(stack_of_texts(texts, 2, 0, LAYER_TRUST_METACOPY), "file f x\n");
}

Test(bytes, in_data_only_layers)
{
	const char *const texts[] = {
		"file a 644 0:0 size=1 metacopy redirect=/o/a\n"
		"file b 644 0:0 size=1 metacopy redirect=/o/b\n"
		"file c 644 0:0 metacopy redirect=/o/c\nfile d 644 0:0 metacopy redirect=d2\n",
		"dir o 755 0:0\nfile o/a 644 0:0 data=first\ndir o/c 755 0:0\nfile d2 644 0:0\n",
		"dir o 755 0:0\nfile o/a 644 0:0 data=second\nfile o/b 644 0:0 data=B\n",
	};

	/* Missing there shows when it is opened; a relative redirect never leads there. */
	assert_tree(with_data(texts, 3, 2),
		    "file a first\nfile b B\nfile c error EIO\nerror d EIO\n");
}

Test(bytes, data_only_layers_are_not_seen_by_name)
{
	const char *const texts[] = {"file f 644 0:0\n", "file g 644 0:0\ndir f 755 0:0\n"};
	struct stack *s = with_data(texts, 2, 1);
	struct union_ref ref = {0};

	assert_error(s, "g", -ENOENT);
	cr_assert_eq(union_walk(s, "f", &ref), 0);
	cr_assert_eq(ref.attr.ino >> 48, 1, "data-only layers have no position");
	union_ref_done(&ref);
	assert_tree(s, "file f \n");
}

Test(bytes, data_only_layers_come_after_the_others)
{
	const char *const texts[] = {"file a 644 0:0 metacopy redirect=/o\n",
				     "file o 644 0:0 data=layer\n", "file o 644 0:0 data=data\n"};

	assert_tree(with_data(texts, 3, 1), "file a layer\nfile o layer\n");
}

Test(bytes, all_layers_data_only)
{
	const char *const texts[] = {"file f 644 0:0\n"};

	assert_tree(with_data(texts, 1, 1), "");
}
