/* SPDX-License-Identifier: Apache-2.0 */
/* Merging listings: read every part, keep the topmost of each name, drop the hidden, sort. */
#include "union/merge.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"

void merge_done(struct merge *m)
{
	for (uint32_t i = 0; m->lists != NULL && i < m->n_lists; i++)
		layer_list_done(&m->lists[i]);
	free(m->lists);
	free(m->names);
	free(m->slots);
	free(m->parts);
	*m = (struct merge){0};
}

/* Lists every part; returns how many names there are in all. */
static int read_lists(struct union_dir *dir, struct merge *m, size_t *ret_total)
{
	size_t total = 0;

	m->lists = calloc(dir->n_parts + 1, sizeof(*m->lists));
	if (m->lists == NULL)
		return -ENOMEM;
	m->n_lists = dir->n_parts;
	for (uint32_t i = 0; i < dir->n_parts; i++) {
		const struct part *p = &dir->parts[i];
		int r = layer_readdir(dir->stack->layers[p->layer], p->dir, &m->lists[i]);

		if (r < 0)
			return r;
		total += m->lists[i].n;
	}
	*ret_total = total;
	return total < UINT32_MAX / 4 ? 0 : -EFBIG;
}

static int make_room(struct merge *m, size_t total)
{
	size_t n_slots = 16;

	m->names = malloc((total + 1) * sizeof(*m->names));
	if (m->names == NULL)
		return -ENOMEM;
	if (m->n_lists < 2)
		return 0;
	while (n_slots < total * 2)
		n_slots *= 2;
	m->mask = n_slots - 1;
	m->slots = calloc(n_slots, sizeof(*m->slots));
	m->parts = malloc((total + 1) * sizeof(*m->parts));
	return m->slots == NULL || m->parts == NULL ? -ENOMEM : 0;
}

/* Enters NAME, the next one, unless a part above has it: then that one is returned. */
static struct union_name *enter(struct merge *m, const struct union_name *name)
{
	for (size_t i = name->hash & m->mask;; i = (i + 1) & m->mask) {
		struct union_name *have;

		if (m->slots[i] == 0) {
			m->slots[i] = (uint32_t)m->n + 1;
			return NULL;
		}
		have = &m->names[m->slots[i] - 1];
		if (have->hash == name->hash && have->len == name->len &&
		    memcmp(have->name, name->name, name->len) == 0)
			return have;
	}
}

static void note_part(struct merge *m, struct union_name *name, uint32_t part)
{
	m->parts[m->n_parts] = (struct merge_part){.next = name->parts, .index = (uint16_t)part};
	name->parts = (uint32_t)++m->n_parts;
}

/*
 * A name of which the listing does not say what it is may be a whiteout, so it is looked up: 1, or
 * 0 when it is not there. Where that fails the name stays, and who asks for it gets the error.
 */
static int resolve(struct union_dir *dir, const struct part *p, struct union_name *name)
{
	struct layer *l = dir->stack->layers[p->layer];
	struct layer_entry e = {0};
	int r = layer_lookup(l, p->dir, name->name, &e);

	if (r == -ENOENT)
		return 0;
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return 1;
	name->dtype = (e.flags & LAYER_WHITEOUT) != 0 ? DT_WHT : attr_dtype(e.attr.mode);
	name->ino = stack_ino(dir->stack, p->layer, e.attr.ino, (e.flags & LAYER_ABOVE) != 0);
	layer_entry_done(l, &e);
	return 1;
}

static int add_part(struct union_dir *dir, struct merge *m, uint32_t i)
{
	const struct part *p = &dir->parts[i];
	const struct layer_list *list = &m->lists[i];
	const struct stack *s = dir->stack;

	for (size_t k = 0; k < list->n; k++) {
		const struct layer_name *from = &list->names[k];
		struct union_name name = {
			.name = (const char *)list->text.data + from->off,
			.len = from->len,
			.dtype = from->dtype,
		};
		struct union_name *have = NULL;
		int r = 1;

		name.hash = catalog_name_hash(s->seed, name.name, name.len);
		if (m->slots != NULL)
			have = enter(m, &name);
		if (have != NULL) {
			note_part(m, have, i);
			continue;
		}
		if (from->ino != 0)
			name.ino = stack_ino(s, p->layer, from->ino, from->above);
		if (m->slots != NULL)
			note_part(m, &name, i);
		m->names[m->n++] = name;
		if (name.dtype == DT_UNKNOWN)
			r = resolve(dir, p, &m->names[m->n - 1]);
		if (r < 0)
			return r;
		/* It vanished since it was listed. */
		if (r == 0)
			m->names[m->n - 1].dtype = DT_WHT;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct union_name *x = a, *y = b;
	int order;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	order = memcmp(x->name, y->name, x->len < y->len ? x->len : y->len);
	return order != 0 ? order : (int)x->len - (int)y->len;
}

static void drop_hidden(struct merge *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (m->names[i].dtype != DT_WHT)
			m->names[n++] = m->names[i];
	}
	m->n = n;
}

int merge_dir(struct union_dir *dir, struct merge *m)
{
	size_t total = 0;
	int r = read_lists(dir, m, &total);

	if (r == 0)
		r = make_room(m, total);
	for (uint32_t i = 0; r == 0 && i < m->n_lists; i++)
		r = add_part(dir, m, i);
	if (r < 0)
		return r;
	drop_hidden(m);
	qsort(m->names, m->n, sizeof(*m->names), compare);
	return 0;
}
