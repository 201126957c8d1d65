/* SPDX-License-Identifier: Apache-2.0 */
/* A plyfs upper as a read-only layer: its names and attributes, out of a snapshot of its catalog. */
#include "layer/upper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

/*
 * The catalog says of an inode that began in a layer below where it came from: by a path in the
 * union of the layers below. That is what a redirect is, and here it can be trusted, for plyfs wrote
 * it. So every directory with an origin is a redirected one, and one without hides what is below.
 */
#define MAX_FDS 16 /* data files kept open; an upper is one layer of many */
#define PIECE	1024

int upper_find(struct upper_layer *u, struct layer_dir *dir, const char *name, uint64_t *ret_ino)
{
	uint64_t ino = ino_node_ino(dir);
	struct entry_rec entry;
	int r;

	if (name != NULL) {
		r = catalog_entry(u->catalog, ino, name, strlen(name), &entry);
		if (r < 0)
			return r;
		if (entry_is_whiteout(&entry))
			return -ENOENT;
		ino = entry.ino;
	}
	*ret_ino = ino;
	return 0;
}

/* As upper_record(), but that there is no record is -ENOENT. */
static int read_record(struct upper_layer *u, uint64_t ino, struct inode_rec *ret_rec)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r = catalog_inode(u->catalog, ino, &rec);

	if (r == 0)
		r = data_attr(u->data, &rec, &rec.attr);
	if (r < 0)
		return r;
	*ret_rec = rec;
	rec.origin = NULL;
	return 0;
}

/* A name without a record is damage, not a missing name. */
static int must_exist(int r)
{
	return r == -ENOENT ? -EUCLEAN : r;
}

int upper_record(struct upper_layer *u, uint64_t ino, struct inode_rec *ret_rec)
{
	return must_exist(read_record(u, ino, ret_rec));
}

static int root(struct layer *l, struct layer_dir **ret_dir)
{
	(void)l;
	return ino_node_root(CATALOG_ROOT_INO, ret_dir);
}

static bool is_above(const struct upper_layer *u, uint64_t ino)
{
	return ino >= CATALOG_FIRST_LOWER_INO && ino < u->above_end;
}

static int set_redirect(struct layer_entry *e, const char *origin)
{
	if (asprintf(&e->redirect, "/%s", origin) < 0) {
		e->redirect = NULL;
		return -ENOMEM;
	}
	e->flags |= LAYER_REDIRECT;
	return 0;
}

/* The marks that a record stands for. */
static int set_marks(const struct upper_layer *u, struct layer_entry *e,
		     const struct inode_rec *rec)
{
	if (is_above(u, rec->attr.ino))
		e->flags |= LAYER_ABOVE;
	if (S_ISDIR(rec->attr.mode)) {
		if (rec->origin != NULL)
			return set_redirect(e, rec->origin);
		e->flags |= LAYER_OPAQUE;
	} else if (S_ISREG(rec->attr.mode) &&
		   (rec->where == BYTES_LOWER || rec->where == BYTES_CHUNKS)) {
		e->flags |= LAYER_METACOPY;
		return rec->origin != NULL ? set_redirect(e, rec->origin) : -EUCLEAN;
	}
	return 0;
}

/* The entry of an inode; with HANDLE, `dir` is set whatever its type. */
static int fill_entry(struct upper_layer *u, uint64_t ino, bool handle,
		      struct layer_entry *ret_entry)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r = read_record(u, ino, &rec);

	if (r < 0)
		return r;
	ret_entry->attr = rec.attr;
	r = set_marks(u, ret_entry, &rec);
	if (r == 0 && (handle || S_ISDIR(rec.attr.mode))) {
		ret_entry->dir = ino_node_new(ino);
		r = ret_entry->dir != NULL ? 0 : -ENOMEM;
	}
	return r;
}

static int lookup(struct layer *l, struct layer_dir *dir, const char *name,
		  struct layer_entry *ret_entry)
{
	struct upper_layer *u = upper_of(l);
	struct entry_rec entry;
	int r = catalog_entry(u->catalog, ino_node_ino(dir), name, strlen(name), &entry);

	if (r < 0)
		return r;
	if (entry_is_whiteout(&entry)) {
		ret_entry->flags = LAYER_WHITEOUT;
		return 0;
	}
	return must_exist(fill_entry(u, entry.ino, false, ret_entry));
}

static int by_origin(struct layer *l, uint64_t ino, struct layer_entry *ret_entry)
{
	struct upper_layer *u = upper_of(l);

	return is_above(u, ino) ? fill_entry(u, ino, true, ret_entry) : -ENOENT;
}

/* The root of an upper that was never written to: the directory itself. */
static int bare_root(const struct upper_layer *u, struct attr *ret_attr)
{
	struct stat st;
	int r = sys_fstat(u->fd, &st);

	if (r < 0)
		return r;
	attr_from_stat(&st, ret_attr);
	ret_attr->ino = CATALOG_ROOT_INO;
	return 0;
}

static int dir_entry(struct layer *l, struct layer_dir *dir, struct layer_entry *ret_entry)
{
	struct upper_layer *u = upper_of(l);
	uint64_t ino = ino_node_ino(dir);
	int r;

	r = fill_entry(u, ino, false, ret_entry);
	if (r == -ENOENT && ino == CATALOG_ROOT_INO) {
		r = bare_root(u, &ret_entry->attr);
		if (r == 0)
			ret_entry->dir = layer_dir_ref(l, dir);
	}
	return r;
}

static int getattr(struct layer *l, struct layer_dir *dir, const char *name, struct attr *ret_attr)
{
	struct upper_layer *u = upper_of(l);
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	uint64_t ino;
	int r = upper_find(u, dir, name, &ino);

	if (r < 0)
		return r;
	r = read_record(u, ino, &rec);
	if (r == -ENOENT && ino == CATALOG_ROOT_INO)
		return bare_root(u, ret_attr);
	if (r == 0)
		*ret_attr = rec.attr;
	return must_exist(r);
}

static int list(struct layer *l, struct layer_dir *dir, struct layer_list *list)
{
	struct upper_layer *u = upper_of(l);
	CLEANUP(catalog_names) struct catalog_names piece = {0};
	uint64_t after = 0;
	int r = 0;

	while (r == 0 && !piece.end) {
		r = catalog_list(u->catalog, ino_node_ino(dir), after, PIECE, &piece);
		for (size_t i = 0; r == 0 && i < piece.n; i++) {
			const struct catalog_name *n = &piece.names[i];

			after = n->hash;
			r = layer_list_add(list, (const char *)piece.text.data + n->name_off,
					   n->name_len, n->entry.ino, n->entry.dtype,
					   is_above(u, n->entry.ino));
		}
		if (r == 0 && piece.n == 0)
			break;
	}
	return r;
}

static ssize_t readlink_(struct layer *l, struct layer_dir *dir, const char *name, char *target,
			 size_t size)
{
	struct upper_layer *u = upper_of(l);
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	uint64_t ino;
	ssize_t len;
	int r = upper_find(u, dir, name, &ino);

	if (r == 0)
		r = upper_record(u, ino, &rec);
	if (r < 0)
		return r;
	if (!S_ISLNK(rec.attr.mode))
		return -EINVAL;
	len = catalog_inline(u->catalog, ino, 0, target, size);
	if (len < 0)
		return len;
	if ((size_t)len >= size)
		return -ENAMETOOLONG;
	target[len] = '\0';
	return len;
}

static ssize_t getxattr_(struct layer *l, struct layer_dir *dir, const char *name,
			 const char *xattr, void *value, size_t size)
{
	struct upper_layer *u = upper_of(l);
	uint64_t ino;
	int r = upper_find(u, dir, name, &ino);

	return r < 0 ? r : catalog_xattr(u->catalog, ino, xattr, value, size);
}

static int listxattr_(struct layer *l, struct layer_dir *dir, const char *name, struct buf *out)
{
	struct upper_layer *u = upper_of(l);
	uint64_t ino;
	int r = upper_find(u, dir, name, &ino);

	return r < 0 ? r : catalog_xattr_names(u->catalog, ino, out);
}

static int statfs_(struct layer *l, struct statvfs *ret_st)
{
	struct statvfs st;

	if (fstatvfs(upper_of(l)->fd, &st) < 0)
		return -errno;
	*ret_st = st;
	return 0;
}

static int identity(struct layer *l, struct hash128 *ret_id)
{
	struct {
		uint64_t seed;
		char kind[8];
	} id = {catalog_seed(upper_of(l)->catalog), "upper"};

	*ret_id = hash128(&id, sizeof(id));
	return 0;
}

static void close_(struct layer *l)
{
	struct upper_layer *u = upper_of(l);

	/* Data before the catalog, which it reads. */
	data_close(u->data);
	catalog_close(u->catalog);
	if (u->fd >= 0)
		close(u->fd);
	free(u->base.path);
	free(u);
}

static bool lists_all(struct layer *l, struct layer_dir *dir)
{
	(void)l;
	(void)dir;
	return true;
}

static const struct layer_ops upper_ops = {
	.kind = "upper",
	.root = root,
	.lookup = lookup,
	.dir_entry = dir_entry,
	.list = list,
	.lists_all = lists_all,
	.getattr = getattr,
	.readlink = readlink_,
	.getxattr = getxattr_,
	.listxattr = listxattr_,
	.open = upper_open,
	.open_over = upper_open_over,
	.statfs = statfs_,
	.by_origin = by_origin,
	.identity = identity,
	.dir_ref = ino_node_ref,
	.dir_unref = ino_node_unref,
	.file_read = upper_file_read,
	.file_seek = upper_file_seek,
	.file_fd = upper_file_fd,
	.file_identity = upper_file_identity,
	.file_close = upper_file_close,
	.close = close_,
};

static int open_store(struct upper_layer *u, struct err *err)
{
	struct catalog_options co = {.mode = CATALOG_SNAPSHOT};
	struct data_options options = {.read_only = true, .max_fds = MAX_FDS};
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
	CLEANUP(fd) int dir = sys_openat(u->fd, ".plyfs", flags, 0);
	CLEANUP(fd) int data = dir >= 0 ? sys_openat(dir, "data", flags, 0) : dir;
	int r;

	if (data < 0)
		return err_errno(err, -data, "layer %s: .plyfs%s", u->base.path,
				 dir >= 0 ? "/data" : "");
	r = catalog_open(dir, &co, &u->catalog, err);
	if (r == 0)
		r = data_open(data, u->catalog, &options, &u->data, err);
	if (r < 0)
		err_wrap(err, "layer %s", u->base.path);
	return r;
}

int layer_upper_super(struct layer *l, const char *key, struct buf *out)
{
	return catalog_super(upper_of(l)->catalog, key, out);
}

void layer_upper_set_above(struct layer *l, uint64_t end)
{
	upper_of(l)->above_end = end;
}

int layer_open_upper(int fd, const char *path, const struct layer_options *options,
		     struct layer **ret_layer, struct err *err)
{
	struct upper_layer *u = calloc(1, sizeof(*u));
	CLEANUP(layer) struct layer *l = NULL;
	int r;

	(void)options;
	if (u == NULL) {
		close(fd);
		return err_set(err, ENOMEM, "out of memory");
	}
	l = &u->base;
	u->fd = fd;
	u->above_end = UINT64_MAX;
	l->ops = &upper_ops;
	l->caps = LAYER_CAP_BY_ORIGIN | LAYER_CAP_COMPOSE;
	l->trust = LAYER_TRUST_REDIRECT | LAYER_TRUST_METACOPY;
	l->path = strdup(path);
	if (l->path == NULL)
		return err_set(err, ENOMEM, "out of memory");
	r = open_store(u, err);
	if (r < 0)
		return r;
	*ret_layer = steal_ptr(&l);
	return 0;
}
