/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on directories. */
#include <errno.h>

#include "base/sys.h"
#include "front/ops.h"
#include "front/reply.h"

/* The smallest entry of a READDIRPLUS answer: 128 bytes of attributes, 24 and a name. */
#define PLUS_MIN 152

/* An answer being filled. */
struct listing {
	struct front *front;
	fuse_req_t req;
	char *bytes;
	size_t size, used;
	uint64_t *counted; /* inodes whose look-up the answer stands for */
	size_t n_counted;
	size_t n_names; /* dots apart */
	bool full;
};

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_OPENDIR);

	reply_open(req, f, f->zero_opendir, fi);
}

static bool add(struct listing *l, const struct fs_dirent *d)
{
	struct stat st = {.st_ino = d->ino, .st_mode = (mode_t)d->dtype << 12};
	size_t left = l->size - l->used;
	size_t need = fuse_add_direntry(l->req, l->bytes + l->used, left, d->name, &st,
					(off_t)d->cookie);

	if (need > left)
		return false;
	l->used += need;
	return true;
}

/* An entry that does not fit is not written: fs/ must then not count its look-up. */
static bool add_plus(struct listing *l, const struct fs_dirent *d)
{
	struct fuse_entry_param param = {0};
	size_t left = l->size - l->used, need;

	if (d->attr != NULL) {
		struct fs_entry entry = {.ino = d->ino, .attr = *d->attr};

		reply_fill_entry(l->front, &entry, &param);
		reply_note_shown(l->req, l->front, d->ino, d->attr);
	} else {
		param.attr.st_ino = d->ino;
		param.attr.st_mode = (mode_t)d->dtype << 12;
	}
	need = fuse_add_direntry_plus(l->req, l->bytes + l->used, left, d->name, &param,
				      (off_t)d->cookie);
	if (need > left)
		return false;
	l->used += need;
	if (d->attr != NULL)
		l->counted[l->n_counted++] = d->ino;
	else if (d->dtype != DT_DIR)
		plus_left_out(&l->front->plus, d->ino);
	l->n_names += !sys_is_dots(d->name);
	return true;
}

/*
 * Entries that come together are an answer of their own: the kernel asks anew for each getdents(2), so that then a
 * program's buffer, too, ends among them only where it has no room for all of them, and no name is seen twice.
 */
static bool add_all(struct listing *l, const struct fs_dirent *entries, size_t n,
		    bool (*add_one)(struct listing *l, const struct fs_dirent *d))
{
	const struct listing before = *l;

	if (l->full || (n > 1 && l->used > 0))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!add_one(l, &entries[i])) {
			*l = before;
			return false;
		}
	}
	l->full = n > 1;
	return true;
}

static bool emit(void *arg, const struct fs_dirent *entries, size_t n)
{
	return add_all(arg, entries, n, add);
}

static bool emit_plus(void *arg, const struct fs_dirent *entries, size_t n)
{
	return add_all(arg, entries, n, add_plus);
}

static void give_back(const struct listing *l)
{
	for (size_t i = 0; i < l->n_counted; i++)
		fs_forget(l->front->fs, l->counted[i], 1);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_READDIR);
	struct listing l = {.front = f, .req = req, .size = size, .bytes = scratch_bytes(f, size)};
	int r = l.bytes == NULL ? -ENOMEM : fs_readdir(f->fs, ino, (uint64_t)off, emit, &l);

	/* What was found before an error is an answer; the error comes with the next request. */
	reply_bytes(req, l.used > 0 ? (ssize_t)l.used : r, l.bytes);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_READDIRPLUS);
	struct listing l = {.front = f, .req = req, .size = size, .bytes = scratch_bytes(f, size)};
	bool with = plus_wanted(&f->plus);
	int r = -ENOMEM;

	shown_begin(&f->shown);
	l.counted = scratch_inos(f, size / PLUS_MIN + 1);
	if (l.bytes != NULL && l.counted != NULL)
		r = (with ? fs_readdirplus : fs_readdir)(f->fs, ino, (uint64_t)off, emit_plus, &l);
	shown_end(&f->shown);
	/* Before the answer, which may bring LOOKUPs. */
	plus_listed(&f->plus, ino, l.n_names, with);
	if (reply_bytes(req, l.used > 0 ? (ssize_t)l.used : r, l.bytes) < 0)
		give_back(&l);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_FSYNCDIR);

	/* ENOSYS: the kernel takes it as success and does not ask again. It has nothing cached for a directory. */
	reply_result(req, f->options->no_fsync ? -ENOSYS : fs_fsync(f->fs, ino, datasync != 0));
}
