/* SPDX-License-Identifier: Apache-2.0 */
/* A layer of an image as it is stored: its names and attributes, out of its index. */
#include "layer/indexed.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "layer/indexed_write.h"

/*
 * A layer's archive knows whiteouts and opaque directories, no redirects. Only a hard link to a file of the
 * layers below is shown as a metacopy with a redirect (INDEX_LOWER): that is this program's own doing
 * (indexed_resolve.c), and can be trusted.
 */

/* A name that only waits for the layers below is none (the stack's opening has seen to it that no such index
 * is used where there may be any). */
static int shown(struct index_rec *rec)
{
	if ((rec->flags & INDEX_PENDING) == 0)
		return 0;
	index_rec_done(rec);
	return -ENOENT;
}

int indexed_find(struct indexed_layer *x, struct layer_dir *dir, const char *name,
		 struct index_rec *ret_rec)
{
	uint64_t ino = ino_node_ino(dir);
	struct index_rec rec;
	int r;

	if (name == NULL) {
		r = index_file_inode(x->names, ino, ret_rec);
		return r == -ENOENT ? -EUCLEAN : r;
	}
	r = index_file_lookup(x->names, ino, name, strlen(name), &rec);
	if (r == 0 && rec.attr.ino == 0)
		r = -ENOENT;
	if (r == 0)
		r = shown(&rec);
	if (r == 0)
		*ret_rec = rec;
	return r;
}

static int root(struct layer *l, struct layer_dir **ret_dir)
{
	(void)l;
	return ino_node_root(INDEX_ROOT_INO, ret_dir);
}

/* A root that no member of the archive describes is answered for by the layer below. */
static bool is_asked_below(const struct indexed_layer *x, const struct layer_dir *dir,
			   const char *name)
{
	return x->root_of != NULL && name == NULL && ino_node_ino(dir) == INDEX_ROOT_INO;
}

/* A reference to the root of L for the rest of the scope. */
struct held_root {
	struct layer *layer;
	struct layer_dir *dir;
};

static void held_root_done(struct held_root *h)
{
	layer_dir_unref(h->layer, h->dir);
}
DEFINE_CLEANUP(struct held_root, held_root, held_root_done)

/* 1: the question is for the layer below, whose root is held; 0: it is for this one; -errno. */
static int hold_below(struct indexed_layer *x, struct layer_dir *dir, const char *name,
		      struct held_root *h)
{
	int r;

	if (!is_asked_below(x, dir, name))
		return 0;
	h->layer = x->root_of;
	r = layer_root(h->layer, &h->dir);
	return r < 0 ? r : 1;
}

static int getattr(struct layer *l, struct layer_dir *dir, const char *name, struct attr *ret_attr)
{
	CLEANUP(held_root) struct held_root below = {0};
	CLEANUP(index_rec) struct index_rec rec = {0};
	int r = hold_below(indexed_of(l), dir, name, &below);

	if (r > 0) {
		r = layer_getattr(below.layer, below.dir, NULL, ret_attr);
		if (r == 0)
			ret_attr->ino = INDEX_ROOT_INO;
		return r;
	}
	if (r == 0)
		r = indexed_find(indexed_of(l), dir, name, &rec);
	if (r == 0)
		*ret_attr = rec.attr;
	return r;
}

/* REC as an entry; HANDLE: with `dir` whatever its type. Its text is taken. */
static int fill_entry(struct index_rec *rec, bool handle, struct layer_entry *e)
{
	e->attr = rec->attr;
	if (rec->flags & INDEX_OPAQUE)
		e->flags |= LAYER_OPAQUE;
	if (rec->flags & INDEX_LOWER) {
		if (asprintf(&e->redirect, "/%s", rec->text) < 0) {
			e->redirect = NULL;
			return -ENOMEM;
		}
		e->flags |= LAYER_ABOVE | LAYER_METACOPY | LAYER_REDIRECT;
		e->attr.ino = rec->union_ino;
	}
	if (!handle && !S_ISDIR(rec->attr.mode))
		return 0;
	e->dir = ino_node_new(rec->attr.ino);
	return e->dir != NULL ? 0 : -ENOMEM;
}

static int lookup(struct layer *l, struct layer_dir *dir, const char *name,
		  struct layer_entry *ret_entry)
{
	struct indexed_layer *x = indexed_of(l);
	CLEANUP(index_rec) struct index_rec rec = {0};
	int r = index_file_lookup(x->names, ino_node_ino(dir), name, strlen(name), &rec);

	if (r < 0)
		return r;
	if (rec.attr.ino == 0) {
		ret_entry->flags = LAYER_WHITEOUT;
		return 0;
	}
	r = shown(&rec);
	return r < 0 ? r : fill_entry(&rec, false, ret_entry);
}

static int dir_entry(struct layer *l, struct layer_dir *dir, struct layer_entry *ret_entry)
{
	CLEANUP(index_rec) struct index_rec rec = {0};
	int r = indexed_find(indexed_of(l), dir, NULL, &rec);

	if (r == 0)
		r = fill_entry(&rec, false, ret_entry);
	if (r == 0 && is_asked_below(indexed_of(l), dir, NULL))
		r = getattr(l, dir, NULL, &ret_entry->attr);
	return r;
}

static int by_origin(struct layer *l, uint64_t ino, struct layer_entry *ret_entry)
{
	struct indexed_layer *x = indexed_of(l);
	CLEANUP(index_rec) struct index_rec rec = {0};
	uint64_t own;
	int r = index_file_by_union_ino(x->names, ino, &own);

	if (r == 0)
		r = index_file_inode(x->names, own, &rec);
	return r < 0 ? r : fill_entry(&rec, true, ret_entry);
}

struct listing {
	struct indexed_layer *layer;
	struct layer_list *list;
};

/* Numbers of the union are known to look-ups only. */
static int add_name(void *arg, const struct index_name *name)
{
	const struct listing *l = arg;
	bool has_lowers = (l->layer->base.caps & LAYER_CAP_BY_ORIGIN) != 0;

	return layer_list_add(l->list, name->name, name->len,
			      has_lowers && name->dtype == DT_REG ? 0 : name->ino, name->dtype,
			      false);
}

static int list(struct layer *l, struct layer_dir *dir, struct layer_list *list)
{
	struct listing to = {indexed_of(l), list};

	return index_file_list(to.layer->names, ino_node_ino(dir), add_name, &to);
}

static ssize_t readlink_(struct layer *l, struct layer_dir *dir, const char *name, char *target,
			 size_t size)
{
	CLEANUP(index_rec) struct index_rec rec = {0};
	size_t len;
	int r = indexed_find(indexed_of(l), dir, name, &rec);

	if (r < 0)
		return r;
	if (!S_ISLNK(rec.attr.mode))
		return -EINVAL;
	len = strlen(rec.text);
	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(target, rec.text, len + 1);
	return (ssize_t)len;
}

static ssize_t getxattr_(struct layer *l, struct layer_dir *dir, const char *name,
			 const char *xattr, void *value, size_t size)
{
	struct indexed_layer *x = indexed_of(l);
	CLEANUP(held_root) struct held_root below = {0};
	CLEANUP(index_rec) struct index_rec rec = {0};
	int r = hold_below(x, dir, name, &below);

	if (r > 0)
		return layer_getxattr(below.layer, below.dir, NULL, xattr, value, size);
	if (r == 0)
		r = indexed_find(x, dir, name, &rec);
	if (r < 0)
		return r;
	if ((rec.flags & INDEX_HAS_XATTRS) == 0)
		return -ENODATA;
	return index_file_xattr(x->names, rec.attr.ino, xattr, value, size);
}

static int listxattr_(struct layer *l, struct layer_dir *dir, const char *name, struct buf *out)
{
	struct indexed_layer *x = indexed_of(l);
	CLEANUP(held_root) struct held_root below = {0};
	CLEANUP(index_rec) struct index_rec rec = {0};
	int r = hold_below(x, dir, name, &below);

	if (r > 0)
		return layer_listxattr(below.layer, below.dir, NULL, out);
	if (r == 0)
		r = indexed_find(x, dir, name, &rec);
	if (r < 0 || (rec.flags & INDEX_HAS_XATTRS) == 0)
		return r;
	return index_file_xattr_names(x->names, rec.attr.ino, out);
}

/* There is no file system under an archive: its size, and nothing free. */
static int statfs_(struct layer *l, struct statvfs *ret_st)
{
	struct indexed_layer *x = indexed_of(l);
	uint64_t blocks = (x->bytes.size + 4095) / 4096;

	*ret_st = (struct statvfs){
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_blocks = blocks,
		.f_namemax = NAME_MAX,
	};
	return 0;
}

static int identity(struct layer *l, struct hash128 *ret_id)
{
	*ret_id = indexed_of(l)->id;
	return 0;
}

static void close_(struct layer *l)
{
	struct indexed_layer *x = indexed_of(l);

	indexed_bytes_done(&x->bytes);
	index_file_close(x->points);
	index_file_close(x->names);
	free(x->base.path);
	free(x);
}

static bool lists_all(struct layer *l, struct layer_dir *dir)
{
	(void)l;
	(void)dir;
	return true;
}

static const struct layer_ops indexed_ops = {
	.kind = "indexed",
	.root = root,
	.lookup = lookup,
	.dir_entry = dir_entry,
	.list = list,
	.lists_all = lists_all,
	.getattr = getattr,
	.readlink = readlink_,
	.getxattr = getxattr_,
	.listxattr = listxattr_,
	.open = indexed_file_open,
	.statfs = statfs_,
	.by_origin = by_origin,
	.identity = identity,
	.dir_ref = ino_node_ref,
	.dir_unref = ino_node_unref,
	.file_read = indexed_file_read,
	.file_seek = indexed_file_seek,
	.file_fd = indexed_file_fd,
	.file_identity = indexed_file_identity,
	.file_close = indexed_file_close,
	.close = close_,
};

/* The same tree is the same layer, however its archive was compressed. */
static struct hash128 identity_of(const struct indexed_head *head)
{
	CLEANUP(buf) struct buf text = {0};
	char digest[DIGEST_TEXT_MAX];

	buf_printf(&text, "indexed %s", digest_format(&head->diff_id, digest));
	if (head->chain.alg != DIGEST_NONE)
		buf_printf(&text, " over %s", digest_format(&head->chain, digest));
	return hash128(text.data, text.len);
}

/* Does the root say itself what it looks like? */
static int root_is_implicit(struct indexed_layer *x)
{
	CLEANUP(index_rec) struct index_rec rec = {0};
	int r = index_file_inode(x->names, INDEX_ROOT_INO, &rec);

	if (r < 0 || !S_ISDIR(rec.attr.mode))
		return -EUCLEAN;
	return (rec.flags & INDEX_IMPLICIT) != 0;
}

int layer_open_indexed(const struct indexed_parts *parts, const char *path,
		       struct layer **ret_layer, struct err *err)
{
	struct indexed_layer *x = calloc(1, sizeof(*x));
	CLEANUP(layer) struct layer *l = NULL;
	struct indexed_head head;
	int r;

	if (x == NULL) {
		index_file_close(parts->names);
		index_file_close(parts->points);
		blob_unref(parts->stored);
		return err_set(err, ENOMEM, "out of memory");
	}
	l = &x->base;
	l->ops = &indexed_ops;
	x->names = parts->names;
	x->points = parts->points;
	indexed_bytes_init(&x->bytes, parts->stored, COMPRESSION_NONE, 0,
			   x->points != NULL ? x->points : x->names);
	l->path = strdup(path);
	r = l->path != NULL ? indexed_read_head(x->names, &head) : -ENOMEM;
	if (r < 0)
		return err_errno(err, -r, "the index of layer %s", path);
	x->id = identity_of(&head);
	x->archive = hash128(&head.diff_id, sizeof(head.diff_id));
	x->bytes.compression = parts->compression;
	x->bytes.size = head.size;
	r = root_is_implicit(x);
	if (r < 0)
		return err_errno(err, -r, "the index of layer %s", path);
	if (r > 0)
		x->root_of = parts->below;
	if (head.flags & INDEXED_RESOLVED) {
		l->caps = LAYER_CAP_BY_ORIGIN;
		l->trust = LAYER_TRUST_REDIRECT | LAYER_TRUST_METACOPY;
	}
	*ret_layer = steal_ptr(&l);
	return 0;
}

struct layer *layer_indexed_root(struct layer *l)
{
	struct layer *below = indexed_of(l)->root_of;

	return below != NULL ? below : l;
}
