/* SPDX-License-Identifier: Apache-2.0 */
/* The model's nodes, names and contents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crash/kill/kill.h"

static void *need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

struct node *node_new(mode_t mode)
{
	struct node *n = need(calloc(1, sizeof(*n)));

	n->mode = mode;
	n->refs = 1;
	n->n_states = S_ISREG(mode) ? 1 : 0;
	return n;
}

struct node *node_ref(struct node *n)
{
	n->refs++;
	return n;
}

void node_unref(struct node *n)
{
	if (n == NULL || --n->refs > 0)
		return;
	for (size_t i = 0; i < n->n_entries; i++)
		node_unref(n->entries[i].node);
	free(n->entries);
	for (unsigned int i = 0; i < n->n_states; i++)
		free(n->states[i].bytes);
	while (n->xattrs != NULL)
		xattr_remove(n, n->xattrs->name);
	free(n->seen_mixture.bytes);
	free(n->target);
	free(n);
}

void tree_done(struct tree *t)
{
	node_unref(t->root);
	t->root = NULL;
}

struct entry *dir_find(const struct node *dir, const char *name)
{
	for (size_t i = 0; i < dir->n_entries; i++)
		if (strcmp(dir->entries[i].name, name) == 0)
			return &dir->entries[i];
	return NULL;
}

/* Takes over the reference. */
void dir_add(struct node *dir, const char *name, struct node *n)
{
	if (dir->n_entries == dir->cap) {
		dir->cap = dir->cap == 0 ? 8 : dir->cap * 2;
		dir->entries = need(realloc(dir->entries, dir->cap * sizeof(*dir->entries)));
	}
	snprintf(dir->entries[dir->n_entries].name, NAME_SIZE, "%s", name);
	dir->entries[dir->n_entries++].node = n;
	if (S_ISDIR(n->mode))
		n->parent = dir;
}

struct node *tree_parent(const struct tree *t, const char *path, const char **ret_name)
{
	struct node *n = t->root;
	char part[NAME_SIZE];
	const char *slash;

	while ((slash = strchr(path, '/')) != NULL) {
		struct entry *e;

		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		e = dir_find(n, part);
		if (e == NULL || !S_ISDIR(e->node->mode))
			return NULL;
		n = e->node;
		path = slash + 1;
	}
	*ret_name = path;
	return n;
}

struct node *tree_find(const struct tree *t, const char *path)
{
	const char *name;
	struct node *dir = tree_parent(t, path, &name);
	struct entry *e;

	if (dir == NULL || *name == '\0')
		return dir;
	e = dir_find(dir, name);
	return e == NULL ? NULL : e->node;
}

static void each_in(const char *path, struct node *dir, tree_fn *fn, void *arg)
{
	for (size_t i = 0; i < dir->n_entries; i++) {
		struct entry *e = &dir->entries[i];
		char child[PATH_SIZE];

		if (snprintf(child, sizeof(child), "%s%s%s", path, *path != '\0' ? "/" : "",
			     e->name) >= PATH_SIZE)
			abort();
		fn(child, e->node, arg);
		if (S_ISDIR(e->node->mode))
			each_in(child, e->node, fn, arg);
	}
}

void tree_each(const struct tree *t, tree_fn *fn, void *arg)
{
	each_in("", t->root, fn, arg);
}

struct xattr *xattr_find(const struct node *n, const char *name)
{
	for (struct xattr *x = n->xattrs; x != NULL; x = x->next)
		if (strcmp(x->name, name) == 0)
			return x;
	return NULL;
}

void xattr_put(struct node *n, const char *name, const void *value, size_t len)
{
	struct xattr *x = xattr_find(n, name);

	if (x == NULL) {
		x = need(calloc(1, sizeof(*x)));
		snprintf(x->name, sizeof(x->name), "%s", name);
		x->next = n->xattrs;
		n->xattrs = x;
	}
	free(x->value);
	x->value = need(malloc(len + 1));
	memcpy(x->value, value, len);
	x->len = len;
}

bool xattr_remove(struct node *n, const char *name)
{
	for (struct xattr **p = &n->xattrs; *p != NULL; p = &(*p)->next) {
		struct xattr *x = *p;

		if (strcmp(x->name, name) != 0)
			continue;
		*p = x->next;
		free(x->value);
		free(x);
		return true;
	}
	return false;
}

void content_resize(struct content *c, uint64_t size)
{
	if (size > c->size) {
		c->bytes = need(realloc(c->bytes, size));
		memset(c->bytes + c->size, 0, size - c->size);
	}
	c->size = size;
}

void node_push_state(struct node *n)
{
	struct content *from = node_content(n), *to;

	if (n->n_states == MAX_STATES)
		abort();
	to = &n->states[n->n_states++];
	*to = (struct content){.size = from->size, .bytes = need(malloc(from->size + 1))};
	if (from->size > 0)
		memcpy(to->bytes, from->bytes, from->size);
}

void node_settle(struct node *n, unsigned int i)
{
	struct content kept = n->states[i];

	for (unsigned int j = 0; j < n->n_states; j++)
		if (j != i)
			free(n->states[j].bytes);
	n->states[0] = kept;
	n->n_states = 1;
	n->bytewise = n->small_if_first = false;
	n->piece_len = 0;
}
