/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bytes of metacopies are, and the records of hard links. */
#include "union/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "union/search.h"

/* How many layers can have some of the bytes of one file; each is a step of every read. */
#define CHAIN_MAX 500

int origin_replace(const struct stack *s, uint32_t from, uint32_t *layer, struct layer_entry *entry)
{
	uint64_t ino = entry_ino(s, *layer, entry);

	if (entry->attr.nlink <= 1)
		return 0;
	for (uint32_t i = 0; i < s->n_origins && s->origins[i] < *layer; i++) {
		struct layer *l = s->layers[s->origins[i]];
		struct layer_entry e = {0};
		int r;

		if (s->origins[i] < from)
			continue;
		r = layer_by_origin(l, ino, &e);
		if (r == -ENOENT)
			continue;
		if (r < 0)
			return r;
		if (((e.attr.mode ^ entry->attr.mode) & S_IFMT) == 0 && e.dir != NULL) {
			layer_entry_done(s->layers[*layer], entry);
			*entry = e;
			*layer = s->origins[i];
			return 1;
		}
		layer_entry_done(l, &e);
	}
	return 0;
}

void union_data_free(struct union_data *d)
{
	while (d != NULL) {
		struct union_data *below = d->below;

		if (d->layer != NULL)
			layer_dir_unref(d->layer, d->dir);
		free(d->name);
		free(d);
		d = below;
	}
}
DEFINE_CLEANUP_PTR(struct union_data, union_data, union_data_free)

/* The search for bytes, and the chain that it makes. */
struct chain {
	struct search q;
	struct union_data *top; /* owned */
	struct union_data **end;
	uint32_t n;
	uint32_t above; /* the layer whose metacopy is followed */
	char *absolute; /* owned; its redirect, if absolute */
};

static void chain_done(struct chain *c)
{
	search_done(&c->q);
	union_data_free(c->top);
	free(c->absolute);
}
DEFINE_CLEANUP(struct chain, chain, chain_done)

/*
 * Appends the file NAME in DIR of LAYER. Without a name, DIR stands for the file; without a layer,
 * NAME is a path in the data-only layers.
 */
static int chain_add(struct chain *c, struct layer *layer, struct layer_dir *dir, const char *name)
{
	CLEANUP(union_data) struct union_data *d = calloc(1, sizeof(*d));

	if (c->n++ == CHAIN_MAX)
		return -ELOOP;
	if (d == NULL)
		return -ENOMEM;
	d->name = name != NULL ? strdup(name) : NULL;
	if (name != NULL && d->name == NULL)
		return -ENOMEM;
	d->layer = layer;
	d->dir = layer != NULL ? layer_dir_ref(layer, dir) : NULL;
	*c->end = d;
	c->end = &d->below;
	d = NULL;
	return 0;
}

/* Moves the search from the metacopy E of LAYER, in the place BELOW (NULL: not known). */
static int chain_follow(struct chain *c, uint32_t layer, struct place *below, struct layer_entry *e)
{
	int r = search_trusted(&c->q, layer, LAYER_TRUST_METACOPY, below);

	if (r < 0)
		return r;
	c->above = layer;
	if ((e->flags & LAYER_REDIRECT) == 0 || e->redirect == NULL)
		return 0;
	r = search_trusted(&c->q, layer, LAYER_TRUST_REDIRECT, below);
	if (r < 0)
		return r;
	free(c->absolute);
	c->absolute = NULL;
	if (e->redirect[0] == '/') {
		c->absolute = strdup(e->redirect);
		if (c->absolute == NULL)
			return -ENOMEM;
	}
	return search_follow(&c->q, layer, below, steal_ptr(&e->redirect));
}

/* The file E of LAYER, found in PART or, with ORIGIN, in its stead: 1 to go on, 0 at the end. */
static int chain_take(struct chain *c, const struct part *part, uint32_t layer, bool origin,
		      struct layer_entry *e)
{
	struct layer *l = c->q.stack->layers[layer];
	bool metacopy = (e->flags & LAYER_METACOPY) != 0;
	CLEANUP(place) struct place *below = origin ? NULL : place_ref(part->below);
	int r = 0;

	/* A metacopy without bytes of its own is only a step on the way. */
	if (!metacopy || (l->caps & LAYER_CAP_COMPOSE) != 0)
		r = chain_add(c, l, origin ? e->dir : part->dir, origin ? NULL : c->q.name);
	if (r < 0 || !metacopy)
		return r;
	r = chain_follow(c, layer, below, e);
	return r < 0 ? r : 1;
}

static int chain_step(struct chain *c, bool *ret_found)
{
	const struct part *part;
	struct layer_entry e;
	uint32_t layer;
	int origin, r = search_next(&c->q, &part, &e);

	if (r <= 0)
		return r;
	layer = part->layer;
	r = 0;
	/* Whatever else has the name hides the bytes. */
	if ((e.flags & LAYER_WHITEOUT) == 0 && S_ISREG(e.attr.mode)) {
		origin = origin_replace(c->q.stack, c->above + 1, &layer, &e);
		r = origin < 0 ? origin : chain_take(c, part, layer, origin > 0, &e);
		*ret_found = r == 0;
	}
	layer_entry_done(c->q.stack->layers[layer], &e);
	return r;
}

/* What a metacopy (NAME of DIR) without bytes in the layers means. */
static int chain_missing(struct chain *c, const struct union_dir *dir, const char *name)
{
	const struct stack *s = c->q.stack;

	if (c->absolute != NULL && s->n > s->n_visible)
		return chain_add(c, NULL, NULL, c->absolute);
	log_warn("layer %s: a metacopy without bytes in the layers below: \"%s%s%s\"",
		 s->layers[c->above]->path, dir->path->text, dir->path->len > 0 ? "/" : "", name);
	return -EIO;
}

int bytes_find(struct union_dir *dir, const char *name, uint32_t part, uint32_t layer,
	       struct layer_entry *entry, struct union_data **ret_data)
{
	struct budget budget = {.steps = BUDGET_STEPS};
	CLEANUP(chain) struct chain c = {0};
	bool origin = (part & PART_ORIGIN) != 0, found = false;
	uint32_t at = part_index(part);
	int r;

	search_begin(&c.q, dir->stack, &budget, dir->parts, dir->n_parts, name);
	c.q.next = at + 1;
	c.end = &c.top;
	r = chain_follow(&c, layer, origin ? NULL : dir->parts[at].below, entry);
	if (r == 0)
		r = 1;
	while (r > 0)
		r = chain_step(&c, &found);
	if (r == 0 && !found)
		r = chain_missing(&c, dir, name);
	if (r < 0)
		return r;
	*ret_data = steal_ptr(&c.top);
	return 0;
}

/* A directory on the way to a file in a data-only layer. */
struct at {
	struct layer *layer;
	struct layer_dir *dir; /* owned reference */
};
static void at_done(struct at *at)
{
	layer_dir_unref(at->layer, at->dir);
}
DEFINE_CLEANUP(struct at, at, at_done)

/* One step: opens NAME when it is the LAST component, else goes into it. */
static int data_step(struct at *at, const char *name, bool last, struct layer_file **ret_file)
{
	struct layer_entry e = {0};
	int r = layer_lookup(at->layer, at->dir, name, &e);

	if (r < 0)
		return r;
	if (last && S_ISREG(e.attr.mode) && (e.flags & (LAYER_WHITEOUT | LAYER_METACOPY)) == 0) {
		r = layer_open(at->layer, at->dir, name, ret_file);
	} else if (!last && e.dir != NULL) {
		layer_dir_unref(at->layer, at->dir);
		at->dir = steal_ptr(&e.dir);
	} else {
		r = -ENOENT;
	}
	layer_entry_done(at->layer, &e);
	return r;
}

/* The file at the absolute PATH of one data-only layer. */
static int data_open_in(const struct stack *s, uint32_t layer, const char *path,
			struct layer_file **ret_file)
{
	struct layer *l = s->layers[layer];
	CLEANUP(at) struct at at = {l, layer_dir_ref(l, s->roots[layer])};
	CLEANUP(free) char *copy = strdup(path + 1);
	char *next = copy;
	int r = 0;

	if (copy == NULL)
		return -ENOMEM;
	while (r == 0 && next != NULL) {
		const char *name = strsep(&next, "/");

		r = data_step(&at, name, next == NULL, ret_file);
	}
	return r;
}

static int data_open_path(const struct stack *s, const char *path, struct layer_file **ret_file)
{
	int r = -ENOENT;

	for (uint32_t i = s->n_visible; i < s->n && r == -ENOENT; i++)
		r = data_open_in(s, i, path, ret_file);
	if (r == -ENOENT) {
		log_warn("the bytes at \"%s\" are in no data-only layer", path);
		r = -EIO;
	}
	return r;
}

int bytes_open(const struct stack *s, const struct union_data *d, struct layer_file **ret_file)
{
	CLEANUP(layer_file) struct layer_file *below = NULL;
	int r;

	if (d->layer == NULL)
		return data_open_path(s, d->name, ret_file);
	if (d->below == NULL)
		return layer_open(d->layer, d->dir, d->name, ret_file);
	r = bytes_open(s, d->below, &below);
	if (r == 0)
		r = layer_open_over(d->layer, d->dir, d->name, below, ret_file);
	if (r == 0)
		below = NULL;
	return r;
}
