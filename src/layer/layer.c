/* SPDX-License-Identifier: Apache-2.0 */
/* Calls through a layer's table, with the checks that hold for every backend. */
#include "layer/layer.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/sys.h"

/*
 * A name is one component. Callers promise it; it is checked because names also come out of
 * redirects, which an image's author writes, and "../../etc" must not leave the layer.
 */
static int check_name(const char *name)
{
	if (name == NULL)
		return 0;
	if (name[0] == '\0' || strchr(name, '/') != NULL)
		return -EINVAL;
	if (sys_is_dots(name))
		return -EINVAL;
	return strlen(name) > NAME_MAX ? -ENAMETOOLONG : 0;
}

void layer_list_done(struct layer_list *l)
{
	free(l->names);
	buf_done(&l->text);
	*l = (struct layer_list){0};
}

static int list_grow(struct layer_list *l)
{
	size_t cap = l->cap > 0 ? l->cap * 2 : 64;
	struct layer_name *names = reallocarray(l->names, cap, sizeof(*names));

	if (names == NULL)
		return -ENOMEM;
	l->names = names;
	l->cap = cap;
	return 0;
}

int layer_list_add(struct layer_list *l, const char *name, size_t len, uint64_t ino, uint8_t dtype,
		   bool above)
{
	if (len > NAME_MAX || l->text.len > UINT32_MAX - len - 1)
		return -EOVERFLOW;
	if (l->n == l->cap && list_grow(l) < 0)
		return -ENOMEM;
	l->names[l->n] = (struct layer_name){
		.ino = ino,
		.off = (uint32_t)l->text.len,
		.len = (uint16_t)len,
		.dtype = dtype,
		.above = above,
	};
	buf_put(&l->text, name, len);
	buf_put_u8(&l->text, 0);
	if (!buf_ok(&l->text))
		return -ENOMEM;
	l->n++;
	return 0;
}

void layer_close(struct layer *l)
{
	if (l != NULL)
		l->ops->close(l);
}

void layer_entry_done(struct layer *l, struct layer_entry *e)
{
	layer_dir_unref(l, e->dir);
	free(e->redirect);
	*e = (struct layer_entry){0};
}

void layer_file_close(struct layer_file *f)
{
	if (f != NULL)
		f->layer->ops->file_close(f);
}

int layer_root(struct layer *l, struct layer_dir **ret_dir)
{
	return l->ops->root(l, ret_dir);
}

/* Hands a filled entry on, or frees what a failing backend had put into it. */
static int entry_result(struct layer *l, int r, struct layer_entry *e,
			struct layer_entry *ret_entry)
{
	if (r < 0)
		layer_entry_done(l, e);
	else
		*ret_entry = *e;
	return r;
}

int layer_lookup(struct layer *l, struct layer_dir *dir, const char *name,
		 struct layer_entry *ret_entry)
{
	struct layer_entry e = {0};
	int r = check_name(name);

	if (r < 0)
		return r;
	return entry_result(l, l->ops->lookup(l, dir, name, &e), &e, ret_entry);
}

int layer_lookup_bottom(struct layer *l, struct layer_dir *dir, const char *name,
			struct layer_entry *ret_entry)
{
	struct layer_entry e = {0};
	int r = check_name(name);

	if (r < 0)
		return r;
	if (l->ops->lookup_bottom == NULL)
		r = l->ops->lookup(l, dir, name, &e);
	else
		r = l->ops->lookup_bottom(l, dir, name, &e);
	return entry_result(l, r, &e, ret_entry);
}

int layer_dir_entry(struct layer *l, struct layer_dir *dir, struct layer_entry *ret_entry)
{
	struct layer_entry e = {0};

	return entry_result(l, l->ops->dir_entry(l, dir, &e), &e, ret_entry);
}

int layer_readdir(struct layer *l, struct layer_dir *dir, struct layer_list *list)
{
	size_t n = list->n, len = list->text.len;
	int r = l->ops->list(l, dir, list);

	if (r < 0) {
		list->n = n;
		list->text.len = len;
		list->text.failed = false;
	}
	return r;
}

bool layer_lists_all(struct layer *l, struct layer_dir *dir)
{
	return l->ops->lists_all != NULL && l->ops->lists_all(l, dir);
}

int layer_getattr(struct layer *l, struct layer_dir *dir, const char *name, struct attr *ret_attr)
{
	struct attr a = {0};
	int r = check_name(name);

	if (r == 0)
		r = l->ops->getattr(l, dir, name, &a);
	if (r == 0)
		*ret_attr = a;
	return r;
}

ssize_t layer_readlink(struct layer *l, struct layer_dir *dir, const char *name, char *target,
		       size_t size)
{
	int r = check_name(name);

	return r < 0 ? r : l->ops->readlink(l, dir, name, target, size);
}

ssize_t layer_getxattr(struct layer *l, struct layer_dir *dir, const char *name, const char *xattr,
		       void *value, size_t size)
{
	int r = check_name(name);

	return r < 0 ? r : l->ops->getxattr(l, dir, name, xattr, value, size);
}

int layer_listxattr(struct layer *l, struct layer_dir *dir, const char *name, struct buf *out)
{
	int r = check_name(name);

	return r < 0 ? r : l->ops->listxattr(l, dir, name, out);
}

int layer_open(struct layer *l, struct layer_dir *dir, const char *name,
	       struct layer_file **ret_file)
{
	int r = check_name(name);

	return r < 0 ? r : l->ops->open(l, dir, name, ret_file);
}

int layer_open_over(struct layer *l, struct layer_dir *dir, const char *name,
		    struct layer_file *below, struct layer_file **ret_file)
{
	int r = check_name(name);

	if (r < 0)
		return r;
	if (l->ops->open_over == NULL)
		return -EOPNOTSUPP;
	return l->ops->open_over(l, dir, name, below, ret_file);
}

int layer_statfs(struct layer *l, struct statvfs *ret_st)
{
	return l->ops->statfs(l, ret_st);
}

int layer_by_origin(struct layer *l, uint64_t ino, struct layer_entry *ret_entry)
{
	struct layer_entry e = {0};

	if (l->ops->by_origin == NULL)
		return -ENOENT;
	return entry_result(l, l->ops->by_origin(l, ino, &e), &e, ret_entry);
}

int layer_identity(struct layer *l, struct hash128 *ret_id)
{
	return l->ops->identity(l, ret_id);
}

struct layer_dir *layer_dir_ref(struct layer *l, struct layer_dir *dir)
{
	l->ops->dir_ref(dir);
	return dir;
}

void layer_dir_unref(struct layer *l, struct layer_dir *dir)
{
	if (dir != NULL)
		l->ops->dir_unref(dir);
}

ssize_t layer_file_read(struct layer_file *f, void *bytes, size_t size, off_t off)
{
	return f->layer->ops->file_read(f, bytes, size, off);
}

off_t layer_file_seek(struct layer_file *f, off_t off, int whence)
{
	return f->layer->ops->file_seek(f, off, whence);
}

int layer_file_fd(struct layer_file *f)
{
	return f->layer->ops->file_fd(f);
}

int layer_file_identity(struct layer_file *f, struct hash128 *ret_id)
{
	struct {
		uint64_t dev, ino;
	} id;
	struct stat st;
	int fd, r;

	if (f->layer->ops->file_identity != NULL)
		return f->layer->ops->file_identity(f, ret_id);
	fd = layer_file_fd(f);
	r = fd >= 0 ? sys_fstat(fd, &st) : fd;
	if (r < 0)
		return r;
	id.dev = st.st_dev;
	id.ino = st.st_ino;
	*ret_id = hash128(&id, sizeof(id));
	return 0;
}
