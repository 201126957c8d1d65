/* SPDX-License-Identifier: Apache-2.0 */
/* Walking down a tree, without recursion: how deep it is is for its author to say. */
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "tool/columns.h"
#include "tool/look_private.h"
#include "tool/progress.h"

void look_names_done(struct look_names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->v[i]);
	free(n->v);
	*n = (struct look_names){0};
}

static bool add_name(struct look_names *names, const struct fs_dirent *e)
{
	if (sys_is_dots(e->name))
		return true;
	if (names->n == names->cap) {
		size_t cap = names->cap > 0 ? 2 * names->cap : 32;
		char **grown = reallocarray(names->v, cap, sizeof(*grown));

		names->failed = grown == NULL;
		if (grown == NULL)
			return false;
		names->v = grown;
		names->cap = cap;
	}
	names->v[names->n] = strdup(e->name);
	names->failed = names->v[names->n] == NULL;
	names->n += !names->failed;
	return !names->failed;
}

static bool add_names(void *arg, const struct fs_dirent *entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!add_name(arg, &entries[i]))
			return false;
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int look_names_read(struct fs *fs, uint64_t dir, struct look_names *ret_names)
{
	CLEANUP(look_names) struct look_names names = {0};
	int r = fs_readdir(fs, dir, 0, add_names, &names);

	if (r == 0 && names.failed)
		r = -ENOMEM;
	if (r < 0)
		return r;
	if (names.n > 0)
		qsort(names.v, names.n, sizeof(*names.v), compare_names);
	*ret_names = names;
	names = (struct look_names){0};
	return 0;
}

void look_complain(struct look *l, const char *path, int code)
{
	progress_line_end();
	fputs("plyfs: ", stderr);
	print_clean(stderr, path);
	fprintf(stderr, ": %s\n", strerror(code));
	l->failed = true;
}

/* A directory that is being walked. */
struct level {
	struct fs_entry entry; /* its look-up is ours, at depth 0 the caller's */
	struct look_names names;
	size_t next;	 /* of its names */
	size_t path_len; /* of its own path */
};

struct walk {
	struct look *l;
	const struct look_visitor *visitor;
	struct level *levels; /* owned */
	size_t n, cap;
	struct buf path;
};

static void level_pop(struct walk *w)
{
	struct level *at = &w->levels[--w->n];

	look_names_done(&at->names);
	if (w->n > 0)
		fs_forget(w->l->fs, at->entry.ino, 1);
}

static void walk_done(struct walk *w)
{
	while (w->n > 0)
		level_pop(w);
	free(w->levels);
	buf_done(&w->path);
}
DEFINE_CLEANUP(struct walk, walk, walk_done)

static int visit(struct walk *w, int (*fn)(void *arg, const struct look_item *item),
		 const struct fs_entry *entry, size_t depth)
{
	struct look_item item = {.ino = entry->ino, .attr = &entry->attr, .depth = depth};
	const char *slash;

	item.path = buf_cstr(&w->path);
	if (item.path == NULL)
		return -ENOMEM;
	slash = strrchr(item.path, '/');
	item.name = slash != NULL && slash[1] != '\0' ? slash + 1 : item.path;
	return fn(w->visitor->arg, &item);
}

/* Begins a directory. 1: it is there; 0: it cannot be read, which was said. */
static int level_push(struct walk *w, const struct fs_entry *entry)
{
	struct level at = {.entry = *entry, .path_len = w->path.len};
	int r;

	if (w->n == w->cap) {
		size_t cap = w->cap > 0 ? 2 * w->cap : 16;
		struct level *grown = reallocarray(w->levels, cap, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		w->levels = grown;
		w->cap = cap;
	}
	r = look_names_read(w->l->fs, entry->ino, &at.names);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		look_complain(w->l, buf_cstr(&w->path), -r);
		return 0;
	}
	w->levels[w->n++] = at;
	return 1;
}

/* A name at depth W->n. Gives its look-up back, unless it is a directory that is begun. */
static int visit_name(struct walk *w, const struct fs_entry *entry)
{
	bool deeper = attr_is_dir(&entry->attr) && !(w->visitor->flat && w->n > 0);
	size_t depth = w->n;
	int r = visit(w, w->visitor->enter, entry, depth), begun = 0;

	if (r == 0 && deeper)
		begun = level_push(w, entry);
	r = begun < 0 ? begun : r;
	if (r == 0 && begun == 0 && attr_is_dir(&entry->attr) && w->visitor->leave != NULL)
		r = visit(w, w->visitor->leave, entry, depth);
	if (begun <= 0 && depth > 0)
		fs_forget(w->l->fs, entry->ino, 1);
	return r > 0 ? 0 : r;
}

static int next_name(struct walk *w)
{
	struct level *at = &w->levels[w->n - 1];
	const char *name = at->names.v[at->next++];
	struct fs_entry entry;
	int r;

	w->path.len = at->path_len;
	if (w->path.len == 0 || w->path.data[w->path.len - 1] != '/')
		buf_put_str(&w->path, "/");
	buf_put_str(&w->path, name);
	if (!buf_ok(&w->path))
		return -ENOMEM;
	r = fs_lookup(w->l->fs, at->entry.ino, name, &entry);
	if (r == 0)
		return visit_name(w, &entry);
	look_complain(w->l, buf_cstr(&w->path), -r);
	return 0;
}

static int end_level(struct walk *w)
{
	struct level *at = &w->levels[w->n - 1];
	int r = 0;

	w->path.len = at->path_len;
	if (w->visitor->leave != NULL)
		r = visit(w, w->visitor->leave, &at->entry, w->n - 1);
	level_pop(w);
	return r;
}

int look_walk(struct look *l, const struct look_place *place, const char *path,
	      const struct look_visitor *visitor)
{
	CLEANUP(walk) struct walk w = {.l = l, .visitor = visitor};
	const struct fs_entry top = {place->ino, place->attr};
	int r;

	buf_put_str(&w.path, path);
	r = visit_name(&w, &top);
	while (r == 0 && w.n > 0) {
		const struct level *at = &w.levels[w.n - 1];

		r = at->next < at->names.n ? next_name(&w) : end_level(&w);
	}
	return r;
}
