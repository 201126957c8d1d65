/* SPDX-License-Identifier: Apache-2.0 */
/* Layers under an open file system whose calls fail, or in which something else happens meanwhile. */
#include "unit/fs/spoilt.h"

#include "fs/private.h"

struct spoilt spoilt;
static const struct layer_ops *inner;
static struct layer_ops ops;

static int spoil(const struct layer *l, uint32_t call, const char *name)
{
	void (*meanwhile)(struct world * w) = spoilt.meanwhile;

	if ((spoilt.calls & call) == 0)
		return 0;
	if (spoilt.layer != NULL && strcmp(spoilt.layer, l->path) != 0)
		return 0;
	if (spoilt.name != NULL && (name == NULL || strcmp(spoilt.name, name) != 0))
		return 0;
	spoilt.meanwhile = NULL;
	if (meanwhile != NULL)
		meanwhile(spoilt.w);
	return spoilt.result;
}

static int lookup(struct layer *l, struct layer_dir *dir, const char *name, struct layer_entry *e)
{
	int r = spoil(l, SPOILT_LOOKUP, name);

	return r < 0 ? r : inner->lookup(l, dir, name, e);
}

static int lookup_bottom(struct layer *l, struct layer_dir *dir, const char *name,
			 struct layer_entry *e)
{
	int r = spoil(l, SPOILT_LOOKUP, name);

	return r < 0 ? r : inner->lookup_bottom(l, dir, name, e);
}

static int list(struct layer *l, struct layer_dir *dir, struct layer_list *to)
{
	int r = inner->list(l, dir, to);

	/* Half of it has been read by then. */
	return r < 0 ? r : spoil(l, SPOILT_LIST, NULL);
}

static int getattr(struct layer *l, struct layer_dir *dir, const char *name, struct attr *a)
{
	int r = spoil(l, SPOILT_GETATTR, name);

	return r < 0 ? r : inner->getattr(l, dir, name, a);
}

static int open_file(struct layer *l, struct layer_dir *dir, const char *name,
		     struct layer_file **file)
{
	int r = spoil(l, SPOILT_OPEN, name);

	return r < 0 ? r : inner->open(l, dir, name, file);
}

void spoil_layers(struct world *w)
{
	struct stack *s = w->fs->stack;

	spoilt = (struct spoilt){0};
	for (size_t i = 0; i < stack_count(s); i++) {
		struct layer *l = stack_layer(s, i);

		cr_assert_str_eq(l->ops->kind, "dir");
		inner = l->ops;
		ops = *inner;
		ops.lookup = lookup;
		ops.lookup_bottom = lookup_bottom;
		ops.list = list;
		ops.getattr = getattr;
		ops.open = open_file;
	}
	for (size_t i = 0; i < stack_count(s); i++)
		stack_layer(s, i)->ops = &ops;
}
