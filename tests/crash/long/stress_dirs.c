/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that move, and somebody who walks over everything meanwhile. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <unistd.h>

#include "crash/long/stress.h"

static int fd_of(const struct stress *s, int i)
{
	return i < 0 ? s->root : s->dirs[i];
}

/* Is A above B, or B itself? */
static bool is_above(const struct stress *s, int a, int b)
{
	while (b >= 0 && b != a)
		b = s->parent[b];
	return b == a;
}

/* Where the kernel and plyfs think that the directory is. */
static void check_parent(const struct stress *s, int i)
{
	struct stat up, parent;

	if (fstatat(s->dirs[i], "..", &up, 0) < 0 || fstat(fd_of(s, s->parent[i]), &parent) < 0)
		wrong("stress: .. of directory %d: %s", i, strerror(errno));
	if (up.st_ino != parent.st_ino)
		wrong("stress: .. of directory %d is %llu, not %llu", i,
		      (unsigned long long)up.st_ino, (unsigned long long)parent.st_ino);
}

static void move(struct stress *s, int i, int to)
{
	bool loops = is_above(s, i, to);
	char name[32];
	int r;

	dir_name(s->named[i], name);
	r = renameat(fd_of(s, s->parent[i]), name, fd_of(s, to), name);
	/* A name of the same number can be there: of a directory that was exchanged. */
	if (r < 0 && errno == (loops ? EINVAL : ENOTEMPTY))
		return;
	if (r < 0 || loops)
		wrong("stress: move of directory %d (%s) to %d: %s", i, name, to,
		      r < 0 ? strerror(errno) : "succeeded");
	s->parent[i] = to;
}

static void exchange(struct stress *s, int a, int b)
{
	bool loops = is_above(s, a, b) || is_above(s, b, a);
	char first[32], second[32];
	int r, t;

	dir_name(s->named[a], first);
	dir_name(s->named[b], second);
	r = renameat2(fd_of(s, s->parent[a]), first, fd_of(s, s->parent[b]), second,
		      RENAME_EXCHANGE);
	if (r < 0 && loops && (errno == EINVAL || errno == ENOTEMPTY))
		return;
	if (a != b && (r < 0 || loops))
		wrong("stress: exchange of directories %d and %d: %s", a, b,
		      r < 0 ? strerror(errno) : "succeeded");
	t = s->parent[a], s->parent[a] = s->parent[b], s->parent[b] = t;
	t = s->named[a], s->named[a] = s->named[b], s->named[b] = t;
}

void *stress_mover(void *arg)
{
	struct stress *s = arg;

	while (seconds() < s->end) {
		int a = (int)below(&s->rng, N_DIRS), b = (int)below(&s->rng, N_DIRS + 4) - 4;

		if (b < 0)
			b = -1;
		if (below(&s->rng, 4) == 0 && b >= 0 && a != b)
			exchange(s, a, b);
		else if (a != b)
			move(s, a, b);
		check_parent(s, a);
		s->moves++;
		/* Others are to be seen, too. */
		usleep(500 + below(&s->rng, 3000));
	}
	return NULL;
}

/* Things come and go under the walker; that is no error. Others are. */
static bool is_gone(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EISDIR;
}

static void read_some(int dir, const char *name)
{
	char bytes[4096];
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && !is_gone(errno))
		wrong("stress: walker opens %s: %s", name, strerror(errno));
	if (fd < 0)
		return;
	if (read(fd, bytes, sizeof(bytes)) < 0 && !is_gone(errno))
		wrong("stress: walker reads %s: %s", name, strerror(errno));
	close(fd);
}

static void walk(struct stress *s, int fd, int depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *d;
	struct stat st;

	if (dir == NULL)
		wrong("stress: walker: %s", strerror(errno));
	for (errno = 0; seconds() < s->end && (d = readdir(dir)) != NULL; errno = 0) {
		int sub;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		s->walked++;
		if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (!is_gone(errno))
				wrong("stress: walker stats %s: %s", d->d_name, strerror(errno));
			continue;
		}
		if (S_ISREG(st.st_mode))
			read_some(fd, d->d_name);
		if (!S_ISDIR(st.st_mode) || depth > 60)
			continue;
		sub = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		if (sub >= 0)
			walk(s, sub, depth + 1);
		else if (!is_gone(errno))
			wrong("stress: walker enters %s: %s", d->d_name, strerror(errno));
	}
	if (errno != 0 && !is_gone(errno))
		wrong("stress: walker lists: %s", strerror(errno));
	closedir(dir);
}

void *stress_walker(void *arg)
{
	struct stress *s = arg;

	while (seconds() < s->end) {
		walk(s, open_dir(s->root, "."), 0);
		usleep(100000);
	}
	return NULL;
}
