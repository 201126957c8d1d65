/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of a plain-directory layer: counted nodes and what is known of their names. */
#include <errno.h>
#include <string.h>

#include "layer/dir.h"

#define PRIVATE_NAME ".plyfs"

int dir_node_new(struct dir_layer *l, struct dir_node *parent, const char *name,
		 const struct stat *st, struct dir_node **ret_node)
{
	CLEANUP(free) struct dir_node *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return -ENOMEM;
	if (name != NULL) {
		n->name = strdup(name);
		if (n->name == NULL)
			return -ENOMEM;
	}
	n->layer = l;
	n->parent = parent != NULL ? dir_node_ref(parent) : NULL;
	n->depth = parent != NULL ? parent->depth + 1 : 0;
	n->dev = st->st_dev;
	n->ino = st->st_ino;
	n->number = dir_number(parent, name);
	n->space = dir_space(n);
	n->fd = -1;
	atomic_init(&n->refs, 1);
	atomic_init(&n->users, DIR_FD_CLOSED);
	atomic_init(&n->xwhiteout, l->noxattr ? DIR_XWHITEOUT_NO : DIR_XWHITEOUT_UNKNOWN);
	atomic_flag_clear(&n->listing);
	*ret_node = steal_ptr(&n);
	return 0;
}

struct dir_node *dir_node_ref(struct dir_node *n)
{
	atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
	return n;
}

static void node_free(struct dir_node *n)
{
	struct aufs_set *hidden = atomic_load(&n->hidden);

	dir_fd_drop(n);
	if (hidden != NULL)
		aufs_set_done(hidden);
	free(hidden);
	free(n->name);
	free(n);
}

/* A loop, for the last reference to a deep directory may free all above it. */
void dir_node_unref(struct dir_node *n)
{
	while (n != NULL && atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) == 1) {
		struct dir_node *parent = n->parent;

		node_free(n);
		n = parent;
	}
}

bool dir_node_private(const struct dir_node *n, const char *name)
{
	return n->parent == NULL && n->layer->hide_private && strcmp(name, PRIVATE_NAME) == 0;
}

int dir_node_enter(struct dir_node *n, const char *name)
{
	if (name != NULL && (n->empty || aufs_reserved(name) || dir_node_private(n, name)))
		return -ENOENT;
	/* Of another mount's directory the layer has the name, which its parent holds. */
	return n->empty ? -ESTALE : dir_fd_get(n);
}

int dir_node_xwhiteout(struct dir_node *n, int fd)
{
	int known = atomic_load_explicit(&n->xwhiteout, memory_order_relaxed);
	CLEANUP(overlay_marks) struct overlay_marks marks = {0};
	int r;

	if (known != DIR_XWHITEOUT_UNKNOWN)
		return known == DIR_XWHITEOUT_YES;
	r = overlay_read_marks(fd, NULL, &marks);
	/* Without search permission nothing in it can be reached, a mark no more than a name. */
	if (r < 0)
		return r == -EACCES ? 0 : r;
	atomic_store_explicit(&n->xwhiteout, marks.xwhiteout ? DIR_XWHITEOUT_YES : DIR_XWHITEOUT_NO,
			      memory_order_relaxed);
	return marks.xwhiteout;
}

void dir_node_keep_hidden(struct dir_node *n, struct aufs_set *set)
{
	struct aufs_set *none = NULL, *kept;

	if (atomic_load_explicit(&n->hidden, memory_order_acquire) != NULL)
		return;
	kept = malloc(sizeof(*kept));
	if (kept == NULL)
		return;
	*kept = *set;
	if (atomic_compare_exchange_strong(&n->hidden, &none, kept))
		*set = (struct aufs_set){0};
	else
		free(kept);
}

int dir_node_hides(struct dir_node *n, int fd, const char *name)
{
	const struct aufs_set *hidden = atomic_load_explicit(&n->hidden, memory_order_acquire);
	CLEANUP(aufs_set) struct aufs_set set = {0};
	int r;

	if (hidden != NULL)
		return aufs_set_find(hidden, name) >= 0;
	r = dir_scan_hidden(n, fd, &set);
	if (r == -EACCES)
		return aufs_hides(fd, name);
	if (r < 0)
		return r;
	r = aufs_set_find(&set, name) >= 0;
	dir_node_keep_hidden(n, &set);
	return r;
}
