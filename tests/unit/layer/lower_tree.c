/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of layers over others: a tree below as a table. */
#include "unit/layer/lower_tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "layer/indexed_write.h"

static const struct lower *find_lower(void *arg, const char *path)
{
	const struct lower *l;

	for (l = arg; l->path != NULL; l++)
		if (strcmp(l->path, path) == 0)
			return l;
	return NULL;
}

const struct lower usr_merged[] = {
	{"lib", S_IFLNK | 0777, "usr/lib", 0, 1},
	{"usr", S_IFDIR | 0755, NULL, 0, 2},
	{"usr/lib", S_IFDIR | 0750, NULL, 0, 2},
	{0},
};

uint64_t n_stats;

static int lower_stat(void *arg, const char *path, struct attr *ret_attr)
{
	const struct lower *l = find_lower(arg, path);

	n_stats++;
	if (l == NULL)
		return -ENOENT;
	*ret_attr = (struct attr){.mode = l->mode, .ino = l->ino, .nlink = l->nlink, .uid = 77};
	return 0;
}

static ssize_t lower_readlink(void *arg, const char *path, char *target, size_t size)
{
	const struct lower *l = find_lower(arg, path);

	return snprintf(target, size, "%s", l->target);
}

static int lower_xattrs(void *arg, const char *path, struct apply_inode *inode)
{
	return find_lower(arg, path)->nlink == 9 ? apply_xattr_set(inode, "user.x", "1", 1) : 0;
}

void store(struct world *w)
{
	CLEANUP(index_builder) struct index_builder *b = NULL;
	CLEANUP(index_file) struct index_file *x = NULL;
	struct indexed_head head = {.flags = INDEXED_IMPLICIT | INDEXED_PENDING};
	const struct apply_options options = {.strict = w->a->options.strict};
	int fd = memfd_create("index", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(index_builder_new(fd, &b), 0);
	cr_assert_eq(indexed_write(w->a, &head, b), 0);
	cr_assert_eq(index_finish(b, false), 0);
	cr_assert_eq(index_file_open(fd, "index", &x, &w->err), 0, "%s", err_text(&w->err));
	apply_free(w->a);
	cr_assert_eq(apply_new(&options, &w->a), 0);
	cr_assert_eq(indexed_load(x, w->a), 0);
}

void resolve(struct world *w, const struct lower *tree)
{
	struct apply_below below = {lower_stat, lower_readlink, lower_xattrs,
				    (void *)(uintptr_t)tree};

	cr_assert_eq(apply_resolve(w->a, &below, &w->err), 0, "%s", err_text(&w->err));
	cr_assert_not(apply_has_implicit(w->a));
	cr_assert_not(apply_has_pending(w->a));
}

uint32_t mode_of(const struct world *w, const char *path)
{
	struct apply_inode *inode;

	cr_assert_eq(apply_find_path(w->a, path, &inode), 0);
	cr_assert_not_null(inode, "%s", path);
	return inode->rec.attr.mode;
}
