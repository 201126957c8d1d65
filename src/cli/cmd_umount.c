/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs umount [-l] MOUNTPOINT... */
#include <errno.h>
#include <string.h>

#include "cli/commands.h"
#include "front/session.h"

int cmd_umount(const struct invocation *by, int argc, char **argv)
{
	bool lazy = false, names = false;
	int status = 0, n = 0;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return cmd_help(by, 1, argv);
	for (int i = 1; i < argc; i++) {
		CLEANUP(err) struct err err = {0};

		if (!names && (strcmp(argv[i], "-l") == 0 || strcmp(argv[i], "--lazy") == 0)) {
			lazy = true;
			continue;
		}
		if (!names && strcmp(argv[i], "--") == 0) {
			names = true;
			continue;
		}
		if (!names && argv[i][0] == '-') {
			err_set(&err, EINVAL, "unknown option: %s; see plyfs --help", argv[i]);
			return complain(&err);
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
