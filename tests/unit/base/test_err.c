/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/err. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"

Test(err, set_returns_the_negative_code_and_keeps_the_text)
{
	CLEANUP(err) struct err e = {0};

	cr_assert_eq(err_set(&e, EINVAL, "option %s: %d", "x", 7), -EINVAL);
	cr_assert_eq(e.code, EINVAL);
	cr_assert_str_eq(err_text(&e), "option x: 7");
}

Test(err, errno_appends_the_reason)
{
	CLEANUP(err) struct err e = {0};

	cr_assert_eq(err_errno(&e, ENOENT, "%s", "/a"), -ENOENT);
	cr_assert_str_eq(err_text(&e), "/a: No such file or directory");
}

Test(err, wrap_prepends_and_keeps_the_code)
{
	CLEANUP(err) struct err e = {0};

	err_set(&e, EROFS, "inner");
	cr_assert_eq(err_wrap(&e, "mount %d", 1), -EROFS);
	cr_assert_eq(err_wrap(&e, "plyfs"), -EROFS);
	cr_assert_str_eq(err_text(&e), "plyfs: mount 1: inner");
}

Test(err, wrap_without_a_sentence_uses_the_reason)
{
	CLEANUP(err) struct err e = {.code = ENOSPC};
	CLEANUP(err) struct err fresh = {0};

	cr_assert_eq(err_wrap(&e, "write"), -ENOSPC);
	cr_assert_str_eq(err_text(&e), "write: No space left on device");
	cr_assert_eq(err_wrap(&fresh, "write"), -EIO);
	cr_assert_eq(fresh.code, EIO);
}

Test(err, null_is_allowed_everywhere)
{
	cr_assert_eq(err_set(NULL, EPERM, "x"), -EPERM);
	cr_assert_eq(err_errno(NULL, EPERM, "x"), -EPERM);
	cr_assert_eq(err_wrap(NULL, "x"), -EIO);
	cr_assert_not_null(err_text(NULL));
}

Test(err, without_text_the_code_speaks)
{
	struct err e = {.code = ENOTDIR};

	cr_assert_str_eq(err_text(&e), strerror(ENOTDIR));
}

Test(err, arguments_may_point_into_the_old_text)
{
	CLEANUP(err) struct err e = {0};

	err_set(&e, EIO, "one");
	err_set(&e, EPERM, "%s two", e.text);
	cr_assert_str_eq(e.text, "one two");
	err_wrap(&e, "%s", e.text);
	cr_assert_str_eq(e.text, "one two: one two");
	err_errno(&e, EPERM, "%s", e.text);
	cr_assert_str_eq(e.text, "one two: one two: Operation not permitted");
}

Test(err, done_makes_it_new)
{
	struct err e = {0};

	err_set(&e, EIO, "x");
	err_done(&e);
	cr_assert_eq(e.code, 0);
	cr_assert_null(e.text);
	err_done(&e);
}
