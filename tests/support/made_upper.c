/* SPDX-License-Identifier: Apache-2.0 */
/* An upper made record by record, and the layer on it. */
#include "support/made_upper.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

void made_upper_make(struct made_upper *u)
{
	struct catalog_options co = {.mode = CATALOG_WRITE, .create = true, .no_threads = true};
	struct data_options options = {.chunk_shift = CHUNK_SHIFT, .whole_max = 1};
	CLEANUP(err) struct err err = {0};
	CLEANUP(fd) int dir = -1;
	CLEANUP(fd) int data = -1;

	tmpdir_make(&u->tmp);
	cr_assert_eq(mkdirat(u->tmp.fd, ".plyfs", 0700), 0);
	cr_assert_eq(mkdirat(u->tmp.fd, ".plyfs/data", 0700), 0);
	dir = openat(u->tmp.fd, ".plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	data = openat(u->tmp.fd, ".plyfs/data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(catalog_open(dir, &co, &u->catalog, &err), 0, "%s", err_text(&err));
	cr_assert_eq(data_open(data, u->catalog, &options, &u->data, &err), 0, "%s",
		     err_text(&err));
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

struct layer *made_upper_layer(struct made_upper *u)
{
	struct layer_options options = {0};
	CLEANUP(err) struct err err = {0};
	struct layer *l = NULL;
	int fd = fcntl(u->tmp.fd, F_DUPFD_CLOEXEC, 3);

	cr_assert(layer_is_upper(u->tmp.fd));
	cr_assert_eq(layer_open_auto(fd, u->tmp.path, &options, &l, &err), 0, "%s", err_text(&err));
	return l;
}
