/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: each is one cmd_*.c and one section of the manual page. */
#ifndef PLYFS_CLI_COMMANDS_H
#define PLYFS_CLI_COMMANDS_H

#include "cli/daemon.h"
#include "cli/options.h"

/* The exit status when the command line is wrong, as fsck(8) has it: one no failure of the work has. */
#define STATUS_USAGE 16

/* How the program was called. */
struct invocation {
	const char *name;	/* the last part of argv[0] */
	bool as_fuse_overlayfs; /* that is "fuse-overlayfs" */
	struct inherited inherited;
};

/* All take argv from their own name on, and return an exit status. */
int cmd_mount(const struct invocation *by, int argc, char **argv);
int cmd_umount(const struct invocation *by, int argc, char **argv);
int cmd_help(const struct invocation *by, int argc, char **argv);
int cmd_version(const struct invocation *by, int argc, char **argv);
int cmd_ps(const struct invocation *by, int argc, char **argv);
int cmd_fsck(const struct invocation *by, int argc, char **argv);
int cmd_image(const struct invocation *by, int argc, char **argv);
/* ls, cat, stat, find, du, which, extract: by argv[0]. */
int cmd_look(const struct invocation *by, int argc, char **argv);
int cmd_diff(const struct invocation *by, int argc, char **argv);
int cmd_check(const struct invocation *by, int argc, char **argv);
int cmd_waste(const struct invocation *by, int argc, char **argv);
int cmd_cache(const struct invocation *by, int argc, char **argv);
int cmd_doctor(const struct invocation *by, int argc, char **argv);

/* The command line without a command: that of fuse-overlayfs. */
int cmd_compat(const struct invocation *by, int argc, char **argv);

/* Prints "plyfs: TEXT" on standard error; returns 1. */
int complain(const struct err *err);

#endif
