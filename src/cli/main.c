/* SPDX-License-Identifier: Apache-2.0 */
/* The program: which command is meant. */
#include <string.h>

#include "base/mem.h"
#include "cli/commands.h"

static const struct {
	const char *name;
	int (*run)(const struct invocation *by, int argc, char **argv);
} commands[] = {
	{"mount", cmd_mount},  {"umount", cmd_umount},	 {"unmount", cmd_umount},
	{"help", cmd_help},    {"version", cmd_version}, {"fsck", cmd_fsck},
	{"image", cmd_image},  {"ps", cmd_ps},		 {"doctor", cmd_doctor},
	{"ls", cmd_look},      {"cat", cmd_look},	 {"stat", cmd_look},
	{"find", cmd_look},    {"du", cmd_look},	 {"which", cmd_look},
	{"extract", cmd_look}, {"diff", cmd_diff},	 {"check", cmd_check},
	{"waste", cmd_waste},  {"cache", cmd_cache},
};

/*
 * `plyfs SOURCE MOUNTPOINT -o OPTIONS`, which is what mount.fuse3 makes of a line of fstab, whatever word the SOURCE is. No
 * command but mount has an option -o, and that one does the same with such a line.
 */
static bool by_mount_fuse(int argc, char **argv)
{
	return argc == 5 && strcmp(argv[3], "-o") == 0 && strcmp(argv[1], "mount") != 0;
}

static int dispatch(const struct invocation *by, int argc, char **argv)
{
	/* Under the other name there are no commands: a SOURCE could be called like one. */
	bool ours = argc > 1 && !by->as_fuse_overlayfs && !by_mount_fuse(argc, argv);

	for (size_t i = 0; ours && i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(by, argc - 1, argv + 1);
	return cmd_compat(by, argc, argv);
}

int main(int argc, char **argv)
{
	const char *name = argc > 0 ? argv[0] : "plyfs", *slash = strrchr(name, '/');
	struct invocation by = {.name = slash != NULL ? slash + 1 : name};
	int status;

	standard_fill();
	mem_settle();
	inherited_note(&by.inherited);
	by.as_fuse_overlayfs = strcmp(by.name, "fuse-overlayfs") == 0;
	status = dispatch(&by, argc, argv);
	inherited_done(&by.inherited);
	return status;
}
