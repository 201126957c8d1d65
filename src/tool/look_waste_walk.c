/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs waste: a walk through all layers at once, by the rules of union/union.h, that keeps what is hidden. */
#include <errno.h>
#include <string.h>

#include "layer/layer.h"
#include "tool/look_waste_private.h"

/* A directory as one layer has it. */
struct part {
	size_t layer;
	struct layer_dir *dir; /* owned reference */
	enum waste_why why;    /* all in it is hidden, or WASTE_SHOWN */
	size_t by;
};

/* A directory that is to be walked, of one or several layers, from the top. */
struct pending {
	char *path;	    /* owned; "" or "usr/bin/" */
	struct part *parts; /* owned */
	size_t n, cap;
};

/*
 * A name of the directory at hand, in the layers so far. Of several layers that hide what is below the lowest one is
 * to blame: it was the first to do so.
 */
struct name {
	struct table_node node;
	enum waste_why why; /* what of the layers below is hidden for, or WASTE_SHOWN */
	size_t by;
	size_t dir_at; /* the last layer in which it is a directory, or WASTE_NONE */
	size_t file;   /* in the last layer that has one, among the files, or WASTE_NONE */
	struct pending below;
	char text[];
};

/* A file with several names in one layer. */
struct inode {
	struct table_node node;
	size_t layer, file;
	uint64_t ino;
};

/* A name of LAYER whose bytes the layers below have by another name: a hard link to a file there. */
struct link {
	char *path;   /* owned */
	char *target; /* owned; that other name */
	size_t layer;
	bool shown;
};

/* A name of a file that is not the one it is called by. */
struct other_name {
	char *path; /* owned */
	size_t file;
};

struct walk {
	struct waste *w;
	struct pending *stack; /* owned */
	size_t n, cap;
	struct table names;  /* struct name, of one directory */
	struct table inodes; /* struct inode */
	struct link *links;  /* owned */
	size_t n_links, cap_links;
	struct other_name *others; /* owned */
	size_t n_others, cap_others;
};

/* Room for one more of SIZE bytes. */
static int grow(void *array, size_t n, size_t *cap, size_t size)
{
	void **v = array, *grown;
	size_t more = *cap > 0 ? 2 * *cap : 16;

	if (n < *cap)
		return 0;
	grown = reallocarray(*v, more, size);
	if (grown == NULL)
		return -ENOMEM;
	*v = grown;
	*cap = more;
	return 0;
}

static void pending_done(struct walk *k, struct pending *p)
{
	for (size_t i = 0; i < p->n; i++)
		layer_dir_unref(stack_layer(k->w->stack, p->parts[i].layer), p->parts[i].dir);
	free(p->parts);
	free(p->path);
	*p = (struct pending){0};
}

static void free_name(struct table_node *node, void *arg)
{
	struct name *name = table_entry(node, struct name, node);

	pending_done(arg, &name->below);
	free(name);
}

static void free_inode(struct table_node *node, void *arg)
{
	(void)arg;
	free(table_entry(node, struct inode, node));
}

static void walk_done(struct walk *k)
{
	while (k->n > 0)
		pending_done(k, &k->stack[--k->n]);
	table_each(&k->names, free_name, k);
	table_done(&k->names);
	table_each(&k->inodes, free_inode, NULL);
	table_done(&k->inodes);
	for (size_t i = 0; i < k->n_links; i++) {
		free(k->links[i].path);
		free(k->links[i].target);
	}
	for (size_t i = 0; i < k->n_others; i++)
		free(k->others[i].path);
	free(k->others);
	free(k->links);
	free(k->stack);
}
DEFINE_CLEANUP(struct walk, walk, walk_done)

static struct name *get_name(struct walk *k, const char *text)
{
	size_t len = strlen(text);
	uint64_t hash = hash64(text, len, 0);
	struct name *name;

	for (struct table_node *n = table_first(&k->names, hash); n != NULL; n = table_next(n))
		if (strcmp(table_entry(n, struct name, node)->text, text) == 0)
			return table_entry(n, struct name, node);
	name = calloc(1, sizeof(*name) + len + 1);
	if (name == NULL)
		return NULL;
	memcpy(name->text, text, len + 1);
	name->dir_at = name->file = WASTE_NONE;
	table_add(&k->names, &name->node, hash);
	return name;
}

/* ---- files ---- */

/* The number of the file INO of LAYER, when it was met by another name; else WASTE_NONE. */
static size_t find_inode(const struct walk *k, size_t layer, uint64_t ino, uint64_t hash)
{
	for (struct table_node *n = table_first(&k->inodes, hash); n != NULL; n = table_next(n)) {
		const struct inode *i = table_entry(n, struct inode, node);

		if (i->layer == layer && i->ino == ino)
			return i->file;
	}
	return WASTE_NONE;
}

static int add_inode(struct walk *k, size_t layer, uint64_t ino, uint64_t hash, size_t file)
{
	struct inode *i = malloc(sizeof(*i));

	if (i == NULL)
		return -ENOMEM;
	*i = (struct inode){.layer = layer, .ino = ino, .file = file};
	table_add(&k->inodes, &i->node, hash);
	return 0;
}

/* FILE has no path yet. */
static int add_file(struct walk *k, const char *dir, const char *name,
		    const struct waste_file *file, size_t *ret_index)
{
	struct waste *w = k->w;
	int r = grow(&w->files, w->n, &w->cap, sizeof(*w->files));

	if (r < 0)
		return r;
	w->files[w->n] = *file;
	if (asprintf(&w->files[w->n].path, "%s%s", dir, name) < 0)
		return -ENOMEM;
	*ret_index = w->n++;
	return 0;
}

/* Another name of a file: bytes are shown if one name is. It is called by that one, and of equal ones by the first. */
static int take_other_name(struct walk *k, size_t index, const char *dir, const char *name,
			   const struct waste_file *file)
{
	struct waste_file *known = &k->w->files[index];
	bool shown = file->why == WASTE_SHOWN, was_shown = known->why == WASTE_SHOWN;
	int r = grow(&k->others, k->n_others, &k->cap_others, sizeof(*k->others));
	char *path;

	if (r < 0)
		return r;
	if (asprintf(&path, "%s%s", dir, name) < 0)
		return -ENOMEM;
	if (shown == was_shown ? strcmp(path, known->path) < 0 : shown) {
		char *old = known->path;

		*known = *file;
		known->path = path;
		path = old;
	}
	k->others[k->n_others++] = (struct other_name){path, index};
	return 0;
}

/* A layer's regular file at a name: FILE but for its path. */
static int take_file(struct walk *k, const char *dir, struct name *name, const struct attr *attr,
		     const struct waste_file *file)
{
	uint64_t id[] = {file->layer, attr->ino}, hash = hash64(id, sizeof(id), 0);
	size_t i = attr->nlink > 1 ? find_inode(k, file->layer, attr->ino, hash) : WASTE_NONE;
	int r;

	if (i != WASTE_NONE) {
		r = take_other_name(k, i, dir, name->text, file);
	} else {
		r = add_file(k, dir, name->text, file, &i);
		if (r == 0 && attr->nlink > 1)
			r = add_inode(k, file->layer, attr->ino, hash, i);
	}
	name->file = r == 0 ? i : WASTE_NONE;
	return r;
}

/* The file at a name has its bytes where REDIRECT says. RET_MOVED: by another name. */
static int take_link(struct walk *k, const char *dir, const char *name, struct link link,
		     const char *redirect, bool *ret_moved)
{
	int r = grow(&k->links, k->n_links, &k->cap_links, sizeof(*k->links));
	bool absolute = *redirect == '/';

	if (r < 0)
		return r;
	if (asprintf(&link.path, "%s%s", dir, name) < 0)
		return -ENOMEM;
	if (asprintf(&link.target, "%s%s", absolute ? "" : dir, redirect + absolute) < 0) {
		free(link.path);
		return -ENOMEM;
	}
	*ret_moved = strcmp(link.path, link.target) != 0;
	k->links[k->n_links++] = link;
	return 0;
}

/* ---- names ---- */

/* In one layer what is in the place of something counts more than that the old thing was deleted. */
static void close_name(struct name *name, enum waste_why why, size_t by)
{
	if (name->why != WASTE_SHOWN && by == name->by && why == WASTE_DELETED)
		return;
	name->why = why;
	name->by = by;
}

static int add_part(struct pending *p, struct part part)
{
	int r = grow(&p->parts, p->n, &p->cap, sizeof(*p->parts));

	if (r == 0)
		p->parts[p->n++] = part;
	return r;
}

/* What is at a name of PART: hidden by what the layers above have at the name, or with all of PART. */
static void is_hidden(const struct part *part, const struct name *name, enum waste_why *ret_why,
		      size_t *ret_by)
{
	bool whole = name->why == WASTE_SHOWN || (part->why != WASTE_SHOWN && part->by > name->by);

	*ret_why = whole ? part->why : name->why;
	*ret_by = whole ? part->by : name->by;
}

static int take_dir(const struct part *part, struct name *name, struct layer_entry *e)
{
	struct part below = {.layer = part->layer, .dir = e->dir};
	int r;

	is_hidden(part, name, &below.why, &below.by);
	/* In a directory that is none any more everything is gone. */
	if (below.why != WASTE_SHOWN)
		below.why = WASTE_DELETED;
	r = add_part(&name->below, below);
	if (r < 0)
		return r;
	e->dir = NULL;
	name->dir_at = part->layer;
	if (e->flags & LAYER_OPAQUE)
		close_name(name, WASTE_DELETED, part->layer);
	return 0;
}

static int take_other(struct walk *k, const char *dir, const struct part *part, struct name *name,
		      const struct layer_entry *e)
{
	struct waste_file file = {
		.layer = part->layer,
		.ino = e->attr.ino,
		.size = e->attr.size,
		.above = name->file,
	};
	bool elsewhere = (e->flags & LAYER_METACOPY) != 0, moved = false;
	int r = 0;

	is_hidden(part, name, &file.why, &file.by);
	if (elsewhere && e->redirect != NULL) {
		struct link link = {.layer = part->layer, .shown = file.why == WASTE_SHOWN};

		r = take_link(k, dir, name->text, link, e->redirect, &moved);
	}
	if (r == 0 && S_ISREG(e->attr.mode) && !elsewhere && e->attr.size > 0)
		r = take_file(k, dir, name, &e->attr, &file);
	else
		name->file = WASTE_NONE;
	/* What the layers below have by this name is not what is shown by it. */
	if (!elsewhere || moved)
		close_name(name, WASTE_REPLACED, part->layer);
	return r;
}

static int take_entry(struct walk *k, const char *dir, const struct part *part, struct name *name,
		      struct layer_entry *e)
{
	enum waste_why why;
	size_t by;

	if (e->flags & LAYER_WHITEOUT) {
		close_name(name, WASTE_DELETED, part->layer);
		return 0;
	}
	/* A directory of the layers above hides all but a directory. */
	if (!attr_is_dir(&e->attr) && name->dir_at != WASTE_NONE &&
	    (name->why == WASTE_SHOWN || name->dir_at >= name->by))
		close_name(name, WASTE_REPLACED, name->dir_at);
	is_hidden(part, name, &why, &by);
	if (why != WASTE_SHOWN)
		k->w->layers[part->layer].hidden_names++;
	return attr_is_dir(&e->attr) ? take_dir(part, name, e) : take_other(k, dir, part, name, e);
}

/* ---- directories ---- */

static int walk_name(struct walk *k, const struct pending *p, const struct part *part,
		     const char *text)
{
	struct layer *layer = stack_layer(k->w->stack, part->layer);
	struct layer_entry e = {0};
	struct name *name = get_name(k, text);
	int r = name != NULL ? layer_lookup(layer, part->dir, text, &e) : -ENOMEM;

	if (r == 0)
		r = take_entry(k, p->path, part, name, &e);
	layer_entry_done(layer, &e);
	return r;
}

static int walk_part(struct walk *k, const struct pending *p, const struct part *part)
{
	CLEANUP(layer_list) struct layer_list list = {0};
	int r = layer_readdir(stack_layer(k->w->stack, part->layer), part->dir, &list);

	for (size_t i = 0; r == 0 && i < list.n; i++)
		r = walk_name(k, p, part, (const char *)list.text.data + list.names[i].off);
	return r;
}

struct pushing {
	struct walk *k;
	const char *path;
	int r;
};

/* The layers of NAME that have a directory there are walked later. */
static void push_below(struct table_node *node, void *arg)
{
	struct pushing *p = arg;
	struct name *name = table_entry(node, struct name, node);
	struct walk *k = p->k;

	if (p->r == 0 && name->below.n > 0) {
		p->r = grow(&k->stack, k->n, &k->cap, sizeof(*k->stack));
		if (p->r == 0 && asprintf(&name->below.path, "%s%s/", p->path, name->text) < 0) {
			name->below.path = NULL;
			p->r = -ENOMEM;
		}
		if (p->r == 0) {
			k->stack[k->n++] = name->below;
			name->below = (struct pending){0};
		}
	}
	free_name(node, k);
}

static int walk_dir(struct walk *k, struct pending *p)
{
	struct pushing pushing = {k, p->path, table_init(&k->names)};
	int r = pushing.r;

	for (size_t i = 0; r == 0 && i < p->n; i++) {
		r = walk_part(k, p, &p->parts[i]);
		if (r < 0 && r != -ENOMEM) {
			look_complain(k->w->l, *p->path != '\0' ? p->path : "/", -r);
			r = 0;
		}
	}
	pushing.r = r;
	table_each(&k->names, push_below, &pushing);
	table_done(&k->names);
	k->names = (struct table){0};
	return pushing.r;
}

/* The roots of all layers. */
static int push_roots(struct walk *k)
{
	struct pending root = {.path = strdup("")};
	struct part part = {.why = WASTE_SHOWN};
	int r = root.path != NULL ? grow(&k->stack, k->n, &k->cap, sizeof(*k->stack)) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < k->w->n_layers; i++) {
		struct layer *layer = stack_layer(k->w->stack, i);
		struct layer_entry e = {0};

		part.layer = i;
		r = layer_root(layer, &part.dir);
		if (r == 0)
			r = layer_dir_entry(layer, part.dir, &e);
		if (r == 0)
			r = add_part(&root, part);
		if (r < 0)
			layer_dir_unref(layer, part.dir);
		part.dir = NULL;
		if (r == 0 && (e.flags & LAYER_OPAQUE) != 0 && part.why == WASTE_SHOWN) {
			part.why = WASTE_DELETED;
			part.by = i;
		}
		layer_entry_done(layer, &e);
	}
	if (r < 0)
		pending_done(k, &root);
	else
		k->stack[k->n++] = root;
	return r;
}

/* ---- what hard links keep ---- */

/* What LAYER has at PATH: a file by any of its names, or a link. */
struct place {
	struct table_node node;
	const char *path;
	size_t layer;
	struct waste_file *file; /* NULL: a link */
	const struct link *link;
};

/* The topmost one below LAYER at PATH, or NULL. */
static const struct place *find_place(const struct table *places, const char *path, size_t layer)
{
	const struct place *best = NULL;
	uint64_t hash = hash64(path, strlen(path), 0);

	for (struct table_node *n = table_first(places, hash); n != NULL; n = table_next(n)) {
		const struct place *p = table_entry(n, struct place, node);

		if (p->layer > layer && strcmp(p->path, path) == 0 &&
		    (best == NULL || p->layer < best->layer))
			best = p;
	}
	return best;
}

/* Each step leads to a lower layer. */
static void show_target(const struct table *places, const struct link *link)
{
	const struct place *p = NULL;

	for (; link != NULL; link = p != NULL ? p->link : NULL)
		p = find_place(places, link->target, link->layer);
	if (p != NULL)
		p->file->why = WASTE_SHOWN;
}

static void add_place(struct table *places, struct place *place, const struct place *is)
{
	*place = *is;
	table_add(places, &place->node, hash64(place->path, strlen(place->path), 0));
}

static void add_places(struct walk *k, struct table *places, struct place *all)
{
	for (size_t i = 0; i < k->w->n; i++) {
		struct waste_file *f = &k->w->files[i];

		add_place(places, all++,
			  &(struct place){.path = f->path, .layer = f->layer, .file = f});
	}
	for (size_t i = 0; i < k->n_others; i++) {
		struct waste_file *f = &k->w->files[k->others[i].file];

		add_place(places, all++,
			  &(struct place){.path = k->others[i].path, .layer = f->layer, .file = f});
	}
	for (size_t i = 0; i < k->n_links; i++) {
		const struct link *l = &k->links[i];

		add_place(places, all++,
			  &(struct place){.path = l->path, .layer = l->layer, .link = l});
	}
}

/* Bytes are shown by the names of links to them, too. */
static int show_targets(struct walk *k)
{
	CLEANUP(free) struct place *all = NULL;
	struct table places = {0};
	int r;

	if (k->n_links == 0)
		return 0;
	all = calloc(k->w->n + k->n_others + k->n_links, sizeof(*all));
	r = all != NULL ? table_init(&places) : -ENOMEM;
	if (r < 0)
		return r;
	add_places(k, &places, all);
	for (size_t i = 0; i < k->n_links; i++)
		if (k->links[i].shown)
			show_target(&places, &k->links[i]);
	table_done(&places);
	return 0;
}

/* ---- all of it ---- */

static void sum_up(struct waste *w)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct waste_file *f = &w->files[i];
		uint64_t hidden = f->why != WASTE_SHOWN ? f->size : 0;

		w->layers[f->layer].bytes += f->size;
		w->layers[f->layer].hidden += hidden;
		w->bytes += f->size;
		w->hidden += hidden;
	}
}

int waste_walk(struct waste *w)
{
	CLEANUP(walk) struct walk k = {.w = w};
	int r = table_init(&k.inodes);

	if (r == 0)
		r = push_roots(&k);
	while (r == 0 && k.n > 0) {
		struct pending p = k.stack[--k.n];

		r = walk_dir(&k, &p);
		pending_done(&k, &p);
	}
	if (r == 0)
		r = show_targets(&k);
	if (r == 0)
		sum_up(w);
	return r;
}
