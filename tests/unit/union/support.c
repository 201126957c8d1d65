/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks made from text, and the tree that they show as text. */
#include "unit/union/support.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"

struct stack *stack_of_texts(const char *const *texts, size_t n, size_t n_data, uint32_t trust)
{
	CLEANUP(err) struct err err = {0};
	CLEANUP(free) struct layer **layers = calloc(n + 1, sizeof(*layers));
	struct stack *s = NULL;

	for (size_t i = 0; i < n; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/layer%zu", i);
		cr_assert_eq(layer_open_mem(texts[i], path, trust, &layers[i], &err), 0, "%s",
			     err_text(&err));
	}
	cr_assert_eq(stack_new(layers, n, n_data, SEED, &s, &err), 0, "%s", err_text(&err));
	return s;
}

static char *read_all(struct layer_file *f)
{
	char *text = calloc(1, 65536);
	ssize_t n = layer_file_read(f, text, 65535, 0);

	cr_assert_geq(n, 0);
	return text;
}

static char *ref_text(const struct union_ref *ref, const char *name)
{
	CLEANUP(layer_file) struct layer_file *f = NULL;
	char *text = NULL;
	int r = union_open(ref->dir, name, ref->part, ref->data, &f);

	if (r == 0)
		return read_all(f);
	cr_assert_gt(asprintf(&text, "error %s", strerrorname_np(-r)), 0);
	return text;
}

static void check_order(const struct union_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct union_name *n = &l->names[i];

		cr_assert_eq(n->len, strlen(n->name));
		cr_assert_eq(n->hash, catalog_name_hash(SEED, n->name, n->len));
		cr_assert_neq(n->dtype, DT_WHT);
		if (i > 0)
			cr_assert(n[-1].hash < n->hash ||
				  (n[-1].hash == n->hash && strcmp(n[-1].name, n->name) < 0));
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct union_name *const *)a)->name,
		      (*(const struct union_name *const *)b)->name);
}

static void dump_dir(struct union_dir *dir, struct buf *out);

static void check_name(struct union_dir *dir, const struct union_name *n,
		       const struct union_ref *ref)
{
	struct attr attr = {0};

	cr_assert_eq(union_getattr(ref->dir, attr_is_dir(&ref->attr) ? NULL : n->name, ref->part,
				   &attr),
		     0);
	cr_assert_eq(attr.ino, ref->attr.ino);
	cr_assert_eq(attr.mode, ref->attr.mode);
	cr_assert_eq(attr.nlink, ref->attr.nlink);
	if (n->ino != 0)
		cr_assert_eq(n->ino, ref->attr.ino);
	if (n->dtype != DT_UNKNOWN)
		cr_assert_eq(n->dtype, attr_dtype(ref->attr.mode));
	if (attr_is_dir(&ref->attr)) {
		cr_assert_eq(union_dir_parent(ref->dir), dir);
		cr_assert_str_eq(union_dir_name(ref->dir), n->name);
		cr_assert_eq(union_dir_ino(ref->dir), ref->attr.ino);
	}
}

/* What the listing knows of a name finds what a search of all parts finds. */
static int look_up_both(struct union_dir *dir, const struct union_list *l,
			const struct union_name *n, struct union_ref *ret_ref)
{
	struct union_ref ref = {0};
	struct attr attr = {0};
	uint32_t part = 0;
	size_t parts = 0;
	int r = union_lookup_listed(dir, l, n, &ref);

	if (r == 0) {
		attr = ref.attr;
		part = ref.part;
		parts = attr_is_dir(&attr) ? union_dir_parts(ref.dir) : 0;
		/* Nodes are kept while they are referenced: the other look-up makes its own. */
		union_ref_done(&ref);
	}
	cr_assert_eq(union_lookup(dir, n->name, ret_ref), r, "%s", n->name);
	if (r < 0)
		return r;
	cr_assert_eq(ret_ref->attr.ino, attr.ino, "%s", n->name);
	cr_assert_eq(ret_ref->attr.mode, attr.mode, "%s", n->name);
	cr_assert_eq(ret_ref->attr.nlink, attr.nlink, "%s", n->name);
	cr_assert_eq(ret_ref->attr.uid, attr.uid, "%s", n->name);
	cr_assert_eq(ret_ref->attr.gid, attr.gid, "%s", n->name);
	cr_assert_eq(ret_ref->part, part, "%s", n->name);
	if (attr_is_dir(&attr))
		cr_assert_eq(union_dir_parts(ret_ref->dir), parts, "%s", n->name);
	return 0;
}

static void dump_name(struct union_dir *dir, const struct union_list *l, const struct union_name *n,
		      struct buf *out)
{
	CLEANUP(union_ref) struct union_ref ref = {0};
	CLEANUP(buf) struct buf path = {0};
	int r = look_up_both(dir, l, n, &ref);
	char target[PATH_MAX];

	cr_assert_eq(union_exists(dir, n->name), 1, "%s", n->name);
	cr_assert_eq(union_path(dir, n->name, &path), 0);
	if (r < 0) {
		buf_printf(out, "error %s %s\n", buf_cstr(&path), strerrorname_np(-r));
		return;
	}
	check_name(dir, n, &ref);
	if (attr_is_dir(&ref.attr)) {
		buf_printf(out, "dir %s %zu\n", buf_cstr(&path), union_dir_parts(ref.dir));
		dump_dir(ref.dir, out);
	} else if (S_ISREG(ref.attr.mode)) {
		CLEANUP(free) char *text = ref_text(&ref, n->name);

		buf_printf(out, "file %s %s\n", buf_cstr(&path), text);
	} else if (S_ISLNK(ref.attr.mode)) {
		cr_assert_gt(union_readlink(ref.dir, n->name, ref.part, target, sizeof(target)), 0);
		buf_printf(out, "symlink %s %s\n", buf_cstr(&path), target);
	} else {
		buf_printf(out, "other %s\n", buf_cstr(&path));
	}
}

static void dump_dir(struct union_dir *dir, struct buf *out)
{
	CLEANUP(free) const struct union_name **names = NULL;
	const struct union_list *l = NULL;

	cr_assert_eq(union_list_get(dir, &l), 0);
	check_order(l);
	names = calloc(l->n + 1, sizeof(*names));
	for (size_t i = 0; i < l->n; i++)
		names[i] = &l->names[i];
	qsort(names, l->n, sizeof(*names), by_name);
	for (size_t i = 0; i < l->n; i++)
		dump_name(dir, l, names[i], out);
	union_list_put(dir, l);
}

char *tree_text(struct stack *s)
{
	CLEANUP(buf) struct buf out = {0};
	CLEANUP(union_dir) struct union_dir *root = union_root(s);

	dump_dir(root, &out);
	return strdup(out.len > 0 ? buf_cstr(&out) : "");
}

void assert_tree(struct stack *s, const char *text)
{
	CLEANUP(free) char *is = tree_text(s);

	cr_assert_str_eq(is, text, "the tree is\n%sand should be\n%s", is, text);
	stack_free(s);
}

char *file_text(struct stack *s, const char *path)
{
	CLEANUP(union_ref) struct union_ref ref = {0};
	const char *slash = strrchr(path, '/');
	char *text = NULL;
	int r = union_walk(s, path, &ref);

	if (r == 0)
		return ref_text(&ref, slash != NULL ? slash + 1 : path);
	cr_assert_gt(asprintf(&text, "error %s", strerrorname_np(-r)), 0);
	return text;
}

void assert_file(struct stack *s, const char *path, const char *text)
{
	CLEANUP(free) char *is = file_text(s, path);

	cr_assert_str_eq(is, text, "%s is \"%s\" and should be \"%s\"", path, is, text);
}

void assert_error(struct stack *s, const char *path, int error)
{
	CLEANUP(union_ref) struct union_ref ref = {0};
	int r = union_walk(s, path, &ref);

	cr_assert_eq(r, error, "%s gives %d and should give %d", path, r, error);
}
