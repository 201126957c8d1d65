/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary directories: made, and removed without paths, so that their depth does not matter. */
#include "support/tmpdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void tmpdir_make(struct tmpdir *ret_tmp)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(ret_tmp->path, sizeof(ret_tmp->path), "%s/plyfs-test-XXXXXX",
		 tmp != NULL ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(ret_tmp->path), "mkdtemp %s: %m", ret_tmp->path);
	cr_assert_eq(chmod(ret_tmp->path, 0755), 0);
	ret_tmp->fd = open(ret_tmp->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(ret_tmp->fd, 0);
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Takes FD over. */
static void empty_dir(int fd)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *d;

	if (dir == NULL) {
		close(fd);
		return;
	}
	while ((d = readdir(dir)) != NULL) {
		if (!is_dots(d->d_name))
			remove_all(fd, d->d_name);
	}
	closedir(dir);
}

void remove_all(int dirfd, const char *name)
{
	int fd;

	if (unlinkat(dirfd, name, 0) == 0)
		return;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	empty_dir(fd);
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

void tmpdir_done(struct tmpdir *tmp)
{
	if (tmp->path[0] == '\0')
		return;
	close(tmp->fd);
	remove_all(AT_FDCWD, tmp->path);
	tmp->path[0] = '\0';
}

size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	cr_assert_not_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 3; /* ".", "..", and the listing's own */
}
