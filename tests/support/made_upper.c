/* SPDX-License-Identifier: Apache-2.0 */
/* An upper made record by record, and the layer on it. */
#include "support/made_upper.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

void made_upper_make_in(struct made_upper *u)
{
	struct catalog_options co = {.mode = CATALOG_WRITE, .create = true, .no_threads = true};
	struct data_options options = {.chunk_shift = CHUNK_SHIFT, .whole_max = 1};
	CLEANUP(err) struct err err = {0};
	CLEANUP(fd) int dir = -1;
	CLEANUP(fd) int data = -1;

	cr_assert_eq(mkdirat(u->tmp.fd, ".plyfs", 0700), 0);
	cr_assert_eq(mkdirat(u->tmp.fd, ".plyfs/data", 0700), 0);
	dir = openat(u->tmp.fd, ".plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	data = openat(u->tmp.fd, ".plyfs/data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(catalog_open(dir, &co, &u->catalog, &err), 0, "%s", err_text(&err));
	cr_assert_eq(data_open(data, u->catalog, &options, &u->data, &err), 0, "%s",
		     err_text(&err));
}

void made_upper_make(struct made_upper *u)
{
	tmpdir_make(&u->tmp);
	made_upper_make_in(u);
}

void made_upper_close(struct made_upper *u)
{
	data_close(steal_ptr(&u->data));
	catalog_close(steal_ptr(&u->catalog));
}

void made_upper_done(struct made_upper *u)
{
	made_upper_close(u);
	tmpdir_done(&u->tmp);
}

void made_record(struct made_upper *u, uint64_t parent, const char *name,
		 const struct inode_rec *rec)
{
	CLEANUP(batch) struct batch b = {0};

	batch_begin(&b, u->catalog);
	batch_put_inode(&b, rec);
	if (name != NULL)
		batch_put_entry(&b, parent, name, strlen(name), rec->attr.ino,
				attr_dtype(rec->attr.mode));
	cr_assert_eq(catalog_commit(u->catalog, &b), 0);
}

void made_name(struct made_upper *u, uint64_t parent, const char *name, uint64_t ino, uint8_t dtype)
{
	CLEANUP(batch) struct batch b = {0};

	batch_begin(&b, u->catalog);
	batch_put_entry(&b, parent, name, strlen(name), ino, dtype);
	cr_assert_eq(catalog_commit(u->catalog, &b), 0);
}

void made_whiteout(struct made_upper *u, uint64_t parent, const char *name)
{
	CLEANUP(batch) struct batch b = {0};

	batch_begin(&b, u->catalog);
	batch_put_whiteout(&b, parent, name, strlen(name));
	cr_assert_eq(catalog_commit(u->catalog, &b), 0);
}

void made_dir(struct made_upper *u, uint64_t parent, const char *name, uint64_t ino,
	      const char *origin)
{
	struct inode_rec rec = {
		.attr = {.ino = ino, .mode = S_IFDIR | 0750, .nlink = 1, .uid = 11, .gid = 12},
		.parent = parent,
		.origin = origin != NULL ? strdup(origin) : NULL,
	};

	made_record(u, parent, name, &rec);
	inode_rec_done(&rec);
}

void made_inline(struct made_upper *u, uint64_t parent, const char *name, uint64_t ino,
		 uint32_t type, const char *bytes)
{
	CLEANUP(batch) struct batch b = {0};
	struct inode_rec rec = {
		.attr = {.ino = ino, .mode = type | 0640, .nlink = 1, .size = strlen(bytes)},
		.where = BYTES_INLINE,
	};

	made_record(u, parent, name, &rec);
	batch_begin(&b, u->catalog);
	batch_put_inline(&b, ino, bytes, strlen(bytes));
	cr_assert_eq(catalog_commit(u->catalog, &b), 0);
}

void made_lower(struct made_upper *u, uint64_t parent, const char *name, uint64_t ino,
		const char *origin, uint64_t size, uint32_t nlink)
{
	struct inode_rec rec = {
		.attr = {.ino = ino, .mode = S_IFREG | 0600, .nlink = nlink, .size = size},
		.where = BYTES_LOWER,
		.lower_size = size,
		.origin = strdup(origin),
	};

	made_record(u, parent, name, &rec);
	inode_rec_done(&rec);
}

static ssize_t below_read(void *arg, void *bytes, size_t size, off_t off)
{
	return layer_file_read(arg, bytes, size, off);
}

static off_t below_seek(void *arg, off_t off, int whence)
{
	return layer_file_seek(arg, off, whence);
}

void made_write(struct made_upper *u, uint64_t ino, struct layer_file *below, const void *bytes,
		size_t size, off_t off)
{
	struct data_source src = {below_read, below_seek, below, -1};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(batch) struct batch b = {0};
	bool changed = false;

	cr_assert_eq(catalog_inode(u->catalog, ino, &rec), 0);
	batch_begin(&b, u->catalog);
	cr_assert_eq(data_write(u->data, &rec, below != NULL ? &src : NULL, bytes, size, off, &b,
				&changed),
		     0);
	if (!changed)
		return;
	batch_put_inode(&b, &rec);
	cr_assert_eq(catalog_commit(u->catalog, &b), 0);
}

void made_truncate(struct made_upper *u, uint64_t ino, uint64_t size)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(batch) struct batch b = {0};
	bool changed = false;

	cr_assert_eq(catalog_inode(u->catalog, ino, &rec), 0);
	batch_begin(&b, u->catalog);
	cr_assert_eq(data_truncate(u->data, &rec, NULL, size, &b, &changed), 0);
	if (!changed)
		return;
	batch_put_inode(&b, &rec);
	cr_assert_eq(catalog_commit(u->catalog, &b), 0);
}

/* A directory of the tree that is being written. */
struct place {
	struct layer *from;
	struct layer_dir *dir;
	uint64_t ino;	  /* in the catalog */
	const char *path; /* "" for the root */
};

static char *join(const char *dir, const char *name)
{
	CLEANUP(buf) struct buf path = {0};

	buf_printf(&path, "%s%s%s", dir, dir[0] != '\0' ? "/" : "", name);
	cr_assert_not_null(buf_cstr(&path));
	return (char *)steal_ptr(&path.data);
}

/* NULL: nothing of a layer below shows through. */
static char *origin_of(const struct place *at, const char *name, const struct layer_entry *e)
{
	if (S_ISDIR(e->attr.mode) ? (e->flags & LAYER_OPAQUE) != 0
				  : (e->flags & LAYER_METACOPY) == 0)
		return NULL;
	if (e->redirect == NULL)
		return name != NULL ? join(at->path, name) : strdup("");
	return e->redirect[0] == '/' ? strdup(e->redirect + 1) : join(at->path, e->redirect);
}

/* FROM's numbers begin with the root's, as a catalog's do. */
static uint64_t ino_of(const struct layer_entry *e, const char *origin)
{
	if (origin == NULL || e->attr.ino == CATALOG_ROOT_INO)
		return e->attr.ino;
	return ABOVE(e->attr.ino);
}

/* Returns whether there are any. */
static bool put_xattrs(struct batch *b, const struct place *at, const char *name, uint64_t ino)
{
	CLEANUP(buf) struct buf names = {0};
	char value[4096];
	size_t i;

	cr_assert_eq(layer_listxattr(at->from, at->dir, name, &names), 0);
	for (i = 0; i < names.len; i += strlen((char *)names.data + i) + 1) {
		const char *xattr = (const char *)names.data + i;
		ssize_t n = layer_getxattr(at->from, at->dir, name, xattr, value, sizeof(value));

		cr_assert_geq(n, 0, "%s", xattr);
		batch_put_xattr(b, ino, xattr, value, (size_t)n);
	}
	return names.len > 0;
}

static void put_target(struct batch *b, const struct place *at, const char *name,
		       struct inode_rec *rec)
{
	char target[PATH_MAX];
	ssize_t n = layer_readlink(at->from, at->dir, name, target, sizeof(target));

	cr_assert_gt(n, 0);
	batch_put_inline(b, rec->attr.ino, target, (size_t)n);
	rec->attr.size = (uint64_t)n;
}

/* Everything of an inode but the bytes of a regular file; NAME NULL: of the directory itself. */
static void write_record(struct made_upper *u, const struct place *at, const char *name,
			 const struct layer_entry *e, uint64_t ino, const char *origin)
{
	CLEANUP(batch) struct batch b = {0};
	struct inode_rec rec = {.attr = e->attr, .origin = (char *)(uintptr_t)origin};

	rec.attr.ino = ino;
	batch_begin(&b, u->catalog);
	if (put_xattrs(&b, at, name, ino))
		rec.flags = INODE_HAS_XATTRS | INODE_HAS_ACL | INODE_HAS_CAPS;
	if (S_ISDIR(e->attr.mode)) {
		rec.attr.nlink = 1;
		rec.parent = at->ino;
	} else if (S_ISLNK(e->attr.mode)) {
		put_target(&b, at, name, &rec);
	} else if (origin != NULL) {
		rec.where = BYTES_LOWER;
		rec.lower_size = e->attr.size;
	} else {
		rec.attr.size = 0;
	}
	batch_put_inode(&b, &rec);
	cr_assert_eq(catalog_commit(u->catalog, &b), 0);
}

/* Data where the layer has data; the rest stays a hole. */
static void write_bytes(struct made_upper *u, const struct place *at, const char *name,
			uint64_t ino, const struct attr *a)
{
	CLEANUP(layer_file) struct layer_file *f = NULL;
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	static char bytes[1 << 16];
	off_t off = 0, end;

	cr_assert_eq(layer_open(at->from, at->dir, name, &f), 0);
	while ((off = layer_file_seek(f, off, SEEK_DATA)) >= 0) {
		end = layer_file_seek(f, off, SEEK_HOLE);
		cr_assert_gt(end, off);
		while (off < end) {
			size_t left = (size_t)(end - off);
			ssize_t n = layer_file_read(
				f, bytes, left < sizeof(bytes) ? left : sizeof(bytes), off);

			cr_assert_gt(n, 0);
			made_write(u, ino, NULL, bytes, (size_t)n, off);
			off += n;
		}
	}
	made_truncate(u, ino, a->size);
	cr_assert_eq(catalog_inode(u->catalog, ino, &rec), 0);
	cr_assert_eq(data_set_mtime(u->data, &rec, &a->mtime), 0);
}

static void write_names(struct made_upper *u, const struct place *at);

static void write_inode(struct made_upper *u, const struct place *at, const char *name,
			const struct layer_entry *e, uint64_t ino, const char *origin)
{
	write_record(u, at, name, e, ino, origin);
	if (S_ISDIR(e->attr.mode)) {
		CLEANUP(free) char *path = join(at->path, name);
		const struct place inside = {at->from, e->dir, ino, path};

		write_names(u, &inside);
	} else if (S_ISREG(e->attr.mode) && origin == NULL) {
		write_bytes(u, at, name, ino, &e->attr);
	}
}

static void write_name(struct made_upper *u, const struct place *at, const char *name,
		       const struct layer_entry *e)
{
	CLEANUP(inode_rec) struct inode_rec linked = {0};
	CLEANUP(free) char *origin = NULL;
	uint64_t ino;

	if ((e->flags & LAYER_WHITEOUT) != 0) {
		made_whiteout(u, at->ino, name);
		return;
	}
	origin = origin_of(at, name, e);
	ino = ino_of(e, origin);
	if (S_ISDIR(e->attr.mode) || catalog_inode(u->catalog, ino, &linked) == -ENOENT)
		write_inode(u, at, name, e, ino, origin);
	made_name(u, at->ino, name, ino, attr_dtype(e->attr.mode));
}

static void write_names(struct made_upper *u, const struct place *at)
{
	CLEANUP(layer_list) struct layer_list list = {0};
	size_t i;

	cr_assert_eq(layer_readdir(at->from, at->dir, &list), 0);
	for (i = 0; i < list.n; i++) {
		const char *name = (const char *)list.text.data + list.names[i].off;
		struct layer_entry e = {0};

		cr_assert_eq(layer_lookup(at->from, at->dir, name, &e), 0, "%s", name);
		write_name(u, at, name, &e);
		layer_entry_done(at->from, &e);
	}
}

void made_tree(struct made_upper *u, struct layer *from)
{
	struct place root = {.from = from, .ino = CATALOG_ROOT_INO, .path = ""};
	CLEANUP(free) char *origin = NULL;
	struct layer_entry e = {0};

	cr_assert_eq(layer_root(from, &root.dir), 0);
	cr_assert_eq(layer_dir_entry(from, root.dir, &e), 0);
	cr_assert_eq(e.attr.ino, CATALOG_ROOT_INO);
	origin = origin_of(&root, NULL, &e);
	write_record(u, &root, NULL, &e, CATALOG_ROOT_INO, origin);
	write_names(u, &root);
	layer_entry_done(from, &e);
	layer_dir_unref(from, root.dir);
}

struct layer *made_upper_layer(struct made_upper *u)
{
	struct layer_options options = {0};
	CLEANUP(err) struct err err = {0};
	struct layer *l = NULL;
	int fd = fcntl(u->tmp.fd, F_DUPFD_CLOEXEC, 3);

	cr_assert(layer_is_upper(u->tmp.fd));
	cr_assert_eq(layer_open_upper(fd, u->tmp.path, &options, &l, &err), 0, "%s",
		     err_text(&err));
	return l;
}
