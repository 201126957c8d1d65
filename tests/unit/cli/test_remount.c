/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the flags of a remount. */
#include "cli/remount.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

static unsigned long flags_of(unsigned long before, const char *a, const char *b)
{
	char *options[] = {strdup(a), b != NULL ? strdup(b) : NULL};
	unsigned long flags = remount_flags(before, options, b != NULL ? 2 : 1);

	free(options[0]);
	free(options[1]);
	return flags;
}

Test(remount, flags)
{
	cr_expect_eq(flags_of(0, "ro", NULL), MS_RDONLY);
	cr_expect_eq(flags_of(MS_RDONLY | MS_NODEV, "rw", NULL), MS_NODEV);
	cr_expect_eq(flags_of(MS_NOSUID, "suid", "nodev"), MS_NODEV);
	cr_expect_eq(flags_of(0, "ro", "rw"), 0);
	cr_expect_eq(flags_of(MS_NOEXEC, "allow_other", "default_permissions"), MS_NOEXEC);
	cr_expect_eq(flags_of(0, "noatime", "noexec"), MS_NOATIME | MS_NOEXEC);
}

Test(remount, of_something_else)
{
	CLEANUP(err) struct err err = {0};
	char ro[] = "ro", *options[] = {ro};

	cr_expect_eq(remount("/nonexistent", options, 1, &err), -ENOENT);
	err_done(&err);
	cr_expect_eq(remount("/proc", options, 1, &err), -EINVAL);
	cr_expect_not_null(strstr(err_text(&err), "/proc"));
}
