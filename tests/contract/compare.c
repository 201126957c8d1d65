/* SPDX-License-Identifier: Apache-2.0 */
/* Two layers that hold the same tree give the same answers. */
#include <limits.h>
#include <string.h>

#include "contract/contract.h"

/* A name of both layers; the first is the reference's. */
struct pair {
	const struct variant *variant;
	struct layer *layer[2];
	struct layer_dir *dir[2];
	const char *name; /* NULL: the directories themselves */
	const char *path; /* from the root; "" is the root */
};

static void compare_times(const struct timespec *a, const struct timespec *b, const char *name)
{
	cr_assert_eq(timespec_cmp(a, b), 0, "%s: %ld.%09ld and %ld.%09ld", name, (long)a->tv_sec,
		     a->tv_nsec, (long)b->tv_sec, b->tv_nsec);
}

static void compare_attrs(const struct attr *a, const struct attr *b, const char *name)
{
	cr_assert_eq(a->mode, b->mode, "%s: mode %o and %o", name, a->mode, b->mode);
	cr_assert_eq(a->uid, b->uid, "%s: uid %u and %u", name, a->uid, b->uid);
	cr_assert_eq(a->gid, b->gid, "%s: gid %u and %u", name, a->gid, b->gid);
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode)) {
		cr_assert_eq(a->rdev_major, b->rdev_major, "%s: device", name);
		cr_assert_eq(a->rdev_minor, b->rdev_minor, "%s: device", name);
	}
	if (S_ISREG(a->mode) || S_ISLNK(a->mode))
		cr_assert_eq(a->size, b->size, "%s: size %ju and %ju", name, (uintmax_t)a->size,
			     (uintmax_t)b->size);
	if (!S_ISDIR(a->mode))
		cr_assert_eq(a->nlink, b->nlink, "%s: nlink %u and %u", name, a->nlink, b->nlink);
	compare_times(&a->mtime, &b->mtime, name);
}

static int compare_text(const void *a, const void *b)
{
	const char *const *x = (const char *const *)a, *const *y = (const char *const *)b;

	return strcmp(*x, *y);
}

/* The names in B, each with its NUL, sorted. */
static size_t sorted_names(const struct buf *b, const char **names, size_t max)
{
	size_t at, n = 0;

	for (at = 0; at < b->len; at += strlen((const char *)b->data + at) + 1) {
		cr_assert_lt(n, max);
		names[n++] = (const char *)b->data + at;
	}
	qsort(names, n, sizeof(*names), compare_text);
	return n;
}

static void compare_value(const struct pair *p, const char *xattr)
{
	char value[2][4096];
	ssize_t n[2];
	int i;

	for (i = 0; i < 2; i++)
		n[i] = layer_getxattr(p->layer[i], p->dir[i], p->name, xattr, value[i],
				      sizeof(value[i]));
	cr_assert_geq(n[0], 0, "%s: %s", p->name, xattr);
	cr_assert_eq(n[0], n[1], "%s: %s: %zd and %zd bytes", p->name, xattr, n[0], n[1]);
	cr_assert_eq(memcmp(value[0], value[1], (size_t)n[0]), 0, "%s: %s", p->name, xattr);
}

static void compare_xattrs(const struct pair *p)
{
	CLEANUP(buf) struct buf a = {0};
	CLEANUP(buf) struct buf b = {0};
	const char *x[32], *y[32];
	size_t i, n;

	cr_assert_eq(layer_listxattr(p->layer[0], p->dir[0], p->name, &a), 0);
	cr_assert_eq(layer_listxattr(p->layer[1], p->dir[1], p->name, &b), 0);
	n = sorted_names(&a, x, 32);
	cr_assert_eq(sorted_names(&b, y, 32), n, "%s: other xattrs", p->name);
	for (i = 0; i < n; i++) {
		cr_assert_str_eq(x[i], y[i]);
		compare_value(p, x[i]);
	}
}

static void compare_bytes(const struct pair *p)
{
	static char bytes[2][1 << 16];
	struct layer_file *f[2] = {NULL, NULL};
	ssize_t n[2];
	off_t off = 0;
	int i;

	for (i = 0; i < 2; i++)
		cr_assert_eq(layer_open(p->layer[i], p->dir[i], p->name, &f[i]), 0);
	do {
		for (i = 0; i < 2; i++)
			n[i] = layer_file_read(f[i], bytes[i], sizeof(bytes[i]), off);
		cr_assert_geq(n[0], 0);
		cr_assert_eq(n[0], n[1], "%s: %zd and %zd bytes", p->name, n[0], n[1]);
		cr_assert_eq(memcmp(bytes[0], bytes[1], (size_t)n[0]), 0, "%s", p->name);
		off += n[0];
	} while (n[0] > 0);
	layer_file_close(f[0]);
	layer_file_close(f[1]);
}

static void compare_targets(const struct pair *p)
{
	char target[2][PATH_MAX];
	ssize_t n[2];
	int i;

	for (i = 0; i < 2; i++)
		n[i] = layer_readlink(p->layer[i], p->dir[i], p->name, target[i], PATH_MAX);
	cr_assert_gt(n[0], 0);
	cr_assert_eq(n[0], n[1]);
	cr_assert_str_eq(target[0], target[1]);
}

static void compare_dirs(const struct pair *p);

static void compare_entries(const struct pair *p, struct layer_entry e[2])
{
	const char *name = p->name != NULL ? p->name : ".";

	entry_as_noted(p->variant, p->path, &e[1]);
	cr_assert_eq(e[0].flags, e[1].flags, "%s: flags %x and %x", name, e[0].flags, e[1].flags);
	cr_assert_eq(e[0].redirect != NULL, (e[0].flags & LAYER_REDIRECT) != 0);
	if (e[0].redirect != NULL)
		cr_assert(is_redirect(p->variant, p->path, e[0].redirect, e[1].redirect),
			  "%s: redirects %s and %s", name, e[0].redirect, e[1].redirect);
	if ((e[0].flags & LAYER_WHITEOUT) != 0)
		return;
	compare_attrs(&e[0].attr, &e[1].attr, name);
	compare_xattrs(p);
	cr_assert_eq(e[0].dir != NULL, S_ISDIR(e[0].attr.mode) != 0);
	cr_assert_eq(e[1].dir != NULL, e[0].dir != NULL);
	if (S_ISREG(e[0].attr.mode) && (e[0].flags & LAYER_METACOPY) == 0)
		compare_bytes(p);
	else if (S_ISLNK(e[0].attr.mode))
		compare_targets(p);
}

static void compare_name(const struct pair *p, const char *name)
{
	CLEANUP(free) char *path = path_in(p->path, name);
	struct pair here = *p;
	struct layer_entry e[2] = {0};
	int i;

	here.name = name;
	here.path = path;
	for (i = 0; i < 2; i++)
		cr_assert_eq(layer_lookup(p->layer[i], p->dir[i], name, &e[i]), 0, "%s", name);
	compare_entries(&here, e);
	if (e[0].dir != NULL) {
		here.dir[0] = e[0].dir;
		here.dir[1] = e[1].dir;
		here.name = NULL;
		compare_dirs(&here);
	}
	for (i = 0; i < 2; i++)
		layer_entry_done(p->layer[i], &e[i]);
}

static size_t list_names(struct layer *l, struct layer_dir *dir, struct layer_list *list,
			 const char **names, size_t max)
{
	size_t i;

	cr_assert_eq(layer_readdir(l, dir, list), 0);
	cr_assert_leq(list->n, max);
	for (i = 0; i < list->n; i++)
		names[i] = (const char *)list->text.data + list->names[i].off;
	qsort(names, list->n, sizeof(*names), compare_text);
	return list->n;
}

enum { MAX_NAMES = 4096 };

static void compare_dirs(const struct pair *p)
{
	CLEANUP(layer_list) struct layer_list a = {0};
	CLEANUP(layer_list) struct layer_list b = {0};
	CLEANUP(free) const char **x = calloc(MAX_NAMES, sizeof(*x));
	CLEANUP(free) const char **y = calloc(MAX_NAMES, sizeof(*y));
	size_t i, n = list_names(p->layer[0], p->dir[0], &a, x, MAX_NAMES);

	cr_assert_eq(list_names(p->layer[1], p->dir[1], &b, y, MAX_NAMES), n, "%zu and %zu names",
		     n, b.n);
	for (i = 0; i < n; i++) {
		cr_assert_str_eq(x[i], y[i]);
		compare_name(p, x[i]);
	}
}

void compare_layers(struct fixture *f)
{
	struct pair p = {
		.variant = f->variant,
		.layer = {f->reference, f->layer},
		.dir = {dir_at(f->reference, ""), dir_at(f->layer, "")},
		.path = "",
	};
	struct layer_entry e[2] = {0};
	int i;

	for (i = 0; i < 2; i++)
		cr_assert_eq(layer_dir_entry(p.layer[i], p.dir[i], &e[i]), 0);
	compare_entries(&p, e);
	compare_dirs(&p);
	for (i = 0; i < 2; i++) {
		layer_entry_done(p.layer[i], &e[i]);
		layer_dir_unref(p.layer[i], p.dir[i]);
	}
}
