/* SPDX-License-Identifier: Apache-2.0 */
/* Which data files there are. What they are worth is for later passes to say. */
#include <errno.h>
#include <string.h>

#include "data/walk.h"
#include "tool/private.h"

static int see(void *arg, const struct data_file *file)
{
	struct fsck *f = arg;
	struct node *n;

	if (file->ino == 0) {
		note(f, "data/%s: not made by plyfs; left alone", file->path);
		return step(f);
	}
	n = get_node(f, file->ino);
	if (n == NULL)
		return -ENOMEM;
	n->has_data = true;
	n->data_size = file->size;
	f->n_data++;
	return step(f);
}

int pass_data(struct fsck *f)
{
	return f->data_fd < 0 ? 0 : data_walk(f->data_fd, see, f);
}
