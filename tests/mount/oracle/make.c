/* SPDX-License-Identifier: Apache-2.0 */
/* Random trees, and random stacks of layers in overlayfs' format. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "mount/oracle/oracle.h"

static const char *const names[] = {"a",       "b", "c", "d", "e", "f", "long name with blanks",
				    "\xff\xfe"};
#define N_NAMES 8

static void attributes(const char *path, uint64_t *s, mode_t bits)
{
	struct timespec times[2] = {{1500000000 + rnd_below(s, 1000000), rnd_below(s, 999999999)}};

	times[1] = times[0];
	times[1].tv_sec += 5;
	if (lchown(path, rnd_below(s, 4) * 100, rnd_below(s, 4) * 100) < 0 ||
	    (bits != 0 && chmod(path, bits) < 0))
		perror(path);
	if (rnd_below(s, 4) == 0)
		setxattr(path, "user.note", path, strlen(path) % 50, 0);
	if (rnd_below(s, 8) == 0)
		lsetxattr(path, "trusted.note", "x", 1, 0);
	utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static void make_file(const char *path, uint64_t *s)
{
	static const unsigned int sizes[] = {0, 1, 100, 4095, 4096, 4097, 70000, 300000};
	unsigned int size = sizes[rnd_below(s, 8)];
	char *bytes = malloc(size + 1);
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	for (unsigned int i = 0; i < size; i++)
		bytes[i] = (char)rnd(s);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		perror(path);
	/* A hole here and there. */
	if (fd >= 0 && rnd_below(s, 6) == 0 && ftruncate(fd, size + 200000) < 0)
		perror(path);
	if (fd >= 0)
		close(fd);
	free(bytes);
}

static void make_other(const char *path, uint64_t *s)
{
	int r = 0;

	switch (rnd_below(s, 4)) {
	case 0:
		r = symlink("some/target", path);
		break;
	case 1:
		r = mkfifo(path, 0600);
		break;
	case 2:
		r = mknod(path, S_IFCHR | 0666, makedev(1, 3));
		break;
	case 3:
		r = mknod(path, S_IFSOCK | 0600, 0);
		break;
	}
	if (r < 0 && errno != EEXIST)
		perror(path);
}

/* Something at PATH, which is free. */
static void make_node(const char *path, const char *sibling, uint64_t *s)
{
	unsigned int what = rnd_below(s, 10);
	struct stat st;

	if (what < 5) {
		make_file(path, s);
		attributes(path, s, 0400 | (mode_t)rnd_below(s, 07777));
	} else if (what < 6 && lstat(sibling, &st) == 0 && S_ISREG(st.st_mode)) {
		if (link(sibling, path) < 0)
			perror(path);
	} else if (what < 7) {
		make_other(path, s);
		attributes(path, s, 0);
	} else {
		if (mkdir(path, 0755) < 0)
			perror(path);
		attributes(path, s, 0700 | (mode_t)rnd_below(s, 07777));
	}
}

static void random_path(char *path, size_t size, const char *dir, uint64_t *s, unsigned int depth)
{
	size_t len = (size_t)snprintf(path, size, "%s", dir);

	for (unsigned int i = 0; i < depth; i++)
		len += (size_t)snprintf(path + len, size - len, "/%s",
					names[rnd_below(s, N_NAMES)]);
}

static bool parent_is_dir(const char *path)
{
	char up[PATH_MAX];
	struct stat st;

	snprintf(up, sizeof(up), "%s", path);
	*strrchr(up, '/') = '\0';
	return lstat(up, &st) == 0 && S_ISDIR(st.st_mode);
}

int make_tree(const char *dir, uint64_t seed, unsigned int size)
{
	char path[PATH_MAX], sibling[PATH_MAX];
	uint64_t s = seed;
	struct stat st;

	mkdir(dir, 0755);
	for (unsigned int i = 0; i < size; i++) {
		random_path(path, sizeof(path), dir, &s, 1 + rnd_below(&s, 4));
		random_path(sibling, sizeof(sibling), dir, &s, 1 + rnd_below(&s, 3));
		if (parent_is_dir(path) && lstat(path, &st) < 0)
			make_node(path, sibling, &s);
	}
	return 0;
}

/*
 * Whiteouts and opaque directories over what the other layers have. A whiteout inside an opaque directory
 * is left out: overlayfs itself says that it should not be there.
 */
static void make_marks(const char *dir, uint64_t *s, unsigned int n)
{
	char path[PATH_MAX];
	struct stat st;

	for (unsigned int i = 0; i < n; i++) {
		random_path(path, sizeof(path), dir, s, 1 + rnd_below(s, 3));
		if (!parent_is_dir(path))
			continue;
		if (lstat(path, &st) < 0) {
			if (mknod(path, S_IFCHR, makedev(0, 0)) < 0)
				perror(path);
		} else if (S_ISDIR(st.st_mode) && rnd_below(s, 3) == 0) {
			setxattr(path, "trusted.overlay.opaque", "y", 1, 0);
		}
	}
}

int make_stack(const char *dir, uint64_t seed, unsigned int n_layers, bool marks)
{
	char path[PATH_MAX];
	uint64_t s = seed;

	mkdir(dir, 0755);
	for (unsigned int i = 0; i < n_layers; i++) {
		snprintf(path, sizeof(path), "%s/%u", dir, i);
		make_tree(path, rnd(&s), 40 + rnd_below(&s, 100));
		if (marks && i + 1 < n_layers)
			make_marks(path, &s, 60);
	}
	return 0;
}
