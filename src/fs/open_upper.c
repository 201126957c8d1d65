/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the upper: its catalog, its data, its root, and the layers it was made over. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "fs/change.h"
#include "fs/open.h"

/* The sentence of an error that is none after all. */
static void forget(struct err *err)
{
	if (err != NULL)
		err_done(err);
}

/*
 * How a new upper gets onto the disk. The order is what matters:
 *
 * 1. .plyfs, and the catalog's file under another name; that file is flushed, and gets its name;
 * 2. the journals, and data/ beside them; .plyfs is flushed (the catalog does it, and calls beside());
 * 3. the upper is flushed (fs_upper_check_stack());
 * 4. the first record is committed, the stack of the layers.
 *
 * So nobody was told that anything is durable before all names are. A power cut before 3 leaves an upper without .plyfs, or with
 * any part of what is in it, of which catalog.mdb is whole if it is there; the next mount makes the rest. A kill before 4
 * leaves a catalog without a record: whoever finds one flushes 2 and 3 again, as the names may be in the page cache only.
 */
static int make_dir(const char *name, int at)
{
	return mkdirat(at, name, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

/* A directory AT that may not be read (O_PATH) cannot be flushed, and some file systems have nothing to flush. */
static int flush_dir(const struct fs *fs, int at)
{
	if (fs->options->no_sync || fsync(at) == 0 || errno == EBADF || errno == EINVAL)
		return 0;
	return -errno;
}

static int open_dir(const char *name, int at, int *ret_fd)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* Where data/ is missing beside a catalog with records somebody has removed it. Its name is on the disk before anything in it is. */
static int restore_data(const struct fs *fs, int dir)
{
	int r;

	if (mkdirat(dir, "data", 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	r = flush_dir(fs, dir);
	/* The next open would take it for one that is on the disk. */
	if (r < 0)
		unlinkat(dir, "data", AT_REMOVEDIR);
	return r;
}

static int open_data_dir(const struct fs *fs, bool restore, int dir, int *ret_fd)
{
	int r = restore ? restore_data(fs, dir) : 0;

	return r < 0 ? r : open_dir("data", dir, ret_fd);
}

static int explain_upper(const struct fs *fs, int r, struct err *err)
{
	const char *path = fs->options->upper;

	if (r == -EROFS)
		return err_set(
			err, EROFS,
			"upper %s is on a read-only file system: choose another, or mount with -o ro",
			path);
	if (r == -EACCES || r == -EPERM)
		return err_set(err, -r, "upper %s cannot be written by this user", path);
	return err_errno(err, -r, "upper %s", path);
}

struct opening {
	const struct fs *fs;
	int dir; /* .plyfs */
};

static int replayed(void *arg, struct catalog *c, struct batch *fixes)
{
	const struct opening *o = arg;
	CLEANUP(fd) int data = -1;
	int r = open_data_dir(o->fs, false, o->dir, &data);

	/* Where it is missing it is made later, which can fail: the records are mended without it. */
	if (r == 0 || r == -ENOENT)
		return fs_recover_replayed(o->fs->options, c, data, fixes);
	log_warn("upper %s: .plyfs/data: %s", o->fs->options->upper, strerror(-r));
	return r;
}

static int lost(void *arg, struct catalog *c, struct err *err)
{
	const struct opening *o = arg;

	return fs_keep_lost(o->fs->options, c, o->dir, err);
}

static int beside(void *arg, struct err *err)
{
	const struct opening *o = arg;
	int r = make_dir("data", o->dir);

	return r < 0 ? err_errno(err, -r, ".plyfs/data") : 0;
}

static int open_catalog(struct fs *fs, int dir, enum catalog_mode mode, struct err *err)
{
	struct opening opening = {fs, dir};
	struct catalog_options co = {
		.mode = mode,
		.create = mode == CATALOG_WRITE,
		.no_sync = fs->options->no_sync,
		.map = fs->options->catalog_map,
		.replayed = replayed,
		.lost = lost,
		.beside = beside,
		.arg = &opening,
	};
	int r = catalog_open(dir, &co, &fs->catalog, err);

	if (r < 0 && r != -EBUSY && r != -ENOENT)
		err_wrap(err, "upper %s", fs->options->upper);
	return r;
}

static int open_data(struct fs *fs, int dir, struct err *err)
{
	struct data_options o = {
		.read_only = fs->read_only,
		.no_sync = fs->options->no_sync,
		.keep_sums = fs->options->integrity,
	};
	struct catalog_hooks hooks;
	CLEANUP(fd) int fd = -1;
	int r = open_data_dir(fs, !fs->read_only, dir, &fd);

	if (r < 0)
		return explain_upper(fs, r, err);
	r = data_open(fd, fs->catalog, &o, &fs->data, err);
	if (r < 0)
		err_wrap(err, "upper %s", fs->options->upper);
	if (r < 0 || fs->read_only)
		return r;
	hooks = data_hooks(fs->data);
	catalog_set_hooks(fs->catalog, &hooks);
	return 0;
}

int fs_upper_open(struct fs *fs, struct err *err)
{
	bool write = !fs->options->read_only;
	CLEANUP(fd) int dir = -1;
	int r = write ? make_dir(".plyfs", fs->upper_fd) : 0;

	if (r == 0)
		r = open_dir(".plyfs", fs->upper_fd, &dir);
	/* Asked for read-only, an upper without a catalog is a directory like a lower one. */
	if (r == -ENOENT && !write) {
		fs->read_only = true;
		return 0;
	}
	if (r < 0)
		return explain_upper(fs, r, err);
	fs->read_only = !write;
	r = open_catalog(fs, dir, write ? CATALOG_WRITE : CATALOG_SNAPSHOT, err);
	if (r == -EBUSY && write) {
		forget(err);
		fs->read_only = fs->snapshot = true;
		r = open_catalog(fs, dir, CATALOG_SNAPSHOT, err);
	}
	if (r == -ENOENT && fs->read_only) {
		forget(err);
		return 0;
	}
	return r < 0 ? r : open_data(fs, dir, err);
}

int layer_describe(struct layer *layer, struct buf *out, struct err *err)
{
	struct hash128 id;
	int r = layer_identity(layer, &id);

	/* A layer without an identity of its own is known by its path. */
	if (r == -EOPNOTSUPP)
		id = hash128(layer->path, strlen(layer->path));
	else if (r < 0)
		return err_errno(err, -r, "layer %s", layer->path);
	buf_printf(out, "%016" PRIx64 "%016" PRIx64 " %s\n", id.high, id.low, layer->path);
	return buf_ok(out) ? 0 : err_set(err, ENOMEM, "out of memory");
}

int stack_describe(const struct fs *fs, size_t n_own, struct buf *out, struct err *err)
{
	int r = 0;

	for (size_t i = n_own; r == 0 && i < stack_count(fs->stack); i++)
		r = layer_describe(stack_layer(fs->stack, i), out, err);
	return r;
}

/* One line of a description, without its end; advances *TEXT. */
static const char *next_line(const char **text, size_t *ret_len)
{
	const char *line = *text;

	*ret_len = strcspn(line, "\n");
	*text = line + *ret_len + (line[*ret_len] == '\n');
	return line;
}

/* Names the first layer that differs. */
static int compare_stacks(const struct fs *fs, const char *was, const char *is, struct err *err)
{
	for (size_t n = 1; *was != '\0' || *is != '\0'; n++) {
		size_t was_len, is_len;
		const char *a = next_line(&was, &was_len), *b = next_line(&is, &is_len);

		if (was_len > STACK_ID_LEN && is_len > STACK_ID_LEN &&
		    memcmp(a, b, STACK_ID_LEN) == 0)
			continue;
		return err_set(
			err, ESTALE,
			"upper %s was made over other layers: layer %zu from the top was \"%.*s\" and is \"%.*s\" now; "
			"mount it over the layers it was made over, or take these with -o lower_changed=accept",
			fs->options->upper, n,
			was_len > STACK_ID_LEN ? (int)was_len - STACK_ID_LEN - 1 : 0,
			a + (was_len > STACK_ID_LEN ? STACK_ID_LEN + 1 : 0),
			is_len > STACK_ID_LEN ? (int)is_len - STACK_ID_LEN - 1 : 0,
			b + (is_len > STACK_ID_LEN ? STACK_ID_LEN + 1 : 0));
	}
	return 0;
}

/* MIXED: there are records of another stack. */
static int put_stack(struct fs *fs, const struct buf *now, bool mixed, struct err *err)
{
	CLEANUP(batch) struct batch b = {0};
	int r;

	batch_begin(&b, fs->catalog);
	batch_put_super(&b, SUPER_STACK, now->data, now->len);
	if (mixed)
		batch_put_super(&b, SUPER_MIXED, "1", 1);
	r = catalog_commit(fs->catalog, &b);
	return r < 0 ? err_errno(err, -r, "upper %s", fs->options->upper) : 0;
}

int fs_upper_check_stack(struct fs *fs, const struct layers *l, struct err *err)
{
	CLEANUP(buf) struct buf was = {0};
	CLEANUP(buf) struct buf now = {0};
	bool mixed = false;
	int r = stack_describe(fs, l->n_own, &now, err);
	bool is_new;

	if (r < 0)
		return r;
	r = catalog_super(fs->catalog, SUPER_STACK, &was);
	if (r < 0 && r != -ENOENT)
		return err_errno(err, -r, "upper %s", fs->options->upper);
	is_new = r == -ENOENT;
	if (r == 0 && buf_cstr(&was) != NULL && buf_cstr(&now) != NULL) {
		r = compare_stacks(fs, buf_cstr(&was), buf_cstr(&now), err);
		if (r < 0 && !fs->options->any_lower)
			return r;
		if (r == 0)
			return 0;
		log_warn("%s", err_text(err));
		forget(err);
		mixed = stack_on_top(buf_cstr(&was), buf_cstr(&now)) < 0;
		r = fs_upper_accept(fs, buf_cstr(&was), buf_cstr(&now));
		if (r < 0)
			return err_errno(err, -r, "upper %s", fs->options->upper);
	}
	if (fs->read_only)
		return 0;
	r = is_new ? flush_dir(fs, fs->upper_fd) : 0;
	return r < 0 ? explain_upper(fs, r, err) : put_stack(fs, &now, mixed, err);
}

/* One xattr of the upper's directory into the record of the root. */
static int copy_root_xattr(struct layer *l, struct layer_dir *dir, const char *name,
			   struct change *ch, struct inode_rec *rec)
{
	CLEANUP(free) char *value = NULL;
	ssize_t len = layer_getxattr(l, dir, NULL, name, NULL, 0);

	if (len >= 0) {
		value = malloc((size_t)len + 1);
		if (value == NULL)
			return -ENOMEM;
		len = layer_getxattr(l, dir, NULL, name, value, (size_t)len + 1);
	}
	return change_take_xattr(ch, rec, name, value, len);
}

static int copy_root(struct layer *l, struct layer_dir *dir, struct change *ch,
		     const struct attr *attr)
{
	CLEANUP(buf) struct buf names = {0};
	struct inode_rec *rec;
	size_t at = 0;
	int r = change_new(ch, CATALOG_ROOT_INO, attr->mode, attr->uid, attr->gid, &rec);

	if (r < 0)
		return r;
	rec->attr.atime = ch->fs->upper_st.st_atim;
	rec->attr.mtime = ch->fs->upper_st.st_mtim;
	rec->attr.ctime = ch->fs->upper_st.st_ctim;
	rec->parent = CATALOG_ROOT_INO;
	rec->origin = strdup("");
	if (rec->origin == NULL)
		return -ENOMEM;
	r = layer_listxattr(l, dir, NULL, &names);
	while (r == 0 && at < names.len) {
		const char *name = (const char *)names.data + at;

		r = copy_root_xattr(l, dir, name, ch, rec);
		at += strlen(name) + 1;
	}
	return r;
}

/* How many sub-directories the root shows is known only where one layer alone makes it. */
static uint32_t root_nlink(struct fs *fs)
{
	struct attr attr;

	if (union_dir_parts(fs->root) == 0)
		return 2;
	if (union_dir_parts(fs->root) > 1 || union_getattr(fs->root, NULL, 0, &attr) < 0)
		return 1;
	return attr.nlink;
}

int fs_upper_make_root(struct fs *fs, struct layer *root, struct err *err)
{
	CLEANUP(inode_rec) struct inode_rec have = {0};
	CLEANUP(change) struct change ch = {0};
	struct layer_dir *dir;
	struct attr attr;
	int r = catalog_inode(fs->catalog, CATALOG_ROOT_INO, &have);

	if (r != -ENOENT)
		return r < 0 ? err_errno(err, -r, "upper %s", fs->options->upper) : 0;
	r = layer_root(root, &dir);
	if (r < 0)
		return err_errno(err, -r, "upper %s", fs->options->upper);
	r = layer_getattr(root, dir, NULL, &attr);
	if (r == 0)
		r = change_begin(&ch, fs);
	if (r == 0)
		r = copy_root(root, dir, &ch, &attr);
	if (r == 0) {
		ch.recs[0]->attr.nlink = root_nlink(fs);
		r = change_commit(&ch);
	}
	layer_dir_unref(root, dir);
	return r < 0 ? err_errno(err, -r, "upper %s", fs->options->upper) : 0;
}
