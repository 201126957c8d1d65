/* SPDX-License-Identifier: Apache-2.0 */
/* Changes: loading, copying up and committing records. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attr/acl.h"
#include "base/log.h"
#include "fs/change.h"

int change_prepare(struct change *ch, struct fs *fs)
{
	if (fs->read_only)
		return -EROFS;
	ch->fs = fs;
	batch_begin(&ch->batch, fs->catalog);
	/* The clock that the kernel stamps data files with: one order for all times. */
	clock_gettime(CLOCK_REALTIME_COARSE, &ch->now);
	return 0;
}

void change_lock(struct change *ch)
{
	pthread_mutex_lock(&ch->fs->write_lock);
	ch->locked = true;
}

int change_begin(struct change *ch, struct fs *fs)
{
	int r = change_prepare(ch, fs);

	if (r == 0)
		change_lock(ch);
	return r;
}

int change_commit(struct change *ch)
{
	for (size_t i = 0; i < ch->n_recs; i++)
		batch_put_inode(&ch->batch, ch->recs[i]);
	return catalog_commit(ch->fs->catalog, &ch->batch);
}

void change_done(struct change *ch)
{
	if (ch->locked)
		pthread_mutex_unlock(&ch->fs->write_lock);
	ch->locked = false;
	for (size_t i = 0; i < ch->n_recs; i++) {
		inode_rec_done(ch->recs[i]);
		free(ch->recs[i]);
	}
	free(ch->recs);
	ch->recs = NULL;
	ch->n_recs = ch->cap_recs = 0;
	batch_done(&ch->batch);
}

static struct inode_rec *find_rec(const struct change *ch, uint64_t ino)
{
	for (size_t i = 0; i < ch->n_recs; i++) {
		if (ch->recs[i]->attr.ino == ino)
			return ch->recs[i];
	}
	return NULL;
}

/* Adds REC, whose contents are taken over on success. */
static int add_rec(struct change *ch, struct inode_rec *rec, struct inode_rec **ret_rec)
{
	struct inode_rec *kept;

	if (ch->n_recs == ch->cap_recs) {
		size_t cap = ch->cap_recs == 0 ? 4 : ch->cap_recs * 2;
		struct inode_rec **grown = reallocarray(ch->recs, cap, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		ch->recs = grown;
		ch->cap_recs = cap;
	}
	kept = malloc(sizeof(*kept));
	if (kept == NULL)
		return -ENOMEM;
	*kept = *rec;
	memset(rec, 0, sizeof(*rec));
	ch->recs[ch->n_recs++] = kept;
	*ret_rec = kept;
	return 0;
}

int change_new(struct change *ch, uint64_t ino, uint32_t mode, uint32_t uid, uint32_t gid,
	       struct inode_rec **ret_rec)
{
	struct inode_rec rec = {
		.attr =
			{
				.ino = ino,
				.mode = mode,
				.uid = uid,
				.gid = gid,
				.nlink = 1,
				.blksize = 4096,
				.atime = ch->now,
				.mtime = ch->now,
				.ctime = ch->now,
			},
		.where = BYTES_INLINE,
	};

	return add_rec(ch, &rec, ret_rec);
}

void rec_note_xattr(struct inode_rec *rec, const char *name)
{
	rec->flags |= INODE_HAS_XATTRS;
	if (strcmp(name, "security.capability") == 0)
		rec->flags |= INODE_HAS_CAPS;
	if (strcmp(name, ACL_XATTR_ACCESS) == 0 || strcmp(name, ACL_XATTR_DEFAULT) == 0)
		rec->flags |= INODE_HAS_ACL;
}

int change_take_xattr(struct change *ch, struct inode_rec *rec, const char *name, const void *value,
		      ssize_t len)
{
	if (len == -ENODATA || len == -EPERM || len == -EACCES)
		return 0;
	if (len < 0)
		return (int)len;
	batch_put_xattr(&ch->batch, rec->attr.ino, name, value, (size_t)len);
	rec_note_xattr(rec, name);
	return 0;
}

/* One attribute of a lower inode into the batch. */
static int copy_xattr(struct change *ch, struct union_dir *dir, const char *name, uint32_t part,
		      struct inode_rec *rec, const char *xattr)
{
	CLEANUP(free) char *value = NULL;
	ssize_t len = union_getxattr(dir, name, part, xattr, NULL, 0);

	if (len >= 0) {
		value = malloc((size_t)len + 1);
		if (value == NULL)
			return -ENOMEM;
		len = union_getxattr(dir, name, part, xattr, value, (size_t)len + 1);
	}
	return change_take_xattr(ch, rec, xattr, value, len);
}

static int copy_xattrs(struct change *ch, struct union_dir *dir, const char *name, uint32_t part,
		       struct inode_rec *rec)
{
	CLEANUP(buf) struct buf names = {0};
	int r = union_listxattr(dir, name, part, &names);
	size_t at = 0;

	if (r < 0)
		return r;
	while (at < names.len) {
		const char *xattr = (const char *)names.data + at;

		r = copy_xattr(ch, dir, name, part, rec, xattr);
		if (r < 0)
			return r;
		at += strlen(xattr) + 1;
	}
	return 0;
}

static int copy_symlink(struct change *ch, struct inode *inode, const struct inode_rec *rec)
{
	char target[PATH_MAX];
	ssize_t len = union_readlink(inode->dir, inode->name, inode->part, target, sizeof(target));

	if (len < 0)
		return (int)len;
	batch_put_inline(&ch->batch, rec->attr.ino, target, (size_t)len);
	return 0;
}

/*
 * The name of REC in the directory HOLDER of the layers. What had no record until now has no entry: where there is one
 * it leads to something else, which must not lose its name.
 */
static int put_lower_name(struct change *ch, const struct union_dir *holder, const char *name,
			  const struct inode_rec *rec)
{
	uint64_t parent = fs_dir_ino(ch->fs, holder);
	struct entry_rec there;
	int r = catalog_entry(ch->fs->catalog, parent, name, strlen(name), &there);

	if (r == 0) {
		log_error("\"%s\" in inode %llu is inode %llu and cannot become %llu as well; were "
			  "the layers changed?",
			  name, (unsigned long long)parent, (unsigned long long)there.ino,
			  (unsigned long long)rec->attr.ino);
		return -ESTALE;
	}
	if (r != -ENOENT)
		return r;
	batch_put_entry(&ch->batch, parent, name, strlen(name), rec->attr.ino,
			attr_dtype(rec->attr.mode));
	return 0;
}

static int origin_of(const struct union_dir *dir, const char *name, char **ret_origin)
{
	CLEANUP(buf) struct buf path = {0};
	int r = union_path(dir, name, &path);

	if (r < 0)
		return r;
	if (path.len > INODE_ORIGIN_MAX)
		return -ENAMETOOLONG;
	*ret_origin = strndup((const char *)path.data == NULL ? "" : (const char *)path.data,
			      path.len);
	return *ret_origin == NULL ? -ENOMEM : 0;
}

static int copy_up_dir(struct change *ch, struct union_dir *dir, struct inode_rec **ret_rec)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	struct union_dir *above = union_dir_parent(dir);
	int r = union_getattr(dir, NULL, 0, &rec.attr);

	if (r < 0)
		return r;
	rec.attr.ino = fs_dir_ino(ch->fs, dir);
	rec.parent = above != NULL ? fs_dir_ino(ch->fs, above) : FS_ROOT_INO;
	r = origin_of(dir, NULL, &rec.origin);
	if (r == 0)
		r = copy_xattrs(ch, dir, NULL, 0, &rec);
	if (r == 0 && above != NULL)
		r = put_lower_name(ch, above, union_dir_name(dir), &rec);
	return r < 0 ? r : add_rec(ch, &rec, ret_rec);
}

/* 1 or 0: is the directory in the catalog? */
static int has_rec(struct fs *fs, const struct union_dir *dir)
{
	CLEANUP(inode_rec) struct inode_rec have = {0};
	int r = record_load(fs, fs_dir_ino(fs, dir), &have);

	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* Directories that are not in the catalog, each in the next one. Borrowed: the first one holds the others. */
struct missing {
	struct union_dir **dirs; /* owned */
	size_t n, cap;
};

static int find_missing(struct fs *fs, struct union_dir *dir, struct missing *m)
{
	int r = 0;

	for (; dir != NULL && (r = has_rec(fs, dir)) == 0; dir = union_dir_parent(dir)) {
		if (m->n == m->cap) {
			size_t cap = m->cap == 0 ? 16 : m->cap * 2;
			struct union_dir **grown = reallocarray(m->dirs, cap, sizeof(*grown));

			if (grown == NULL)
				return -ENOMEM;
			m->dirs = grown;
			m->cap = cap;
		}
		m->dirs[m->n++] = dir;
	}
	return r < 0 ? r : 0;
}

/* So many records with their origins are one batch in any case; more than these bytes are not. */
#define COPY_UP_AT_ONCE	  64
#define COPY_UP_MAX_BYTES ((size_t)1 << 20)

/*
 * The topmost of M, until COPY_UP_AT_ONCE are left, in batches of their own: as each record has its whole path, the
 * ancestors of a deep one do not fit one batch. Nobody sees that a directory has a record, so nothing is to be undone when
 * the change that needs it fails. One that the change has a record of gets the old one here: what is committed is a tree.
 */
static int copy_up_ahead(const struct change *ch, struct missing *m)
{
	while (m->n > COPY_UP_AT_ONCE) {
		CLEANUP(change) struct change piece = {0};
		size_t bytes = 0;
		int r = change_prepare(&piece, ch->fs);

		while (r == 0 && m->n > COPY_UP_AT_ONCE && bytes < COPY_UP_MAX_BYTES) {
			struct inode_rec *made;

			r = copy_up_dir(&piece, m->dirs[--m->n], &made);
			if (r == 0)
				bytes = piece.batch.body.len + piece.n_recs * strlen(made->origin);
		}
		if (r == 0)
			r = change_commit(&piece);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * DIR and those above it that have no record get one: a directory must be in the catalog for a name in it to be.
 * Loops, as there is no limit to how deep a layer is.
 */
static int copy_up_dirs(struct change *ch, struct union_dir *dir)
{
	struct missing m = {0};
	int r = find_missing(ch->fs, dir, &m);

	if (r == 0)
		r = copy_up_ahead(ch, &m);
	while (r == 0 && m.n > 0) {
		struct inode_rec *made;

		dir = m.dirs[--m.n];
		if (find_rec(ch, fs_dir_ino(ch->fs, dir)) == NULL)
			r = copy_up_dir(ch, dir, &made);
	}
	free(m.dirs);
	return r;
}

/* A directory whose name is gone has no place in the tree: a record, and an orphan's mark. */
static void make_orphan(struct change *ch, struct inode *inode, struct inode_rec *rec)
{
	rec->attr.nlink = 0;
	batch_put_orphan(&ch->batch, rec->attr.ino);
	inode_set_orphan(ch->fs, inode, true);
}

static int copy_up(struct change *ch, struct inode *inode, struct inode_rec **ret_rec)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r;

	if (inode->dir == NULL)
		return -ESTALE;
	if (S_ISDIR(inode->type) && !inode->gone) {
		r = copy_up_dirs(ch, inode->dir);
		*ret_rec = find_rec(ch, inode->ino);
		return r;
	}
	r = record_peek(ch->fs, inode, &rec);
	if (r == 0 && rec.origin != NULL && strlen(rec.origin) > INODE_ORIGIN_MAX)
		r = -ENAMETOOLONG;
	if (r < 0)
		return r;
	r = copy_xattrs(ch, inode->dir, S_ISDIR(inode->type) ? NULL : inode->name, inode->part,
			&rec);
	if (r == 0 && S_ISLNK(inode->type))
		r = copy_symlink(ch, inode, &rec);
	if (r < 0)
		return r;
	if (inode->gone) {
		make_orphan(ch, inode, &rec);
	} else {
		r = put_lower_name(ch, inode->dir, inode->name, &rec);
		if (r == 0)
			r = copy_up_dirs(ch, inode->dir);
	}
	return r < 0 ? r : add_rec(ch, &rec, ret_rec);
}

int change_rec(struct change *ch, struct inode *inode, struct inode_rec **ret_rec)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	struct inode_rec *have = find_rec(ch, inode->ino);
	int r;

	if (have != NULL) {
		*ret_rec = have;
		return 0;
	}
	r = record_load(ch->fs, inode->ino, &rec);
	if (r == 0)
		return add_rec(ch, &rec, ret_rec);
	return r == -ENOENT ? copy_up(ch, inode, ret_rec) : r;
}

int change_dir(struct change *ch, struct inode *dir, struct inode_rec **ret_rec)
{
	struct inode_rec *rec;
	int r;

	if (!S_ISDIR(dir->type))
		return -ENOTDIR;
	if (dir->gone)
		return -ENOENT;
	r = change_rec(ch, dir, &rec);
	if (r < 0)
		return r;
	if (rec->attr.nlink == 0)
		return -ENOENT;
	rec->attr.mtime = rec->attr.ctime = ch->now;
	*ret_rec = rec;
	return 0;
}

int change_remove_name(struct change *ch, struct inode *dir, const char *name)
{
	int shown = dir->dir != NULL ? union_exists(dir->dir, name) : 0;

	if (shown < 0)
		return shown;
	if (shown)
		batch_put_whiteout(&ch->batch, dir->ino, name, strlen(name));
	else
		batch_del_entry(&ch->batch, dir->ino, name, strlen(name));
	return 0;
}

void rec_kill_suidgid(struct inode_rec *rec)
{
	if (S_ISDIR(rec->attr.mode))
		return;
	rec->attr.mode &= ~(uint32_t)S_ISUID;
	if (rec->attr.mode & S_IXGRP)
		rec->attr.mode &= ~(uint32_t)S_ISGID;
}

void change_kill_caps(struct change *ch, struct inode_rec *rec)
{
	if (!(rec->flags & INODE_HAS_CAPS))
		return;
	batch_del_xattr(&ch->batch, rec->attr.ino, "security.capability");
	rec->flags &= ~(uint32_t)INODE_HAS_CAPS;
}
