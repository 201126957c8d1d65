/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes: getattr, setattr, readlink, statfs. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "attr/acl.h"
#include "fs/bytes.h"
#include "fs/change.h"

int attr_load(struct fs *fs, struct inode *inode, struct attr *ret_attr)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	struct attr attr;
	int r = record_load(fs, inode->ino, &rec);

	if (r == 0) {
		attr = rec.attr;
		r = data_attr(fs->data, &rec, &attr);
	} else if (r == -ENOENT) {
		if (inode->dir == NULL)
			return -ESTALE;
		r = union_getattr(inode->dir, S_ISDIR(inode->type) ? NULL : inode->name,
				  inode->part, &attr);
		attr.ino = inode->ino;
		if (r == 0 && inode->gone)
			attr.nlink = 0;
	}
	if (r == 0)
		*ret_attr = attr;
	return r;
}

/* To 32 bits. 0 would be a name that readdir(3) passes over, and 1 is the root. */
static uint64_t fold(uint64_t ino)
{
	uint64_t folded = (ino ^ (ino >> 32)) & UINT32_MAX;

	return folded > FS_ROOT_INO || ino == FS_ROOT_INO ? folded : UINT32_MAX - folded;
}

void attr_show(const struct fs *fs, struct attr *attr)
{
	const struct fs_options *o = fs->options;

	attr->uid = o->squash_to_root && !o->uids.squash ? 0 : idmap_to_shown(&o->uids, attr->uid);
	attr->gid = o->squash_to_root && !o->gids.squash ? 0 : idmap_to_shown(&o->gids, attr->gid);
	if (o->ino32)
		attr->ino = fold(attr->ino);
	if (o->static_nlink && S_ISDIR(attr->mode) && attr->nlink > 1)
		attr->nlink = 1;
	if (attr->blksize == 0)
		attr->blksize = 4096;
	/* Directories of the catalog have no bytes; programs expect more than none. */
	if (S_ISDIR(attr->mode) && attr->size == 0)
		attr->size = 4096;
}

int fs_getattr(struct fs *fs, uint64_t ino, struct attr *ret_attr)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	struct attr attr;
	int r;

	if (h.inode == NULL)
		return -ESTALE;
	r = attr_load(fs, h.inode, &attr);
	if (r < 0)
		return r;
	attr_show(fs, &attr);
	*ret_attr = attr;
	return 0;
}

static bool ids_are_squashed(const struct fs *fs)
{
	return fs->options->squash_to_root || fs->options->uids.squash || fs->options->gids.squash;
}

/* A new owner; with squashed ids nobody has one, and asking for it is no error. */
static int set_owner(struct change *ch, struct inode_rec *rec, uint32_t set, const struct attr *to)
{
	const struct fs_options *o = ch->fs->options;
	uint32_t uid = rec->attr.uid, gid = rec->attr.gid;
	int r = 0;

	if (!(set & (FS_SET_UID | FS_SET_GID)))
		return 0;
	if (!ids_are_squashed(ch->fs)) {
		if (set & FS_SET_UID)
			r = idmap_to_disk(&o->uids, to->uid, &uid);
		if (r == 0 && (set & FS_SET_GID))
			r = idmap_to_disk(&o->gids, to->gid, &gid);
		if (r < 0)
			return r;
	}
	rec->attr.uid = uid;
	rec->attr.gid = gid;
	rec_kill_suidgid(rec);
	change_kill_caps(ch, rec);
	return 0;
}

/* chmod changes what the access ACL says, where there is one. */
static int set_mode(struct change *ch, struct inode *inode, struct inode_rec *rec, uint32_t mode)
{
	CLEANUP(buf) struct buf acl = {0};
	char old[XATTR_ACL_MAX];
	ssize_t len;
	int r;

	rec->attr.mode = (rec->attr.mode & S_IFMT) | (mode & 07777);
	if (!(rec->flags & INODE_HAS_ACL))
		return 0;
	len = xattr_load(ch->fs, inode, ACL_XATTR_ACCESS, old, sizeof(old));
	if (len == -ENODATA)
		return 0;
	if (len < 0)
		return (int)len;
	r = acl_chmod(old, (size_t)len, rec->attr.mode, &acl);
	if (r < 0)
		return r;
	batch_put_xattr(&ch->batch, rec->attr.ino, ACL_XATTR_ACCESS, acl.data, acl.len);
	return 0;
}

static void set_times(struct change *ch, struct inode_rec *rec, uint32_t set, const struct attr *to)
{
	if (set & FS_SET_ATIME)
		rec->attr.atime = to->atime;
	if (set & FS_SET_ATIME_NOW)
		rec->attr.atime = ch->now;
	if (set & FS_SET_MTIME)
		rec->attr.mtime = to->mtime;
	if (set & FS_SET_MTIME_NOW)
		rec->attr.mtime = ch->now;
	if (set & FS_SET_CTIME)
		rec->attr.ctime = to->ctime;
	else if (!(set & FS_SET_KEEP_TIMES))
		rec->attr.ctime = ch->now;
}

static int apply_attrs(struct change *ch, struct inode *inode, uint32_t set, const struct attr *to,
		       struct inode_rec *rec)
{
	int r;

	if (set & FS_SET_SIZE) {
		rec->attr.mtime = ch->now;
		change_kill_caps(ch, rec);
	}
	if (set & FS_SET_KILL_SUIDGID)
		rec_kill_suidgid(rec);
	if ((set & FS_SET_KILL_SGID) && !S_ISDIR(rec->attr.mode))
		rec->attr.mode &= ~(uint32_t)S_ISGID;
	r = set_owner(ch, rec, set, to);
	if (r == 0 && (set & FS_SET_MODE))
		r = set_mode(ch, inode, rec, to->mode);
	if (r == 0)
		set_times(ch, rec, set, to);
	return r;
}

/* SIZE: with the new length that SET may ask for. */
static int setattr_locked(struct fs *fs, struct inode *inode, uint32_t set, const struct attr *to,
			  bool size, struct attr *ret_attr)
{
	CLEANUP(change) struct change ch = {0};
	bool sets_mtime = set & (FS_SET_MTIME | FS_SET_MTIME_NOW);
	struct inode_rec *rec;
	int r = change_prepare(&ch, fs);

	if (r < 0)
		return r;
	if (size)
		r = bytes_truncate(&ch, inode, to->size, &rec);
	else {
		change_lock(&ch);
		r = change_rec(&ch, inode, &rec);
	}
	if (r == 0)
		r = apply_attrs(&ch, inode, set, to, rec);
	/* With another length the bytes, and the file's own mtime, have moved already. */
	if (r == 0 && sets_mtime && !size)
		r = data_mark_mtime(fs->data, rec);
	if (r == 0)
		r = bytes_commit(&ch);
	else
		bytes_abandon(&ch);
	if (r == 0 && sets_mtime)
		r = data_set_mtime(fs->data, rec, &rec->attr.mtime);
	if (r < 0)
		return r;
	*ret_attr = rec->attr;
	return data_attr(fs->data, rec, ret_attr);
}

#define KILL_BITS (FS_SET_KILL_SUIDGID | FS_SET_KILL_SGID)

/*
 * A data file is cut at once, and what was cut off does not come back. So what only the record can say
 * goes first, for its commit may fail.
 */
static int record_first(struct fs *fs, uint64_t ino, uint32_t set)
{
	const uint32_t owner = FS_SET_MODE | FS_SET_UID | FS_SET_GID;
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r;

	if (!(set & FS_SET_SIZE))
		return 0;
	r = record_load(fs, ino, &rec);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!inode_has_file(&rec))
		return 0;
	return (set & owner) || (rec.flags & INODE_HAS_CAPS) ||
	       ((set & KILL_BITS) && (rec.attr.mode & (S_ISUID | S_ISGID)));
}

/* What a kernel with the writeback cache says of the times that it keeps. */
#define KERNEL_TIMES (FS_SET_MTIME | FS_SET_CTIME)

/*
 * It does so inside each unlink(2) and each rename(2) over a name, of what lost it. If that was the last one only
 * those ever see the times who have the file open, and the kernel shows them its own. A record would be made to be deleted
 * when it lets go of the inode, for a lower file all of it; and on a full disk there is no room for one.
 */
static int say_deleted_times(struct fs *fs, struct inode *inode, const struct attr *attr,
			     struct attr *ret_attr)
{
	int r = attr_load(fs, inode, ret_attr);

	if (r < 0)
		return r;
	ret_attr->mtime = attr->mtime;
	ret_attr->ctime = attr->ctime;
	return 0;
}

/*
 * The mtime of a file whose bytes are in a data file is that file's own, and the ctime that a write has given it is the
 * same. The kernel sets both after it has written back what it cached, before each fsync: no record, so
 * that such an fsync is one flush. Nor is one needed where the record, which has the times of other files, has these
 * already, as after most renames. 1: it needs a record all the same.
 */
static int set_own_mtime(struct fs *fs, uint64_t ino, uint32_t set, const struct attr *attr,
			 struct attr *ret_attr)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r;

	if (set != KERNEL_TIMES)
		return 1;
	r = record_load(fs, ino, &rec);
	if (r < 0)
		return r == -ENOENT ? 1 : r;
	if (!inode_has_file(&rec) && timespec_cmp(&rec.attr.mtime, &attr->mtime) == 0 &&
	    timespec_cmp(&rec.attr.ctime, &attr->ctime) == 0)
		r = 0;
	else
		r = data_set_own_mtime(fs->data, &rec, &attr->mtime, &attr->ctime);
	if (r != 0)
		return r;
	*ret_attr = rec.attr;
	return data_attr(fs->data, &rec, ret_attr);
}

/*
 * Takes the length out of SET where the file has it already and no time is to move. Not where that takes the file
 * capabilities away, as any change of the bytes does. 1: nothing is left to be done.
 */
static int keep_size(struct fs *fs, struct inode *inode, uint32_t *set, const struct attr *to,
		     struct attr *ret_attr)
{
	bool keep = *set & FS_SET_KEEP_TIMES;

	*set &= ~(uint32_t)FS_SET_KEEP_TIMES;
	/* One that cannot be asked can be cut, perhaps. */
	if (!keep || !(*set & FS_SET_SIZE) || attr_load(fs, inode, ret_attr) < 0 ||
	    ret_attr->size != to->size ||
	    xattr_load(fs, inode, "security.capability", NULL, 0) != -ENODATA)
		return 0;
	*set &= ~(uint32_t)FS_SET_SIZE;
	if (!(ret_attr->mode & (S_ISUID | S_ISGID)))
		*set &= ~(uint32_t)KILL_BITS;
	if (*set == 0)
		return 1;
	*set |= FS_SET_KEEP_TIMES;
	return 0;
}

static int setattr(struct fs *fs, struct inode *inode, uint32_t set, const struct attr *attr,
		   struct attr *ret_attr)
{
	CLEANUP(data_lock) struct data_lock *lock = NULL;
	int r = 0;

	if (S_ISREG(inode->type)) {
		if (inode->deleted && set == KERNEL_TIMES)
			return say_deleted_times(fs, inode, attr, ret_attr);
		lock = data_lock_exclusive(&fs->data_locks, inode->ino);
		if (!fs->read_only && keep_size(fs, inode, &set, attr, ret_attr) > 0)
			return 0;
		r = fs->read_only ? 1 : set_own_mtime(fs, inode->ino, set, attr, ret_attr);
		if (r <= 0)
			return r;
		r = record_first(fs, inode->ino, set);
		if (r > 0)
			r = setattr_locked(fs, inode, set, attr, false, ret_attr);
	} else if (set & FS_SET_SIZE) {
		return S_ISDIR(inode->type) ? -EISDIR : -EINVAL;
	}
	return r < 0 ? r : setattr_locked(fs, inode, set, attr, set & FS_SET_SIZE, ret_attr);
}

int fs_setattr(struct fs *fs, uint64_t ino, uint32_t set, const struct attr *attr,
	       struct attr *ret_attr)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	struct attr out;
	unsigned int tries = 0;
	int r;

	if (h.inode == NULL)
		return -ESTALE;
	do {
		r = setattr(fs, h.inode, set, attr, &out);
	} while (fs_made_room(fs, r, &tries));
	/* What makes a file shorter frees space. */
	if ((set & FS_SET_SIZE) && !fs->read_only && catalog_give_spare(fs->catalog, r)) {
		r = setattr(fs, h.inode, set, attr, &out);
		catalog_take_spare(fs->catalog);
	}
	if (r < 0)
		return r;
	attr_show(fs, &out);
	*ret_attr = out;
	return 0;
}

ssize_t fs_readlink(struct fs *fs, uint64_t ino, char *target, size_t size)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	ssize_t len;
	int r;

	if (h.inode == NULL)
		return -ESTALE;
	if (!S_ISLNK(h.inode->type))
		return -EINVAL;
	r = record_load(fs, ino, &rec);
	if (r == -ENOENT && h.inode->dir != NULL)
		return union_readlink(h.inode->dir, h.inode->name, h.inode->part, target, size);
	if (r < 0)
		return r;
	len = catalog_inline(fs->catalog, ino, 0, target, size);
	if (len >= 0 && (size_t)len >= size)
		return -ENAMETOOLONG;
	if (len >= 0)
		target[len] = '\0';
	return len;
}

/* Deleted files that are still on the disk are room that is there for the asking. */
static void count_doomed(const struct fs *fs, struct statvfs *st)
{
	uint64_t blocks;

	if (fs->data == NULL || st->f_frsize == 0)
		return;
	blocks = data_doomed_bytes(fs->data) / st->f_frsize;
	if (blocks > st->f_blocks - st->f_bfree)
		blocks = st->f_blocks - st->f_bfree;
	st->f_bfree += blocks;
	st->f_bavail += blocks;
}

int fs_statfs(struct fs *fs, struct statvfs *ret_st)
{
	struct statvfs st;
	int r = 0;

	if (fs->upper_fd >= 0)
		r = fstatvfs(fs->upper_fd, &st) < 0 ? -errno : 0;
	else
		r = union_statfs(fs->stack, &st);
	if (r < 0)
		return r;
	count_doomed(fs, &st);
	/* Names are the catalog's: what the backing file system allows is of no meaning. */
	st.f_namemax = NAME_MAX;
	*ret_st = st;
	return 0;
}
