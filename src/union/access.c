/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a name that was found: each question goes to the layer that has it. */
#include <errno.h>

#include "union/bytes.h"

/* The record that layer LAYER has for the hard link NAME of PART. */
static int origin_target(struct union_dir *dir, const char *name, const struct part *part,
			 uint32_t layer, struct target *ret_target)
{
	struct stack *s = dir->stack;
	struct layer *below = s->layers[part->layer], *l = s->layers[layer];
	struct layer_entry e = {0};
	uint64_t ino;
	int r = layer_lookup(below, part->dir, name, &e);

	if (r < 0)
		return r;
	ino = stack_ino(s, part->layer, e.attr.ino, (e.flags & LAYER_ABOVE) != 0);
	layer_entry_done(below, &e);
	r = layer_by_origin(l, ino, &e);
	if (r < 0)
		return r;
	*ret_target = (struct target){.layer = l, .dir = steal_ptr(&e.dir)};
	layer_entry_done(l, &e);
	return 0;
}

int target_of(struct union_dir *dir, const char *name, uint32_t part, struct target *ret_target)
{
	uint32_t i = name == NULL ? 0 : part_index(part);
	const struct part *p = &dir->parts[i];
	struct layer *l;

	if (i >= dir->n_parts)
		return -ENOENT;
	if (name != NULL && (part & PART_ORIGIN) != 0)
		return origin_target(dir, name, p, part_layer(part), ret_target);
	l = dir->stack->layers[p->layer];
	*ret_target = (struct target){.layer = l, .dir = layer_dir_ref(l, p->dir), .name = name};
	return 0;
}

ssize_t union_readlink(struct union_dir *dir, const char *name, uint32_t part, char *target,
		       size_t size)
{
	CLEANUP(target) struct target t = {0};
	int r = target_of(dir, name, part, &t);

	return r < 0 ? r : layer_readlink(t.layer, t.dir, t.name, target, size);
}

ssize_t union_getxattr(struct union_dir *dir, const char *name, uint32_t part, const char *xattr,
		       void *value, size_t size)
{
	CLEANUP(target) struct target t = {0};
	int r;

	if (name == NULL && dir->n_parts == 0)
		return -ENODATA;
	r = target_of(dir, name, part, &t);
	return r < 0 ? r : layer_getxattr(t.layer, t.dir, t.name, xattr, value, size);
}

int union_listxattr(struct union_dir *dir, const char *name, uint32_t part, struct buf *out)
{
	CLEANUP(target) struct target t = {0};
	int r;

	if (name == NULL && dir->n_parts == 0)
		return 0;
	r = target_of(dir, name, part, &t);
	return r < 0 ? r : layer_listxattr(t.layer, t.dir, t.name, out);
}

int union_open(struct union_dir *dir, const char *name, uint32_t part,
	       const struct union_data *data, struct layer_file **ret_file)
{
	CLEANUP(layer_file) struct layer_file *below = NULL;
	CLEANUP(target) struct target t = {0};
	int r;

	r = target_of(dir, name, part, &t);
	if (r < 0)
		return r;
	if (data == NULL)
		return layer_open(t.layer, t.dir, t.name, ret_file);
	r = bytes_open(dir->stack, data, &below);
	if (r < 0)
		return r;
	if ((t.layer->caps & LAYER_CAP_COMPOSE) == 0) {
		*ret_file = steal_ptr(&below);
		return 0;
	}
	r = layer_open_over(t.layer, t.dir, t.name, below, ret_file);
	if (r == 0)
		below = NULL;
	return r;
}
