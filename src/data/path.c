/* SPDX-License-Identifier: Apache-2.0 */
/* Names of data files: two hex digits of the low byte, then the inode number in sixteen. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/path.h"

void data_path(uint64_t ino, char ret_path[DATA_PATH_SIZE])
{
	snprintf(ret_path, DATA_PATH_SIZE, "%02x/%016" PRIx64, data_path_dir(ino), ino);
}

void data_path_dir_name(unsigned int dir, char ret_name[3])
{
	snprintf(ret_name, 3, "%02x", dir % DATA_DIRS);
}

static int open_at(int dirfd, const char *path, int flags, int *ret_fd)
{
	int fd = openat(dirfd, path, flags | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int data_path_create(int dirfd, uint64_t ino, int *ret_fd)
{
	char path[DATA_PATH_SIZE], dir[3];
	int r;

	data_path(ino, path);
	data_path_dir_name(data_path_dir(ino), dir);
	r = open_at(dirfd, path, O_RDWR | O_CREAT | O_EXCL, ret_fd);
	if (r == -EEXIST) {
		if (unlinkat(dirfd, path, 0) < 0 && errno != ENOENT)
			return -errno;
		r = open_at(dirfd, path, O_RDWR | O_CREAT | O_EXCL, ret_fd);
	} else if (r == -ENOENT) {
		if (mkdirat(dirfd, dir, 0700) < 0 && errno != EEXIST)
			return -errno;
		r = open_at(dirfd, path, O_RDWR | O_CREAT | O_EXCL, ret_fd);
	}
	return r;
}

int data_path_open(int dirfd, uint64_t ino, bool read_only, int *ret_fd)
{
	char path[DATA_PATH_SIZE];

	data_path(ino, path);
	return open_at(dirfd, path, read_only ? O_RDONLY : O_RDWR, ret_fd);
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

	data_path(ino, path);
	return renameat(from_dir, from, dirfd, path) < 0 ? -errno : 0;
}

int data_path_remove(int dirfd, uint64_t ino)
{
	char path[DATA_PATH_SIZE];

	data_path(ino, path);
	return unlinkat(dirfd, path, 0) < 0 && errno != ENOENT ? -errno : 0;
}
