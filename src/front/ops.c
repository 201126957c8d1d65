/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operations. */
#include "front/ops.h"

/*
 * Missing on purpose, and what libfuse answers for them:
 *
 *	create		ENOSYS; the kernel then sends MKNOD and opens without a message
 *	flush		ENOSYS once; close(2) has nothing to say to us
 *	release(dir)	success; there is nothing to release
 *	access		ENOSYS; the kernel checks permissions (default_permissions)
 *	getlk, flock	never sent; locks are the kernel's own, the mount has one kernel
 *	ioctl		ENOSYS, which the caller sees as ENOTTY
 */
const struct fuse_lowlevel_ops front_ops = {
	.init = negotiate,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.fallocate = op_fallocate,
	.copy_file_range = op_copy_file_range,
	.lseek = op_lseek,
#if FRONT_FUSE_3_18
	.tmpfile = op_tmpfile,
#endif
};
