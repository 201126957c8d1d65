/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that set times, under the C library's names. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/faults/calls.h"

int futimens(int fd, const struct timespec times[2])
{
	char path[4096];
	int error;
	long r = -1;

	if (!calls_begin_fd(fd, path))
		return (int)syscall(SYS_utimensat, fd, NULL, times, 0L);
	error = calls_count(CALL_TIMES, "futimens", path, 0, 0);
	if (error == 0) {
		r = syscall(SYS_utimensat, fd, NULL, times, 0L);
		error = r < 0 ? errno : 0;
	}
	return (int)calls_end(r, error);
}
