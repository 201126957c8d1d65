/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs umount [-l] MOUNTPOINT... */
#include <errno.h>
#include <string.h>

#include "cli/commands.h"
#include "front/session.h"

static int wrong(const char *what, const char *word)
{
	CLEANUP(err) struct err err = {0};

	err_set(&err, EINVAL, "%s%s; see plyfs --help", what, word);
	return complain(&err);
}

/* Nothing is unmounted if an option is wrong, wherever it stands. */
int cmd_umount(const struct invocation *by, int argc, char **argv)
{
	bool lazy = false;
	int status = 0, n = 0, end;

	for (end = 1; end < argc && strcmp(argv[end], "--") != 0; end++) {
		if (argv[end][0] != '-')
			continue;
		if (strcmp(argv[end], "--help") == 0 || strcmp(argv[end], "-h") == 0)
			return cmd_help(by, 1, argv);
		if (strcmp(argv[end], "-l") != 0 && strcmp(argv[end], "--lazy") != 0)
			return wrong("unknown option: ", argv[end]);
		lazy = true;
	}
	for (int i = 1; i < argc; i++) {
		CLEANUP(err) struct err err = {0};

		if (i == end || (i < end && argv[i][0] == '-'))
			continue;
		n++;
		if (front_unmount(argv[i], lazy, &err) < 0)
			status = complain(&err);
	}
	return n > 0 ? status : wrong("no mountpoint is given", "");
}
