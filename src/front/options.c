/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a mount: defaults and memory. */
#include "front/options.h"

#include <errno.h>
#include <string.h>

void front_options_init(struct front_options *o)
{
	*o = (struct front_options){
		.loop = FRONT_LOOP_AUTO,
		.io = FRONT_IO_AUTO,
		.timeout = FRONT_TIMEOUT_ENDLESS,
		.acl = true,
		.writeback = true,
	};
}

void front_options_done(struct front_options *o)
{
	for (size_t i = 0; i < o->n_mount; i++)
		free(o->mount[i]);
	free(o->mount);
	free(o->mountpoint);
	free(o->fsname);
	free(o->subtype);
	*o = (struct front_options){0};
}

int front_options_add(struct front_options *o, const char *option)
{
	char **grown = reallocarray(o->mount, o->n_mount + 1, sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	o->mount = grown;
	grown[o->n_mount] = strdup(option);
	if (grown[o->n_mount] == NULL)
		return -ENOMEM;
	o->n_mount++;
	return 0;
}
