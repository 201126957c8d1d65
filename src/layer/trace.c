/* SPDX-License-Identifier: Apache-2.0 */
/* A layer that logs every call on another layer and what came of it. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "layer/backends.h"

struct trace_layer {
	struct layer base;
	struct layer *inner; /* owned */
};

struct trace_dir {
	atomic_uint refs;
	struct layer *inner_layer; /* borrowed */
	struct layer_dir *inner;   /* owned reference */
};

struct trace_file {
	struct layer_file base;
	struct layer_file *inner; /* owned */
};

static struct layer *inner_of(struct layer *l)
{
	return ((struct trace_layer *)l)->inner;
}

static struct layer_dir *inner_dir(struct layer_dir *d)
{
	return ((struct trace_dir *)d)->inner;
}

static struct layer_file *inner_file(struct layer_file *f)
{
	return ((struct trace_file *)f)->inner;
}

/* One line a call: the layer, the call, its directory and name, the result. */
#define TRACE(l, call, dir, name, result)                                                          \
	log_debug("%s: %s %p %s = %lld", (l)->path, (call), (void *)(dir),                         \
		  (name) != NULL ? (name) : ".", (long long)(result))

/* Wraps the reference *DIR of the inner layer; drops it on failure. */
static int wrap_dir(struct layer *l, struct layer_dir **dir)
{
	struct trace_dir *d;

	if (*dir == NULL)
		return 0;
	d = malloc(sizeof(*d));
	if (d == NULL) {
		layer_dir_unref(inner_of(l), *dir);
		*dir = NULL;
		return -ENOMEM;
	}
	atomic_init(&d->refs, 1);
	d->inner_layer = inner_of(l);
	d->inner = *dir;
	*dir = (struct layer_dir *)d;
	return 0;
}

static int trace_root(struct layer *l, struct layer_dir **ret_dir)
{
	struct layer_dir *dir = NULL;
	int r = layer_root(inner_of(l), &dir);

	if (r == 0)
		r = wrap_dir(l, &dir);
	if (r == 0)
		*ret_dir = dir;
	TRACE(l, "root", dir, (const char *)NULL, r);
	return r;
}

static int trace_entry(struct layer *l, const char *call, struct layer_dir *dir, const char *name,
		       int r, struct layer_entry *entry)
{
	if (r == 0)
		r = wrap_dir(l, &entry->dir);
	log_debug("%s: %s %p %s = %d flags %#x mode %o ino %llu", l->path, call, (void *)dir,
		  name != NULL ? name : ".", r, entry->flags, entry->attr.mode,
		  (unsigned long long)entry->attr.ino);
	return r;
}

static int trace_lookup(struct layer *l, struct layer_dir *dir, const char *name,
			struct layer_entry *ret_entry)
{
	int r = layer_lookup(inner_of(l), inner_dir(dir), name, ret_entry);

	return trace_entry(l, "lookup", dir, name, r, ret_entry);
}

static int trace_lookup_bottom(struct layer *l, struct layer_dir *dir, const char *name,
			       struct layer_entry *ret_entry)
{
	int r = layer_lookup_bottom(inner_of(l), inner_dir(dir), name, ret_entry);

	return trace_entry(l, "lookup_bottom", dir, name, r, ret_entry);
}

static int trace_dir_entry(struct layer *l, struct layer_dir *dir, struct layer_entry *ret_entry)
{
	int r = layer_dir_entry(inner_of(l), inner_dir(dir), ret_entry);

	return trace_entry(l, "dir_entry", dir, NULL, r, ret_entry);
}

static int trace_by_origin(struct layer *l, uint64_t ino, struct layer_entry *ret_entry)
{
	int r = layer_by_origin(inner_of(l), ino, ret_entry);

	return trace_entry(l, "by_origin", NULL, NULL, r, ret_entry);
}

static int trace_list(struct layer *l, struct layer_dir *dir, struct layer_list *list)
{
	int r = layer_readdir(inner_of(l), inner_dir(dir), list);

	TRACE(l, "list", dir, (const char *)NULL, r < 0 ? r : (long long)list->n);
	return r;
}

static int trace_getattr(struct layer *l, struct layer_dir *dir, const char *name,
			 struct attr *ret_attr)
{
	int r = layer_getattr(inner_of(l), inner_dir(dir), name, ret_attr);

	TRACE(l, "getattr", dir, name, r);
	return r;
}

static ssize_t trace_readlink(struct layer *l, struct layer_dir *dir, const char *name,
			      char *target, size_t size)
{
	ssize_t r = layer_readlink(inner_of(l), inner_dir(dir), name, target, size);

	TRACE(l, "readlink", dir, name, r);
	return r;
}

static ssize_t trace_getxattr(struct layer *l, struct layer_dir *dir, const char *name,
			      const char *xattr, void *value, size_t size)
{
	ssize_t r = layer_getxattr(inner_of(l), inner_dir(dir), name, xattr, value, size);

	log_debug("%s: getxattr %p %s %s = %zd", l->path, (void *)dir, name != NULL ? name : ".",
		  xattr, r);
	return r;
}

static int trace_listxattr(struct layer *l, struct layer_dir *dir, const char *name,
			   struct buf *out)
{
	int r = layer_listxattr(inner_of(l), inner_dir(dir), name, out);

	TRACE(l, "listxattr", dir, name, r);
	return r;
}

/* Takes INNER over and hands it on in a wrapper; closes it on failure. */
static int wrap_file(struct layer *l, struct layer_file *inner, struct layer_file **ret_file)
{
	struct trace_file *f = malloc(sizeof(*f));

	if (f == NULL) {
		layer_file_close(inner);
		return -ENOMEM;
	}
	*f = (struct trace_file){.base.layer = l, .inner = inner};
	*ret_file = &f->base;
	return 0;
}

static int trace_open(struct layer *l, struct layer_dir *dir, const char *name,
		      struct layer_file **ret_file)
{
	struct layer_file *inner;
	int r = layer_open(inner_of(l), inner_dir(dir), name, &inner);

	if (r == 0)
		r = wrap_file(l, inner, ret_file);
	TRACE(l, "open", dir, name, r);
	return r;
}

/*
 * BELOW is taken over on success only, so the wrapper's memory is there before the inner layer is
 * asked.
 */
static int trace_open_over(struct layer *l, struct layer_dir *dir, const char *name,
			   struct layer_file *below, struct layer_file **ret_file)
{
	CLEANUP(free) struct trace_file *f = malloc(sizeof(*f));
	int r;

	if (f == NULL)
		return -ENOMEM;
	*f = (struct trace_file){.base.layer = l};
	r = layer_open_over(inner_of(l), inner_dir(dir), name, below, &f->inner);
	TRACE(l, "open_over", dir, name, r);
	if (r == 0)
		*ret_file = &steal_ptr(&f)->base;
	return r;
}

static int trace_statfs(struct layer *l, struct statvfs *ret_st)
{
	int r = layer_statfs(inner_of(l), ret_st);

	TRACE(l, "statfs", NULL, (const char *)NULL, r);
	return r;
}

static int trace_identity(struct layer *l, struct hash128 *ret_id)
{
	int r = layer_identity(inner_of(l), ret_id);

	TRACE(l, "identity", NULL, (const char *)NULL, r);
	return r;
}

static void trace_dir_ref(struct layer_dir *dir)
{
	struct trace_dir *d = (struct trace_dir *)dir;

	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
}

static void trace_dir_unref(struct layer_dir *dir)
{
	struct trace_dir *d = (struct trace_dir *)dir;

	if (atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
		return;
	log_debug("%s: last unref %p", d->inner_layer->path, (void *)dir);
	layer_dir_unref(d->inner_layer, d->inner);
	free(d);
}

static ssize_t trace_file_read(struct layer_file *f, void *bytes, size_t size, off_t off)
{
	ssize_t r = layer_file_read(inner_file(f), bytes, size, off);

	log_debug("%s: read %p %zu at %lld = %zd", f->layer->path, (void *)f, size, (long long)off,
		  r);
	return r;
}

static off_t trace_file_seek(struct layer_file *f, off_t off, int whence)
{
	off_t r = layer_file_seek(inner_file(f), off, whence);

	log_debug("%s: seek %p %lld %d = %lld", f->layer->path, (void *)f, (long long)off, whence,
		  (long long)r);
	return r;
}

static int trace_file_fd(struct layer_file *f)
{
	return layer_file_fd(inner_file(f));
}

static void trace_file_close(struct layer_file *f)
{
	log_debug("%s: close %p", f->layer->path, (void *)f);
	layer_file_close(inner_file(f));
	free(f);
}

static void trace_close(struct layer *l)
{
	log_debug("%s: close the layer", l->path);
	layer_close(inner_of(l));
	free(l->path);
	free(l);
}

/* Calls that the inner layer lacks are answered by the wrappers in layer.c, and not announced. */
static bool trace_lists_all(struct layer *l, struct layer_dir *dir)
{
	bool all = layer_lists_all(inner_of(l), inner_dir(dir));

	TRACE(l, "lists_all", dir, NULL, all);
	return all;
}

static const struct layer_ops trace_ops = {
	.kind = "trace",
	.root = trace_root,
	.lookup = trace_lookup,
	.lookup_bottom = trace_lookup_bottom,
	.dir_entry = trace_dir_entry,
	.list = trace_list,
	.lists_all = trace_lists_all,
	.getattr = trace_getattr,
	.readlink = trace_readlink,
	.getxattr = trace_getxattr,
	.listxattr = trace_listxattr,
	.open = trace_open,
	.open_over = trace_open_over,
	.statfs = trace_statfs,
	.by_origin = trace_by_origin,
	.identity = trace_identity,
	.dir_ref = trace_dir_ref,
	.dir_unref = trace_dir_unref,
	.file_read = trace_file_read,
	.file_seek = trace_file_seek,
	.file_fd = trace_file_fd,
	.file_close = trace_file_close,
	.close = trace_close,
};

int layer_open_trace(struct layer *inner, struct layer **ret_layer, struct err *err)
{
	CLEANUP(layer) struct layer *owned = inner;
	struct trace_layer *t = calloc(1, sizeof(*t));
	char *path = strdup(inner->path);

	if (t == NULL || path == NULL) {
		free(t);
		free(path);
		return err_errno(err, ENOMEM, "%s", inner->path);
	}
	t->base = (struct layer){
		.ops = &trace_ops,
		.path = path,
		.caps = inner->caps,
		.trust = inner->trust,
	};
	t->inner = steal_ptr(&owned);
	*ret_layer = &t->base;
	return 0;
}
