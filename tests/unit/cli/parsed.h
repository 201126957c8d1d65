/* SPDX-License-Identifier: Apache-2.0 */
/* Parsed command lines for the tests of cli/. */
#ifndef PLYFS_TESTS_CLI_PARSED_H
#define PLYFS_TESTS_CLI_PARSED_H

#include <stdio.h>
#include <string.h>

#include "cli/compat.h"

#define MAX_WORDS 16

struct parsed {
	struct mount_options o;
	struct err err;
	int r;
};

static inline struct parsed *parse_as(bool ours, bool privileged, const char *const *words)
{
	struct parsed *p = calloc(1, sizeof(*p));
	char *argv[MAX_WORDS + 1] = {NULL};
	int argc = 1;

	for (; words[argc - 1] != NULL; argc++)
		argv[argc] = strdup(words[argc - 1]);
	mount_options_init(&p->o);
	p->r = (ours ? mount_parse : compat_parse)(argc, argv, privileged, &p->o, &p->err);
	while (argc > 1)
		free(argv[--argc]);
	return p;
}

static inline void parsed_free(struct parsed *p)
{
	mount_options_done(&p->o);
	err_done(&p->err);
	free(p);
}
DEFINE_CLEANUP_PTR(struct parsed, parsed, parsed_free)

#define WORDS(...)    ((const char *const[]){__VA_ARGS__, NULL})
#define compat(...)   parse_as(false, true, WORDS(__VA_ARGS__))
#define friendly(...) parse_as(true, true, WORDS(__VA_ARGS__))

/* What one string of options gives; "lowerdir=/l" and a mountpoint are added. */
static inline struct parsed *with_options(const char *text)
{
	char opts[1024];

	snprintf(opts, sizeof(opts), "lowerdir=/l,%s", text);
	return compat("-o", opts, "/m");
}

static inline const char *mount_flags(const struct parsed *p)
{
	static char text[1024];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < p->o.front.n_mount; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? "," : "",
					 p->o.front.mount[i]);
	return text;
}

static inline const char *lowers(const struct parsed *p)
{
	static char text[4096];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < p->o.fs.n_lower; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? ":" : "",
					 p->o.fs.lower[i]);
	return text;
}

#endif
