/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs diff: a walk through two trees at once, by their sorted names. */
#include "tool/look_diff.h"

#include <errno.h>
#include <string.h>

#include "tool/look_diff_private.h"
#include "tool/look_private.h"

/* One tree's directory. Zeroed: the tree has none there. */
struct side {
	struct union_dir *dir;		 /* owned */
	const struct union_list *list;	 /* owned; NULL without names */
	const struct union_name **names; /* owned; LIST's, sorted by their bytes */
	size_t n, next;
};

struct level {
	struct side side[2];
	size_t path_len; /* of the directory's own path */
};

struct walk {
	struct look_diff *d;
	struct differ differ;
	struct diff_reasons reasons;
	struct level *levels; /* owned */
	size_t n, cap;
	struct buf path; /* "" is the root */
};

static void side_done(struct side *s)
{
	if (s->list != NULL)
		union_list_end(s->dir, s->list);
	free(s->names);
	union_dir_unref(s->dir);
	*s = (struct side){0};
}
DEFINE_CLEANUP(struct side, side, side_done)

static void level_pop(struct walk *w)
{
	struct level *at = &w->levels[--w->n];

	side_done(&at->side[0]);
	side_done(&at->side[1]);
}

static void walk_done(struct walk *w)
{
	while (w->n > 0)
		level_pop(w);
	free(w->levels);
	buf_done(&w->path);
	buf_done(&w->reasons.xattrs);
	differ_done(&w->differ);
}
DEFINE_CLEANUP(struct walk, walk, walk_done)

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(const struct union_name *const *)a)->name,
		      (*(const struct union_name *const *)b)->name);
}

/* REF NULL, or no directory: nothing is in it. */
static int side_open(const struct union_ref *ref, struct side *ret_side)
{
	CLEANUP(side) struct side s = {0};
	int r;

	if (ref == NULL || !attr_is_dir(&ref->attr))
		return 0;
	s.dir = union_dir_ref(ref->dir);
	r = union_list_get(s.dir, &s.list);
	if (r < 0)
		return r;
	s.n = s.list->n;
	s.names = calloc(s.n > 0 ? s.n : 1, sizeof(*s.names));
	if (s.names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < s.n; i++)
		s.names[i] = &s.list->names[i];
	qsort(s.names, s.n, sizeof(*s.names), compare_names);
	*ret_side = s;
	s = (struct side){0};
	return 0;
}

static const char *shown_path(struct walk *w)
{
	const char *path = buf_cstr(&w->path);

	return path != NULL && *path != '\0' ? path : "/";
}

/* What is in the directories of PAIR comes next. */
static int level_push(struct walk *w, const struct diff_pair *pair)
{
	struct level at = {.path_len = w->path.len};
	int r;

	if (w->n == w->cap) {
		size_t cap = w->cap > 0 ? 2 * w->cap : 16;
		struct level *grown = reallocarray(w->levels, cap, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		w->levels = grown;
		w->cap = cap;
	}
	r = side_open(pair->ref[0], &at.side[0]);
	if (r == 0)
		r = side_open(pair->ref[1], &at.side[1]);
	if (r < 0) {
		side_done(&at.side[0]);
		if (r == -ENOMEM)
			return r;
		look_complain(&w->d->l, pair->path, -r);
		return 0;
	}
	w->levels[w->n++] = at;
	return 0;
}

static bool is_dir(const struct union_ref *ref)
{
	return ref != NULL && attr_is_dir(&ref->attr);
}

static bool same_type(const struct diff_pair *pair)
{
	return pair->ref[0] != NULL && pair->ref[1] != NULL &&
	       ((pair->ref[0]->attr.mode ^ pair->ref[1]->attr.mode) & S_IFMT) == 0;
}

/* A name that at least one of the trees has. 1: that is enough. */
static int visit(struct walk *w, const struct diff_pair *pair)
{
	bool same = same_type(pair);
	int r = 0;

	w->reasons.set = 0;
	if (same)
		r = differ_compare(&w->differ, pair, &w->reasons);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		look_complain(&w->d->l, pair->path, -r);
	if (!same || w->reasons.set != 0) {
		w->d->differs = true;
		if (w->d->quiet)
			return 1;
		diff_show(w->d, pair, &w->reasons);
	}
	return is_dir(pair->ref[0]) || is_dir(pair->ref[1]) ? level_push(w, pair) : 0;
}

/* The name of both sides that comes first; either may have it, or both. */
static const char *choose_name(const struct level *at, bool has[2])
{
	const struct side *a = &at->side[0], *b = &at->side[1];
	bool more_a = a->next < a->n, more_b = b->next < b->n;
	int order = !more_a   ? 1
		    : !more_b ? -1
			      : strcmp(a->names[a->next]->name, b->names[b->next]->name);

	has[0] = order <= 0;
	has[1] = order >= 0;
	return has[0] ? a->names[a->next]->name : b->names[b->next]->name;
}

/* 0 and what NAME is; -ENOENT: a layer changed under us. */
static int look_up(const struct side *s, const char *name, struct union_ref *ret_ref,
		   const struct union_ref **ret_found)
{
	int r = union_lookup(s->dir, name, ret_ref);

	if (r == 0)
		*ret_found = ret_ref;
	return r;
}

static int next_name(struct walk *w)
{
	struct level *at = &w->levels[w->n - 1];
	CLEANUP(union_ref) struct union_ref a = {0};
	CLEANUP(union_ref) struct union_ref b = {0};
	struct diff_pair pair = {0};
	bool has[2];
	int r = 0;

	pair.name = choose_name(at, has);
	w->path.len = at->path_len;
	buf_put_str(&w->path, "/");
	buf_put_str(&w->path, pair.name);
	pair.path = buf_cstr(&w->path);
	if (pair.path == NULL)
		return -ENOMEM;
	at->side[0].next += has[0];
	at->side[1].next += has[1];
	if (has[0])
		r = look_up(&at->side[0], pair.name, &a, &pair.ref[0]);
	if (r == 0 && has[1])
		r = look_up(&at->side[1], pair.name, &b, &pair.ref[1]);
	if (r == 0)
		return visit(w, &pair);
	look_complain(&w->d->l, pair.path, -r);
	return 0;
}

static bool level_has_more(const struct level *at)
{
	return at->side[0].next < at->side[0].n || at->side[1].next < at->side[1].n;
}

static int go(struct walk *w, const struct diff_pair *top)
{
	int r = visit(w, top);

	while (r == 0 && w->n > 0) {
		if (level_has_more(&w->levels[w->n - 1]))
			r = next_name(w);
		else
			level_pop(w);
	}
	return r < 0 ? r : 0;
}

/* Where PATH leads in one of the trees. -ENOENT, without a sentence: nowhere. */
static int find_top(struct fs *fs, const char *path, struct look_place *place,
		    struct union_ref *ret_ref)
{
	int r = fs != NULL ? look_resolve(fs, path, false, place) : -ENOENT;

	if (r == 0)
		r = union_walk(fs_stack(fs), place->path + 1, ret_ref);
	return r == -ENOTDIR ? -ENOENT : r;
}

int look_diff(struct look_diff *d, const char *path, struct err *err)
{
	CLEANUP(walk) struct walk w = {.d = d, .differ.times = d->times};
	CLEANUP(look_place) struct look_place place_a = {0};
	CLEANUP(look_place) struct look_place place_b = {0};
	CLEANUP(union_ref) struct union_ref a = {0};
	CLEANUP(union_ref) struct union_ref b = {0};
	int r_a = find_top(d->a, path, &place_a, &a), r_b = find_top(d->b, path, &place_b, &b), r;
	const struct look_place *place = r_b == 0 ? &place_b : &place_a;
	struct diff_pair top = {.ref = {r_a == 0 ? &a : NULL, r_b == 0 ? &b : NULL}};

	r = r_a < 0 && r_a != -ENOENT ? r_a : r_b < 0 && r_b != -ENOENT ? r_b : 0;
	if (r < 0)
		return err_errno(err, -r, "%s", path);
	if (r_a < 0 && r_b < 0)
		return err_set(err, ENOENT, "%s: neither tree has it", path);
	if (strcmp(place->path, "/") != 0)
		buf_put_str(&w.path, place->path);
	top.path = shown_path(&w);
	top.name = strrchr(place->path, '/') + 1;
	r = differ_init(&w.differ);
	if (r < 0)
		return err_errno(err, -r, "%s", path);
	diff_show_begin(d);
	r = go(&w, &top);
	diff_show_end(d);
	return r < 0 ? err_errno(err, -r, "%s", path) : 0;
}
