/* SPDX-License-Identifier: Apache-2.0 */
/* oracle: sub-commands for the scripts of tests/mount. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mount/oracle/oracle.h"

uint64_t rnd(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static int usage(void)
{
	fprintf(stderr, "oracle ops A B SEED N [-v] | cmp A B [times] [inos] [kernel] |\n"
			"       print DIR [times] [inos] |\n"
			"       tree DIR SEED SIZE | stack DIR SEED LAYERS [marks]\n");
	return 2;
}

static bool has(int argc, char **argv, const char *word)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], word) == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct compare_options o = {.times = has(argc, argv, "times"),
				    .inos = has(argc, argv, "inos"),
				    .kernel = has(argc, argv, "kernel")};

	if (argc >= 6 && strcmp(argv[1], "ops") == 0)
		return run_ops(argv[2], argv[3], strtoull(argv[4], NULL, 0),
			       strtoul(argv[5], NULL, 0), has(argc, argv, "-v"));
	if (argc >= 4 && strcmp(argv[1], "cmp") == 0)
		return compare_trees(argv[2], argv[3], &o) == 0 ? 0 : 1;
	if (argc >= 3 && strcmp(argv[1], "print") == 0)
		return print_tree(argv[2], &o);
	if (argc == 5 && strcmp(argv[1], "tree") == 0)
		return make_tree(argv[2], strtoull(argv[3], NULL, 0),
				 (unsigned int)strtoul(argv[4], NULL, 0));
	if (argc >= 5 && strcmp(argv[1], "stack") == 0)
		return make_stack(argv[2], strtoull(argv[3], NULL, 0),
				  (unsigned int)strtoul(argv[4], NULL, 0),
				  has(argc, argv, "marks"));
	return usage();
}
