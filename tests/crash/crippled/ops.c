/* SPDX-License-Identifier: Apache-2.0 */
/* Each operation is that of the directory below, or the error of a file system that has it not. */
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "crash/crippled/crippled.h"
#include "crash/crippled/ops.h"

static int source = -1;

int ops_open_source(const char *path)
{
	source = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return source;
}

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

/* "/a/b" inside the source. */
static const char *at(const char *path)
{
	return path[1] != '\0' ? path + 1 : ".";
}

/* For calls that have no "at" form. */
static const char *proc(const char *path, char *buf, size_t size)
{
	snprintf(buf, size, "/proc/self/fd/%d/%s", source, at(path));
	return buf;
}

static void coarse(struct timespec *t)
{
	t->tv_sec &= ~(time_t)1;
	t->tv_nsec = 0;
}

static void show(struct stat *st)
{
	if (lacks.chown)
		st->st_uid = st->st_gid = 0;
	if (lacks.chmod && !S_ISLNK(st->st_mode))
		st->st_mode = (st->st_mode & S_IFMT) | 0755;
	if (lacks.holes)
		st->st_blocks = (st->st_size + 511) / 512;
	if (!lacks.nanos)
		return;
	coarse(&st->st_atim);
	coarse(&st->st_mtim);
	coarse(&st->st_ctim);
}

static int do_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	int r = fi != NULL ? fstat((int)fi->fh, st)
			   : fstatat(source, at(path), st, AT_SYMLINK_NOFOLLOW);

	if (r == 0)
		show(st);
	return result(r);
}

static int do_readlink(const char *path, char *buf, size_t size)
{
	ssize_t n = readlinkat(source, at(path), buf, size - 1);

	if (n >= 0)
		buf[n] = '\0';
	return result(n);
}

static int do_mknod(const char *path, mode_t mode, dev_t dev)
{
	if (lacks.node && !S_ISREG(mode))
		return -EPERM;
	return result(mknodat(source, at(path), mode, dev));
}

static int do_mkdir(const char *path, mode_t mode)
{
	return result(mkdirat(source, at(path), mode));
}

static int do_unlink(const char *path)
{
	return result(unlinkat(source, at(path), 0));
}

static int do_rmdir(const char *path)
{
	return result(unlinkat(source, at(path), AT_REMOVEDIR));
}

static int do_symlink(const char *target, const char *path)
{
	return lacks.symlink ? -EPERM : result(symlinkat(target, source, at(path)));
}

static int do_rename(const char *from, const char *to, unsigned int flags)
{
	if (lacks.flags && flags != 0)
		return -EINVAL;
	return result(renameat2(source, at(from), source, at(to), flags));
}

static int do_link(const char *from, const char *to)
{
	return lacks.link ? -EPERM : result(linkat(source, at(from), source, at(to), 0));
}

static int do_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	if (lacks.chmod)
		return 0;
	return result(fi != NULL ? fchmod((int)fi->fh, mode) : fchmodat(source, at(path), mode, 0));
}

static int do_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
	if (lacks.chown)
		return -EPERM;
	return result(fi != NULL ? fchown((int)fi->fh, uid, gid)
				 : fchownat(source, at(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int do_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	char buf[4200];

	return result(fi != NULL ? ftruncate((int)fi->fh, size)
				 : truncate(proc(path, buf, sizeof(buf)), size));
}

static int do_utimens(const char *path, const struct timespec tv[2], struct fuse_file_info *fi)
{
	struct timespec t[2] = {tv[0], tv[1]};

	for (int i = 0; lacks.nanos && i < 2; i++) {
		if (t[i].tv_nsec != UTIME_NOW && t[i].tv_nsec != UTIME_OMIT)
			coarse(&t[i]);
	}
	return result(fi != NULL ? futimens((int)fi->fh, t)
				 : utimensat(source, at(path), t, AT_SYMLINK_NOFOLLOW));
}

static int open_it(const char *path, int flags, mode_t mode, struct fuse_file_info *fi)
{
	int fd = openat(source, at(path), flags | O_NOFOLLOW | O_CLOEXEC, mode);

	if (fd < 0)
		return -errno;
	fi->fh = (uint64_t)fd;
	fi->direct_io = lacks.mmap;
	return 0;
}

static int do_open(const char *path, struct fuse_file_info *fi)
{
	return open_it(path, fi->flags, 0, fi);
}

static int do_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	return open_it(path, fi->flags | O_CREAT, mode, fi);
}

static int do_read(const char *path, char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	ssize_t n = pread((int)fi->fh, buf, size, off);

	(void)path;
	if (lacks.media && off + n > CRIPPLED_MEDIA)
		return -EIO;
	return n < 0 ? -errno : (int)n;
}

static int do_write(const char *path, const char *buf, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	ssize_t n = pwrite((int)fi->fh, buf, size, off);

	(void)path;
	return n < 0 ? -errno : (int)n;
}

static int do_statfs(const char *path, struct statvfs *st)
{
	(void)path;
	return result(fstatvfs(source, st));
}

static int do_release(const char *path, struct fuse_file_info *fi)
{
	(void)path;
	return result(close((int)fi->fh));
}

static int do_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path;
	return result(datasync ? fdatasync((int)fi->fh) : fsync((int)fi->fh));
}

static int do_fsyncdir(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path;
	(void)datasync;
	return lacks.dirsync ? -EINVAL : result(fsync((int)fi->fh));
}

static int do_opendir(const char *path, struct fuse_file_info *fi)
{
	return open_it(path, O_RDONLY | O_DIRECTORY, 0, fi);
}

static int do_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t off,
		      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	DIR *dir = fdopendir(openat((int)fi->fh, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *d;

	(void)path;
	(void)off;
	(void)flags;
	if (dir == NULL)
		return -errno;
	while ((d = readdir(dir)) != NULL) {
		struct stat st = {.st_ino = d->d_ino, .st_mode = (mode_t)d->d_type << 12};

		if (fill(buf, d->d_name, &st, 0, 0) != 0)
			break;
	}
	closedir(dir);
	return 0;
}

static int do_setxattr(const char *path, const char *name, const char *value, size_t size,
		       int flags)
{
	char buf[4200];

	return result(lsetxattr(proc(path, buf, sizeof(buf)), name, value, size, flags));
}

static int do_getxattr(const char *path, const char *name, char *value, size_t size)
{
	char buf[4200];
	ssize_t n = lgetxattr(proc(path, buf, sizeof(buf)), name, value, size);

	return n < 0 ? -errno : (int)n;
}

static int do_listxattr(const char *path, char *list, size_t size)
{
	char buf[4200];
	ssize_t n = llistxattr(proc(path, buf, sizeof(buf)), list, size);

	return n < 0 ? -errno : (int)n;
}

static int do_removexattr(const char *path, const char *name)
{
	char buf[4200];

	return result(lremovexattr(proc(path, buf, sizeof(buf)), name));
}

static int do_fallocate(const char *path, int mode, off_t off, off_t len, struct fuse_file_info *fi)
{
	(void)path;
	return lacks.holes ? -EOPNOTSUPP : result(fallocate((int)fi->fh, mode, off, len));
}

static off_t do_lseek(const char *path, off_t off, int whence, struct fuse_file_info *fi)
{
	off_t to;

	(void)path;
	if (lacks.seek)
		return -EINVAL;
	to = lseek((int)fi->fh, off, whence);
	return to < 0 ? -errno : to;
}

static int do_lock(const char *path, struct fuse_file_info *fi, int cmd, struct flock *lock)
{
	(void)path;
	(void)fi;
	(void)cmd;
	(void)lock;
	return lacks.locks ? -ENOLCK : -ENOSYS;
}

static void *do_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
	(void)conn;
	config->use_ino = !lacks.ino;
	config->nullpath_ok = 0;
	return NULL;
}

static struct fuse_operations table = {
	.init = do_init,
	.getattr = do_getattr,
	.readlink = do_readlink,
	.mknod = do_mknod,
	.mkdir = do_mkdir,
	.unlink = do_unlink,
	.rmdir = do_rmdir,
	.symlink = do_symlink,
	.rename = do_rename,
	.link = do_link,
	.chmod = do_chmod,
	.chown = do_chown,
	.truncate = do_truncate,
	.utimens = do_utimens,
	.open = do_open,
	.create = do_create,
	.read = do_read,
	.write = do_write,
	.statfs = do_statfs,
	.release = do_release,
	.fsync = do_fsync,
	.fsyncdir = do_fsyncdir,
	.opendir = do_opendir,
	.readdir = do_readdir,
	.releasedir = do_release,
	.fallocate = do_fallocate,
};

/* An operation that is not in the table is one that the kernel is told nobody has heard of. */
const struct fuse_operations *ops_table(void)
{
	if (!lacks.xattr) {
		table.setxattr = do_setxattr;
		table.getxattr = do_getxattr;
		table.listxattr = do_listxattr;
		table.removexattr = do_removexattr;
	}
	if (!lacks.holes || lacks.seek)
		table.lseek = do_lseek;
	if (lacks.locks || lacks.nolocks)
		table.lock = do_lock;
	return &table;
}
