/* SPDX-License-Identifier: Apache-2.0 */
/* What the passes know of each inode. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tool/private.h"

struct node *find_node(const struct fsck *f, uint64_t ino)
{
	return nodes_find(f->nodes, ino);
}

struct node *get_node(struct fsck *f, uint64_t ino)
{
	return nodes_get(f->nodes, ino);
}

void set_node(struct node *n, const struct inode_rec *rec)
{
	n->has_record = true;
	n->mode = rec->attr.mode;
	n->nlink = rec->attr.nlink;
	n->size = rec->attr.size;
	n->flags = rec->flags;
	n->parent = rec->parent;
	n->where = (uint8_t)rec->where;
	n->has_origin = rec->origin != NULL;
}

int each_node(struct fsck *f, int (*fn)(struct fsck *f, struct node *n))
{
	struct node *const *nodes = nodes_sorted(f->nodes);
	size_t n = nodes_count(f->nodes);
	int r = 0;

	if (nodes == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = fn(f, nodes[i]);
		if (r == 0)
			r = step(f);
	}
	return r;
}

bool set_node_name(struct fsck *f, struct node *n, uint64_t parent, const char *name, size_t len)
{
	/* Offset 0 is no name: the first byte is a filler. */
	if (f->names.len == 0)
		buf_put_u8(&f->names, 0);
	n->up = parent;
	n->name = f->names.len;
	buf_put_u8(&f->names, (uint8_t)len);
	buf_put(&f->names, name, len);
	return buf_ok(&f->names);
}

const char *name_of_node(const struct fsck *f, const struct node *n, size_t *ret_len)
{
	*ret_len = 0;
	if (n->up == 0 || n->name == 0)
		return "";
	*ret_len = f->names.data[n->name];
	return (const char *)f->names.data + n->name + 1;
}

/* The highest number in the keys of a table, of those that the upper gives. */
static int see_number(void *arg, const struct catalog_raw *raw)
{
	uint64_t *max = arg, ino = raw->key_len >= INO_KEY_SIZE ? get_be64(raw->key) : 0;

	if (ino > *max && ino < CATALOG_FIRST_LOWER_INO)
		*max = ino;
	return 0;
}

static void see_node(const struct node *n, void *arg)
{
	uint64_t *max = arg;

	/* A data file that was given away may not have been moved yet. */
	if ((n->has_record || n->has_data || n->data_size > 0) && node_is_upper(n) && n->ino > *max)
		*max = n->ino;
}

/* Rows and data files of inodes whose records are lost have their numbers still. */
static int highest_number(struct fsck *f, uint64_t *ret_max)
{
	static const enum catalog_table tables[] = {TABLE_INODE,  TABLE_XATTR,	TABLE_INLINE,
						    TABLE_CHUNKS, TABLE_ORPHAN, TABLE_SUM};
	/* Those of deleted inodes may be known to a mount that shows an older state. */
	uint64_t max = catalog_new_ino(f->catalog) - 1;
	int r = 0;

	nodes_each(f->nodes, see_node, &max);
	for (size_t i = 0; r == 0 && i < sizeof(tables) / sizeof(*tables); i++)
		r = catalog_walk(f->catalog, tables[i], see_number, &max);
	*ret_max = max;
	return r;
}

int node_new_ino(struct fsck *f, uint64_t *ret_ino)
{
	uint64_t ino = f->last_new;
	int r = ino == 0 ? highest_number(f, &ino) : 0;

	if (r < 0)
		return r;
	/* The last number is taken, by damage surely: a low one that nothing speaks of. */
	if (++ino == CATALOG_FIRST_LOWER_INO)
		ino = CATALOG_ROOT_INO + 1;
	while (find_node(f, ino) != NULL)
		ino++;
	*ret_ino = f->last_new = ino;
	return 0;
}
