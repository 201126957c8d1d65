/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs check: what each layer takes for granted of those below it. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tool/check_private.h"

/* The layers below one, whose own links are resolved already. */
struct below {
	struct apply *const *layers;
	size_t n;
};

/* One layer's word about PATH: 1 and the inode, 0: it says nothing, -ENOENT: it hides what is below. */
static int ask(const struct apply *a, const char *path, const struct apply_inode **ret_inode)
{
	const struct apply_name *at = a->root;
	bool opaque = false;

	while (*path != '\0') {
		size_t len = strcspn(path, "/");

		if (!apply_is_dir(at))
			return -ENOTDIR;
		opaque |= (at->inode->rec.flags & INDEX_OPAQUE) != 0;
		at = apply_find(a, at, path, len);
		if (at == NULL)
			return opaque ? -ENOENT : 0;
		if (at->inode == NULL)
			return at->whiteout || opaque ? -ENOENT : 0;
		opaque |= at->whiteout;
		path += len + (path[len] == '/');
	}
	*ret_inode = at->inode;
	return 1;
}

/* As the union has it; of a directory the topmost layer's. */
static int find(const struct below *b, const char *path, const struct apply_inode **ret_inode)
{
	int r = 0;

	for (size_t i = b->n; r == 0 && i-- > 0;)
		r = ask(b->layers[i], path, ret_inode);
	return r == 0 ? -ENOENT : r < 0 ? r : 0;
}

static int below_stat(void *arg, const char *path, struct attr *ret_attr)
{
	const struct apply_inode *inode;
	int r = find(arg, path, &inode);

	if (r < 0)
		return r;
	*ret_attr = inode->rec.attr;
	/* A file of several layers is known by the lowest one's. */
	ret_attr->ino = (inode->rec.flags & INDEX_LOWER) != 0 ? inode->rec.union_ino
							      : (uint64_t)(uintptr_t)inode;
	return 0;
}

static ssize_t below_readlink(void *arg, const char *path, char *target, size_t size)
{
	const struct apply_inode *inode;
	int r = find(arg, path, &inode);

	if (r < 0)
		return r;
	if (!S_ISLNK(inode->rec.attr.mode))
		return -EINVAL;
	if (strlen(inode->rec.text) >= size)
		return -ENAMETOOLONG;
	return stpcpy(target, inode->rec.text) - target;
}

/* Nobody looks at them here. */
static int below_xattrs(void *arg, const char *path, struct apply_inode *inode)
{
	(void)arg;
	(void)path;
	(void)inode;
	return 0;
}

static int resolve(struct check *c, size_t i, struct err *err)
{
	struct apply *a = c->layers[i];
	struct below under = {c->layers, i};
	struct check_faults faults = {.check = c, .layer = i + 1};
	const struct apply_below below = {below_stat, below_readlink, below_xattrs, &under};
	int r;

	/* As for a mount: other layers need nothing of those below. */
	if (!apply_has_pending(a) && (i == 0 || !apply_has_implicit(a)))
		return 0;
	a->options = (struct apply_options){.report = check_report, .arg = &faults};
	r = apply_resolve(a, i > 0 ? &below : NULL, err);
	a->options = (struct apply_options){0};
	check_faults_end(&faults);
	return r < 0 ? err_wrap(err, "layer %zu", i + 1) : 0;
}

int check_stack(struct check *c, struct err *err)
{
	int r = 0;

	/* Over a layer that is not known nothing can be said. */
	for (size_t i = 0; r == 0 && i < c->image->n_layers && c->layers[i] != NULL; i++)
		r = resolve(c, i, err);
	return r;
}
