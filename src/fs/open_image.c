/* SPDX-License-Identifier: Apache-2.0 */
/* Opening an image's layers: their indexes, and for each what the ones below it make of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/open.h"
#include "image/image.h"
#include "layer/backends.h"
#include "layer/indexed_scan.h"
#include "union/union.h"

/* One layer of the part of the image that is mounted, bottom first. */
struct item {
	const struct image_layer *layer;
	char *name;		    /* owned; "IMAGE, layer 3" */
	struct indexed_found alone; /* owned; empty: the layer is a directory */
	struct index_file *united;  /* owned; over the layers below; NULL: ALONE is enough */
	struct digest chain;
};

struct image_stack {
	const struct fs_options *options;
	struct image *image;	     /* owned */
	struct indexed_cache *cache; /* owned */
	struct item *items;	     /* owned */
	size_t n;
};

static void image_stack_done(struct image_stack *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->items[i].name);
		indexed_found_done(&s->items[i].alone);
		index_file_close(s->items[i].united);
	}
	free(s->items);
	indexed_cache_close(s->cache);
	image_close(s->image);
}
DEFINE_CLEANUP(struct image_stack, image_stack, image_stack_done)

/* ---- which layers ---- */

static int open_source(struct image_stack *s, struct err *err)
{
	const struct fs_options *o = s->options;
	CLEANUP(platform) struct platform platform = {0};
	struct image_options options = {
		.strict = o->image_strict,
		.progress = o->progress,
		.progress_arg = o->progress_arg,
	};
	int r = indexed_cache_open(o->cache, NULL, &s->cache, err);

	if (r == 0 && o->platform != NULL) {
		r = platform_parse(o->platform, &platform, err);
		options.platform = &platform;
	}
	if (r < 0)
		return r;
	options.blob_dir = indexed_cache_blob_dir(s->cache);
	r = image_open(o->image, &options, &s->image, err);
	return r < 0 ? r : image_fetch(s->image, &options, err);
}

static int choose(struct image_stack *s, size_t *ret_first, struct err *err)
{
	const struct fs_options *o = s->options;
	size_t n = s->image->n_layers, asked = o->image_layer > 0 ? o->image_layer : o->image_upto;

	if (n == 0)
		return err_set(err, EINVAL, "%s has no layers", o->image);
	if (asked > n)
		return err_set(err, EINVAL, "%s has %zu layers, there is no layer %zu", o->image, n,
			       asked);
	*ret_first = o->image_layer > 0 ? asked - 1 : 0;
	s->n = o->image_layer > 0 ? 1 : asked > 0 ? asked : n;
	s->items = calloc(s->n, sizeof(*s->items));
	if (s->items == NULL) {
		s->n = 0;
		return err_set(err, ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < s->n; i++) {
		s->items[i].layer = &s->image->layers[*ret_first + i];
		if (asprintf(&s->items[i].name, "%s, layer %zu", o->image, *ret_first + i + 1) < 0)
			return err_set(err, ENOMEM, "out of memory");
	}
	return 0;
}

/* ---- one layer ---- */

static int open_directory_layer(const struct item *it, struct layer **ret_layer, struct err *err)
{
	const struct layer_options options = {.detach = true};
	int fd = openat(it->layer->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, errno, "%s: %s", it->name, it->layer->dir);
	return layer_open_dir(fd, it->layer->dir, &options, ret_layer, err);
}

/* BELOW: the layer under it, or NULL. */
static int open_item(const struct item *it, struct layer *below, struct layer **ret_layer,
		     struct err *err)
{
	struct indexed_parts parts = {
		.compression = it->alone.compression,
		.below = below,
	};

	if (it->alone.index == NULL)
		return open_directory_layer(it, ret_layer, err);
	parts.names = index_file_ref(it->united != NULL ? it->united : it->alone.index);
	parts.points = it->united != NULL ? index_file_ref(it->alone.index) : NULL;
	parts.stored = blob_ref(it->alone.bytes);
	return layer_open_indexed(&parts, it->name, ret_layer, err);
}

/* Opens the first N items into V, the topmost first; on failure none is left. */
static int open_items(const struct image_stack *s, size_t n, struct layer **v, struct err *err)
{
	struct layer *below = NULL;
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		struct layer **at = &v[n - 1 - i];

		r = open_item(&s->items[i], below, at, err);
		if (r < 0) {
			while (i-- > 0)
				layer_close(v[n - 1 - i]);
			return r;
		}
		below = s->items[i].alone.index != NULL ? layer_indexed_root(*at) : *at;
	}
	return 0;
}

/* ---- what the layers below show ---- */

static int below_stat(void *arg, const char *path, struct attr *ret_attr)
{
	CLEANUP(union_ref) struct union_ref ref = {0};
	int r = union_walk(arg, path, &ref);

	if (r == 0)
		*ret_attr = ref.attr;
	return r;
}

/* The name that REF is found by: NULL for a directory. */
static const char *last_of(const struct union_ref *ref, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (attr_is_dir(&ref->attr))
		return NULL;
	return slash != NULL ? slash + 1 : path;
}

static ssize_t below_readlink(void *arg, const char *path, char *target, size_t size)
{
	CLEANUP(union_ref) struct union_ref ref = {0};
	int r = union_walk(arg, path, &ref);

	return r < 0 ? r : union_readlink(ref.dir, last_of(&ref, path), ref.part, target, size);
}

static int copy_xattr(const struct union_ref *ref, const char *last, const char *name,
		      struct apply_inode *inode)
{
	ssize_t len = union_getxattr(ref->dir, last, ref->part, name, NULL, 0);
	CLEANUP(free) void *value = malloc(len > 0 ? (size_t)len : 1);

	if (len < 0 || value == NULL)
		return len < 0 ? (int)len : -ENOMEM;
	if (len > 0)
		len = union_getxattr(ref->dir, last, ref->part, name, value, (size_t)len);
	return len < 0 ? (int)len : apply_xattr_set(inode, name, value, (size_t)len);
}

static int below_xattrs(void *arg, const char *path, struct apply_inode *inode)
{
	CLEANUP(union_ref) struct union_ref ref = {0};
	CLEANUP(buf) struct buf names = {0};
	const char *last;
	int r = union_walk(arg, path, &ref);

	if (r < 0)
		return r;
	last = last_of(&ref, path);
	r = union_listxattr(ref.dir, last, ref.part, &names);
	for (size_t at = 0; r == 0 && at < names.len;) {
		const char *name = (const char *)names.data + at;

		r = copy_xattr(&ref, last, name, inode);
		at += strlen(name) + 1;
	}
	return r;
}

/* A stack of the first N items, opened once more: the mount's own is not there yet. */
static int stack_below(const struct image_stack *s, size_t n, struct stack **ret_stack,
		       struct err *err)
{
	CLEANUP(free) struct layer **v = calloc(n, sizeof(*v));
	int r;

	if (v == NULL)
		return err_set(err, ENOMEM, "out of memory");
	r = open_items(s, n, v, err);
	return r < 0 ? r : stack_new(v, n, 0, 0, ret_stack, err);
}

static int unite(struct image_stack *s, size_t i, struct err *err)
{
	CLEANUP(stack) struct stack *stack = NULL;
	struct apply_below below = {below_stat, below_readlink, below_xattrs, NULL};
	struct item *it = &s->items[i];
	struct indexed_head head;
	int r = indexed_find_resolved(s->cache, &it->alone.head, &it->chain, &it->united, &head);

	if (r == 0 && s->options->image_strict)
		return indexed_check_strict(&head, it->name, err);
	if (r != -ENOENT)
		return r < 0 ? err_errno(err, -r, "%s: its index", it->name) : 0;
	r = i > 0 ? stack_below(s, i, &stack, err) : 0;
	if (r < 0)
		return r;
	below.arg = stack;
	return indexed_make_resolved(s->cache, it->alone.index, &it->alone.head, &it->chain,
				     stack != NULL ? &below : NULL, s->options->image_strict,
				     it->name, &it->united, err);
}

/* ---- all of them ---- */

static int index_item(struct image_stack *s, size_t i, struct err *err)
{
	const struct fs_options *o = s->options;
	struct item *it = &s->items[i];
	const struct indexed_source source = {
		.blob = it->layer->blob,
		.digest = &it->layer->digest,
		.diff_id = &it->layer->diff_id,
		.name = it->name,
	};
	const struct indexed_scan_options options = {
		.strict = o->image_strict,
		.progress = o->progress,
		.arg = o->progress_arg,
	};
	const struct digest none = {0};
	int r;

	if (it->layer->dir != NULL)
		return 0;
	if (it->layer->missing || it->layer->blob == NULL)
		return err_set(err, ENOENT, "%s is not in this image's files%s", it->name,
			       it->layer->foreign ? ": it is to be had elsewhere" : "");
	r = indexed_get(s->cache, &source, &options, &it->alone, err);
	if (r == 0)
		r = indexed_chain(i > 0 ? &s->items[i - 1].chain : &none, &it->alone.head.diff_id,
				  &it->chain);
	if (r < 0)
		return r;
	if ((it->alone.head.flags & INDEXED_PENDING) != 0 ||
	    (i > 0 && (it->alone.head.flags & INDEXED_IMPLICIT) != 0))
		return unite(s, i, err);
	return 0;
}

int layers_open_image(const struct fs_options *o, struct layers *l, struct err *err)
{
	CLEANUP(image_stack) struct image_stack s = {.options = o};
	CLEANUP(free) struct layer **v = NULL;
	size_t first;
	int r = open_source(&s, err);

	if (r == 0)
		r = choose(&s, &first, err);
	for (size_t i = 0; r == 0 && i < s.n; i++)
		r = index_item(&s, i, err);
	if (r < 0)
		return r;
	v = calloc(s.n, sizeof(*v));
	if (v == NULL)
		return err_set(err, ENOMEM, "out of memory");
	r = open_items(&s, s.n, v, err);
	for (size_t i = 0; r == 0 && i < s.n; i++) {
		r = layers_add(l, v[i], err);
		for (size_t k = i + 1; r < 0 && k < s.n; k++)
			layer_close(v[k]);
	}
	return r;
}
