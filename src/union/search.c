/* SPDX-License-Identifier: Apache-2.0 */
/* The search of a name: which layers make it up. */
#include "union/search.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/log.h"

/*
 * The rules are in union.h. What takes thought is a redirect: it continues the search at another
 * path in the union of the layers below, and that path may hold redirects in turn. Each part keeps
 * the place at which the parts after it are found (struct part), so a redirect that names this very
 * place, with or without another last component, needs no walk: the parts at hand are the answer.
 * All redirects of a plyfs upper are of that kind, except at a directory that was itself renamed.
 */
void search_begin(struct search *q, struct stack *s, struct budget *budget, const struct part *v,
		  size_t n, const char *name)
{
	*q = (struct search){
		.stack = s,
		.budget = budget,
		.name = name,
		.v = v,
		.n = n,
		.own.layers = s->layers,
		.dirs.layers = s->layers,
	};
}

void search_done(struct search *q)
{
	if (q->file.attr.mode != 0)
		layer_entry_done(q->stack->layers[q->file_layer], &q->file);
	free(q->own_name);
	parts_done(&q->own);
	parts_done(&q->dirs);
	place_unref(q->child);
}

void search_only(struct search *q, const uint16_t *v, size_t n)
{
	q->only = v;
	q->n_only = n;
}

/* The next part that may have the name; NULL at the end. */
static const struct part *next_part(struct search *q)
{
	if (q->only != NULL && q->n_only == 0)
		return NULL;
	if (q->only != NULL) {
		q->next = *q->only++;
		q->n_only--;
	}
	return q->next < q->n ? &q->v[q->next++] : NULL;
}

static int too_much(const struct search *q, uint32_t layer)
{
	log_warn("layer %s: redirects on the way to \"%s\" lead through too many others",
		 q->stack->layers[layer]->path, q->name);
	return -ELOOP;
}

/*
 * In the last part nothing is hidden any more, which spares a layer the look for marks. A redirect
 * is followed even there where the layer is trusted with it: it may lead back up.
 */
static int look_up_in(struct search *q, const struct part *part, struct layer_entry *ret_entry)
{
	struct layer *l = q->stack->layers[part->layer];

	if (q->next == q->n && (l->trust & LAYER_TRUST_REDIRECT) == 0)
		return layer_lookup_bottom(l, part->dir, q->name, ret_entry);
	return layer_lookup(l, part->dir, q->name, ret_entry);
}

int search_next(struct search *q, const struct part **ret_part, struct layer_entry *ret_entry)
{
	const struct part *part;
	int r;

	while ((part = next_part(q)) != NULL) {
		if (q->budget->depth > 0 && q->budget->steps-- == 0) {
			q->budget->steps = 0;
			return too_much(q, part->layer);
		}
		memset(ret_entry, 0, sizeof(*ret_entry));
		r = look_up_in(q, part, ret_entry);
		/* A layer that cannot hold so long a name does not have it. */
		if (r == -ENOENT || r == -ENAMETOOLONG)
			continue;
		if (r < 0)
			return r;
		*ret_part = part;
		return 1;
	}
	return 0;
}

int search_trusted(const struct search *q, uint32_t layer, uint32_t trust,
		   const struct place *below)
{
	const struct layer *l = q->stack->layers[layer];

	if ((l->trust & trust) != 0)
		return 0;
	log_warn("layer %s: the %s of \"%s%s%s\" is refused: the layer is not trusted with it",
		 l->path, trust == LAYER_TRUST_REDIRECT ? "redirect" : "metacopy",
		 below != NULL ? below->text : "", below != NULL && below->len > 0 ? "/" : "",
		 q->name);
	return -EPERM;
}

/* The place of the name in the place BELOW; a new reference. */
static struct place *child_of(struct search *q, struct place *below)
{
	if (q->child == NULL || q->from != below) {
		place_unref(q->child);
		q->from = below;
		q->child = place_child(below, q->name);
	}
	return q->child != NULL ? place_ref(q->child) : NULL;
}

/* An upper's redirects are as deep as its tree, which PATH_MAX does not bound. */
#define REDIRECT_MAX (1 << 20)

/* One component, as a redirect may name it. */
static bool component_ok(const char *text, size_t len)
{
	if (len == 0 || len > NAME_MAX)
		return false;
	return !(text[0] == '.' && (len == 1 || (len == 2 && text[1] == '.')));
}

/* One name, or an absolute path of names; "/" alone is the root. */
static bool redirect_ok(const char *text)
{
	bool absolute = text[0] == '/';
	size_t len;

	if (strnlen(text, REDIRECT_MAX) == REDIRECT_MAX)
		return false;
	if (strcmp(text, "/") == 0)
		return true;
	text += absolute;
	for (;;) {
		len = strcspn(text, "/");
		if (!component_ok(text, len))
			return false;
		if (text[len] == '\0')
			return true;
		if (!absolute)
			return false;
		text += len + 1;
	}
}

/* Parts of the root in the layers below LAYER. */
static void root_below(const struct stack *s, uint32_t layer, const struct part **ret_v,
		       size_t *ret_n)
{
	const struct union_dir *root = s->root;
	/* The root's parts are of the layers 0, 1, 2... without a gap. */
	size_t i = layer < root->n_parts ? layer + 1 : root->n_parts;

	*ret_v = root->parts + i;
	*ret_n = root->n_parts - i;
}

/* One step of a walk: the parts of NAME in PARTS; none when it is no directory. */
static int walk_step(struct search *up, const struct part *v, size_t n, const char *name,
		     struct parts *ret_parts)
{
	CLEANUP(search) struct search q;
	int r;

	search_begin(&q, up->stack, up->budget, v, n, name);
	r = search_run(&q);
	if (r < 0 && r != -ENOENT)
		return r;
	parts_done(ret_parts);
	*ret_parts = q.dirs;
	q.dirs = (struct parts){0};
	return 0;
}

/* Moves the search to the directory PATH (cut up by this) of the union of the layers below. */
static int walk_to(struct search *q, uint32_t layer, char *path)
{
	CLEANUP(parts) struct parts parts = {.layers = q->stack->layers};
	const struct part *v;
	size_t n;
	int r = 0;

	root_below(q->stack, layer, &v, &n);
	if (q->budget->depth >= BUDGET_DEPTH)
		return too_much(q, layer);
	q->budget->depth++;
	while (r == 0 && n > 0 && path != NULL && *path != '\0') {
		r = walk_step(q, v, n, strsep(&path, "/"), &parts);
		v = parts.v;
		n = parts.n;
	}
	q->budget->depth--;
	if (r < 0)
		return r;
	parts_done(&q->own);
	q->own = parts;
	parts = (struct parts){0};
	q->v = v;
	q->n = n;
	q->next = 0;
	return 0;
}

/* The name searched for becomes LAST, which lies in TEXT (taken over). */
static void set_name(struct search *q, char *text, const char *last)
{
	place_unref(q->child);
	q->child = NULL;
	free(q->own_name);
	q->own_name = text;
	q->name = last;
	q->only = NULL;
}

int search_follow(struct search *q, uint32_t layer, struct place *below, char *redirect)
{
	CLEANUP(free) char *text = redirect;
	char *last = text, *slash;
	int r;

	if (!redirect_ok(text) || (text[0] != '/' && below == NULL)) {
		log_warn("layer %s: the redirect of \"%s\" is malformed",
			 q->stack->layers[layer]->path, q->name);
		return -EINVAL;
	}
	if (text[0] == '/') {
		slash = strrchr(text, '/');
		*slash = '\0';
		last = slash + 1;
		if (below == NULL || strcmp(below->text, slash == text ? "" : text + 1) != 0) {
			r = walk_to(q, layer, slash == text ? text : text + 1);
			if (r < 0)
				return r;
		}
	}
	/* To the root itself: no name leads there, so the caller adds it. */
	if (*last == '\0')
		q->n = q->next;
	set_name(q, steal_ptr(&text), last);
	return 0;
}

/*
 * The place below an opaque directory: nothing is shown there, whatever the layers below have at
 * this path. So it must not be taken for that path: its text is one that no redirect can have.
 */
static struct place *nowhere(const char *name)
{
	CLEANUP(place) struct place *slash = place_new("/", 1);

	return slash != NULL ? place_child(slash, name) : NULL;
}

/* The roots of the layers below become parts of the directory: a redirect to "/". */
static int add_roots(struct search *q, uint32_t layer)
{
	const struct part *v;
	size_t n;
	int r = 0;

	root_below(q->stack, layer, &v, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = parts_add(&q->dirs, v[i].layer,
			      layer_dir_ref(q->stack->layers[v[i].layer], v[i].dir),
			      place_ref(v[i].below));
	return r;
}

/* Adds the directory E of PART, whose next parts are found at BELOW (taken over). */
static int add_part(struct search *q, uint32_t layer, struct layer_entry *e, struct place *below)
{
	if (below == NULL)
		return -ENOMEM;
	if (q->dirs.n == 0) {
		q->attr = e->attr;
		q->attr.ino = entry_ino(q->stack, layer, e);
	}
	return parts_add(&q->dirs, layer, steal_ptr(&e->dir), below);
}

/* As add_part(), of a directory with a redirect: 1 to go on where it leads. */
static int add_redirected(struct search *q, const struct part *part, struct layer_entry *e)
{
	const char *redirect = e->redirect;
	uint32_t layer = part->layer;
	CLEANUP(place) struct place *below = place_ref(part->below);
	CLEANUP(place) struct place *target = child_of(q, below);
	int r = search_trusted(q, layer, LAYER_TRUST_REDIRECT, below);

	if (r < 0)
		return r;
	if (target == NULL || redirect == NULL)
		return redirect == NULL ? -EINVAL : -ENOMEM;
	if (redirect[0] != '/' || redirect[1] == '/' || strcmp(redirect + 1, target->text) != 0) {
		place_unref(target);
		target = redirect[0] == '/' ? place_new(redirect + 1, strlen(redirect) - 1)
					    : place_child(below, redirect);
		r = search_follow(q, layer, below, steal_ptr(&e->redirect));
	}
	if (r == 0)
		r = add_part(q, layer, e, steal_ptr(&target));
	if (r == 0 && q->name[0] == '\0')
		r = add_roots(q, layer);
	return r < 0 ? r : 1;
}

/* What an entry does to the search: 1 to go on, 0 at the end. Takes what it needs out of E. */
static int take(struct search *q, const struct part *part, struct layer_entry *e)
{
	int r;

	if ((e->flags & LAYER_WHITEOUT) != 0)
		return 0;
	if (!attr_is_dir(&e->attr)) {
		if (q->dirs.n > 0)
			return 0;
		q->at = (uint32_t)(part - q->v);
		q->file_layer = part->layer;
		q->file = *e;
		*e = (struct layer_entry){0};
		return 0;
	}
	if (e->dir == NULL)
		return -EIO;
	/* In the last part a redirect leads nowhere: as in the kernel it is not even looked at. */
	if ((e->flags & LAYER_OPAQUE) == 0 && (e->flags & LAYER_REDIRECT) != 0 &&
	    (q->next < q->n || (q->stack->layers[part->layer]->trust & LAYER_TRUST_REDIRECT) != 0))
		return add_redirected(q, part, e);
	if ((e->flags & LAYER_OPAQUE) != 0)
		return add_part(q, part->layer, e, nowhere(q->name));
	r = add_part(q, part->layer, e, child_of(q, part->below));
	return r < 0 ? r : 1;
}

int search_run(struct search *q)
{
	const struct part *part;
	struct layer_entry e;
	int r = 1;

	while (r > 0) {
		struct layer *l;

		r = search_next(q, &part, &e);
		if (r <= 0)
			break;
		l = q->stack->layers[part->layer];
		r = take(q, part, &e);
		layer_entry_done(l, &e);
	}
	if (r < 0)
		return r;
	return q->dirs.n > 0 || q->file.attr.mode != 0 ? 0 : -ENOENT;
}
