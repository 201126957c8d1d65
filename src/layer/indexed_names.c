/* SPDX-License-Identifier: Apache-2.0 */
/* The tree in memory that an image layer's members are put into. */
#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "layer/indexed_apply.h"

static uint64_t key_of(const struct apply_name *dir, const char *text, size_t len)
{
	return hash64(text, len, (uint64_t)(uintptr_t)dir);
}

struct apply_name *apply_find(const struct apply *a, const struct apply_name *dir, const char *text,
			      size_t len)
{
	struct table_node *t;

	for (t = table_first(&a->names, key_of(dir, text, len)); t != NULL; t = table_next(t)) {
		struct apply_name *n = table_entry(t, struct apply_name, node);

		if (n->parent == dir && n->len == len && memcmp(n->text, text, len) == 0)
			return n;
	}
	return NULL;
}

static struct apply_name *name_new(struct apply_name *parent, const char *text, size_t len)
{
	struct apply_name *n = calloc(1, sizeof(*n) + len + 1);

	if (n == NULL)
		return NULL;
	n->parent = parent;
	n->len = (uint16_t)len;
	memcpy(n->text, text, len);
	if (parent != NULL) {
		n->depth = parent->depth + 1;
		n->sibling = parent->child;
		parent->child = n;
	}
	return n;
}

struct apply_name *apply_name_in(struct apply *a, struct apply_name *dir, const char *text,
				 size_t len)
{
	struct apply_name *n = apply_find(a, dir, text, len);

	if (n != NULL)
		return n;
	n = name_new(dir, text, len);
	if (n != NULL)
		table_add(&a->names, &n->node, key_of(dir, text, len));
	return n;
}

struct apply_inode *apply_inode_new(struct apply *a)
{
	struct apply_inode *inode = calloc(1, sizeof(*inode));

	if (inode == NULL)
		return NULL;
	if (a->last_inode != NULL)
		a->last_inode->next = inode;
	else
		a->inodes = inode;
	a->last_inode = inode;
	return inode;
}

struct apply_inode *apply_implicit_new(struct apply *a)
{
	struct apply_inode *inode = apply_inode_new(a);

	if (inode == NULL)
		return NULL;
	inode->rec.attr.mode = S_IFDIR | 0755;
	inode->rec.flags = INDEX_IMPLICIT;
	return inode;
}

int apply_xattr_set(struct apply_inode *inode, const char *name, const void *value, size_t len)
{
	size_t name_len = strlen(name);
	struct apply_xattr *x = malloc(sizeof(*x) + name_len + 1 + len), **at;

	if (x == NULL)
		return -ENOMEM;
	memcpy(x->name, name, name_len + 1);
	x->len = len;
	x->value = (uint8_t *)x->name + name_len + 1;
	if (len > 0)
		memcpy(x->value, value, len);
	for (at = &inode->xattrs; *at != NULL && strcmp((*at)->name, name) < 0;)
		at = &(*at)->next;
	x->next = *at;
	if (x->next != NULL && strcmp(x->next->name, name) == 0) {
		struct apply_xattr *old = x->next;

		x->next = old->next;
		free(old);
	}
	*at = x;
	inode->rec.flags |= INDEX_HAS_XATTRS;
	return 0;
}

struct apply_name *apply_next(const struct apply_name *top, struct apply_name *n)
{
	if (n->child != NULL)
		return n->child;
	while (n != top && n->sibling == NULL)
		n = n->parent;
	return n != top ? n->sibling : NULL;
}

void apply_set(struct apply *a, struct apply_name *name, struct apply_inode *inode)
{
	bool stays_dir = inode != NULL && S_ISDIR(inode->rec.attr.mode);
	struct apply_name *n;

	(void)a;
	if (inode != NULL)
		inode->n_names++;
	if (name->inode != NULL)
		name->inode->n_names--;
	if (apply_is_dir(name) && !stays_dir) {
		for (n = name->child; n != NULL; n = apply_next(name, n)) {
			if (n->inode != NULL)
				n->inode->n_names--;
			n->inode = NULL;
			n->whiteout = false;
		}
	}
	name->inode = inode;
}

int apply_new(const struct apply_options *options, struct apply **ret_apply)
{
	CLEANUP(apply) struct apply *a = calloc(1, sizeof(*a));
	struct apply_inode *inode;

	if (a == NULL || table_init(&a->names) < 0)
		return -ENOMEM;
	a->options = *options;
	a->root = name_new(NULL, "", 0);
	inode = apply_implicit_new(a);
	if (a->root == NULL || inode == NULL)
		return -ENOMEM;
	apply_set(a, a->root, inode);
	*ret_apply = steal_ptr(&a);
	return 0;
}

static void free_names(struct apply_name *root)
{
	struct apply_name *n = root;

	/* Children first, without recursion: a name is freed once its list of children is used up. */
	while (n != NULL) {
		struct apply_name *child = n->child, *parent = n->parent;

		if (child != NULL) {
			n->child = child->sibling;
			n = child;
			continue;
		}
		free(n);
		n = parent;
	}
}

static void free_inode(struct apply_inode *inode)
{
	struct apply_xattr *x;

	while ((x = inode->xattrs) != NULL) {
		inode->xattrs = x->next;
		free(x);
	}
	index_rec_done(&inode->rec);
	free(inode);
}

void apply_free(struct apply *a)
{
	struct apply_inode *inode;

	if (a == NULL)
		return;
	free_names(a->root);
	while ((inode = a->inodes) != NULL) {
		a->inodes = inode->next;
		free_inode(inode);
	}
	table_done(&a->names);
	free(a);
}
