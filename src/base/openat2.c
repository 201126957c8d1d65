/* SPDX-License-Identifier: Apache-2.0 */
/* openat2(2), which this C library has no function for. A file of its own, so that tests can put theirs in its place. */
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"

int sys_openat2(int dirfd, const char *path, const struct open_how *how)
{
	return (int)syscall(SYS_openat2, dirfd, path, how, sizeof(*how));
}
