/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes relative to a directory descriptor, on kernels old and new. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/sys.h"

/* Linux 6.13. One number on every architecture that has no table of its own from before 2019. */
#ifdef SYS_getxattrat
#define NR_GETXATTRAT  SYS_getxattrat
#define NR_LISTXATTRAT SYS_listxattrat
#elif !defined(__alpha__) && !defined(__mips__) && !defined(__ILP32__)
#define NR_GETXATTRAT  464
#define NR_LISTXATTRAT 465
#else
#define NR_GETXATTRAT  -1
#define NR_LISTXATTRAT -1
#endif

/* linux/xattr.h's struct xattr_args, which older headers do not have. */
struct xattrat_args {
	uint64_t value __attribute__((aligned(8)));
	uint32_t size;
	uint32_t flags;
};

/*
 * Whether the calls of 6.13 may be used, found out once and for both. A size of 0 for the arguments
 * is EINVAL where they exist; a missing call is ENOSYS, or EPERM by a seccomp filter.
 */
bool sys_has_xattrat(void)
{
	static int known; /* 0 not asked yet, 1 yes, -1 no */
	int have = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (have == 0) {
		syscall(NR_GETXATTRAT, -1, NULL, 0, NULL, NULL, 0);
		have = errno == EINVAL ? 1 : -1;
		__atomic_store_n(&known, have, __ATOMIC_RELAXED);
	}
	return have > 0;
}

/*
 * The path by which the older calls reach NAME. The l-calls follow no link in the last component;
 * those before it are /proc's own.
 */
static int proc_path(int dirfd, const char *name, char *buf, size_t size)
{
	int n;

	if (name[0] == '\0')
		return -ENOENT;
	if (dirfd == AT_FDCWD || name[0] == '/')
		n = snprintf(buf, size, "%s", name);
	else
		n = snprintf(buf, size, "/proc/self/fd/%d/%s", dirfd, name);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/*
 * Of the descriptor itself. The f-calls and AT_EMPTY_PATH refuse one that is O_PATH; its link in
 * /proc leads to the inode even when that is a symbolic link, so here it must be followed.
 */
static ssize_t getxattr_fd(int fd, const char *xattr, void *value, size_t size)
{
	char path[64];
	ssize_t n = fgetxattr(fd, xattr, value, size);

	if (n >= 0 || errno != EBADF)
		return n < 0 ? -errno : n;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = getxattr(path, xattr, value, size);
	if (n < 0)
		return errno == ENOENT ? -EBADF : -errno;
	return n;
}

static ssize_t listxattr_fd(int fd, char *buf, size_t size)
{
	char path[64];
	ssize_t n = flistxattr(fd, buf, size);

	if (n >= 0 || errno != EBADF)
		return n < 0 ? -errno : n;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = listxattr(path, buf, size);
	if (n < 0)
		return errno == ENOENT ? -EBADF : -errno;
	return n;
}

static ssize_t getxattr_name(int dirfd, const char *name, const char *xattr, void *value,
			     size_t size)
{
	struct xattrat_args args = {
		.value = (uintptr_t)value,
		.size = size > XATTR_SIZE_MAX ? XATTR_SIZE_MAX : (uint32_t)size,
	};
	char path[PATH_MAX];
	ssize_t n;
	int r;

	if (sys_has_xattrat()) {
		n = syscall(NR_GETXATTRAT, dirfd, name, AT_SYMLINK_NOFOLLOW, xattr, &args,
			    sizeof(args));
		return n < 0 ? -errno : n;
	}
	r = proc_path(dirfd, name, path, sizeof(path));
	if (r < 0)
		return r;
	n = lgetxattr(path, xattr, value, size);
	return n < 0 ? -errno : n;
}

static ssize_t listxattr_name(int dirfd, const char *name, char *buf, size_t size)
{
	char path[PATH_MAX];
	ssize_t n;
	int r;

	if (sys_has_xattrat()) {
		n = syscall(NR_LISTXATTRAT, dirfd, name, AT_SYMLINK_NOFOLLOW, buf, size);
		return n < 0 ? -errno : n;
	}
	r = proc_path(dirfd, name, path, sizeof(path));
	if (r < 0)
		return r;
	n = llistxattr(path, buf, size);
	return n < 0 ? -errno : n;
}

ssize_t sys_getxattr_at(int dirfd, const char *name, const char *xattr, void *value, size_t size)
{
	ssize_t n;

	do {
		if (name == NULL)
			n = getxattr_fd(dirfd, xattr, value, size);
		else
			n = getxattr_name(dirfd, name, xattr, value, size);
	} while (n == -EINTR);
	return n == -EOPNOTSUPP ? -ENODATA : n;
}

ssize_t sys_listxattr_at(int dirfd, const char *name, char *buf, size_t size)
{
	ssize_t n;

	do {
		if (name == NULL)
			n = listxattr_fd(dirfd, buf, size);
		else
			n = listxattr_name(dirfd, name, buf, size);
	} while (n == -EINTR);
	return n == -EOPNOTSUPP ? 0 : n;
}
