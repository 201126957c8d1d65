/* SPDX-License-Identifier: Apache-2.0 */
/* Redirected directories: where their lower part comes from. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/union/support.h"

Test(redirect, absolute)
{
	assert_tree(STACK("dir new 755 0:0 redirect=/old\nfile new/n 644 0:0\nwhiteout old\n",
			  "dir old 755 0:0\nfile old/o 644 0:0\n"),
		    "dir new 2\nfile new/n \nfile new/o \n");
}

Test(redirect, relative_stays_in_the_directory)
{
	assert_tree(STACK("dir d 755 0:0\ndir d/new 755 0:0 redirect=old\nwhiteout d/old\n",
			  "dir d 755 0:0\ndir d/old 755 0:0\nfile d/old/o 644 0:0\n"
			  "dir old 755 0:0\nfile old/wrong 644 0:0\n"),
		    "dir d 2\ndir d/new 2\nfile d/new/o \ndir old 1\nfile old/wrong \n");
}

Test(redirect, into_another_directory)
{
	assert_tree(STACK("dir a 755 0:0\ndir a/m 755 0:0 redirect=/b/c/x\n"
			  "dir b 755 0:0\ndir b/c 755 0:0\nwhiteout b/c/x\n",
			  "dir b 755 0:0\ndir b/c 755 0:0\ndir b/c/x 755 0:0\n"
			  "file b/c/x/f 644 0:0 data=1\n",
			  "dir b 755 0:0\ndir b/c 755 0:0\ndir b/c/x 755 0:0\n"
			  "file b/c/x/g 644 0:0 data=0\n"),
		    "dir a 1\ndir a/m 3\nfile a/m/f 1\nfile a/m/g 0\ndir b 3\ndir b/c 3\n");
}

Test(redirect, in_a_middle_layer)
{
	assert_tree(STACK("dir n 755 0:0\nfile n/2 644 0:0\n",
			  "dir n 755 0:0 redirect=/o\nfile n/1 644 0:0\nwhiteout o\n",
			  "dir o 755 0:0\nfile o/0 644 0:0\ndir n 755 0:0\nfile n/wrong 644 0:0\n"),
		    "dir n 3\nfile n/0 \nfile n/1 \nfile n/2 \n");
}

Test(redirect, chain_through_layers)
{
	assert_tree(STACK("dir c 755 0:0 redirect=/b\nwhiteout b\nfile c/2 644 0:0\n",
			  "dir b 755 0:0 redirect=/a\nwhiteout a\nfile b/1 644 0:0\n",
			  "dir a 755 0:0\nfile a/0 644 0:0\n"),
		    "dir c 3\nfile c/0 \nfile c/1 \nfile c/2 \n");
	assert_tree(STACK("dir c 755 0:0 redirect=b\nwhiteout b\n", "",
			  "dir b 755 0:0 redirect=a\nwhiteout a\n",
			  "dir a 755 0:0\nfile a/0 644 0:0\n"),
		    "dir c 3\nfile c/0 \n");
}

Test(redirect, through_a_renamed_parent)
{
	/* Layer 1 renames /p to /q; layer 0 then renames /q/d to /e. */
	assert_tree(STACK("dir e 755 0:0 redirect=/q/d\ndir q 755 0:0 redirect=/q\n"
			  "whiteout q/d\n",
			  "dir q 755 0:0 redirect=/p\nwhiteout p\nfile q/1 644 0:0\n",
			  "dir p 755 0:0\ndir p/d 755 0:0\nfile p/d/f 644 0:0 data=0\n"),
		    "dir e 2\nfile e/f 0\ndir q 3\nfile q/1 \n");
}

Test(redirect, children_of_a_renamed_directory)
{
	/* What an upper writes: below a renamed directory origins are the old paths. */
	assert_tree(STACK("dir new 755 0:0 redirect=/old\n"
			  "dir new/c 755 0:0 redirect=/old/c\nfile new/c/n 644 0:0\n"
			  "dir new/c/d 755 0:0 redirect=/old/c/d\nfile new/c/d/n 644 0:0\n",
			  "dir old 755 0:0\ndir old/c 755 0:0\nfile old/c/o 644 0:0\n"
			  "dir old/c/d 755 0:0\nfile old/c/d/o 644 0:0\n"),
		    "dir new 2\ndir new/c 2\ndir new/c/d 2\nfile new/c/d/n \nfile new/c/d/o \n"
		    "file new/c/n \nfile new/c/o \ndir old 1\ndir old/c 1\ndir old/c/d 1\n"
		    "file old/c/d/o \nfile old/c/o \n");
}

Test(redirect, swapped_directories)
{
	assert_tree(STACK("dir a 755 0:0 redirect=/b\ndir b 755 0:0 redirect=/a\n",
			  "dir a 755 0:0\nfile a/was-a 644 0:0\ndir b 755 0:0\n"
			  "file b/was-b 644 0:0\n"),
		    "dir a 2\nfile a/was-b \ndir b 2\nfile b/was-a \n");
}

Test(redirect, to_the_root)
{
	assert_tree(STACK("dir r 755 0:0 redirect=/\n", "file f 644 0:0\ndir d 755 0:0\n"),
		    "dir d 1\nfile f \ndir r 2\ndir r/d 1\nfile r/f \n");
	assert_tree(STACK("dir d 755 0:0\ndir d/r 755 0:0 redirect=/\n", "file f 644 0:0\n"),
		    "dir d 1\ndir d/r 2\nfile d/r/f \nfile f \n");
}

Test(redirect, missing_target_leaves_the_directory_alone)
{
	assert_tree(STACK("dir d 755 0:0 redirect=/none\nfile d/f 644 0:0\n",
			  "dir d 755 0:0\nfile d/hidden 644 0:0\n"),
		    "dir d 1\nfile d/f \n");
	assert_tree(STACK("dir d 755 0:0 redirect=/f/x\n", "file f 644 0:0\n"),
		    "dir d 1\nfile f \n");
	assert_tree(STACK("dir d 755 0:0 redirect=/f\n", "file f 644 0:0\n"), "dir d 1\nfile f \n");
	assert_tree(STACK("dir d 755 0:0 redirect=/w\n", "whiteout w\n", "dir w 755 0:0\n"),
		    "dir d 1\n");
}

Test(redirect, loops_end)
{
	/* Each leads to layers below, so a loop runs out of layers. */
	assert_tree(STACK("dir a 755 0:0 redirect=/a\n", "dir a 755 0:0 redirect=/a\n",
			  "dir a 755 0:0 redirect=/a\n"),
		    "dir a 3\n");
	assert_tree(STACK("dir a 755 0:0 redirect=/b\n",
			  "dir a 755 0:0 redirect=/b\ndir b 755 0:0 redirect=/a\n",
			  "dir a 755 0:0 redirect=/b\ndir b 755 0:0 redirect=/a\n"),
		    "dir a 3\ndir b 2\n");
}

Test(redirect, ignored_on_an_opaque_directory)
{
	assert_tree(STACK("dir d 755 0:0 opaque redirect=/o\n",
			  "dir o 755 0:0\nfile o/f 644 0:0\n"),
		    "dir d 1\ndir o 1\nfile o/f \n");
}

Test(redirect, malformed)
{
	static const char *const bad[] = {"/a/../b", "/a//b", "//",  "..", ".",	    "a/b",
					  "/.",	     "/a/",   "/..", "",   "/a/./b"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[100];
		struct stack *s;

		snprintf(text, sizeof(text), "dir d 755 0:0 redirect=%s\nfile ok 644 0:0\n",
			 bad[i]);
		s = STACK(text, "dir a 755 0:0\ndir a/b 755 0:0\ndir b 755 0:0\n");
		assert_error(s, "d", -EINVAL);
		assert_error(s, "d/x", -EINVAL);
		assert_file(s, "ok", "");
		stack_free(s);
	}
}

Test(redirect, overlong)
{
	struct buf text = {0};
	struct stack *s;

	buf_put_str(&text, "dir d 755 0:0 redirect=/");
	for (int i = 0; i < 1 << 19; i++)
		buf_put_str(&text, "a/");
	buf_put_str(&text, "a\n");
	s = STACK(buf_cstr(&text), "");
	assert_error(s, "d", -EINVAL);
	stack_free(s);
	buf_done(&text);
}

Test(redirect, untrusted_is_refused)
{
	const char *const texts[] = {"dir d 755 0:0 redirect=/o\nfile f 644 0:0\n",
				     "dir o 755 0:0\nfile o/secret 600 0:0\n"};
	struct stack *s = stack_of_texts(texts, 2, 0, LAYER_TRUST_METACOPY);

	assert_error(s, "d", -EPERM);
	assert_error(s, "d/secret", -EPERM);
	assert_tree(s, "error d EPERM\nfile f \ndir o 1\nfile o/secret \n");
}

Test(redirect, untrusted_in_the_last_layer_leads_nowhere_anyway)
{
	const char *const texts[] = {
		"dir d 755 0:0\nfile d/1 644 0:0\n",
		"dir d 755 0:0 redirect=/o\nfile d/0 644 0:0\ndir o 755 0:0\n"};

	assert_tree(stack_of_texts(texts, 2, 0, 0), "dir d 2\nfile d/0 \nfile d/1 \ndir o 1\n");
}

/* Layer I renames /dI to /dI+1: LAYERS redirects in a row. */
static struct stack *renamed_often(size_t layers)
{
	const char **texts = calloc(layers + 1, sizeof(*texts));
	struct stack *s;

	for (size_t i = 0; i < layers; i++) {
		size_t n = layers - i;
		char *text = NULL;

		cr_assert_gt(asprintf(&text, "dir d%zu 755 0:0 redirect=/d%zu\nwhiteout d%zu\n", n,
				      n - 1, n - 1),
			     0);
		texts[i] = text;
	}
	texts[layers] = "dir d0 755 0:0\nfile d0/f 644 0:0 data=deep\n";
	s = stack_of_texts(texts, layers + 1, 0, TRUST_ALL);
	for (size_t i = 0; i < layers; i++)
		free((char *)(uintptr_t)texts[i]);
	free(texts);
	return s;
}

Test(redirect, five_hundred_renames_of_one_directory)
{
	assert_tree(renamed_often(499), "dir d499 500\nfile d499/f deep\n");
}

Test(redirect, work_is_bounded)
{
	/* Every step of every walk meets a redirect that asks for another walk of 30 steps. */
	struct buf text = {0}, target = {0};
	const char *texts[40];
	struct stack *s;
	struct union_ref ref = {0};
	int r;

	for (int i = 0; i < 30; i++)
		buf_put_str(&target, "/a");
	for (size_t len = 1; len < target.len; len += 2) {
		buf_put_str(&text, "dir ");
		buf_put(&text, target.data + 1, len);
		buf_printf(&text, " 755 0:0 redirect=/b%s\n", buf_cstr(&target));
		buf_put_str(&text, len == 1 ? "dir b 755 0:0\n" : "");
		buf_put_str(&text, "dir b/");
		buf_put(&text, target.data + 1, len);
		buf_printf(&text, " 755 0:0 redirect=%s\n", buf_cstr(&target));
	}
	for (size_t i = 0; i < 40; i++)
		texts[i] = buf_cstr(&text);
	s = stack_of_texts(texts, 40, 0, TRUST_ALL);
	r = union_walk(s, "a", &ref);
	cr_assert_eq(r, -ELOOP, "%d", r);
	stack_free(s);
	buf_done(&text);
	buf_done(&target);
}
