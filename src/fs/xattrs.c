/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes, and the ACLs among them. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "attr/acl.h"
#include "fs/bytes.h"

static bool is_acl(const char *name)
{
	return strcmp(name, ACL_XATTR_ACCESS) == 0 || strcmp(name, ACL_XATTR_DEFAULT) == 0;
}

static const char *const classes[] = {"user.", "trusted.", "security."};

/* Which names this mount keeps. Who may use them is the kernel's to say. */
static int check_name(const struct fs *fs, const char *name)
{
	if (strnlen(name, XATTR_NAME_MAX + 1) > XATTR_NAME_MAX)
		return -ERANGE;
	if (fs->options->no_xattr)
		return -EOPNOTSUPP;
	if (is_acl(name))
		return fs->options->no_acl ? -EOPNOTSUPP : 0;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		size_t len = strlen(classes[i]);

		/* A class alone is no name. */
		if (strncmp(name, classes[i], len) == 0)
			return name[len] != '\0' ? 0 : -EINVAL;
	}
	return -EOPNOTSUPP;
}

ssize_t xattr_load(struct fs *fs, struct inode *inode, const char *name, void *value, size_t size)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r = record_load(fs, inode->ino, &rec);

	if (r == 0) {
		if (!(rec.flags & INODE_HAS_XATTRS))
			return -ENODATA;
		return catalog_xattr(fs->catalog, inode->ino, name, value, size);
	}
	if (r != -ENOENT)
		return r;
	if (inode->dir == NULL)
		return -ENODATA;
	return union_getxattr(inode->dir, S_ISDIR(inode->type) ? NULL : inode->name, inode->part,
			      name, value, size);
}

/* As getxattr(2) wants a value that is at hand. */
static ssize_t copy_out(const void *from, size_t len, void *value, size_t size)
{
	if (size == 0)
		return (ssize_t)len;
	if (len > size)
		return -ERANGE;
	if (len > 0)
		memcpy(value, from, len);
	return (ssize_t)len;
}

/* An ACL shows the ids that stat shows. */
static ssize_t get_acl(struct fs *fs, struct inode *inode, const char *name, void *value,
		       size_t size)
{
	CLEANUP(buf) struct buf shown = {0};
	char stored[XATTR_ACL_MAX];
	ssize_t len = xattr_load(fs, inode, name, stored, sizeof(stored));
	int r;

	if (len < 0)
		return len;
	r = acl_map_ids(stored, (size_t)len, &fs->options->uids, &fs->options->gids, false, &shown);
	/* What a lower layer calls an ACL and is none is not shown as one. */
	if (r < 0)
		return r == -ENOMEM ? r : -ENODATA;
	return copy_out(shown.data, shown.len, value, size);
}

ssize_t fs_getxattr(struct fs *fs, uint64_t ino, const char *name, void *value, size_t size)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	int r = check_name(fs, name);

	if (r < 0)
		return r;
	if (h.inode == NULL)
		return -ESTALE;
	if (is_acl(name))
		return get_acl(fs, h.inode, name, value, size);
	return xattr_load(fs, h.inode, name, value, size);
}

static int load_names(struct fs *fs, struct inode *inode, struct buf *out)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r = record_load(fs, inode->ino, &rec);

	if (r == 0) {
		if (!(rec.flags & INODE_HAS_XATTRS))
			return 0;
		return catalog_xattr_names(fs->catalog, inode->ino, out);
	}
	if (r != -ENOENT || inode->dir == NULL)
		return r == -ENOENT ? 0 : r;
	return union_listxattr(inode->dir, S_ISDIR(inode->type) ? NULL : inode->name, inode->part,
			       out);
}

ssize_t fs_listxattr(struct fs *fs, uint64_t ino, char *names, size_t size)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	CLEANUP(buf) struct buf all = {0};
	CLEANUP(buf) struct buf kept = {0};
	size_t at = 0;
	int r;

	if (h.inode == NULL)
		return -ESTALE;
	if (fs->options->no_xattr)
		return 0;
	r = load_names(fs, h.inode, &all);
	if (r < 0)
		return r;
	while (at < all.len) {
		const char *name = (const char *)all.data + at;
		size_t len = strlen(name) + 1;

		if (check_name(fs, name) == 0)
			buf_put(&kept, name, len);
		at += len;
	}
	if (!buf_ok(&all) || !buf_ok(&kept))
		return -ENOMEM;
	return copy_out(kept.data, kept.len, names, size);
}

/* XATTR_CREATE and XATTR_REPLACE against what is there. */
static int check_flags(struct fs *fs, struct inode *inode, const char *name, int flags)
{
	ssize_t have;

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (flags == 0)
		return 0;
	have = xattr_load(fs, inode, name, NULL, 0);
	if (have < 0 && have != -ENODATA)
		return (int)have;
	if (have >= 0 && (flags & XATTR_CREATE))
		return -EEXIST;
	return have < 0 && (flags & XATTR_REPLACE) ? -ENODATA : 0;
}

/* The access ACL and the mode are two views of one thing (fs/posix_acl.c, posix_acl_update_mode). */
static int put_acl(struct change *ch, struct inode_rec *rec, const char *name, const void *value,
		   size_t len, bool kill_sgid)
{
	CLEANUP(buf) struct buf acl = {0};
	const struct fs_options *o = ch->fs->options;
	bool equivalent = false;
	int r;

	if (strcmp(name, ACL_XATTR_DEFAULT) == 0 && !S_ISDIR(rec->attr.mode))
		return -EACCES;
	r = acl_check(value, len);
	if (r == 0)
		r = acl_map_ids(value, len, &o->uids, &o->gids, true, &acl);
	if (r == 0 && strcmp(name, ACL_XATTR_ACCESS) == 0) {
		r = acl_to_mode(value, len, &rec->attr.mode, &equivalent);
		if (kill_sgid)
			rec->attr.mode &= ~(uint32_t)S_ISGID;
	}
	if (r < 0)
		return r;
	if (equivalent) {
		batch_del_xattr(&ch->batch, rec->attr.ino, name);
	} else {
		batch_put_xattr(&ch->batch, rec->attr.ino, name, acl.data, acl.len);
		rec_note_xattr(rec, name);
	}
	return 0;
}

static int try_setxattr(struct fs *fs, uint64_t ino, const char *name, const void *value,
			size_t len, int flags, bool kill_sgid)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	CLEANUP(change) struct change ch = {0};
	struct inode_rec *rec;
	int r = check_name(fs, name);

	if (r < 0)
		return r;
	if (len > XATTR_SIZE_MAX)
		return -E2BIG;
	if (h.inode == NULL)
		return -ESTALE;
	r = change_begin(&ch, fs);
	if (r == 0)
		r = check_flags(fs, h.inode, name, flags);
	if (r == 0)
		r = change_rec(&ch, h.inode, &rec);
	if (r < 0)
		return r;
	rec->attr.ctime = ch.now;
	if (is_acl(name) && len > 0) {
		r = put_acl(&ch, rec, name, value, len, kill_sgid);
	} else if (is_acl(name)) {
		batch_del_xattr(&ch.batch, ino, name);
	} else {
		batch_put_xattr(&ch.batch, ino, name, value, len);
		rec_note_xattr(rec, name);
	}
	return r < 0 ? r : change_commit(&ch);
}

int fs_setxattr(struct fs *fs, uint64_t ino, const char *name, const void *value, size_t len,
		int flags, bool kill_sgid)
{
	unsigned int tries = 0;
	int r;

	do {
		r = try_setxattr(fs, ino, name, value, len, flags, kill_sgid);
	} while (fs_made_room(fs, r, &tries));
	return r;
}

static int try_removexattr(struct fs *fs, uint64_t ino, const char *name)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	CLEANUP(change) struct change ch = {0};
	struct inode_rec *rec;
	ssize_t have;
	int r = check_name(fs, name);

	if (r < 0)
		return r;
	if (h.inode == NULL)
		return -ESTALE;
	r = change_begin(&ch, fs);
	if (r < 0)
		return r;
	have = xattr_load(fs, h.inode, name, NULL, 0);
	/* No ACL to remove is no error (fs/posix_acl.c). */
	if (have == -ENODATA && is_acl(name))
		return 0;
	if (have < 0)
		return (int)have;
	r = change_rec(&ch, h.inode, &rec);
	if (r < 0)
		return r;
	rec->attr.ctime = ch.now;
	batch_del_xattr(&ch.batch, ino, name);
	return change_commit(&ch);
}

int fs_removexattr(struct fs *fs, uint64_t ino, const char *name)
{
	unsigned int tries = 0;
	int r;

	do {
		r = try_removexattr(fs, ino, name);
	} while (fs_made_room(fs, r, &tries));
	return r;
}
