/* SPDX-License-Identifier: Apache-2.0 */
/* One program for all parts of the power-cut test. */
#include <string.h>

#include "crash/power/power.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} commands[] = {
	{"disk", disk_main}, {"lower", lower_main}, {"load", load_main},
	{"cut", cut_main},   {"check", check_main},
};

int main(int argc, char **argv)
{
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].main(argc - 1, argv + 1);
	fprintf(stderr, "usage: power disk|lower|load|cut|check ARGUMENTS\n");
	return 2;
}
