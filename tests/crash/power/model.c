/* SPDX-License-Identifier: Apache-2.0 */
/* The shadow of a tree: operations applied in memory. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crash/power/model.h"

static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static void impossible(const struct op *op)
{
	fprintf(stderr, "impossible in the model: ");
	op_print(op, stderr);
	abort();
}

static struct minode *new_inode(struct model *m, uint32_t mode)
{
	struct minode *i = must(calloc(1, sizeof(*i)));

	i->id = (uint32_t)m->n_inodes;
	i->mode = mode;
	i->lower = m->lower_seq == 0;
	if ((m->n_inodes & 255) == 0)
		m->inodes = must(reallocarray(m->inodes, m->n_inodes + 256, sizeof(m->inodes[0])));
	m->inodes[m->n_inodes++] = i;
	return i;
}

void model_done(struct model *m)
{
	size_t i;

	for (i = 0; i < m->n_inodes; i++) {
		free(m->inodes[i]->events);
		free(m->inodes[i]->syncs);
		free(m->inodes[i]->names);
		free(m->inodes[i]);
	}
	free(m->inodes);
	memset(m, 0, sizeof(*m));
}

/* ---- names ---------------------------------------------------------------------------- */

static struct name *find_name(const struct minode *dir, const char *text)
{
	size_t i;

	for (i = 0; i < dir->n_names; i++)
		if (strcmp(dir->names[i].text, text) == 0)
			return &dir->names[i];
	return NULL;
}

/* The directory of PATH and its last name; the first component is the root's. */
static struct minode *find_parent(const struct model *m, const char *path, const char **ret_name)
{
	struct minode *dir = m->root;
	const char *at = strchr(path, '/');
	char text[NAME_SIZE];

	while (at != NULL && dir != NULL) {
		const char *end = strchr(++at, '/');
		struct name *name;

		if (end == NULL) {
			*ret_name = at;
			return S_ISDIR(dir->mode) ? dir : NULL;
		}
		snprintf(text, sizeof(text), "%.*s", (int)(end - at), at);
		name = find_name(dir, text);
		dir = name == NULL ? NULL : name->inode;
		at = end;
	}
	return NULL;
}

struct minode *model_find(const struct model *m, const char *path)
{
	const char *text;
	struct minode *dir;
	struct name *name;

	if (strchr(path, '/') == NULL)
		return m->root;
	dir = find_parent(m, path, &text);
	name = dir == NULL ? NULL : find_name(dir, text);
	return name == NULL ? NULL : name->inode;
}

static void add_name(struct model *m, const struct op *op, const char *path, struct minode *inode)
{
	const char *text;
	struct minode *dir = find_parent(m, path, &text);
	struct name *name;

	if (dir == NULL || find_name(dir, text) != NULL || strlen(text) >= NAME_SIZE)
		impossible(op);
	if ((dir->n_names & 15) == 0)
		dir->names =
			must(reallocarray(dir->names, dir->n_names + 16, sizeof(dir->names[0])));
	name = &dir->names[dir->n_names++];
	memcpy(name->text, text, strlen(text) + 1);
	name->inode = inode;
	if (inode->nlink++ == 0 && S_ISREG(inode->mode))
		m->bytes += inode->size;
	if (S_ISDIR(inode->mode)) {
		memcpy(inode->name, text, strlen(text) + 1);
		inode->parent = dir;
	}
}

static struct minode *remove_name(struct model *m, const struct op *op, const char *path)
{
	const char *text;
	struct minode *dir = find_parent(m, path, &text);
	struct name *name = dir == NULL ? NULL : find_name(dir, text);
	struct minode *inode;

	if (name == NULL)
		impossible(op);
	inode = name->inode;
	*name = dir->names[--dir->n_names];
	if (--inode->nlink == 0 && S_ISREG(inode->mode))
		m->bytes -= inode->size;
	return inode;
}

static void apply_rename(struct model *m, const struct op *op)
{
	struct minode *from = remove_name(m, op, op->path), *to = NULL;

	if (model_find(m, op->path2) != NULL) {
		to = remove_name(m, op, op->path2);
		if (op->kind == OP_RENAME && S_ISDIR(to->mode) && to->n_names > 0)
			impossible(op);
	}
	add_name(m, op, op->path2, from);
	if (op->kind == OP_EXCHANGE) {
		if (to == NULL)
			impossible(op);
		add_name(m, op, op->path, to);
	}
}

/* ---- bytes and attributes ------------------------------------------------------------- */

static void apply_bytes(struct model *m, struct minode *f, const struct op *op)
{
	struct event e = {.seq = op->seq, .off = op->off, .len = op->len};

	if (op->kind == OP_TRUNCATE)
		e.kind = EV_TRUNCATE;
	else if (op->kind == OP_PUNCH)
		e.kind = EV_ZERO;
	e.size = e.kind == EV_TRUNCATE || op->off + op->len > f->size ? op->off + op->len : f->size;
	if ((f->n_events & 7) == 0)
		f->events = must(reallocarray(f->events, f->n_events + 8, sizeof(e)));
	f->events[f->n_events++] = e;
	m->bytes += e.size - f->size;
	f->size = e.size;
}

static void apply_sync(struct minode *f, uint32_t seq)
{
	if ((f->n_syncs & 7) == 0)
		f->syncs = must(reallocarray(f->syncs, f->n_syncs + 8, sizeof(f->syncs[0])));
	f->syncs[f->n_syncs++] = seq;
}

static void apply_attr(struct model *m, struct minode *i, const struct op *op)
{
	switch (op->kind) {
	case OP_WRITE_FSYNC:
		apply_sync(i, op->seq);
		apply_bytes(m, i, op);
		break;
	case OP_WRITE:
	case OP_PUNCH:
	case OP_TRUNCATE:
		apply_bytes(m, i, op);
		break;
	case OP_CHMOD:
		i->mode = (i->mode & S_IFMT) | op->mode;
		break;
	case OP_CHOWN:
		i->uid = op->mode;
		break;
	case OP_SETXATTR:
		i->xattrs[op->mode].seq = op->seq;
		i->xattrs[op->mode].len = (uint32_t)op->len;
		break;
	case OP_RMXATTR:
		i->xattrs[op->mode].seq = 0;
		break;
	case OP_FSYNC:
	case OP_FDATASYNC:
		apply_sync(i, op->seq);
		break;
	default:
		impossible(op);
	}
}

static void apply_create(struct model *m, const struct op *op)
{
	uint32_t type = op->kind == OP_MKDIR ? S_IFDIR : op->kind == OP_SYMLINK ? S_IFLNK : S_IFREG;
	struct minode *i = new_inode(m, type | op->mode);

	if (type == S_IFLNK)
		memcpy(i->target, op->path2, strlen(op->path2) + 1);
	/* The first one of all is the root, which is in no directory of the model. */
	if (m->root == NULL)
		m->root = i;
	else
		add_name(m, op, op->path, i);
}

void model_apply(struct model *m, const struct op *op)
{
	struct minode *i;

	if (op->thread != m->thread || op->seq != m->seq + 1)
		impossible(op);
	m->seq = op->seq;
	switch (op->kind) {
	case OP_CREATE:
	case OP_MKDIR:
	case OP_SYMLINK:
		apply_create(m, op);
		return;
	case OP_RENAME:
	case OP_EXCHANGE:
		apply_rename(m, op);
		return;
	case OP_UNLINK:
	case OP_RMDIR:
		remove_name(m, op, op->path);
		return;
	}
	i = model_find(m, op->path);
	if (i == NULL)
		impossible(op);
	if (op->kind == OP_LINK)
		add_name(m, op, op->path2, i);
	else
		apply_attr(m, i, op);
}

/* ---- walking -------------------------------------------------------------------------- */

void model_path(const struct model *m, const struct minode *dir, const char *name, char *ret_path)
{
	char tail[PATH_SIZE], *at = tail + sizeof(tail) - 1;

	*at = '\0';
	while (name != NULL) {
		size_t n = strlen(name);

		if ((size_t)(at - tail) < n + 1)
			abort();
		at -= n;
		memcpy(at, name, n);
		*--at = '/';
		name = dir == m->root ? NULL : dir->name;
		dir = dir->parent;
	}
	if (snprintf(ret_path, PATH_SIZE, "t%u%s", m->thread, at) >= PATH_SIZE)
		abort();
}

static int walk_dir(const struct minode *dir,
		    int (*each)(void *arg, const struct minode *dir, const struct name *name),
		    void *arg)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < dir->n_names; i++) {
		r = each(arg, dir, &dir->names[i]);
		if (r == 0 && S_ISDIR(dir->names[i].inode->mode))
			r = walk_dir(dir->names[i].inode, each, arg);
	}
	return r;
}

int model_walk(const struct model *m,
	       int (*each)(void *arg, const struct minode *dir, const struct name *name), void *arg)
{
	return walk_dir(m->root, each, arg);
}
