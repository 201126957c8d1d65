/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of tests/support/shadow.h on a directory, by system calls. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "crash/full/full.h"

#define PATH 4096

static void join(char path[PATH], const char *dir, const char *name)
{
	snprintf(path, PATH, "%s/%s", dir, name);
}

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

static int close_with(int fd, int r)
{
	int closed = result(close(fd));

	return r < 0 ? r : closed;
}

static int do_create(const char *path, uint32_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	return fd < 0 ? -errno : close_with(fd, 0);
}

static int do_write(const char *path, const struct shadow_op *op, bool flush, uint64_t *ret_done)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;
	uint8_t *bytes;
	ssize_t n;

	*ret_done = 0;
	if (fd < 0)
		return -errno;
	bytes = malloc(op->len + 1);
	shadow_fill(bytes, op->off, op->len, op->seed);
	while (r == 0 && *ret_done < op->len) {
		n = pwrite(fd, bytes + *ret_done, op->len - *ret_done,
			   (off_t)(op->off + *ret_done));
		r = n < 0 ? -errno : 0;
		*ret_done += n > 0 ? (uint64_t)n : 0;
	}
	free(bytes);
	if (r == 0 && flush)
		r = result(fsync(fd));
	return close_with(fd, r);
}

static int with_file(const char *path, const struct shadow_op *op)
{
	bool dir = op->kind == SHADOW_FSYNC || op->kind == SHADOW_SYNCFS;
	int fd = open(path, (dir ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	if (op->kind == SHADOW_PUNCH)
		r = result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)op->off,
				     (off_t)op->len));
	else
		r = result(op->kind == SHADOW_FSYNC ? fsync(fd) : syncfs(fd));
	return close_with(fd, r);
}

static int do_names(const char *path, const char *path2, const struct shadow_op *op)
{
	switch (op->kind) {
	case SHADOW_MKDIR:
		return result(mkdir(path, op->mode));
	case SHADOW_FIFO:
		return result(mkfifo(path, op->mode));
	case SHADOW_SYMLINK:
		return result(symlink(op->path2, path));
	case SHADOW_LINK:
		return result(linkat(AT_FDCWD, path, AT_FDCWD, path2, 0));
	case SHADOW_UNLINK:
		return result(unlink(path));
	case SHADOW_RMDIR:
		return result(rmdir(path));
	default:
		return result(rename(path, path2));
	}
}

int op_do(const char *dir, const struct shadow_op *op, bool flush, uint64_t *ret_done)
{
	char path[PATH], path2[PATH], value[16];

	join(path, dir, op->path);
	join(path2, dir, op->path2);
	switch (op->kind) {
	case SHADOW_CREATE:
		return do_create(path, op->mode);
	case SHADOW_WRITE:
		return do_write(path, op, flush, ret_done);
	case SHADOW_TRUNCATE:
		return result(truncate(path, (off_t)op->off));
	case SHADOW_PUNCH:
	case SHADOW_FSYNC:
	case SHADOW_SYNCFS:
		return with_file(path, op);
	case SHADOW_CHMOD:
		return result(chmod(path, op->mode));
	case SHADOW_SETXATTR:
		snprintf(value, sizeof(value), "%u", op->seed);
		return result(lsetxattr(path, SHADOW_XATTR, value, strlen(value), 0));
	case SHADOW_RMXATTR:
		return result(lremovexattr(path, SHADOW_XATTR));
	default:
		return do_names(path, path2, op);
	}
}

/* ---- the view ------------------------------------------------------------------------ */

static int view_list(void *arg, const char *path, void (*each)(void *to, const char *name),
		     void *to)
{
	char full[PATH];
	struct dirent *e;
	int r;
	DIR *d;

	join(full, arg, path);
	d = opendir(full);
	if (d == NULL)
		return -errno;
	errno = 0;
	while ((e = readdir(d)) != NULL) {
		each(to, e->d_name);
		errno = 0;
	}
	r = -errno;
	closedir(d);
	return r;
}

static int view_stat(void *arg, const char *path, struct shadow_stat *ret_st)
{
	char full[PATH];
	struct stat st;

	join(full, arg, path);
	if (lstat(full, &st) < 0)
		return -errno;
	*ret_st = (struct shadow_stat){.ino = st.st_ino,
				       .size = (uint64_t)st.st_size,
				       .mode = st.st_mode,
				       .nlink = (uint32_t)st.st_nlink};
	return 0;
}

static ssize_t view_read(void *arg, const char *path, void *bytes, size_t size, uint64_t off)
{
	char full[PATH];
	ssize_t n;
	int fd;

	join(full, arg, path);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* What the daemon has, and not what the kernel remembers. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	n = pread(fd, bytes, size, (off_t)off);
	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

static ssize_t view_readlink(void *arg, const char *path, char *target, size_t size)
{
	char full[PATH];
	ssize_t n;

	join(full, arg, path);
	n = readlink(full, target, size);
	return n < 0 ? -errno : n;
}

static ssize_t view_getxattr(void *arg, const char *path, char *value, size_t size)
{
	char full[PATH];
	ssize_t n;

	join(full, arg, path);
	n = lgetxattr(full, SHADOW_XATTR, value, size);
	return n < 0 ? -errno : n;
}

const struct shadow_view dir_view = {view_list, view_stat, view_read, view_readlink, view_getxattr};
