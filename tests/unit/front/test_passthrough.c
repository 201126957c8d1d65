/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of when io=passthrough can be. */
#include "front/passthrough.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "front/fuse.h"

static int check(enum front_io io, bool read_only, struct err *err)
{
	struct front_options o;

	front_options_init(&o);
	o.io = io;
	return passthrough_check(&o, read_only, err);
}

Test(passthrough, only_what_is_demanded_is_refused)
{
	CLEANUP(err) struct err err = {0};

	cr_expect_eq(check(FRONT_IO_AUTO, false, &err), 0);
	cr_expect_eq(check(FRONT_IO_CACHE, false, &err), 0);
	cr_expect_eq(check(FRONT_IO_AUTO, true, &err), 0);
	cr_expect_eq(check(FRONT_IO_PASSTHROUGH, false, &err), -EINVAL);
#if FRONT_FUSE_3_18
	cr_expect_not_null(strstr(err.text, "cannot be written"), "%s", err.text);
	err_done(&err);
	cr_expect_eq(check(FRONT_IO_PASSTHROUGH, true, &err), 0);
#else
	cr_expect_not_null(strstr(err.text, "libfuse"), "%s", err.text);
#endif
}

/* A writable mount never asks the kernel for it, whatever went before. */
Test(passthrough, wanted)
{
	struct front_options o;

	front_options_init(&o);
	cr_expect_not(passthrough_wanted(&o, true));
	o.io = FRONT_IO_CACHE;
	cr_expect_not(passthrough_wanted(&o, true));
	o.io = FRONT_IO_PASSTHROUGH;
	cr_expect(passthrough_wanted(&o, true));
	cr_expect_not(passthrough_wanted(&o, false));
}
