/* SPDX-License-Identifier: Apache-2.0 */
/* Counted handles on inodes. */
#include "layer/ino_node.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct ino_node {
	atomic_uint refs;
	uint64_t ino;
};

static struct ino_node *node_of(struct layer_dir *dir)
{
	return (struct ino_node *)dir;
}

struct layer_dir *ino_node_new(uint64_t ino)
{
	struct ino_node *n = malloc(sizeof(*n));

	if (n == NULL)
		return NULL;
	atomic_init(&n->refs, 1);
	n->ino = ino;
	return (struct layer_dir *)n;
}

int ino_node_root(uint64_t ino, struct layer_dir **ret_dir)
{
	struct layer_dir *dir = ino_node_new(ino);

	if (dir == NULL)
		return -ENOMEM;
	*ret_dir = dir;
	return 0;
}

uint64_t ino_node_ino(const struct layer_dir *dir)
{
	return ((const struct ino_node *)dir)->ino;
}

void ino_node_ref(struct layer_dir *dir)
{
	atomic_fetch_add_explicit(&node_of(dir)->refs, 1, memory_order_relaxed);
}

void ino_node_unref(struct layer_dir *dir)
{
	if (atomic_fetch_sub_explicit(&node_of(dir)->refs, 1, memory_order_acq_rel) == 1)
		free(dir);
}
