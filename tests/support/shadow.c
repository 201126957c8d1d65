/* SPDX-License-Identifier: Apache-2.0 */
/* The tree in memory: its nodes and names, and what operations do to them. */
#include "support/shadow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void blob_put(struct shadow_blob *b)
{
	if (b == NULL || --b->refs > 0)
		return;
	free(b->bytes);
	free(b);
}

/* A blob that is NODE's alone and SIZE bytes long; what is new in it is zero. */
static struct shadow_blob *blob_own(struct shadow_node *node, uint64_t size)
{
	struct shadow_blob *old = node->blob, *b = old;
	uint64_t keep = old == NULL ? 0 : old->size < size ? old->size : size;

	if (old == NULL || old->refs > 1) {
		b = calloc(1, sizeof(*b));
		b->refs = 1;
		b->bytes = malloc(size + 1);
		if (keep > 0)
			memcpy(b->bytes, old->bytes, keep);
		blob_put(old);
	} else if (size > b->size || size < b->size / 2) {
		b->bytes = realloc(b->bytes, size + 1);
	}
	if (size > keep)
		memset(b->bytes + keep, 0, size - keep);
	b->size = size;
	node->blob = b;
	return b;
}

struct shadow *shadow_new(void)
{
	struct shadow *s = calloc(1, sizeof(*s));

	s->nodes = calloc(1, sizeof(*s->nodes));
	s->nodes[0] = (struct shadow_node){.mode = S_IFDIR | 0755, .nlink = 1};
	s->n_nodes = 1;
	return s;
}

struct shadow *shadow_copy(const struct shadow *s)
{
	struct shadow *c = calloc(1, sizeof(*c));

	*c = *s;
	c->nodes = calloc(s->n_nodes, sizeof(*c->nodes));
	memcpy(c->nodes, s->nodes, s->n_nodes * sizeof(*c->nodes));
	for (unsigned int i = 0; i < s->n_nodes; i++) {
		if (c->nodes[i].blob != NULL)
			c->nodes[i].blob->refs++;
	}
	c->names = calloc(s->n_names + 1, sizeof(*c->names));
	for (unsigned int i = 0; i < s->n_names; i++) {
		c->names[i] = s->names[i];
		c->names[i].name = strdup(s->names[i].name);
	}
	return c;
}

void shadow_free(struct shadow *s)
{
	if (s == NULL)
		return;
	for (unsigned int i = 0; i < s->n_nodes; i++)
		blob_put(s->nodes[i].blob);
	for (unsigned int i = 0; i < s->n_names; i++)
		free(s->names[i].name);
	free(s->nodes);
	free(s->names);
	free(s);
}

/* ---- names --------------------------------------------------------------------------- */

static int name_index(const struct shadow *s, unsigned int parent, const char *name, size_t len)
{
	for (unsigned int i = 0; i < s->n_names; i++) {
		const struct shadow_name *n = &s->names[i];

		if (n->parent == parent && strncmp(n->name, name, len) == 0 && n->name[len] == '\0')
			return (int)i;
	}
	return -ENOENT;
}

static int walk(const struct shadow *s, const char *path, size_t len)
{
	unsigned int at = 0;

	while (len > 0) {
		const char *slash = memchr(path, '/', len);
		size_t n = slash != NULL ? (size_t)(slash - path) : len;
		int i;

		if (!S_ISDIR(s->nodes[at].mode))
			return -ENOTDIR;
		i = name_index(s, at, path, n);
		if (i < 0)
			return i;
		at = s->names[i].node;
		path += n + (slash != NULL);
		len -= n + (slash != NULL);
	}
	return (int)at;
}

int shadow_find(const struct shadow *s, const char *path)
{
	return walk(s, path, strlen(path));
}

/* The directory of PATH and the last name in it. */
static int find_parent(const struct shadow *s, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	int dir = walk(s, path, slash != NULL ? (size_t)(slash - path) : 0);

	*ret_name = slash != NULL ? slash + 1 : path;
	return dir >= 0 && !S_ISDIR(s->nodes[dir].mode) ? -ENOTDIR : dir;
}

static int find_name(const struct shadow *s, const char *path)
{
	const char *name;
	int dir = find_parent(s, path, &name);

	return dir < 0 ? dir : name_index(s, (unsigned int)dir, name, strlen(name));
}

static bool is_empty(const struct shadow *s, unsigned int dir)
{
	for (unsigned int i = 0; i < s->n_names; i++) {
		if (s->names[i].parent == dir)
			return false;
	}
	return true;
}

static void add_name(struct shadow *s, unsigned int parent, const char *name, unsigned int node)
{
	s->names = realloc(s->names, (s->n_names + 1) * sizeof(*s->names));
	s->names[s->n_names++] = (struct shadow_name){parent, node, strdup(name)};
}

static void drop_node(struct shadow *s, unsigned int node)
{
	if (--s->nodes[node].nlink > 0)
		return;
	blob_put(s->nodes[node].blob);
	s->nodes[node] = (struct shadow_node){0};
}

static void remove_name(struct shadow *s, unsigned int i)
{
	free(s->names[i].name);
	s->names[i] = s->names[--s->n_names];
}

bool shadow_path(const struct shadow *s, unsigned int node, char *ret_path, size_t size)
{
	char above[SHADOW_PATH];

	if (node == 0) {
		snprintf(ret_path, size, "%s", "");
		return true;
	}
	for (unsigned int i = 0; i < s->n_names; i++) {
		if (s->names[i].node != node)
			continue;
		if (!shadow_path(s, s->names[i].parent, above, sizeof(above)))
			return false;
		return (size_t)snprintf(ret_path, size, "%s%s%s", above,
					above[0] != '\0' ? "/" : "", s->names[i].name) < size;
	}
	return false;
}

/* ---- operations ---------------------------------------------------------------------- */

static int make(struct shadow *s, const struct shadow_op *op, uint32_t mode)
{
	const char *name;
	int dir = find_parent(s, op->path, &name);
	struct shadow_node *node;

	if (dir < 0)
		return dir;
	if (name[0] == '\0' || name_index(s, (unsigned int)dir, name, strlen(name)) >= 0)
		return -EEXIST;
	s->nodes = realloc(s->nodes, (s->n_nodes + 1) * sizeof(*s->nodes));
	node = &s->nodes[s->n_nodes];
	*node = (struct shadow_node){.mode = mode, .nlink = 1};
	if (S_ISLNK(mode))
		memcpy(blob_own(node, strlen(op->path2))->bytes, op->path2, strlen(op->path2));
	else if (S_ISREG(mode))
		blob_own(node, 0);
	add_name(s, (unsigned int)dir, name, s->n_nodes++);
	return 0;
}

static int do_link(struct shadow *s, const struct shadow_op *op)
{
	int node = shadow_find(s, op->path), dir;
	const char *name;

	if (node < 0)
		return node;
	if (S_ISDIR(s->nodes[node].mode))
		return -EPERM;
	dir = find_parent(s, op->path2, &name);
	if (dir < 0)
		return dir;
	if (name_index(s, (unsigned int)dir, name, strlen(name)) >= 0)
		return -EEXIST;
	s->nodes[node].nlink++;
	add_name(s, (unsigned int)dir, name, (unsigned int)node);
	return 0;
}

static int do_remove(struct shadow *s, const struct shadow_op *op)
{
	int i = find_name(s, op->path);
	unsigned int node;

	if (i < 0)
		return i;
	node = s->names[i].node;
	if (op->kind == SHADOW_UNLINK && S_ISDIR(s->nodes[node].mode))
		return -EISDIR;
	if (op->kind == SHADOW_RMDIR && !S_ISDIR(s->nodes[node].mode))
		return -ENOTDIR;
	if (op->kind == SHADOW_RMDIR && !is_empty(s, node))
		return -ENOTEMPTY;
	remove_name(s, (unsigned int)i);
	drop_node(s, node);
	return 0;
}

static bool is_below(const struct shadow *s, unsigned int node, unsigned int dir)
{
	for (unsigned int i = 0; node != 0 && i < s->n_names; i++) {
		if (s->names[i].node != node)
			continue;
		if (s->names[i].node == dir)
			return true;
		return is_below(s, s->names[i].parent, dir);
	}
	return node == dir;
}

/* What stands in the way of a rename goes; -errno when it may not. */
static int clear_target(struct shadow *s, unsigned int node, int target)
{
	unsigned int old = s->names[target].node;
	bool dir = S_ISDIR(s->nodes[node].mode), old_dir = S_ISDIR(s->nodes[old].mode);

	if (dir != old_dir)
		return dir ? -ENOTDIR : -EISDIR;
	if (old_dir && !is_empty(s, old))
		return -ENOTEMPTY;
	remove_name(s, (unsigned int)target);
	drop_node(s, old);
	return 0;
}

static int do_rename(struct shadow *s, const struct shadow_op *op)
{
	int from = find_name(s, op->path), to, dir, r;
	unsigned int node;
	const char *name;

	if (from < 0)
		return from;
	dir = find_parent(s, op->path2, &name);
	if (dir < 0)
		return dir;
	node = s->names[from].node;
	if (S_ISDIR(s->nodes[node].mode) && is_below(s, (unsigned int)dir, node))
		return -EINVAL;
	to = name_index(s, (unsigned int)dir, name, strlen(name));
	if (to >= 0 && s->names[to].node == node)
		return 0;
	r = to >= 0 ? clear_target(s, node, to) : 0;
	if (r < 0)
		return r;
	remove_name(s, (unsigned int)find_name(s, op->path));
	add_name(s, (unsigned int)dir, name, node);
	return 0;
}

static int do_bytes(struct shadow_node *node, const struct shadow_op *op)
{
	uint64_t size, end = op->off + op->len;
	struct shadow_blob *b;

	if (!S_ISREG(node->mode))
		return S_ISDIR(node->mode) ? -EISDIR : -EINVAL;
	size = node->blob->size;
	switch (op->kind) {
	case SHADOW_WRITE:
		b = blob_own(node, op->len > 0 && end > size ? end : size);
		shadow_fill(b->bytes + op->off, op->off, op->len, op->seed);
		return 0;
	case SHADOW_TRUNCATE:
		blob_own(node, op->off);
		return 0;
	default:
		b = blob_own(node, size);
		if (op->off < size)
			memset(b->bytes + op->off, 0, (end < size ? end : size) - op->off);
		return 0;
	}
}

static int do_attrs(struct shadow_node *node, const struct shadow_op *op)
{
	if (op->kind == SHADOW_CHMOD) {
		if (S_ISLNK(node->mode))
			return -EOPNOTSUPP;
		node->mode = (node->mode & S_IFMT) | op->mode;
		return 0;
	}
	if (!S_ISREG(node->mode) && !S_ISDIR(node->mode))
		return -EPERM;
	if (op->kind == SHADOW_RMXATTR && node->xattr[0] == '\0')
		return -ENODATA;
	if (op->kind == SHADOW_RMXATTR)
		node->xattr[0] = '\0';
	else
		snprintf(node->xattr, sizeof(node->xattr), "%u", op->seed);
	return 0;
}

static int do_node(struct shadow *s, const struct shadow_op *op)
{
	int node = shadow_find(s, op->path);

	if (node < 0)
		return node;
	switch (op->kind) {
	case SHADOW_WRITE:
	case SHADOW_TRUNCATE:
	case SHADOW_PUNCH:
		return do_bytes(&s->nodes[node], op);
	case SHADOW_FSYNC:
		return 0;
	default:
		return do_attrs(&s->nodes[node], op);
	}
}

int shadow_apply(struct shadow *s, const struct shadow_op *op)
{
	switch (op->kind) {
	case SHADOW_CREATE:
		return make(s, op, S_IFREG | op->mode);
	case SHADOW_MKDIR:
		return make(s, op, S_IFDIR | op->mode);
	case SHADOW_FIFO:
		return make(s, op, S_IFIFO | op->mode);
	case SHADOW_SYMLINK:
		return make(s, op, S_IFLNK | 0777);
	case SHADOW_LINK:
		return do_link(s, op);
	case SHADOW_UNLINK:
	case SHADOW_RMDIR:
		return do_remove(s, op);
	case SHADOW_RENAME:
		return do_rename(s, op);
	case SHADOW_SYNCFS:
	case SHADOW_CHECKPOINT:
	case SHADOW_REOPEN:
		return 0;
	default:
		return do_node(s, op);
	}
}
