/* SPDX-License-Identifier: Apache-2.0 */
/* Which layers have a path: each is asked for it, from the top, by the rules of union/union.h. */
#include <errno.h>
#include <string.h>

#include "layer/layer.h"
#include "tool/look_private.h"
#include "union/union.h"

void look_layers_done(struct look_layers *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->v[i].at);
	free(f->v);
	*f = (struct look_layers){0};
}

/* The search on its way down. */
struct search {
	struct look_layers *found;
	char *path;	  /* owned; where the layers below have it: redirects change that */
	bool closed;	  /* something hides what is below */
	bool closing;	  /* something of this layer does, when the layer has been asked */
	bool root_closes; /* its root does: nothing of the layers below is anywhere */
	size_t closed_by; /* index in FOUND; for `closing` too */
	bool is_dir;	  /* what shows is a directory */
	size_t dir_at;	  /* index in FOUND */
	char *redirect; /* owned; where the layers below have what is redirected in this one, or NULL */
	size_t redirect_len; /* of the part of the path that it is for */
};

static void search_done(struct search *s)
{
	free(s->path);
	free(s->redirect);
}
DEFINE_CLEANUP(struct search, search, search_done)

/* LEN: of the path up to the part that is meant. */
static int add(struct search *s, enum look_find what, size_t layer, size_t len,
	       const struct layer_entry *e)
{
	struct look_layers *f = s->found;
	struct look_found found = {.what = what, .layer = layer, .attr = e->attr};

	if (f->n == f->cap) {
		size_t cap = f->cap > 0 ? 2 * f->cap : 8;
		struct look_found *grown = reallocarray(f->v, cap, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		f->v = grown;
		f->cap = cap;
	}
	found.at = strndup(s->path, len);
	if (found.at == NULL)
		return -ENOMEM;
	found.shown = what == LOOK_HAS && !s->closed;
	found.hidden_by = s->closed_by;
	found.attrs_only = (e->flags & LAYER_METACOPY) != 0;
	f->v[f->n++] = found;
	return 0;
}

/* What was found last hides what is in the layers below; the first one to do so is who did it. */
static void close_here(struct search *s)
{
	if (!s->closing)
		s->closed_by = s->found->n - 1;
	s->closing = true;
}

/* The layers below have the redirected part elsewhere. */
static int follow_redirect(struct search *s)
{
	CLEANUP(free) char *redirect = steal_ptr(&s->redirect);
	char *path;

	if (redirect == NULL)
		return 0;
	if (asprintf(&path, "%s%s", redirect, s->path + s->redirect_len) < 0)
		return -ENOMEM;
	/* Of one that leads to the root. */
	if (*path == '/')
		memmove(path, path + 1, strlen(path));
	free(s->path);
	s->path = path;
	return 0;
}

/* The path itself. */
static int weigh_last(struct search *s, size_t layer, size_t len, const struct layer_entry *e)
{
	bool dir = attr_is_dir(&e->attr);
	int r;

	if (!s->closed && s->is_dir && !dir) {
		s->closed = true;
		s->closed_by = s->dir_at;
	}
	r = add(s, LOOK_HAS, layer, len, e);
	if (r < 0 || s->closed)
		return r;
	if (dir && !s->is_dir)
		s->dir_at = s->found->n - 1;
	s->is_dir |= dir;
	if (dir ? (e->flags & LAYER_OPAQUE) != 0 : (e->flags & LAYER_METACOPY) == 0)
		close_here(s);
	return 0;
}

/* The path or a directory on the way to it, its first LEN bytes. 1: go on below; 0: this layer has said all. */
static int weigh(struct search *s, size_t layer, size_t len, const struct layer_entry *e)
{
	enum look_find what = LOOK_OPAQUE;
	int r = 0;

	if (e->flags & LAYER_WHITEOUT)
		what = LOOK_WHITEOUT;
	else if (s->path[len] == '\0')
		return weigh_last(s, layer, len, e);
	else if (!attr_is_dir(&e->attr))
		what = LOOK_REPLACED;
	else if ((e->flags & LAYER_OPAQUE) == 0)
		return 1;
	if (!s->closed && !s->closing) {
		r = add(s, what, layer, len, e);
		if (r == 0)
			close_here(s);
	}
	return r < 0 ? r : what == LOOK_OPAQUE;
}

/* Its root, which no look-up returns. As weigh(). */
static int weigh_root(struct search *s, struct layer *layer, struct layer_dir *root,
		      size_t position)
{
	struct layer_entry e = {0};
	int r = layer_dir_entry(layer, root, &e);

	if (r < 0)
		return r;
	if (*s->path == '\0')
		r = weigh_last(s, position, 0, &e);
	else
		r = (e.flags & LAYER_OPAQUE) != 0 ? weigh(s, position, 0, &e) : 1;
	s->root_closes = s->closing;
	layer_entry_done(layer, &e);
	return r;
}

/* Do the layers below have E, the first LEN bytes of the path, where its redirect says? */
static bool is_followed(const struct search *s, size_t len, const struct layer_entry *e)
{
	if (e->redirect == NULL || (e->flags & LAYER_WHITEOUT) != 0)
		return false;
	if (attr_is_dir(&e->attr))
		return (e->flags & LAYER_OPAQUE) == 0;
	return (e->flags & LAYER_METACOPY) != 0 && s->path[len] == '\0';
}

/*
 * Follows the redirect of E, whose name is the path's bytes from AT to LEN: an absolute path, or another name in its
 * directory, which may be redirected itself. A directory above that hides what the layers below have in it hides
 * nothing of what they have elsewhere.
 */
static int note_redirect(struct search *s, size_t at, size_t len, const struct layer_entry *e)
{
	const char *dir = s->redirect != NULL ? s->redirect : "", *name = e->redirect;
	size_t from = s->redirect != NULL ? s->redirect_len : 0;
	char *target;

	if (*name == '/') {
		s->closing &= s->root_closes;
		target = strdup(name + 1);
	} else if (asprintf(&target, "%s%.*s%s", dir, (int)(at - from), s->path + from, name) < 0) {
		target = NULL;
	}
	if (target == NULL)
		return -ENOMEM;
	free(s->redirect);
	s->redirect = target;
	s->redirect_len = len;
	return 0;
}

/* The part of the path from AT on, in *DIR, which goes down. As weigh(); -ENOENT: not in this layer. */
static int weigh_part(struct search *s, struct layer *layer, struct layer_dir **dir, size_t *at,
		      size_t position)
{
	struct layer_entry e = {0};
	size_t len = *at + strcspn(s->path + *at, "/");
	CLEANUP(free) char *name = strndup(s->path + *at, len - *at);
	int r = name != NULL ? layer_lookup(layer, *dir, name, &e) : -ENOMEM;

	if (r < 0)
		return r;
	r = weigh(s, position, len, &e);
	if (r >= 0 && is_followed(s, len, &e)) {
		int noted = note_redirect(s, *at, len, &e);

		r = noted < 0 ? noted : r;
	}
	if (r == 1) {
		layer_dir_unref(layer, *dir);
		*dir = steal_ptr(&e.dir);
		*at = len + 1;
	}
	layer_entry_done(layer, &e);
	return r;
}

/* One layer: down the path as far as it has it. */
static int ask(struct search *s, struct layer *layer, size_t position)
{
	struct layer_dir *dir = NULL;
	size_t at = 0;
	int r = layer_root(layer, &dir);

	if (r == 0)
		r = weigh_root(s, layer, dir, position);
	while (r == 1)
		r = weigh_part(s, layer, &dir, &at, position);
	layer_dir_unref(layer, dir);
	if (r < 0 && r != -ENOENT)
		return r;
	s->closed |= s->closing;
	s->closing = false;
	return follow_redirect(s);
}

int look_layers_find(struct fs *fs, const char *path, struct look_layers *ret_layers)
{
	CLEANUP(look_layers) struct look_layers found = {0};
	CLEANUP(search) struct search s = {.found = &found, .path = strdup(path + (*path == '/'))};
	struct stack *stack = fs_stack(fs);
	size_t n = stack_count(stack);
	int r = s.path != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = ask(&s, stack_layer(stack, i), n - i);
	if (r < 0)
		return r;
	*ret_layers = found;
	found = (struct look_layers){0};
	return 0;
}
