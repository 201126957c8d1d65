/* SPDX-License-Identifier: Apache-2.0 */
/* Operations by path. */
#include "unit/faults/drive.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/private.h"

int drive_open(struct drive *d, const char *upper, unsigned int how, struct err *err)
{
	int r;

	*d = (struct drive){0};
	fs_options_init(&d->o);
	d->o.lower = calloc(1, sizeof(*d->o.lower));
	d->o.lower[d->o.n_lower++] = strdup("l0");
	d->o.upper = strdup(upper);
	d->o.no_sync = how & DRIVE_NO_SYNC;
	r = fs_open(&d->o, &d->fs, err);
	if (r < 0) {
		fs_options_done(&d->o);
		return r;
	}
	/* Then a workload makes the same calls in the same order every time. */
	if (!(how & DRIVE_THREADS))
		catalog_be_quiet(d->fs->catalog);
	r = fs_start(d->fs);
	if (r < 0)
		drive_close(d);
	return r;
}

void drive_close(struct drive *d)
{
	for (size_t i = 0; i < d->n_held; i++)
		fs_forget(d->fs, d->held[i], 1);
	fs_close(d->fs);
	fs_options_done(&d->o);
	*d = (struct drive){0};
}

/* LEN bytes of PATH; the inode is looked up, but for the root. */
static int walk(struct drive *d, const char *path, size_t len, struct fs_entry *ret_entry)
{
	struct fs_entry at = {.ino = FS_ROOT_INO};
	int r = fs_getattr(d->fs, FS_ROOT_INO, &at.attr);

	while (r == 0 && len > 0) {
		const char *slash = memchr(path, '/', len);
		size_t n = slash != NULL ? (size_t)(slash - path) : len;
		char name[SHADOW_PATH + 1] = "";
		struct fs_entry next = {0};

		memcpy(name, path, n);
		r = fs_lookup(d->fs, at.ino, name, &next);
		if (at.ino != FS_ROOT_INO)
			fs_forget(d->fs, at.ino, 1);
		at = next;
		path += n + (slash != NULL);
		len -= n + (slash != NULL);
	}
	if (r == 0)
		*ret_entry = at;
	return r;
}

static void give_back(struct drive *d, uint64_t ino)
{
	if (ino != FS_ROOT_INO)
		fs_forget(d->fs, ino, 1);
}

/* An inode of PATH, and when WITH_NAME the directory of PATH and its last name instead. */
struct place {
	struct drive *d;
	struct fs_entry e;
	const char *name;
	int r;
};

static void place_done(struct place *p)
{
	if (p->r == 0)
		give_back(p->d, p->e.ino);
}
DEFINE_CLEANUP(struct place, place, place_done)

static int find(struct drive *d, const char *path, struct place *ret_place)
{
	ret_place->d = d;
	ret_place->r = walk(d, path, strlen(path), &ret_place->e);
	return ret_place->r;
}

static int find_above(struct drive *d, const char *path, struct place *ret_place)
{
	const char *slash = strrchr(path, '/');

	ret_place->d = d;
	ret_place->name = slash != NULL ? slash + 1 : path;
	ret_place->r = walk(d, path, slash != NULL ? (size_t)(slash - path) : 0, &ret_place->e);
	return ret_place->r;
}

static const struct fs_caller root = {.pid = 1};

static int make(struct drive *d, const struct shadow_op *op)
{
	CLEANUP(place) struct place at = {.r = -1};
	struct fs_entry e;
	int r = find_above(d, op->path, &at);

	if (r < 0)
		return r;
	switch (op->kind) {
	case SHADOW_MKDIR:
		r = fs_mkdir(d->fs, &root, at.e.ino, at.name, op->mode, &e);
		break;
	case SHADOW_SYMLINK:
		r = fs_symlink(d->fs, &root, at.e.ino, at.name, op->path2, &e);
		break;
	default:
		r = fs_mknod(d->fs, &root, at.e.ino, at.name,
			     (op->kind == SHADOW_FIFO ? S_IFIFO : S_IFREG) | op->mode, 0, 0, &e);
	}
	if (r == 0)
		give_back(d, e.ino);
	return r;
}

static int name_op(struct drive *d, const struct shadow_op *op)
{
	CLEANUP(place) struct place at = {.r = -1};
	CLEANUP(place) struct place to = {.r = -1};
	CLEANUP(place) struct place old = {.r = -1};
	struct fs_entry e;
	int r = find_above(d, op->path, &at);

	if (r == 0 && (op->kind == SHADOW_LINK || op->kind == SHADOW_RENAME))
		r = find_above(d, op->path2, &to);
	if (r == 0 && op->kind == SHADOW_LINK)
		r = find(d, op->path, &old);
	if (r < 0)
		return r;
	switch (op->kind) {
	case SHADOW_UNLINK:
		return fs_unlink(d->fs, at.e.ino, at.name);
	case SHADOW_RMDIR:
		return fs_rmdir(d->fs, at.e.ino, at.name);
	case SHADOW_RENAME:
		return fs_rename(d->fs, &root, at.e.ino, at.name, to.e.ino, to.name, 0, NULL);
	default:
		r = fs_link(d->fs, old.e.ino, to.e.ino, to.name, &e);
		if (r == 0)
			give_back(d, e.ino);
		return r;
	}
}

static int write_op(struct drive *d, const struct shadow_op *op, uint64_t ino)
{
	CLEANUP(free) uint8_t *bytes = malloc(op->len + 1);
	ssize_t n;

	shadow_fill(bytes, op->off, op->len, op->seed);
	n = fs_write(d->fs, ino, bytes, op->len, (off_t)op->off, 0);
	return n < 0 ? (int)n : 0;
}

static int ino_op(struct drive *d, const struct shadow_op *op)
{
	CLEANUP(place) struct place at = {.r = -1};
	struct attr attr = {.mode = op->mode, .size = op->off}, now;
	char value[16];
	int r = find(d, op->path, &at);

	if (r < 0)
		return r;
	switch (op->kind) {
	case SHADOW_WRITE:
		return write_op(d, op, at.e.ino);
	case SHADOW_TRUNCATE:
		return fs_setattr(d->fs, at.e.ino, FS_SET_SIZE, &attr, &now);
	case SHADOW_PUNCH:
		return fs_fallocate(d->fs, at.e.ino, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    (off_t)op->off, (off_t)op->len);
	case SHADOW_CHMOD:
		return fs_setattr(d->fs, at.e.ino, FS_SET_MODE, &attr, &now);
	case SHADOW_SETXATTR:
		snprintf(value, sizeof(value), "%u", op->seed);
		return fs_setxattr(d->fs, at.e.ino, SHADOW_XATTR, value, strlen(value), 0, false);
	case SHADOW_RMXATTR:
		return fs_removexattr(d->fs, at.e.ino, SHADOW_XATTR);
	default:
		return fs_fsync(d->fs, at.e.ino, false);
	}
}

int drive_apply(struct drive *d, const struct shadow_op *op)
{
	switch (op->kind) {
	case SHADOW_CREATE:
	case SHADOW_MKDIR:
	case SHADOW_FIFO:
	case SHADOW_SYMLINK:
		return make(d, op);
	case SHADOW_LINK:
	case SHADOW_UNLINK:
	case SHADOW_RMDIR:
	case SHADOW_RENAME:
		return name_op(d, op);
	case SHADOW_SYNCFS:
		return fs_syncfs(d->fs);
	case SHADOW_CHECKPOINT:
		return catalog_checkpoint(d->fs->catalog);
	default:
		return ino_op(d, op);
	}
}

int drive_hold(struct drive *d, const char *path)
{
	struct fs_entry e;
	int r = walk(d, path, strlen(path), &e);

	if (r == 0)
		d->held[d->n_held++] = e.ino;
	return r;
}

/* ---- the view ------------------------------------------------------------------------ */

struct listing {
	void (*each)(void *to, const char *name);
	void *to;
};

static bool emit(void *arg, const struct fs_dirent *entries, size_t n)
{
	struct listing *l = arg;
	char name[256];

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%.*s", (int)entries[i].len, entries[i].name);
		l->each(l->to, name);
	}
	return true;
}

static int view_list(void *arg, const char *path, void (*each)(void *to, const char *name),
		     void *to)
{
	struct drive *d = arg;
	CLEANUP(place) struct place at = {.r = -1};
	struct listing l = {each, to};
	int r = find(d, path, &at);

	return r < 0 ? r : fs_readdir(d->fs, at.e.ino, 0, emit, &l);
}

static int view_stat(void *arg, const char *path, struct shadow_stat *ret_st)
{
	struct drive *d = arg;
	CLEANUP(place) struct place at = {.r = -1};
	struct attr a;
	int r = find(d, path, &at);

	if (r == 0)
		r = fs_getattr(d->fs, at.e.ino, &a);
	if (r < 0)
		return r;
	*ret_st = (struct shadow_stat){
		.ino = a.ino, .size = a.size, .mode = a.mode, .nlink = a.nlink};
	return 0;
}

static ssize_t view_read(void *arg, const char *path, void *bytes, size_t size, uint64_t off)
{
	struct drive *d = arg;
	CLEANUP(place) struct place at = {.r = -1};
	int r = find(d, path, &at);

	return r < 0 ? r : fs_read(d->fs, at.e.ino, bytes, size, (off_t)off);
}

static ssize_t view_readlink(void *arg, const char *path, char *target, size_t size)
{
	struct drive *d = arg;
	CLEANUP(place) struct place at = {.r = -1};
	int r = find(d, path, &at);

	return r < 0 ? r : fs_readlink(d->fs, at.e.ino, target, size);
}

static ssize_t view_getxattr(void *arg, const char *path, char *value, size_t size)
{
	struct drive *d = arg;
	CLEANUP(place) struct place at = {.r = -1};
	int r = find(d, path, &at);

	return r < 0 ? r : fs_getxattr(d->fs, at.e.ino, SHADOW_XATTR, value, size);
}

const struct shadow_view drive_view = {view_list, view_stat, view_read, view_readlink,
				       view_getxattr};
