/* SPDX-License-Identifier: Apache-2.0 */
/* The directories: all of them are reached from the root, each in one way. */
#include <errno.h>
#include <string.h>

#include "tool/private.h"

enum { NOT_SEEN, ON_THE_WAY, REACHED };

static bool is_live_dir(const struct node *n)
{
	return node_is_dir(n) && !n->is_dead;
}

static int attach_dir(struct fsck *f, struct node *n, const char *what)
{
	struct place_text place = place_of(f, n->ino);
	int r = mend_attach(f, n);

	return r < 0 ? r : found(f, &place, "give it a name in lost+found", "%s", what);
}

static int look_at_name(struct fsck *f, struct node *n)
{
	if (n->ino == CATALOG_ROOT_INO)
		n->colour = REACHED;
	if (!is_live_dir(n) || n->ino == CATALOG_ROOT_INO || n->up != 0)
		return 0;
	return attach_dir(f, n,
			  n->is_fresh ? "its record was lost, and its place with it"
				      : "no name leads to this directory");
}

/* A directory that lies in itself: it is cut off where the circle was entered. */
static int cut_circle(struct fsck *f, struct node *n)
{
	struct node *dir = find_node(f, n->up);
	struct place_text place;
	const char *name;
	size_t len;
	int r;

	n->up = 0;
	place = place_of(f, n->ino);
	n->up = dir->ino;
	name = name_of_node(f, n, &len);
	mend_drop_name(f, n->up, name, len);
	dir->n_dirs--;
	n->up = 0;
	r = mend_attach(f, n);
	return r < 0 ? r
		     : found(f, &place, "move it to lost+found", "this directory lies in itself");
}

/* Goes up until something is known. */
static int look_at_way(struct fsck *f, struct node *n)
{
	struct node *at = n;
	int r = 0;

	if (!is_live_dir(n))
		return 0;
	while (r == 0 && at->colour == NOT_SEEN) {
		at->colour = ON_THE_WAY;
		at = find_node(f, at->up);
		if (at == NULL)
			return -EUCLEAN; /* cannot be: names have directories */
		if (at->colour == ON_THE_WAY)
			r = cut_circle(f, at);
		if (at->colour == ON_THE_WAY)
			break;
	}
	for (at = n; r == 0 && at->colour == ON_THE_WAY; at = find_node(f, at->up))
		at->colour = REACHED;
	return r;
}

static int look_at_parent(struct fsck *f, struct node *n)
{
	struct place_text place;
	int r;

	if (!is_live_dir(n) || n->ino == CATALOG_ROOT_INO || n->parent == n->up)
		return 0;
	place = place_of(f, n->ino);
	n->parent = n->up;
	r = mend_put(f, n);
	return r < 0 ? r
		     : found(f, &place, "correct it",
			     "its record says that it lies in another directory");
}

static int look_at_root_parent(struct fsck *f)
{
	struct node *root = find_node(f, CATALOG_ROOT_INO);
	struct place_text place = {"/"};
	int r;

	if (root == NULL || !node_is_dir(root) || root->parent == CATALOG_ROOT_INO)
		return 0;
	root->parent = CATALOG_ROOT_INO;
	r = mend_put(f, root);
	return r < 0 ? r : found(f, &place, "correct it", "the root says that it lies elsewhere");
}

int pass_tree(struct fsck *f)
{
	int r = each_node(f, look_at_name);

	if (r == 0)
		r = each_node(f, look_at_way);
	if (r == 0)
		r = each_node(f, look_at_parent);
	return r < 0 ? r : look_at_root_parent(f);
}
