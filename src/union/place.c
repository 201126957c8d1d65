/* SPDX-License-Identifier: Apache-2.0 */
/* Shared path texts and arrays of parts. */
#include "union/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layer/layer.h"

static struct place *place_alloc(size_t len)
{
	struct place *p = malloc(sizeof(*p) + len + 1);

	if (p == NULL)
		return NULL;
	atomic_init(&p->refs, 1);
	p->len = len;
	p->text[len] = '\0';
	return p;
}

struct place *place_new(const char *text, size_t len)
{
	struct place *p = place_alloc(len);

	if (p != NULL)
		memcpy(p->text, text, len);
	return p;
}

struct place *place_child(const struct place *parent, const char *name)
{
	size_t at = parent->len == 0 ? 0 : parent->len + 1, len = strlen(name);
	struct place *p = place_alloc(at + len);

	if (p == NULL)
		return NULL;
	memcpy(p->text, parent->text, parent->len);
	if (at > 0)
		p->text[at - 1] = '/';
	memcpy(p->text + at, name, len);
	return p;
}

struct place *place_ref(struct place *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void place_unref(struct place *p)
{
	if (p != NULL && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
		free(p);
}

void parts_done(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++) {
		layer_dir_unref(p->layers[p->v[i].layer], p->v[i].dir);
		place_unref(p->v[i].below);
	}
	free(p->v);
	p->v = NULL;
	p->n = p->cap = 0;
}

static int parts_grow(struct parts *p)
{
	size_t cap = p->cap == 0 ? 4 : p->cap * 2;
	struct part *v = reallocarray(p->v, cap, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	p->v = v;
	p->cap = cap;
	return 0;
}

int parts_add(struct parts *p, uint32_t layer, struct layer_dir *dir, struct place *below)
{
	if (p->n == p->cap && parts_grow(p) < 0) {
		layer_dir_unref(p->layers[layer], dir);
		place_unref(below);
		return -ENOMEM;
	}
	p->v[p->n++] = (struct part){.dir = dir, .below = below, .layer = layer};
	return 0;
}
