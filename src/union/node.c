/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of the union in memory: shared while referenced, gone with their last reference. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "union/private.h"

/*
 * A node is in the table from before its first reference until its last one goes, and the count
 * becomes 0 only under the lock of its stripe. So whoever finds a node under that lock finds it
 * alive, and may take a reference. All other references are counted without a lock.
 */
static uint64_t key_of(const struct union_dir *parent, const char *name)
{
	return hash64(name, strlen(name), (uint64_t)(uintptr_t)parent);
}

/* The table uses the upper bits of the key's product; the stripe takes the lowest. */
static struct stripe *stripe_of(struct stack *s, uint64_t key)
{
	return &s->stripes[key % STACK_STRIPES];
}

const char *union_dir_name(const struct union_dir *dir)
{
	size_t at = dir->parent == NULL ? 0 : dir->parent->path->len;

	return dir->path->text + at + (at > 0);
}

struct union_dir *union_dir_parent(const struct union_dir *dir)
{
	return dir->parent;
}

uint64_t union_dir_ino(const struct union_dir *dir)
{
	return atomic_load_explicit(&dir->ino, memory_order_relaxed);
}

void union_dir_set_ino(struct union_dir *dir, uint64_t ino)
{
	atomic_store_explicit(&dir->ino, ino, memory_order_relaxed);
}

size_t union_dir_parts(const struct union_dir *dir)
{
	return dir->n_parts;
}

int union_path(const struct union_dir *dir, const char *name, struct buf *out)
{
	buf_put(out, dir->path->text, dir->path->len);
	if (name != NULL && dir->path->len > 0)
		buf_put_u8(out, '/');
	if (name != NULL)
		buf_put_str(out, name);
	return buf_ok(out) ? 0 : -ENOMEM;
}

/* Takes PARTS out. PATH is taken over on success. */
static struct union_dir *node_new(struct stack *s, struct place *path, struct parts *parts,
				  uint64_t ino)
{
	struct union_dir *d = calloc(1, sizeof(*d) + parts->n * sizeof(d->parts[0]));

	if (d == NULL)
		return NULL;
	atomic_init(&d->refs, 1);
	d->stack = s;
	d->path = path;
	atomic_init(&d->ino, ino);
	d->n_parts = (uint32_t)parts->n;
	if (parts->n > 0)
		memcpy(d->parts, parts->v, parts->n * sizeof(d->parts[0]));
	parts->n = 0;
	return d;
}

struct union_dir *node_new_root(struct stack *s, struct parts *parts, uint64_t ino)
{
	struct place *path = parts->n > 0 ? place_ref(parts->v[0].below) : place_new("", 0);
	struct union_dir *d = path != NULL ? node_new(s, path, parts, ino) : NULL;

	if (d == NULL)
		place_unref(path);
	return d;
}

static struct union_dir *find_locked(const struct stripe *stripe, uint64_t key,
				     const struct union_dir *parent, const char *name)
{
	struct table_node *n;

	for (n = table_first(&stripe->nodes, key); n != NULL; n = table_next(n)) {
		struct union_dir *d = table_entry(n, struct union_dir, node);

		if (d->parent == parent && strcmp(union_dir_name(d), name) == 0)
			return d;
	}
	return NULL;
}

struct union_dir *node_find(struct union_dir *parent, const char *name)
{
	uint64_t key = key_of(parent, name);
	struct stripe *stripe = stripe_of(parent->stack, key);
	struct union_dir *d;

	pthread_mutex_lock(&stripe->lock);
	d = find_locked(stripe, key, parent, name);
	if (d != NULL)
		union_dir_ref(d);
	pthread_mutex_unlock(&stripe->lock);
	return d;
}

/* The parent's reference is the caller's. */
static void node_free(struct union_dir *d)
{
	listing_drop(d);
	for (uint32_t i = 0; i < d->n_parts; i++) {
		layer_dir_unref(d->stack->layers[d->parts[i].layer], d->parts[i].dir);
		place_unref(d->parts[i].below);
	}
	place_unref(d->path);
	free(d);
}

/* The path of a child; shared with its topmost part where that says the same. */
static struct place *child_path(const struct union_dir *parent, const char *name,
				const struct parts *parts)
{
	struct place *path = place_child(parent->path, name);

	if (path != NULL && parts->n > 0 && strcmp(path->text, parts->v[0].below->text) == 0) {
		place_unref(path);
		path = place_ref(parts->v[0].below);
	}
	return path;
}

int node_obtain(struct union_dir *parent, const char *name, struct parts *parts, uint64_t ino,
		struct union_dir **ret_dir)
{
	CLEANUP(place) struct place *path = child_path(parent, name, parts);
	uint64_t key = key_of(parent, name);
	struct stripe *stripe = stripe_of(parent->stack, key);
	struct union_dir *have, *d;

	if (path == NULL)
		return -ENOMEM;
	d = node_new(parent->stack, path, parts, ino);
	if (d == NULL)
		return -ENOMEM;
	path = NULL;
	d->parent = parent;
	pthread_mutex_lock(&stripe->lock);
	have = find_locked(stripe, key, parent, name);
	if (have != NULL) {
		union_dir_ref(have);
	} else {
		union_dir_ref(parent);
		table_add(&stripe->nodes, &d->node, key);
	}
	pthread_mutex_unlock(&stripe->lock);
	if (have != NULL) {
		node_free(d);
		d = have;
	}
	*ret_dir = d;
	return 0;
}

struct union_dir *union_dir_ref(struct union_dir *d)
{
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	return d;
}

/* Gives a reference back without the lock, unless it may be the last one. */
static bool unref_fast(struct union_dir *d)
{
	unsigned int refs = atomic_load_explicit(&d->refs, memory_order_relaxed);

	while (refs > 1) {
		if (atomic_compare_exchange_weak_explicit(
			    &d->refs, &refs, refs - 1, memory_order_release, memory_order_relaxed))
			return true;
	}
	return false;
}

/* True when that was the last one: the node is out of the table. */
static bool unref_last(struct union_dir *d)
{
	struct stripe *stripe = stripe_of(d->stack, d->node.hash);
	bool last;

	pthread_mutex_lock(&stripe->lock);
	last = atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1;
	if (last && d->parent != NULL)
		table_del(&stripe->nodes, &d->node);
	pthread_mutex_unlock(&stripe->lock);
	return last;
}

void union_dir_unref(struct union_dir *d)
{
	/* A loop, for a node's end may be its parent's, however deep the tree. */
	while (d != NULL && !unref_fast(d) && unref_last(d)) {
		struct union_dir *parent = d->parent;

		node_free(d);
		d = parent;
	}
}
