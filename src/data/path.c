/* SPDX-License-Identifier: Apache-2.0 */
/* Names of data files: two hex digits of the low byte, then the inode number in sixteen. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "data/path.h"

void data_path(uint64_t ino, char ret_path[DATA_PATH_SIZE])
{
	snprintf(ret_path, DATA_PATH_SIZE, "%02x/%016" PRIx64, data_path_dir(ino), ino);
}

void data_path_dir_name(unsigned int dir, char ret_name[3])
{
	snprintf(ret_name, 3, "%02x", dir % DATA_DIRS);
}

/*
 * An upper that is a layer may come from a stranger, and what it has in the place of a data file, or of the directory that
 * holds it, must not lead out of it. 0: it is a directory; -ENOENT; -EUCLEAN.
 */
static int check_dir(int dirfd, uint64_t ino)
{
	char dir[3];
	struct stat st;
	int r;

	data_path_dir_name(data_path_dir(ino), dir);
	r = sys_fstatat(dirfd, dir, &st, AT_SYMLINK_NOFOLLOW);
	return r == 0 && !S_ISDIR(st.st_mode) ? -EUCLEAN : r;
}

int data_path_stat(int dirfd, uint64_t ino, struct stat *ret_st)
{
	char path[DATA_PATH_SIZE];
	struct stat st;
	int r = check_dir(dirfd, ino);

	data_path(ino, path);
	if (r == 0)
		r = sys_fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW);
	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode))
		return -EUCLEAN;
	*ret_st = st;
	return 0;
}

static int create_at(int dirfd, const char *path, int *ret_fd)
{
	int fd = openat(dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int data_path_create(int dirfd, uint64_t ino, int *ret_fd)
{
	char path[DATA_PATH_SIZE], dir[3];
	int r = check_dir(dirfd, ino);

	data_path(ino, path);
	data_path_dir_name(data_path_dir(ino), dir);
	if (r == 0)
		r = create_at(dirfd, path, ret_fd);
	if (r == -EEXIST) {
		if (unlinkat(dirfd, path, 0) < 0 && errno != ENOENT)
			return -errno;
		r = create_at(dirfd, path, ret_fd);
	} else if (r == -ENOENT) {
		if (mkdirat(dirfd, dir, 0700) < 0 && errno != EEXIST)
			return -errno;
		r = create_at(dirfd, path, ret_fd);
	}
	return r;
}

/* No symbolic link on the way; where the kernel cannot see to that, none that was there before. */
static int open_below(int dirfd, uint64_t ino, int flags)
{
	char path[DATA_PATH_SIZE];
	int fd;

	data_path(ino, path);
	fd = sys_open_below(dirfd, path, flags);
	if (fd == -ENOSYS) {
		fd = check_dir(dirfd, ino);
		if (fd == 0)
			fd = sys_openat(dirfd, path, flags | O_NOFOLLOW, 0);
	}
	return fd;
}

int data_path_open(int dirfd, uint64_t ino, bool read_only, int *ret_fd)
{
	/* A fifo is not waited for. */
	CLEANUP(fd) int fd = open_below(dirfd, ino, (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd == -ELOOP || fd == -ENOTDIR || fd == -EXDEV || fd == -ENXIO || fd == -EISDIR)
		return -EUCLEAN;
	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r == 0 && !S_ISREG(st.st_mode))
		r = -EUCLEAN;
	if (r == 0)
		*ret_fd = steal_fd(&fd);
	return r;
}

int data_path_open_dir(int dirfd, unsigned int dir)
{
	char name[3];

	data_path_dir_name(dir, name);
	return sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

int data_path_make_dir(int dirfd, uint64_t ino)
{
	char dir[3];

	data_path_dir_name(data_path_dir(ino), dir);
	return mkdirat(dirfd, dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int data_path_move(int from_dir, const char *from, int dirfd, uint64_t ino)
{
	char path[DATA_PATH_SIZE];
	int r = check_dir(dirfd, ino);

	data_path(ino, path);
	return r < 0 ? r : renameat(from_dir, from, dirfd, path) < 0 ? -errno : 0;
}

int data_path_remove(int dirfd, uint64_t ino)
{
	char path[DATA_PATH_SIZE];
	int r = check_dir(dirfd, ino);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	data_path(ino, path);
	return unlinkat(dirfd, path, 0) < 0 && errno != ENOENT ? -errno : 0;
}
