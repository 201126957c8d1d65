/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what is asked of the kernel. */
#include "front/negotiate.h"

#include <criterion/criterion.h>

#include "front/fuse.h"
#include "front/ops.h"

static uint64_t want(uint64_t capable, double timeout, bool acl, bool writeback)
{
	struct front_options o;

	front_options_init(&o);
	o.timeout = timeout;
	o.acl = acl;
	o.writeback = writeback;
	return negotiate_want(&o, false, capable);
}

Test(negotiate, nothing_that_is_not_offered)
{
	cr_expect_eq(want(0, 1, true, true), 0);
	cr_expect_eq(want(FUSE_CAP_POSIX_ACL, 1, true, true), FUSE_CAP_POSIX_ACL);
}

Test(negotiate, by_option)
{
	uint64_t all = want(UINT64_MAX, 1e9, true, true);

	cr_expect(all & FUSE_CAP_WRITEBACK_CACHE);
	cr_expect(all & FUSE_CAP_POSIX_ACL);
	cr_expect(all & FUSE_CAP_NO_OPEN_SUPPORT);
	cr_expect(all & FUSE_CAP_NO_OPENDIR_SUPPORT);
	cr_expect(all & FUSE_CAP_EXPLICIT_INVAL_DATA);
	cr_expect(all & FUSE_CAP_DONT_MASK);
	cr_expect(all & FUSE_CAP_SPLICE_WRITE);
	cr_expect_not(all & FUSE_CAP_AUTO_INVAL_DATA);
	cr_expect_eq(want(UINT64_MAX, 1e9, false, true), all & ~(uint64_t)FUSE_CAP_POSIX_ACL);
	cr_expect_eq(want(UINT64_MAX, 1e9, true, false), all & ~(uint64_t)FUSE_CAP_WRITEBACK_CACHE);
}

/* With the writeback cache every close costs a question, which only writing makes up for. */
Test(negotiate, read_only)
{
	struct front_options o;

	front_options_init(&o);
	cr_expect_eq(negotiate_want(&o, true, UINT64_MAX),
		     negotiate_want(&o, false, UINT64_MAX) & ~(uint64_t)FUSE_CAP_WRITEBACK_CACHE);
}

/* The kernel takes both or neither: backing files are named in answers to opens, and it has no pages to gather. */
Test(negotiate, passthrough)
{
#if FRONT_FUSE_3_18
	struct front_options o;
	uint64_t cached, passed;

	front_options_init(&o);
	cached = negotiate_want(&o, true, UINT64_MAX);
	o.io = FRONT_IO_PASSTHROUGH;
	passed = negotiate_want(&o, true, UINT64_MAX);
	cr_expect_eq(passed, (cached & ~(uint64_t)FUSE_CAP_NO_OPEN_SUPPORT) | FUSE_CAP_PASSTHROUGH);
	cr_expect(passed & FUSE_CAP_NO_OPENDIR_SUPPORT);
	cr_expect_not(passed & FUSE_CAP_WRITEBACK_CACHE);
	/* Never where something can be written. */
	cr_expect_not(negotiate_want(&o, false, UINT64_MAX) & FUSE_CAP_PASSTHROUGH);
	cr_expect(negotiate_want(&o, false, UINT64_MAX) & FUSE_CAP_NO_OPEN_SUPPORT);
	o.io = FRONT_IO_CACHE;
	cr_expect_eq(negotiate_want(&o, true, UINT64_MAX), cached);
#endif
}

/* Opens without a message and O_TRUNC as part of an open do not go together. */
Test(negotiate, never)
{
	uint64_t all = want(UINT64_MAX, 1e9, true, true);

	cr_expect_not(all & FUSE_CAP_ATOMIC_O_TRUNC);
	cr_expect_not(all & FUSE_CAP_EXPORT_SUPPORT);
	cr_expect_not(all & FUSE_CAP_POSIX_LOCKS);
	cr_expect_not(all & FUSE_CAP_FLOCK_LOCKS);
	cr_expect_not(all & FUSE_CAP_SPLICE_READ);
	cr_expect_not(all & FUSE_CAP_SPLICE_MOVE);
#if FRONT_FUSE_3_18
	cr_expect_not(all & FUSE_CAP_PASSTHROUGH);
	cr_expect_not(all & FUSE_CAP_OVER_IO_URING);
#endif
}

Test(negotiate, changing_layers)
{
	uint64_t live = want(UINT64_MAX, 0, true, true);

	cr_expect(live & FUSE_CAP_AUTO_INVAL_DATA);
	cr_expect_not(live & FUSE_CAP_NO_OPEN_SUPPORT);
	cr_expect_not(live & FUSE_CAP_NO_OPENDIR_SUPPORT);
	cr_expect_not(live & FUSE_CAP_CACHE_SYMLINKS);
	cr_expect_not(live & FUSE_CAP_EXPLICIT_INVAL_DATA);
}

Test(negotiate, set_bits)
{
	cr_expect_eq(op_set_bits(0), FS_SET_KILL_SUIDGID);
	cr_expect_eq(op_set_bits(FUSE_SET_ATTR_CTIME), FS_SET_CTIME | FS_SET_KILL_SUIDGID);
	cr_expect_eq(op_set_bits(FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID),
		     FS_SET_MODE | FS_SET_UID | FS_SET_GID);
	cr_expect_eq(op_set_bits(FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_CTIME),
		     FS_SET_SIZE | FS_SET_CTIME);
	cr_expect_eq(op_set_bits(FUSE_SET_ATTR_MTIME), FS_SET_MTIME);
	cr_expect_eq(op_set_bits(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW |
				 FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW),
		     FS_SET_ATIME_NOW | FS_SET_MTIME_NOW);
#if FRONT_FUSE_3_18
	cr_expect_eq(op_set_bits(1 << 11), FS_SET_KILL_SUIDGID);
#endif
}
