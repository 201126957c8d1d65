/* SPDX-License-Identifier: Apache-2.0 */
/* A layer in memory: the simplest one that keeps the whole contract. For tests. */
#include "layer/mem.h"

#include <dirent.h>
#include <errno.h>
#include <linux/limits.h>
#include <stdatomic.h>
#include <string.h>

#include "attr/xattr.h"

/* A counted reference is memory of its own, so that a leak or a use after the end is found. */
struct mem_dir {
	atomic_uint refs;
	const struct mem_node *node;
};

struct mem_file {
	struct layer_file base;
	const struct mem_inode *inode;
};

static struct mem_layer *mem_of(struct layer *l)
{
	return (struct mem_layer *)l;
}

static struct mem_dir *dir_of(struct layer_dir *d)
{
	return (struct mem_dir *)d;
}

static const struct mem_inode *inode_of(struct layer_file *f)
{
	return ((struct mem_file *)f)->inode;
}

struct mem_node *mem_find(const struct mem_node *n, const char *name)
{
	struct mem_node *child = n->children;

	while (child != NULL && strcmp(child->name, name) != 0)
		child = child->next;
	return child;
}

struct mem_node *mem_add(struct mem_layer *l, struct mem_node *parent, const char *name)
{
	struct mem_node *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->name = strdup(name);
	if (n->name == NULL) {
		free(n);
		return NULL;
	}
	n->parent = parent;
	if (parent == NULL) {
		l->root = n;
	} else {
		n->next = parent->children;
		parent->children = n;
	}
	return n;
}

struct mem_inode *mem_add_inode(struct mem_layer *l, uint32_t mode)
{
	struct mem_inode *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return NULL;
	i->attr = (struct attr){
		.ino = l->inodes != NULL ? l->inodes->attr.ino + 1 : 1,
		.mode = mode,
		.nlink = S_ISDIR(mode) ? 2 : 1,
		.blksize = 4096,
		.atime.tv_sec = 1000000000,
		.mtime.tv_sec = 1000000000,
		.ctime.tv_sec = 1000000000,
	};
	i->next = l->inodes;
	l->inodes = i;
	return i;
}

/* The name in DIR that is there, not a whiteout; NULL is DIR itself. */
static const struct mem_inode *find_inode(struct layer_dir *dir, const char *name)
{
	const struct mem_node *n = dir_of(dir)->node;

	if (name != NULL)
		n = mem_find(n, name);
	return n != NULL ? n->inode : NULL;
}

static int new_dir(const struct mem_node *n, struct layer_dir **ret_dir)
{
	struct mem_dir *d = malloc(sizeof(*d));

	if (d == NULL)
		return -ENOMEM;
	atomic_init(&d->refs, 1);
	d->node = n;
	*ret_dir = (struct layer_dir *)d;
	return 0;
}

static int root(struct layer *l, struct layer_dir **ret_dir)
{
	return new_dir(mem_of(l)->root, ret_dir);
}

static int fill_entry(const struct mem_node *n, struct layer_entry *ret_entry)
{
	const struct mem_inode *i = n->inode;

	if (i == NULL) {
		ret_entry->flags = LAYER_WHITEOUT;
		return 0;
	}
	ret_entry->flags = i->flags;
	ret_entry->attr = i->attr;
	if (i->redirect != NULL) {
		ret_entry->redirect = strdup(i->redirect);
		if (ret_entry->redirect == NULL)
			return -ENOMEM;
	}
	return attr_is_dir(&i->attr) ? new_dir(n, &ret_entry->dir) : 0;
}

static int lookup(struct layer *l, struct layer_dir *dir, const char *name,
		  struct layer_entry *ret_entry)
{
	const struct mem_node *n = mem_find(dir_of(dir)->node, name);

	(void)l;
	return n != NULL ? fill_entry(n, ret_entry) : -ENOENT;
}

static int dir_entry(struct layer *l, struct layer_dir *dir, struct layer_entry *ret_entry)
{
	(void)l;
	return fill_entry(dir_of(dir)->node, ret_entry);
}

static int list(struct layer *l, struct layer_dir *dir, struct layer_list *list)
{
	const struct mem_node *n;
	int r = 0;

	(void)l;
	for (n = dir_of(dir)->node->children; n != NULL && r == 0; n = n->next) {
		const struct mem_inode *i = n->inode;

		r = layer_list_add(list, n->name, strlen(n->name), i != NULL ? i->attr.ino : 0,
				   i != NULL ? attr_dtype(i->attr.mode) : DT_WHT, false);
	}
	return r;
}

static int getattr(struct layer *l, struct layer_dir *dir, const char *name, struct attr *ret_attr)
{
	const struct mem_inode *i = find_inode(dir, name);

	(void)l;
	if (i == NULL)
		return -ENOENT;
	*ret_attr = i->attr;
	return 0;
}

static ssize_t mem_readlink(struct layer *l, struct layer_dir *dir, const char *name, char *target,
			    size_t size)
{
	const struct mem_inode *i = find_inode(dir, name);
	size_t len;

	(void)l;
	if (i == NULL)
		return -ENOENT;
	if (i->target == NULL)
		return -EINVAL;
	len = strlen(i->target);
	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(target, i->target, len + 1);
	return (ssize_t)len;
}

static ssize_t mem_getxattr(struct layer *l, struct layer_dir *dir, const char *name,
			    const char *xattr, void *value, size_t size)
{
	const struct mem_inode *i = find_inode(dir, name);
	char buf[XATTR_NAME_MAX + 1];
	const char *stored = xattr_lower_stored(xattr, buf, sizeof(buf));
	const struct mem_xattr *x;

	(void)l;
	if (i == NULL)
		return -ENOENT;
	for (x = i->xattrs; x != NULL && stored != NULL; x = x->next) {
		if (strcmp(x->name, stored) != 0)
			continue;
		if (size > 0 && size < x->len)
			return -ERANGE;
		if (size > 0 && x->len > 0)
			memcpy(value, x->value, x->len);
		return (ssize_t)x->len;
	}
	return -ENODATA;
}

static int mem_listxattr(struct layer *l, struct layer_dir *dir, const char *name, struct buf *out)
{
	const struct mem_inode *i = find_inode(dir, name);
	char buf[XATTR_NAME_MAX + 1];
	const struct mem_xattr *x;

	(void)l;
	if (i == NULL)
		return -ENOENT;
	for (x = i->xattrs; x != NULL; x = x->next) {
		const char *shown = xattr_lower_shown(x->name, buf, sizeof(buf));

		if (shown != NULL)
			buf_put(out, shown, strlen(shown) + 1);
	}
	return buf_ok(out) ? 0 : -ENOMEM;
}

static int mem_open(struct layer *l, struct layer_dir *dir, const char *name,
		    struct layer_file **ret_file)
{
	const struct mem_inode *i = find_inode(dir, name);
	struct mem_file *f;

	if (i == NULL)
		return -ENOENT;
	if (!S_ISREG(i->attr.mode))
		return S_ISDIR(i->attr.mode) ? -EISDIR : -ESTALE;
	f = malloc(sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	*f = (struct mem_file){.base.layer = l, .inode = i};
	*ret_file = &f->base;
	return 0;
}

static int mem_statfs(struct layer *l, struct statvfs *ret_st)
{
	(void)l;
	*ret_st = (struct statvfs){
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_blocks = 1 << 20,
		.f_bfree = 1 << 19,
		.f_bavail = 1 << 19,
		.f_namemax = 255,
	};
	return 0;
}

static int identity(struct layer *l, struct hash128 *ret_id)
{
	*ret_id = mem_of(l)->id;
	return 0;
}

static void dir_ref(struct layer_dir *dir)
{
	atomic_fetch_add_explicit(&dir_of(dir)->refs, 1, memory_order_relaxed);
}

static void dir_unref(struct layer_dir *dir)
{
	if (atomic_fetch_sub_explicit(&dir_of(dir)->refs, 1, memory_order_acq_rel) == 1)
		free(dir);
}

static ssize_t file_read(struct layer_file *f, void *bytes, size_t size, off_t off)
{
	const struct mem_inode *i = inode_of(f);
	size_t there = 0;

	if (off < 0)
		return -EINVAL;
	if ((uint64_t)off >= i->attr.size || size == 0)
		return 0;
	if (size > i->attr.size - (uint64_t)off)
		size = i->attr.size - (uint64_t)off;
	if ((uint64_t)off < i->len) {
		there = i->len - (size_t)off < size ? i->len - (size_t)off : size;
		memcpy(bytes, i->data + off, there);
	}
	memset((char *)bytes + there, 0, size - there);
	return (ssize_t)size;
}

static off_t file_seek(struct layer_file *f, off_t off, int whence)
{
	const struct mem_inode *i = inode_of(f);
	bool in_data;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (off < 0 || (uint64_t)off >= i->attr.size)
		return -ENXIO;
	in_data = (uint64_t)off < i->len;
	if (whence == SEEK_DATA)
		return in_data ? off : -ENXIO;
	return in_data ? (off_t)i->len : off;
}

static int file_fd(struct layer_file *f)
{
	(void)f;
	return -EOPNOTSUPP;
}

static void file_close(struct layer_file *f)
{
	free(f);
}

/* Depth first without recursion: a tree may be deeper than the stack. */
static void free_tree(struct mem_node *n)
{
	while (n != NULL) {
		struct mem_node *child = n->children, *up;

		if (child != NULL) {
			n->children = child->next;
			n = child;
			continue;
		}
		up = n->parent;
		free(n->name);
		free(n);
		n = up;
	}
}

static void free_inode(struct mem_inode *i)
{
	while (i->xattrs != NULL) {
		struct mem_xattr *x = i->xattrs;

		i->xattrs = x->next;
		free(x->name);
		free(x->value);
		free(x);
	}
	free(i->link);
	free(i->target);
	free(i->redirect);
	free(i->data);
	free(i);
}

static void mem_close(struct layer *l)
{
	struct mem_layer *m = mem_of(l);

	free_tree(m->root);
	while (m->inodes != NULL) {
		struct mem_inode *i = m->inodes;

		m->inodes = i->next;
		free_inode(i);
	}
	free(l->path);
	free(l);
}

static bool lists_all(struct layer *l, struct layer_dir *dir)
{
	(void)l;
	(void)dir;
	return true;
}

static const struct layer_ops mem_ops = {
	.kind = "mem",
	.root = root,
	.lookup = lookup,
	.dir_entry = dir_entry,
	.list = list,
	.lists_all = lists_all,
	.getattr = getattr,
	.readlink = mem_readlink,
	.getxattr = mem_getxattr,
	.listxattr = mem_listxattr,
	.open = mem_open,
	.statfs = mem_statfs,
	.identity = identity,
	.dir_ref = dir_ref,
	.dir_unref = dir_unref,
	.file_read = file_read,
	.file_seek = file_seek,
	.file_fd = file_fd,
	.file_close = file_close,
	.close = mem_close,
};

int layer_open_mem(const char *text, const char *path, uint32_t trust, struct layer **ret_layer,
		   struct err *err)
{
	CLEANUP(layer) struct layer *l = calloc(1, sizeof(struct mem_layer));
	struct mem_layer *m = (struct mem_layer *)l;
	int r;

	if (l == NULL)
		return err_errno(err, ENOMEM, "%s", path);
	l->ops = &mem_ops;
	l->trust = trust;
	l->path = strdup(path);
	if (l->path == NULL || mem_add(m, NULL, "") == NULL)
		return err_errno(err, ENOMEM, "%s", path);
	m->root->inode = mem_add_inode(m, S_IFDIR | 0755);
	if (m->root->inode == NULL)
		return err_errno(err, ENOMEM, "%s", path);
	m->id = hash128(text, strlen(text));
	r = mem_parse(m, text, err);
	if (r < 0)
		return r;
	*ret_layer = steal_ptr(&l);
	return 0;
}
