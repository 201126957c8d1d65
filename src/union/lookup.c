/* SPDX-License-Identifier: Apache-2.0 */
/* Looking names and paths up. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/sys.h"
#include "union/bytes.h"
#include "union/listing.h"
#include "union/search.h"

void union_ref_done(struct union_ref *r)
{
	union_dir_unref(r->dir);
	union_data_free(r->data);
	*r = (struct union_ref){0};
}

/* The number of links is the sum of no one's: several layers' sub-directories may be the same. */
static void fix_dir_attr(const struct union_dir *dir, struct attr *attr)
{
	attr->ino = union_dir_ino(dir);
	if (dir->n_parts > 1)
		attr->nlink = 1;
}

static int getattr_dir(struct union_dir *dir, struct attr *ret_attr)
{
	struct attr attr = {.mode = S_IFDIR | 0755, .nlink = 2, .blksize = 4096};

	if (dir->n_parts > 0) {
		const struct part *top = &dir->parts[0];
		int r = layer_getattr(dir->stack->layers[top->layer], top->dir, NULL, &attr);

		if (r < 0)
			return r;
	}
	fix_dir_attr(dir, &attr);
	*ret_attr = attr;
	return 0;
}

/* The reference DIR (taken over) as the result of a look-up. */
static int ref_of_dir(struct union_dir *dir, struct union_ref *ret_ref)
{
	CLEANUP(union_dir) struct union_dir *d = dir;
	struct attr attr;
	int r = getattr_dir(d, &attr);

	if (r < 0)
		return r;
	*ret_ref = (struct union_ref){.attr = attr, .dir = steal_ptr(&d)};
	return 0;
}

static int ref_of_parts(struct union_dir *parent, const char *name, struct search *q,
			struct union_ref *ret_ref)
{
	struct attr attr = q->attr;
	struct union_dir *dir;
	int r = node_obtain(parent, name, &q->dirs, attr.ino, &dir);

	if (r < 0)
		return r;
	fix_dir_attr(dir, &attr);
	*ret_ref = (struct union_ref){.attr = attr, .dir = dir};
	return 0;
}

static int ref_of_file(struct union_dir *dir, const char *name, struct search *q,
		       struct union_ref *ret_ref)
{
	struct union_ref ref = {.part = q->at};
	int r = origin_replace(dir->stack, 0, &q->file_layer, &q->file);

	if (r < 0)
		return r;
	if (r > 0)
		ref.part = part_origin(q->file_layer, q->at);
	ref.attr = q->file.attr;
	ref.attr.ino = entry_ino(dir->stack, q->file_layer, &q->file);
	if ((q->file.flags & LAYER_METACOPY) != 0 && S_ISREG(ref.attr.mode)) {
		r = bytes_find(dir, name, ref.part, q->file_layer, &q->file, &ref.data);
		if (r < 0)
			return r;
	}
	ref.dir = union_dir_ref(dir);
	*ret_ref = ref;
	return 0;
}

/* ONLY[1 .. ONLY[0]]: the parts that list the name; NULL: not known. */
static int look_up(struct union_dir *dir, const char *name, const uint16_t *only,
		   struct union_ref *ret_ref)
{
	struct budget budget = {.steps = BUDGET_STEPS};
	struct union_dir *have = node_find(dir, name);
	CLEANUP(search) struct search q;
	int r;

	search_begin(&q, dir->stack, &budget, dir->parts, dir->n_parts, name);
	if (have != NULL)
		return ref_of_dir(have, ret_ref);
	if (only != NULL)
		search_only(&q, only + 1, only[0]);
	r = search_run(&q);
	if (r < 0)
		return r;
	if (q.dirs.n > 0)
		return ref_of_parts(dir, name, &q, ret_ref);
	return ref_of_file(dir, name, &q, ret_ref);
}

int union_lookup(struct union_dir *dir, const char *name, struct union_ref *ret_ref)
{
	const struct union_list *list;
	const struct union_name *listed;
	int r;

	switch (listing_ask(dir, name, &list, &listed)) {
	case LISTING_HAS_NOT:
		return -ENOENT;
	case LISTING_HAS:
		r = union_lookup_listed(dir, list, listed, ret_ref);
		listing_put(dir);
		return r;
	default:
		return look_up(dir, name, NULL, ret_ref);
	}
}

int union_lookup_listed(struct union_dir *dir, const struct union_list *list,
			const struct union_name *name, struct union_ref *ret_ref)
{
	const struct listing_known *known = listing_find_known(list, name);

	if (known != NULL) {
		*ret_ref = (struct union_ref){
			.attr = known->attr, .dir = union_dir_ref(dir), .part = known->part};
		return 0;
	}
	return look_up(dir, name->name, list->parts != NULL ? list->parts + name->parts : NULL,
		       ret_ref);
}

static int search_exists(struct union_dir *dir, const char *name)
{
	struct budget budget = {.steps = BUDGET_STEPS};
	CLEANUP(search) struct search q;
	const struct part *part;
	struct layer_entry e;
	int r;

	search_begin(&q, dir->stack, &budget, dir->parts, dir->n_parts, name);
	r = search_next(&q, &part, &e);
	if (r <= 0)
		return r;
	r = (e.flags & LAYER_WHITEOUT) == 0;
	layer_entry_done(dir->stack->layers[part->layer], &e);
	return r;
}

int union_exists(struct union_dir *dir, const char *name)
{
	const struct union_list *list;
	const struct union_name *listed;
	bool known;

	switch (listing_ask(dir, name, &list, &listed)) {
	case LISTING_HAS_NOT:
		return 0;
	case LISTING_HAS:
		/* Of some it is not even known whether they can be looked at. */
		known = listed->dtype != DT_UNKNOWN;
		listing_put(dir);
		return known ? 1 : search_exists(dir, name);
	default:
		return search_exists(dir, name);
	}
}

/* The next component of *PATH into NAME: 1, 0 at the end, or what is wrong with it. */
static int next_component(const char **path, char name[NAME_MAX + 1])
{
	const char *p = *path;
	size_t len = strcspn(p, "/");

	if (*p == '\0')
		return 0;
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, p, len);
	name[len] = '\0';
	if (len == 0 || sys_is_dots(name))
		return -EINVAL;
	*path = p + len + (p[len] == '/');
	return 1;
}

int union_walk(struct stack *s, const char *path, struct union_ref *ret_ref)
{
	CLEANUP(union_ref) struct union_ref at = {0};
	char name[NAME_MAX + 1];
	int r = ref_of_dir(union_root(s), &at);

	while (r >= 0) {
		struct union_ref next;

		r = next_component(&path, name);
		if (r <= 0)
			break;
		if (!attr_is_dir(&at.attr))
			return -ENOTDIR;
		r = union_lookup(at.dir, name, &next);
		/* That no layer says of the path: the one that does is no longer what it was. */
		if (r == -ENOTDIR)
			r = -ESTALE;
		if (r < 0)
			break;
		union_ref_done(&at);
		at = next;
	}
	if (r < 0)
		return r;
	*ret_ref = at;
	at = (struct union_ref){0};
	return 0;
}

/* Attributes of a file, its number the union's. */
static int getattr_file(struct union_dir *dir, const struct target *t, uint32_t part,
			const char *name, struct attr *ret_attr)
{
	uint32_t layer = dir->parts[part_index(part)].layer;
	struct layer_entry e = {0};
	struct attr attr;
	int r;

	/* Only entries tell which numbers of an upper are the union's. */
	if ((part & PART_ORIGIN) == 0 && (t->layer->caps & LAYER_CAP_BY_ORIGIN) != 0) {
		r = layer_lookup(t->layer, t->dir, name, &e);
		if (r < 0)
			return r;
		attr = e.attr;
		attr.ino = entry_ino(dir->stack, layer, &e);
		layer_entry_done(t->layer, &e);
	} else {
		r = layer_getattr(t->layer, t->dir, t->name, &attr);
		if (r < 0)
			return r;
		if ((part & PART_ORIGIN) == 0)
			attr.ino = stack_ino(dir->stack, layer, attr.ino, false);
	}
	*ret_attr = attr;
	return 0;
}

int union_getattr(struct union_dir *dir, const char *name, uint32_t part, struct attr *ret_attr)
{
	CLEANUP(target) struct target t = {0};
	int r;

	if (name == NULL)
		return getattr_dir(dir, ret_attr);
	r = target_of(dir, name, part, &t);
	return r < 0 ? r : getattr_file(dir, &t, part, name, ret_attr);
}
