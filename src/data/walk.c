/* SPDX-License-Identifier: Apache-2.0 */
/* Walking over the data files. */
#include "data/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "data/path.h"

#define DIRENTS_SIZE 32768

struct data_walker {
	int dirfd;
	int (*each)(void *arg, const struct data_file *file);
	void *arg;
	char path[DATA_PATH_SIZE + 256]; /* what is being looked at */
};

/* The number that LEN lower-case hex digits make, and nothing behind them. */
static bool parse_hex(const char *text, size_t len, uint64_t *ret_n)
{
	uint64_t n = 0;

	if (strlen(text) != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		const char *digits = "0123456789abcdef", *at = strchr(digits, text[i]);

		if (at == NULL)
			return false;
		n = n << 4 | (uint64_t)(at - digits);
	}
	*ret_n = n;
	return true;
}

static int emit(struct data_walker *w, uint64_t ino, const struct stat *st)
{
	struct data_file f = {.ino = ino,
			      .size = (uint64_t)st->st_size,
			      .space = (uint64_t)st->st_blocks * 512,
			      .path = w->path};

	return w->each(w->arg, &f);
}

/* A name in the directory number DIR. */
static int visit_file(struct data_walker *w, int fd, uint64_t dir, const char *name)
{
	struct stat st;
	uint64_t ino;
	int r = sys_fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	snprintf(w->path, sizeof(w->path), "%02x/%s", (unsigned int)dir, name);
	if (!parse_hex(name, 16, &ino) || data_path_dir(ino) != dir || !S_ISREG(st.st_mode))
		ino = 0;
	return emit(w, ino, &st);
}

static int visit_dir(struct data_walker *w, uint64_t dir, const char *name);

/* Every name in FD; DIR is UINT64_MAX for the top. */
static int visit_names(struct data_walker *w, int fd, uint64_t dir)
{
	CLEANUP(free) char *buf = malloc(DIRENTS_SIZE);
	const struct linux_dirent64 *d;
	ssize_t n = 1;
	int r = 0;

	if (buf == NULL)
		return -ENOMEM;
	while (r == 0 && (n = sys_getdents(fd, buf, DIRENTS_SIZE)) > 0) {
		struct sys_dirents it = sys_dirents_of(buf, (size_t)n);

		while (r == 0 && (d = sys_dirents_next(&it)) != NULL) {
			uint64_t sub;

			if (sys_is_dots(d->d_name))
				continue;
			if (dir != UINT64_MAX)
				r = visit_file(w, fd, dir, d->d_name);
			else
				r = visit_dir(w, parse_hex(d->d_name, 2, &sub) ? sub : UINT64_MAX,
					      d->d_name);
		}
	}
	return r != 0 ? r : (int)n;
}

static int visit_dir(struct data_walker *w, uint64_t dir, const char *name)
{
	CLEANUP(fd) int fd = -1;
	struct stat st;
	int r = sys_fstatat(w->dirfd, name, &st, AT_SYMLINK_NOFOLLOW);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (dir == UINT64_MAX || !S_ISDIR(st.st_mode)) {
		snprintf(w->path, sizeof(w->path), "%s", name);
		return emit(w, 0, &st);
	}
	fd = sys_openat(w->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? fd : visit_names(w, fd, dir);
}

int data_walk(int dirfd, int (*each)(void *arg, const struct data_file *file), void *arg)
{
	struct data_walker w = {.dirfd = dirfd, .each = each, .arg = arg};
	/* A descriptor of its own: the caller's may have been read from, or be O_PATH. */
	CLEANUP(fd) int fd = sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);

	return fd < 0 ? fd : visit_names(&w, fd, UINT64_MAX);
}

int data_file_size(int dirfd, uint64_t ino, uint64_t *ret_size)
{
	struct stat st;
	int r = data_path_stat(dirfd, ino, &st);

	if (r < 0)
		return r;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}
