/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults and the end of the options. */
#include <stdlib.h>
#include <string.h>

#include "fs/options.h"

void fs_options_init(struct fs_options *o)
{
	memset(o, 0, sizeof(*o));
}

void fs_options_done(struct fs_options *o)
{
	for (size_t i = 0; i < o->n_lower; i++)
		free(o->lower[i]);
	free(o->lower);
	free(o->upper);
	free(o->work);
	free(o->image);
	free(o->platform);
	free(o->cache);
	idmap_done(&o->uids);
	idmap_done(&o->gids);
	memset(o, 0, sizeof(*o));
}
