/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs doctor [--json] */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "front/doctor.h"

int cmd_doctor(const struct invocation *by, int argc, char **argv)
{
	CLEANUP(buf) struct buf text = {0};
	struct doctor d;
	bool json = false;
	enum doctor_state state;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return cmd_help(by, 1, argv);
		if (strcmp(argv[i], "--json") != 0) {
			fprintf(stderr,
				"plyfs: doctor: unknown argument %s\n"
				"usage: plyfs doctor [--json]\n",
				argv[i]);
			return STATUS_USAGE;
		}
		json = true;
	}
	doctor_here(&d);
	state = doctor_run(&d, json, &text);
	if (!buf_ok(&text) || fputs(buf_cstr(&text), stdout) < 0 || fflush(stdout) != 0) {
		fputs("plyfs: doctor: cannot write the findings\n", stderr);
		return DOCTOR_BROKEN;
	}
	return (int)state;
}
