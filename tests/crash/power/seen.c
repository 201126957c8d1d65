/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a whole tree into memory; every call that fails is a finding. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "crash/power/seen.h"

static void failed(struct seen *s, const char *what, const char *path)
{
	printf("FAIL: %s %s: %s\n", what, path, strerror(errno));
	s->errors++;
}

static void read_bytes(struct seen *s, int fd, struct seen_file *f)
{
	size_t size = (size_t)f->st.st_size, done = 0;

	f->bytes = calloc(1, size + 1);
	if (f->bytes == NULL)
		abort();
	while (done < size) {
		ssize_t n = pread(fd, f->bytes + done, size - done, (off_t)done);

		if (n <= 0) {
			errno = n < 0 ? errno : ENODATA;
			failed(s, "reading", f->path);
			return;
		}
		done += (size_t)n;
	}
}

static void read_xattrs(struct seen *s, int fd, struct seen_file *f)
{
	char name[] = "user.x0";
	int i;

	for (i = 0; i < XATTRS; i++) {
		name[6] = (char)('0' + i);
		f->xattrs[i].len = fgetxattr(fd, name, f->xattrs[i].value,
					     sizeof(f->xattrs[i].value));
		if (f->xattrs[i].len < 0 && errno != ENODATA)
			failed(s, "getxattr", f->path);
	}
}

static struct seen_file *add_file(struct seen *s)
{
	if (s->n == s->cap) {
		s->cap = s->cap * 2 + 64;
		s->files = reallocarray(s->files, s->cap, sizeof(s->files[0]));
		if (s->files == NULL)
			abort();
	}
	memset(&s->files[s->n], 0, sizeof(s->files[0]));
	return &s->files[s->n++];
}

static void read_dir(struct seen *s, int root_fd, const char *path);

static void read_one(struct seen *s, int root_fd, const char *path)
{
	struct seen_file *f = add_file(s);
	int fd;

	memcpy(f->path, path, strlen(path) + 1);
	if (fstatat(root_fd, path, &f->st, AT_SYMLINK_NOFOLLOW) < 0) {
		failed(s, "stat", path);
		return;
	}
	if (S_ISLNK(f->st.st_mode)) {
		if (readlinkat(root_fd, path, f->target, sizeof(f->target) - 1) < 0)
			failed(s, "readlink", path);
		return;
	}
	fd = openat(root_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		failed(s, "open", path);
		return;
	}
	read_xattrs(s, fd, f);
	if (S_ISREG(f->st.st_mode))
		read_bytes(s, fd, f);
	close(fd);
	if (S_ISDIR(f->st.st_mode))
		read_dir(s, root_fd, path);
}

static void read_dir(struct seen *s, int root_fd, const char *path)
{
	int fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char below[PATH_SIZE];
	struct dirent *d;

	if (dir == NULL) {
		failed(s, "opendir", path);
		return;
	}
	while (errno = 0, (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, d->d_name) >= PATH_SIZE)
			abort();
		read_one(s, root_fd, below);
	}
	if (errno != 0)
		failed(s, "readdir", path);
	closedir(dir);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct seen_file *)a)->path, ((const struct seen_file *)b)->path);
}

void seen_read(struct seen *s, int root_fd, const char *dir)
{
	memset(s, 0, sizeof(*s));
	read_dir(s, root_fd, dir);
	if (s->n > 0)
		qsort(s->files, s->n, sizeof(s->files[0]), by_path);
}

void seen_done(struct seen *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		free(s->files[i].bytes);
	free(s->files);
}

const struct seen_file *seen_find(const struct seen *s, const char *path)
{
	struct seen_file key;

	snprintf(key.path, sizeof(key.path), "%s", path);
	return s->n == 0 ? NULL : bsearch(&key, s->files, s->n, sizeof(key), by_path);
}
