/* SPDX-License-Identifier: Apache-2.0 */
/* Data files as such: listing them, making sure of their names, removing a left-over. */
#include "data/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/sys.h"
#include "data/path.h"
#include "data/private.h"

#define NAME_LEN 16

/* The number in the name of a data file in directory DIR; false when it is no such name. */
static bool number_of(const char *name, unsigned int dir, uint64_t *ret_ino)
{
	uint64_t ino = 0;

	if (strnlen(name, NAME_LEN + 1) != NAME_LEN)
		return false;
	for (const char *p = name; *p != '\0'; p++) {
		if (*p >= '0' && *p <= '9')
			ino = ino << 4 | (uint64_t)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			ino = ino << 4 | (uint64_t)(*p - 'a' + 10);
		else
			return false;
	}
	*ret_ino = ino;
	return data_path_dir(ino) == dir;
}

static int each_in(int fd, unsigned int dir, int (*each)(void *arg, uint64_t ino), void *arg)
{
	_Alignas(uint64_t) char buf[32768];
	ssize_t n;

	while ((n = sys_getdents(fd, buf, sizeof(buf))) > 0) {
		struct sys_dirents it = sys_dirents_of(buf, (size_t)n);
		const struct linux_dirent64 *entry;
		uint64_t ino;

		while ((entry = sys_dirents_next(&it)) != NULL) {
			int r = number_of(entry->d_name, dir, &ino) ? each(arg, ino) : 0;

			if (r < 0)
				return r;
		}
		if (it.bad)
			return -EIO;
	}
	return (int)n;
}

int data_each_file(struct data *d, int (*each)(void *arg, uint64_t ino), void *arg)
{
	int r = 0;

	for (unsigned int dir = 0; r == 0 && dir < DATA_DIRS; dir++) {
		CLEANUP(fd) int fd = -1;
		char name[3];

		data_path_dir_name(dir, name);
		fd = sys_openat(d->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
			continue; /* not made yet, or not ours */
		r = fd < 0 ? fd : each_in(fd, dir, each, arg);
	}
	return r;
}

int data_names_find(struct data_names *n, uint64_t ino)
{
	struct stat st;
	int r = data_path_stat(n->dirfd, ino, &st);

	/* What is no file is in its place all the same. */
	if (r < 0 && r != -EUCLEAN)
		return r == -ENOENT ? 0 : r;
	n->dirs[data_path_dir(ino)] = true;
	return 1;
}

static int sync_names_in(int dirfd, unsigned int dir)
{
	CLEANUP(fd) int fd = data_path_open_dir(dirfd, dir);

	return fd < 0 ? fd : sys_fsync_dir(fd);
}

int data_names_sync(const struct data_names *n)
{
	bool any = false;
	int r, error = 0;

	for (unsigned int dir = 0; dir < DATA_DIRS; dir++) {
		if (!n->dirs[dir])
			continue;
		any = true;
		r = sync_names_in(n->dirfd, dir);
		if (error == 0)
			error = r;
	}
	r = any ? sys_fsync_dir(n->dirfd) : 0;
	return error != 0 ? error : r;
}

int data_remove_file(struct data *d, uint64_t ino)
{
	int r;

	if (d->read_only)
		return -EROFS;
	r = data_path_remove(d->dirfd, ino);
	if (r < 0)
		return r;
	fdcache_drop(d->fds, ino);
	kept_drop(d, ino);
	unsynced_forget(d, ino);
	return 0;
}
