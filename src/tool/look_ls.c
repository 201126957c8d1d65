/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs ls, and plyfs cat. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tool/columns.h"
#include "tool/look_private.h"

#define CAT_CHUNK ((size_t)1 << 20)

/* One directory's names in the making: a table is as wide as its widest cell. */
struct listing {
	struct look *l;
	struct columns table;
};

static void listing_begin(struct listing *g)
{
	g->table = (struct columns){.n = 7};
}

static int listing_end(struct listing *g)
{
	int r = 0;

	if (g->l->long_form && !g->l->json)
		r = columns_print(&g->table, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4, g->l->out);
	columns_done(&g->table);
	return r;
}

static int put_row(struct listing *g, const char *name, const struct look_item *item)
{
	char target[PATH_MAX], mode[11], time[LOOK_TIME_MAX];
	const struct attr *a = item->attr;
	struct columns *c = &g->table;
	int r = look_target(g->l->fs, item->ino, a, target);

	if (r < 0)
		look_complain(g->l, item->path, -r);
	columns_add(c, "%s", look_mode(a->mode, mode));
	columns_add(c, "%u", a->nlink);
	columns_add(c, "%u", a->uid);
	columns_add(c, "%u", a->gid);
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode))
		columns_add(c, "%u, %u", a->rdev_major, a->rdev_minor);
	else
		columns_add(c, "%ju", (uintmax_t)a->size);
	columns_add(c, "%s", look_time(&a->mtime, time));
	columns_add(c, "%s%s%s", name, S_ISLNK(a->mode) ? " -> " : "", target);
	return c->failed;
}

static int put_name(struct listing *g, const char *name, const struct look_item *item)
{
	struct look *l = g->l;

	if (l->json) {
		look_put_json(l, item);
		return 0;
	}
	if (l->long_form)
		return put_row(g, name, item);
	print_clean(l->out, name);
	fputc('\n', l->out);
	return 0;
}

static int list_member(void *arg, const struct look_item *item)
{
	return item->depth == 0 ? 0 : put_name(arg, item->name, item);
}

static int list_directory(struct look *l, const struct look_place *place, const char *path)
{
	struct listing g = {.l = l};
	const struct look_visitor visitor = {.enter = list_member, .arg = &g, .flat = true};
	int r, end;

	if (!l->json && (l->many || l->recursive)) {
		fputs(l->began ? "\n" : "", l->out);
		print_clean(l->out, path);
		fputs(":\n", l->out);
	}
	l->began = true;
	listing_begin(&g);
	r = look_walk(l, place, path, &visitor);
	end = listing_end(&g);
	return r < 0 ? r : end;
}

static int list_below(void *arg, const struct look_item *item)
{
	const struct look_place place = {.ino = item->ino, .attr = *item->attr};

	return attr_is_dir(item->attr) ? list_directory(arg, &place, item->path) : 0;
}

static int list_one(struct look *l, const struct look_place *place, const char *path)
{
	const struct look_item item = {path, path, place->ino, &place->attr, 0};
	struct listing g = {.l = l};
	int r, end;

	listing_begin(&g);
	r = put_name(&g, path, &item);
	end = listing_end(&g);
	l->began = true;
	return r < 0 ? r : end;
}

int look_ls(struct look *l, const char *path, struct err *err)
{
	CLEANUP(look_place) struct look_place place = {0};
	const struct look_visitor visitor = {.enter = list_below, .arg = l};
	int r = look_at(l->fs, path, !l->long_form && !l->itself, &place, err);

	if (r < 0)
		return r;
	if (!attr_is_dir(&place.attr) || l->itself)
		r = list_one(l, &place, path);
	else if (l->recursive)
		r = look_walk(l, &place, path, &visitor);
	else
		r = list_directory(l, &place, path);
	return r < 0 ? err_errno(err, -r, "%s", path) : 0;
}

int look_cat(struct look *l, const char *path, struct err *err)
{
	CLEANUP(look_place) struct look_place place = {0};
	CLEANUP(free) char *bytes = malloc(CAT_CHUNK);
	int r = look_at(l->fs, path, true, &place, err);
	off_t off = 0;
	ssize_t n = 1;

	if (r < 0)
		return r;
	if (bytes == NULL)
		return err_set(err, ENOMEM, "out of memory");
	if (!S_ISREG(place.attr.mode))
		return err_set(err, attr_is_dir(&place.attr) ? EISDIR : EINVAL,
			       "%s is a %s, no file", path, look_type(place.attr.mode));
	while (n > 0) {
		n = fs_read(l->fs, place.ino, bytes, CAT_CHUNK, off);
		if (n > 0 && fwrite(bytes, 1, (size_t)n, l->out) != (size_t)n)
			return err_errno(err, errno, "standard output");
		off += n > 0 ? n : 0;
	}
	return n < 0 ? err_errno(err, (int)-n, "%s", path) : 0;
}
