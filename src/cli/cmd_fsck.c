/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs fsck [--repair | --salvage DIR] UPPER */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/words.h"
#include "tool/fsck.h"

static volatile sig_atomic_t cancelled;

static void cancel(int signal)
{
	(void)signal;
	cancelled = 1;
}

static const struct words words = {
	.command = "fsck",
	.usage = "usage: plyfs fsck [--repair | --salvage DIR] UPPER\n",
	.status = FSCK_USAGE,
};

/* 0, or an exit status. */
static int parse(int argc, char **argv, struct fsck_options *o, const char **salvage)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--repair") == 0) {
			o->repair = true;
		} else if (strcmp(argv[i], "--salvage") == 0) {
			if (++i == argc)
				return words_wrong(&words, "--salvage needs a directory", "");
			*salvage = argv[i];
		} else if (argv[i][0] == '-' && argv[i][1] != '\0') {
			return words_wrong(&words, "unknown option ", argv[i]);
		} else if (o->upper != NULL) {
			return words_wrong(&words, "one upper at a time: ", argv[i]);
		} else {
			o->upper = argv[i];
		}
	}
	if (o->upper == NULL)
		return words_wrong(&words, "no upper layer is given", "");
	if (o->repair && *salvage != NULL)
		return words_wrong(&words, "--repair and --salvage exclude each other", "");
	return 0;
}

int cmd_fsck(const struct invocation *by, int argc, char **argv)
{
	CLEANUP(err) struct err err = {0};
	struct sigaction action = {.sa_handler = cancel};
	struct fsck_options o = {.out = stdout, .cancelled = &cancelled};
	const char *salvage = NULL;
	int status;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return cmd_help(by, 1, argv);
	status = parse(argc, argv, &o, &salvage);
	if (status != 0)
		return status;
	if (isatty(STDERR_FILENO))
		o.progress = stderr;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = salvage != NULL ? fsck_salvage(&o, salvage, &err) : fsck_run(&o, &err);
	if (!(status & FSCK_FAILED) && (fflush(stdout) != 0 || ferror(stdout))) {
		err_errno(&err, errno, "standard output");
		status |= FSCK_FAILED;
	}
	if (status & FSCK_FAILED)
		complain(&err);
	return status;
}
