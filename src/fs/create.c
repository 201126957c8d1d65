/* SPDX-License-Identifier: Apache-2.0 */
/* New inodes and new names: mknod, mkdir, symlink, tmpfile, link. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "attr/acl.h"
#include "fs/bytes.h"
#include "fs/create.h"
#include "fs/nameless.h"

/* -EEXIST when DIR shows NAME. */
static int check_free(struct fs *fs, struct inode *dir, const char *name)
{
	struct entry_rec entry;
	int r = catalog_entry(fs->catalog, dir->ino, name, strlen(name), &entry);

	if (r == 0)
		return entry_is_whiteout(&entry) ? 0 : -EEXIST;
	if (r != -ENOENT)
		return r;
	r = dir->dir != NULL ? union_exists(dir->dir, name) : 0;
	return r > 0 ? -EEXIST : r;
}

static void put_acl(struct change *ch, struct inode_rec *rec, const char *name, const void *acl,
		    size_t len)
{
	batch_put_xattr(&ch->batch, rec->attr.ino, name, acl, len);
	rec->flags |= INODE_HAS_XATTRS | INODE_HAS_ACL;
}

/* The mode under the directory's default ACL, or under the umask when it has none. */
static int inherit_acl(struct change *ch, const struct inode_rec *dir, const struct wanted *w,
		       struct inode_rec *rec)
{
	CLEANUP(buf) struct buf access = {0};
	char def[XATTR_ACL_MAX];
	ssize_t len = -ENODATA;
	int r;

	if (S_ISLNK(w->mode))
		return 0;
	if ((dir->flags & INODE_HAS_ACL) && !ch->fs->options->no_acl)
		len = xattr_load(ch->fs, w->dir, ACL_XATTR_DEFAULT, def, sizeof(def));
	if (len == -ENODATA) {
		rec->attr.mode &= ~(w->who->umask & 0777);
		return 0;
	}
	if (len < 0)
		return (int)len;
	r = acl_inherit(def, (size_t)len, &rec->attr.mode, &access);
	if (r < 0)
		return r;
	if (access.len > 0)
		put_acl(ch, rec, ACL_XATTR_ACCESS, access.data, access.len);
	if (S_ISDIR(w->mode))
		put_acl(ch, rec, ACL_XATTR_DEFAULT, def, (size_t)len);
	return 0;
}

int create_rec(struct change *ch, const struct inode_rec *dir, const struct wanted *w,
	       struct inode_rec **ret_rec)
{
	const struct fs_options *o = ch->fs->options;
	uint32_t mode = w->mode;
	struct inode_rec *rec = NULL;
	uint32_t uid, gid;
	int r = idmap_owner(&o->uids, w->who->uid, &uid);

	if (r == 0)
		r = idmap_owner(&o->gids, w->who->gid, &gid);
	if (r < 0)
		return r;
	if (dir->attr.mode & S_ISGID) {
		gid = dir->attr.gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	r = change_new(ch, catalog_new_ino(ch->fs->catalog), mode, uid, gid, &rec);
	if (r < 0)
		return r;
	rec->attr.rdev_major = w->rdev_major;
	rec->attr.rdev_minor = w->rdev_minor;
	if (S_ISDIR(mode)) {
		rec->attr.nlink = 2;
		rec->parent = dir->attr.ino;
	}
	if (w->target != NULL) {
		rec->attr.size = strlen(w->target);
		batch_put_inline(&ch->batch, rec->attr.ino, w->target, rec->attr.size);
	}
	*ret_rec = rec;
	return inherit_acl(ch, dir, w, rec);
}

/*
 * Commits the new REC. What can fail comes before that: to who gets an error the name is free, and the kernel would remember it as
 * such. MADE outlives the change.
 */
static int commit_new(struct change *ch, const struct inode_rec *rec, struct held *made,
		      struct fs_entry *ret_entry)
{
	struct fs *fs = ch->fs;
	struct attr attr = rec->attr;
	/* A link has blocks, as any other content. */
	int r = data_attr(fs->data, rec, &attr);

	if (r < 0)
		return r;
	made->inode = inodes_obtain(&fs->inodes, attr.ino, attr.mode, NULL, "");
	if (made->inode == NULL)
		return -ENOMEM;
	r = change_commit(ch);
	if (r < 0)
		return r;
	if (attr.nlink == 0)
		inode_set_orphan(fs, made->inode, true);
	entry_fill(fs, made->inode, &attr, ret_entry);
	return 0;
}

static int try_make(struct fs *fs, uint64_t parent, const char *name, struct wanted *w,
		    struct fs_entry *ret_entry)
{
	CLEANUP(held) struct held dir = {fs, inode_get(fs, parent)};
	CLEANUP(held) struct held made = {fs, NULL};
	CLEANUP(change) struct change ch = {0};
	struct inode_rec *dir_rec, *rec = NULL;
	int r = name_check(name);

	if (r < 0)
		return r;
	if (dir.inode == NULL)
		return -ESTALE;
	w->dir = dir.inode;
	r = change_begin(&ch, fs);
	if (r == 0)
		r = change_dir(&ch, dir.inode, &dir_rec);
	if (r == 0)
		r = check_free(fs, dir.inode, name);
	if (r == 0)
		r = create_rec(&ch, dir_rec, w, &rec);
	if (r < 0)
		return r;
	if (S_ISDIR(w->mode))
		rec_count_dir(dir_rec, 1);
	batch_put_entry(&ch.batch, parent, name, strlen(name), rec->attr.ino, attr_dtype(w->mode));
	return commit_new(&ch, rec, &made, ret_entry);
}

static int make(struct fs *fs, uint64_t parent, const char *name, struct wanted *w,
		struct fs_entry *ret_entry)
{
	unsigned int tries = 0;
	int r;

	do {
		r = try_make(fs, parent, name, w, ret_entry);
	} while (fs_made_room(fs, r, &tries));
	return r;
}

int fs_mknod(struct fs *fs, const struct fs_caller *who, uint64_t parent, const char *name,
	     uint32_t mode, uint32_t rdev_major, uint32_t rdev_minor, struct fs_entry *ret_entry)
{
	struct wanted w = {
		.who = who, .mode = mode, .rdev_major = rdev_major, .rdev_minor = rdev_minor};

	if ((mode & S_IFMT) == 0)
		w.mode |= S_IFREG;
	if (S_ISDIR(w.mode) || S_ISLNK(w.mode))
		return -EINVAL;
	if (!S_ISCHR(w.mode) && !S_ISBLK(w.mode))
		w.rdev_major = w.rdev_minor = 0;
	return make(fs, parent, name, &w, ret_entry);
}

int fs_mkdir(struct fs *fs, const struct fs_caller *who, uint64_t parent, const char *name,
	     uint32_t mode, struct fs_entry *ret_entry)
{
	struct wanted w = {.who = who, .mode = S_IFDIR | (mode & 07777)};

	return make(fs, parent, name, &w, ret_entry);
}

int fs_symlink(struct fs *fs, const struct fs_caller *who, uint64_t parent, const char *name,
	       const char *target, struct fs_entry *ret_entry)
{
	struct wanted w = {.who = who, .mode = S_IFLNK | 0777, .target = target};
	size_t len = strnlen(target, PATH_MAX);

	if (len == 0)
		return -ENOENT;
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	return make(fs, parent, name, &w, ret_entry);
}

static int try_tmpfile(struct fs *fs, const struct fs_caller *who, uint64_t parent, uint32_t mode,
		       struct fs_entry *ret_entry)
{
	struct wanted w = {.who = who, .mode = S_IFREG | (mode & 07777)};
	CLEANUP(held) struct held dir = {fs, inode_get(fs, parent)};
	CLEANUP(held) struct held made = {fs, NULL};
	CLEANUP(inode_rec) struct inode_rec dir_rec = {0};
	CLEANUP(change) struct change ch = {0};
	struct inode_rec *rec = NULL;
	int r;

	if (dir.inode == NULL)
		return -ESTALE;
	if (!S_ISDIR(dir.inode->type))
		return -ENOTDIR;
	r = change_begin(&ch, fs);
	if (r == 0)
		r = record_peek(fs, dir.inode, &dir_rec);
	if (r == 0 && (dir.inode->gone || dir_rec.attr.nlink == 0))
		r = -ENOENT;
	/* The directory itself does not change, so a lower one stays lower: ask it for an ACL. */
	dir_rec.flags |= INODE_HAS_ACL;
	w.dir = dir.inode;
	if (r == 0)
		r = create_rec(&ch, &dir_rec, &w, &rec);
	if (r < 0)
		return r;
	rec->attr.nlink = 0;
	batch_put_orphan(&ch.batch, rec->attr.ino);
	return commit_new(&ch, rec, &made, ret_entry);
}

int fs_tmpfile(struct fs *fs, const struct fs_caller *who, uint64_t parent, uint32_t mode,
	       struct fs_entry *ret_entry)
{
	unsigned int tries = 0;
	int r;

	do {
		r = try_tmpfile(fs, who, parent, mode, ret_entry);
	} while (fs_made_room(fs, r, &tries));
	return r;
}

/* The record of what gets one more name. */
static int link_rec(struct change *ch, struct inode *inode, struct inode_rec **ret_rec)
{
	struct inode_rec *rec = NULL;
	int r = change_rec(ch, inode, &rec);

	if (r < 0)
		return r;
	if (rec->attr.nlink == UINT32_MAX)
		return -EMLINK;
	if (rec->attr.nlink == 0)
		batch_del_orphan(&ch->batch, rec->attr.ino);
	rec->attr.nlink++;
	rec->attr.ctime = ch->now;
	nameless_moved(ch, rec);
	*ret_rec = rec;
	return 0;
}

static int try_link(struct fs *fs, uint64_t ino, uint64_t new_parent, const char *new_name,
		    struct fs_entry *ret_entry)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	CLEANUP(held) struct held dir = {fs, inode_get(fs, new_parent)};
	CLEANUP(change) struct change ch = {0};
	struct inode_rec *rec = NULL, *dir_rec;
	struct attr attr;
	int r = name_check(new_name);

	if (r < 0)
		return r;
	if (h.inode == NULL || dir.inode == NULL)
		return -ESTALE;
	if (S_ISDIR(h.inode->type))
		return -EPERM;
	r = change_begin(&ch, fs);
	if (r == 0)
		r = change_dir(&ch, dir.inode, &dir_rec);
	if (r == 0)
		r = check_free(fs, dir.inode, new_name);
	if (r == 0)
		r = link_rec(&ch, h.inode, &rec);
	if (r < 0)
		return r;
	batch_put_entry(&ch.batch, new_parent, new_name, strlen(new_name), ino,
			attr_dtype(rec->attr.mode));
	/* Before the commit, as in commit_new(). */
	attr = rec->attr;
	r = data_attr(fs->data, rec, &attr);
	if (r == 0)
		r = change_commit(&ch);
	if (r < 0)
		return r;
	inode_set_orphan(fs, h.inode, false);
	h.inode->deleted = false;
	entry_fill(fs, h.inode, &attr, ret_entry);
	return 0;
}

int fs_link(struct fs *fs, uint64_t ino, uint64_t new_parent, const char *new_name,
	    struct fs_entry *ret_entry)
{
	unsigned int tries = 0;
	int r;

	do {
		r = try_link(fs, ino, new_parent, new_name, ret_entry);
	} while (fs_made_room(fs, r, &tries));
	return r;
}
