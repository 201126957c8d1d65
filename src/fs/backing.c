/* SPDX-License-Identifier: Apache-2.0 */
/* The plain file in which the bytes of an inode are, for those who can read it better than we do. */
#include <errno.h>

#include "base/sys.h"
#include "data/fdcache.h"
#include "fs/private.h"

struct user {
	int (*use)(void *arg, int fd);
	void *arg;
};

static int use_lower(struct fs *fs, struct inode *inode, const struct inode_rec *rec,
		     const struct user *user)
{
	CLEANUP(lower_held) struct lower_held held = {&fs->lower_files, NULL};
	struct stat st;
	int r, fd = lower_held_fd(&held, inode);

	if (fd < 0)
		return fd;
	if (rec != NULL) {
		/* What was cut off, or grew by zeros, while the bytes stayed where they are. */
		r = sys_fstat(fd, &st);
		if (r < 0)
			return r;
		if ((uint64_t)st.st_size != rec->attr.size || rec->attr.size != rec->lower_size)
			return -EOPNOTSUPP;
	}
	return user->use(user->arg, fd);
}

static int use_own(struct fs *fs, const struct inode_rec *rec, const struct user *user)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	int r = data_file(fs->data, rec, &ref);

	return r < 0 ? r : user->use(user->arg, ref->fd);
}

int fs_with_file(struct fs *fs, uint64_t ino, int (*use)(void *arg, int fd), void *arg)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(data_lock) struct data_lock *lock = NULL;
	struct user user = {use, arg};
	int r;

	if (h.inode == NULL)
		return -ESTALE;
	if (!S_ISREG(h.inode->type) || !fs->read_only)
		return -EOPNOTSUPP;
	lock = data_lock_shared(&fs->data_locks, ino);
	r = record_load(fs, ino, &rec);
	if (r == -ENOENT)
		return use_lower(fs, h.inode, NULL, &user);
	if (r < 0)
		return r;
	return rec.where == BYTES_LOWER ? use_lower(fs, h.inode, &rec, &user)
					: use_own(fs, &rec, &user);
}
