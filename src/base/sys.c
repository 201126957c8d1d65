/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that return -errno, retry EINTR and complete partial transfers. */
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif

/* The value of a call that answers -1 and errno: itself, or -errno; repeated while interrupted. */
#define RETRY(call)                                                                                \
	__extension__({                                                                            \
		__typeof__(call) value_;                                                           \
		do                                                                                 \
			value_ = (call);                                                           \
		while (value_ == -1 && errno == EINTR);                                            \
		value_ == -1 ? -errno : value_;                                                    \
	})

/* A btrfs with less than this may be full at any time. */
#define TIGHT_BYTES ((uint64_t)64 << 20)

int sys_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return RETRY(openat(dirfd, name, flags | O_CLOEXEC | O_NOCTTY, mode));
}

/*
 * Whether openat2(2) may be used, found out once. Seccomp filters answer EPERM as well as ENOSYS
 * for calls they do not know, so the question is one whose only honest answer is EINVAL.
 */
static bool have_openat2(void)
{
	static int known; /* 0 not asked yet, 1 yes, -1 no */
	int have = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (have == 0) {
		syscall(SYS_openat2, -1, NULL, NULL, 0);
		have = errno == EINVAL ? 1 : -1;
		__atomic_store_n(&known, have, __ATOMIC_RELAXED);
	}
	return have > 0;
}

/* openat2(2) refuses flags that openat(2) ignores beside O_PATH. */
static uint64_t openat2_flags(int flags)
{
	flags |= O_CLOEXEC | O_NOFOLLOW;
	if ((flags & O_PATH) != 0)
		return (uint64_t)(flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	return (uint64_t)(flags | O_NOCTTY);
}

/* What sys_open_in() does on a kernel before 5.6, or under a filter that hides openat2(2). */
static int open_in_checked(int dirfd, const char *name, int flags, bool no_xdev)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, name, flags | O_NOFOLLOW, 0);
	struct stat dir, st;
	int r;

	if (fd < 0 || !no_xdev)
		return steal_fd(&fd);
	r = sys_fstatat(dirfd, ".", &dir, 0);
	if (r == 0)
		r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	if (dir.st_dev != st.st_dev)
		return -EXDEV;
	return steal_fd(&fd);
}

#define RESOLVE_IN (RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)

int sys_open_below(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = openat2_flags(flags),
		.resolve = RESOLVE_IN | RESOLVE_NO_XDEV,
	};

	if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE)
		return -EINVAL;
	if (!have_openat2())
		return -ENOSYS;
	return RETRY(sys_openat2(dirfd, path, &how));
}

int sys_open_in(int dirfd, const char *name, int flags, bool no_xdev)
{
	struct open_how how = {
		.flags = openat2_flags(flags),
		.resolve = RESOLVE_IN,
	};

	if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE)
		return -EINVAL;
	if (strchr(name, '/') != NULL)
		return -EINVAL;
	if (strcmp(name, "..") == 0)
		return -EXDEV;
	if (!have_openat2())
		return open_in_checked(dirfd, name, flags, no_xdev);
	if (no_xdev)
		how.resolve |= RESOLVE_NO_XDEV;
	return RETRY(sys_openat2(dirfd, name, &how));
}

int sys_open_tree_clone(int fd)
{
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;

	return (int)RETRY(syscall(SYS_open_tree, fd, "", flags));
}

int sys_fstat(int fd, struct stat *ret_st)
{
	struct stat st;
	int r = RETRY(fstat(fd, &st));

	if (r == 0)
		*ret_st = st;
	return r;
}

int sys_fstatat(int dirfd, const char *name, struct stat *ret_st, int flags)
{
	struct stat st;
	int r = RETRY(fstatat(dirfd, name, &st, flags));

	if (r == 0)
		*ret_st = st;
	return r;
}

static struct timespec time_of(const struct statx_timestamp *t)
{
	return (struct timespec){.tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec};
}

static struct stat stat_of(const struct statx *stx)
{
	return (struct stat){
		.st_dev = makedev(stx->stx_dev_major, stx->stx_dev_minor),
		.st_ino = stx->stx_ino,
		.st_mode = stx->stx_mode,
		.st_nlink = stx->stx_nlink,
		.st_uid = stx->stx_uid,
		.st_gid = stx->stx_gid,
		.st_rdev = makedev(stx->stx_rdev_major, stx->stx_rdev_minor),
		.st_size = (off_t)stx->stx_size,
		.st_blksize = (blksize_t)stx->stx_blksize,
		.st_blocks = (blkcnt_t)stx->stx_blocks,
		.st_atim = time_of(&stx->stx_atime),
		.st_mtim = time_of(&stx->stx_mtime),
		.st_ctim = time_of(&stx->stx_ctime),
	};
}

int sys_fstatat_mount(int dirfd, const char *name, struct stat *ret_st, int flags, bool *ret_mount)
{
	struct statx stx;
	int r = RETRY(statx(dirfd, name, flags, STATX_BASIC_STATS, &stx));

	/* So says a container's filter of system calls that is older than this one. */
	if (r == -ENOSYS || r == -EPERM) {
		r = sys_fstatat(dirfd, name, ret_st, flags);
		if (r == 0)
			*ret_mount = false;
		return r;
	}
	if (r < 0)
		return r;
	*ret_st = stat_of(&stx);
	*ret_mount = (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
	return 0;
}

ssize_t sys_readlinkat(int dirfd, const char *name, char *buf, size_t size)
{
	return RETRY(readlinkat(dirfd, name, buf, size));
}

int sys_mkdirat(int dirfd, const char *name, mode_t mode)
{
	return RETRY(mkdirat(dirfd, name, mode));
}

#define USE_EXACTNESS 3600 /* seconds */

void sys_note_use(int fd)
{
	struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	const struct timespec now[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
	struct stat st;

	(void)fcntl(fd, F_OFD_SETLK, &whole);
	if (sys_fstat(fd, &st) == 0 && st.st_mtim.tv_sec + USE_EXACTNESS < time(NULL))
		(void)futimens(fd, now);
}

bool sys_is_used(int fd)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

/* The directories above the last part of PATH: 0, or why the first that is missing could not be made. */
static int make_above(char *path, mode_t mode)
{
	int first = 0;

	for (char *p = path + 1; *p != '\0'; p++) {
		int rc;

		if (*p != '/')
			continue;
		*p = '\0';
		rc = sys_mkdirat(AT_FDCWD, path, mode);
		*p = '/';
		/* What may not be written to may still have the rest of the path. */
		if (rc < 0 && rc != -EEXIST && first == 0)
			first = rc;
	}
	return first;
}

int sys_mkdir_all(const char *path, mode_t mode)
{
	CLEANUP(free) char *copy = strdup(path);
	struct stat st;
	int rc, above;

	if (copy == NULL)
		return -ENOMEM;
	rc = sys_mkdirat(AT_FDCWD, path, mode);
	if (rc == -ENOENT && *path != '\0') {
		above = make_above(copy, mode);
		rc = sys_mkdirat(AT_FDCWD, path, mode);
		if (rc == -ENOENT && above < 0)
			rc = above;
	}
	if (rc != -EEXIST)
		return rc;
	rc = sys_fstatat(AT_FDCWD, path, &st, 0);
	return rc == 0 && !S_ISDIR(st.st_mode) ? -ENOTDIR : rc;
}

int sys_unlinkat(int dirfd, const char *name, int flags)
{
	return RETRY(unlinkat(dirfd, name, flags));
}

int sys_renameat(int olddir, const char *oldname, int newdir, const char *newname,
		 unsigned int flags)
{
	/* Without flags, the call that file systems without renameat2(2) also know. */
	if (flags == 0)
		return RETRY(renameat(olddir, oldname, newdir, newname));
	return (int)RETRY(syscall(SYS_renameat2, olddir, oldname, newdir, newname, flags));
}

ssize_t sys_getdents(int fd, void *buf, size_t size)
{
	return RETRY(syscall(SYS_getdents64, fd, buf, size));
}

const struct linux_dirent64 *sys_dirents_next(struct sys_dirents *it)
{
	const size_t head = offsetof(struct linux_dirent64, d_name);
	const struct linux_dirent64 *d = (const void *)it->p;

	if (it->bad || it->left == 0)
		return NULL;
	it->bad = true;
	if (it->left < head || d->d_reclen > it->left || d->d_reclen <= head)
		return NULL;
	if (d->d_reclen % _Alignof(struct linux_dirent64) != 0)
		return NULL;
	if (d->d_name[0] == '\0' || memchr(d->d_name, '\0', d->d_reclen - head) == NULL)
		return NULL;
	it->bad = false;
	it->p += d->d_reclen;
	it->left -= d->d_reclen;
	return d;
}

ssize_t sys_pread_full(int fd, void *buf, size_t len, off_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = RETRY(pread(fd, (char *)buf + done, len - done, off + (off_t)done));

		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int sys_pwrite_full(int fd, const void *buf, size_t len, off_t off)
{
	for (size_t done = 0; done < len;) {
		ssize_t n =
			RETRY(pwrite(fd, (const char *)buf + done, len - done, off + (off_t)done));

		if (n < 0)
			return (int)n;
		/* Not a thing that a file system should do; looping on it would hang. */
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

int sys_write_full(int fd, const void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = RETRY(write(fd, (const char *)buf + done, len - done));

		if (n < 0)
			return (int)n;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

bool sys_is_btrfs(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && st.f_type == BTRFS_SUPER_MAGIC;
}

void sys_set_in_place(int fd)
{
	int flags;

	if (!sys_is_btrfs(fd) || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return;
	flags |= FS_NOCOW_FL;
	ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* Has this btrfs quotas? True as well when that cannot be told. */
static bool has_quotas(int fd)
{
	struct btrfs_ioctl_fs_info_args info = {0};
	char path[96] = "/sys/fs/btrfs/";
	size_t at = strlen(path);

	if (ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
		return true;
	for (size_t i = 0; i < BTRFS_FSID_SIZE; i++)
		at += (size_t)snprintf(path + at, sizeof(path) - at, "%s%02x",
				       i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				       info.fsid[i]);
	if (access(path, F_OK) < 0)
		return true;
	snprintf(path + at, sizeof(path) - at, "/qgroups");
	return access(path, F_OK) == 0;
}

bool sys_cut_may_fail(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0 || st.f_type != BTRFS_SUPER_MAGIC)
		return false;
	return (uint64_t)st.f_bavail * (uint64_t)st.f_bsize < TIGHT_BYTES || has_quotas(fd);
}

int sys_fdatasync(int fd)
{
	return RETRY(fdatasync(fd));
}

int sys_fsync_dir(int fd)
{
	int r = RETRY(fsync(fd));

	return r == -EINVAL ? 0 : r;
}

int sys_ftruncate(int fd, off_t len)
{
	return RETRY(ftruncate(fd, len));
}

int sys_fallocate(int fd, int mode, off_t off, off_t len)
{
	return RETRY(fallocate(fd, mode, off, len));
}

off_t sys_lseek(int fd, off_t off, int whence)
{
	return RETRY(lseek(fd, off, whence));
}

void sys_reserve_fds(unsigned int n)
{
	struct rlimit limit;
	int root, fd;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == 0 || n == 0)
		return;
	if (n > limit.rlim_cur)
		n = (unsigned int)limit.rlim_cur;
	root = open("/", O_PATH | O_CLOEXEC);
	if (root < 0)
		return;
	/* Whatever is the first free one from N - 1 on: the table reaches to it. */
	fd = fcntl(root, F_DUPFD_CLOEXEC, (int)n - 1);
	if (fd >= 0)
		close(fd);
	close(root);
}

size_t sys_fds_left(void)
{
	const size_t gap = 256;
	struct rlimit limit;
	size_t open = 0, max;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	max = limit.rlim_cur < INT_MAX ? (size_t)limit.rlim_cur : INT_MAX;
	for (size_t fd = 0, closed = 0; fd < max && closed < gap; fd++) {
		if (fcntl((int)fd, F_GETFD) >= 0) {
			open++;
			closed = 0;
		} else {
			closed++;
		}
	}
	return max - open;
}

int sys_random(void *p, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = RETRY(getrandom((char *)p + done, len - done, 0));

		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	return 0;
}
