/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operations. */
#include "front/ops.h"

#include <pthread.h>

/*
 * libfuse ends its io_uring threads by pthread_cancel(3), also one that is in the middle of a request (when the mount
 * is taken away under clients that go on). Locks that it held would stay locked, and the daemon would never end: so
 * each operation is whole.
 */
#define WHOLE(name, params, args)                                                                  \
	static void whole_##name params                                                            \
	{                                                                                          \
		int before;                                                                        \
                                                                                                   \
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);                           \
		op_##name args;                                                                    \
		pthread_setcancelstate(before, NULL);                                              \
	}

WHOLE(lookup, (fuse_req_t req, fuse_ino_t parent, const char *name), (req, parent, name))
WHOLE(forget, (fuse_req_t req, fuse_ino_t ino, uint64_t nlookup), (req, ino, nlookup))
WHOLE(forget_multi, (fuse_req_t req, size_t count, struct fuse_forget_data *forgets),
      (req, count, forgets))
WHOLE(mknod, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev),
      (req, parent, name, mode, rdev))
WHOLE(mkdir, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode),
      (req, parent, name, mode))
WHOLE(symlink, (fuse_req_t req, const char *target, fuse_ino_t parent, const char *name),
      (req, target, parent, name))
#if FRONT_FUSE_3_18
WHOLE(tmpfile, (fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi),
      (req, parent, mode, fi))
#endif
WHOLE(link, (fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name),
      (req, ino, new_parent, new_name))
WHOLE(unlink, (fuse_req_t req, fuse_ino_t parent, const char *name), (req, parent, name))
WHOLE(rmdir, (fuse_req_t req, fuse_ino_t parent, const char *name), (req, parent, name))
WHOLE(rename,
      (fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
       const char *new_name, unsigned int flags),
      (req, parent, name, new_parent, new_name, flags))
WHOLE(getattr, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
WHOLE(setattr,
      (fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi),
      (req, ino, st, to_set, fi))
WHOLE(readlink, (fuse_req_t req, fuse_ino_t ino), (req, ino))
WHOLE(statfs, (fuse_req_t req, fuse_ino_t ino), (req, ino))
WHOLE(opendir, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
WHOLE(readdir, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi),
      (req, ino, size, off, fi))
WHOLE(readdirplus,
      (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi),
      (req, ino, size, off, fi))
WHOLE(fsyncdir, (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi),
      (req, ino, datasync, fi))
WHOLE(open, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
WHOLE(release, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
WHOLE(read, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi),
      (req, ino, size, off, fi))
WHOLE(write,
      (fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t off,
       struct fuse_file_info *fi),
      (req, ino, bytes, size, off, fi))
WHOLE(fsync, (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi),
      (req, ino, datasync, fi))
WHOLE(fallocate,
      (fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi),
      (req, ino, mode, off, len, fi))
WHOLE(copy_file_range,
      (fuse_req_t req, fuse_ino_t from, off_t from_off, struct fuse_file_info *from_fi,
       fuse_ino_t to, off_t to_off, struct fuse_file_info *to_fi, size_t len, int flags),
      (req, from, from_off, from_fi, to, to_off, to_fi, len, flags))
WHOLE(lseek, (fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi),
      (req, ino, off, whence, fi))
WHOLE(setxattr,
      (fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags),
      (req, ino, name, value, size, flags))
WHOLE(getxattr, (fuse_req_t req, fuse_ino_t ino, const char *name, size_t size),
      (req, ino, name, size))
WHOLE(listxattr, (fuse_req_t req, fuse_ino_t ino, size_t size), (req, ino, size))
WHOLE(removexattr, (fuse_req_t req, fuse_ino_t ino, const char *name), (req, ino, name))

/*
 * Missing on purpose, and what libfuse answers for them:
 *
 *	create		ENOSYS; the kernel then sends MKNOD and opens without a message
 *	flush		ENOSYS once; close(2) has nothing to say to us
 *	releasedir	success; there is nothing to release
 *	access		ENOSYS; the kernel checks permissions (default_permissions)
 *	getlk, flock	never sent; locks are the kernel's own, the mount has one kernel
 *	ioctl		ENOSYS, which the caller sees as ENOTTY
 */
const struct fuse_lowlevel_ops front_ops = {
	.init = negotiate,
	.lookup = whole_lookup,
	.forget = whole_forget,
	.forget_multi = whole_forget_multi,
	.getattr = whole_getattr,
	.setattr = whole_setattr,
	.readlink = whole_readlink,
	.mknod = whole_mknod,
	.mkdir = whole_mkdir,
	.unlink = whole_unlink,
	.rmdir = whole_rmdir,
	.symlink = whole_symlink,
	.rename = whole_rename,
	.link = whole_link,
	.open = whole_open,
	.release = whole_release,
	.read = whole_read,
	.write = whole_write,
	.fsync = whole_fsync,
	.opendir = whole_opendir,
	.readdir = whole_readdir,
	.readdirplus = whole_readdirplus,
	.fsyncdir = whole_fsyncdir,
	.statfs = whole_statfs,
	.setxattr = whole_setxattr,
	.getxattr = whole_getxattr,
	.listxattr = whole_listxattr,
	.removexattr = whole_removexattr,
	.fallocate = whole_fallocate,
	.copy_file_range = whole_copy_file_range,
	.lseek = whole_lseek,
#if FRONT_FUSE_3_18
	.tmpfile = whole_tmpfile,
#endif
};
