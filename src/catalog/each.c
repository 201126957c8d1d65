/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over all inodes, by their numbers alone. */
#include "catalog/catalog.h"
#include "catalog/walk.h"

struct each_inode {
	int (*each)(void *arg, uint64_t ino);
	void *arg;
};

static int each_record(void *arg, const struct catalog_raw *raw)
{
	const struct each_inode *e = arg;

	return raw->key_len == INO_KEY_SIZE ? e->each(e->arg, get_be64(raw->key)) : 0;
}

int catalog_each_inode(struct catalog *c, int (*each)(void *arg, uint64_t ino), void *arg)
{
	struct each_inode e = {each, arg};

	return catalog_walk(c, TABLE_INODE, each_record, &e);
}
