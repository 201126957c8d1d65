/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs umount [-l] MOUNTPOINT... */
#include <errno.h>
#include <string.h>

#include "cli/commands.h"
#include "front/session.h"

int cmd_umount(const struct invocation *by, int argc, char **argv)
{
	bool lazy = false;
	int status = 0, n = 0;

	for (int i = 1; i < argc; i++) {
		CLEANUP(err) struct err err = {0};

		if (strcmp(argv[i], "-l") == 0 || strcmp(argv[i], "--lazy") == 0) {
			lazy = true;
			continue;
		}
		n++;
		if (front_unmount(argv[i], lazy, &err) < 0)
			status = complain(&err);
	}
	if (n == 0) {
		CLEANUP(err) struct err err = {0};

		err_set(&err, EINVAL, "no mountpoint is given; see plyfs --help");
		status = complain(&err);
	}
	return status;
}
