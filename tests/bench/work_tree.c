/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads of scripts/bench on the names and attributes of many files. */
#include "bench/work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_FILE  2048
#define MAX_THREADS 64

static unsigned long number(const char *text)
{
	unsigned long n = strtoul(text, NULL, 10);

	errno = EINVAL;
	if (n == 0)
		work_fail(text);
	return n;
}

static DIR *open_dir_at(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir == NULL)
		work_fail(name);
	return dir;
}

/* The next name that is not "." or "..", or NULL. */
static const struct dirent *next_name(DIR *dir)
{
	const struct dirent *e;

	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return e;
	return NULL;
}

static void walk(int at, const char *name)
{
	DIR *dir = open_dir_at(at, name);
	const struct dirent *e;
	struct stat st;

	while ((e = next_name(dir)) != NULL) {
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			work_fail(e->d_name);
		if (S_ISDIR(st.st_mode))
			walk(dirfd(dir), e->d_name);
	}
	closedir(dir);
}

void tree_walk(struct work *w)
{
	walk(AT_FDCWD, w->arg[0]);
}

void tree_stat(struct work *w)
{
	struct stat st;

	for (size_t i = 0; i < w->n_lines; i++)
		if (lstat(w->lines[i], &st) < 0)
			work_fail(w->lines[i]);
}

void tree_open(struct work *w)
{
	for (size_t i = 0; i < w->n_lines; i++) {
		int fd = open(w->lines[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			work_fail(w->lines[i]);
		close(fd);
	}
}

static void read_at(int at, const char *name, char *buf, size_t size)
{
	int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		work_fail(name);
	while ((n = read(fd, buf, size)) > 0)
		;
	if (n < 0)
		work_fail(name);
	close(fd);
}

void tree_read(struct work *w)
{
	static char buf[1 << 17];

	for (size_t i = 0; i < w->n_lines; i++)
		read_at(AT_FDCWD, w->lines[i], buf, sizeof(buf));
}

/* Threads take directories from one list, and read what is in them. */
struct readers {
	const struct work *work;
	atomic_size_t next;
};

static void *reader(void *arg)
{
	struct readers *r = arg;
	size_t size = 1 << 17, i;
	char *buf = malloc(size);

	if (buf == NULL)
		work_fail("memory");
	while ((i = atomic_fetch_add(&r->next, 1)) < r->work->n_lines) {
		DIR *dir = open_dir_at(AT_FDCWD, r->work->lines[i]);
		const struct dirent *e;

		while ((e = next_name(dir)) != NULL)
			if (e->d_type == DT_REG)
				read_at(dirfd(dir), e->d_name, buf, size);
		closedir(dir);
	}
	free(buf);
	return NULL;
}

void tree_read_dirs(struct work *w)
{
	struct readers r = {.work = w};
	size_t n = number(w->arg[1]);
	pthread_t threads[MAX_THREADS];

	if (n == 1) {
		reader(&r);
		return;
	}
	if (n > MAX_THREADS)
		n = MAX_THREADS;
	for (size_t i = 0; i < n; i++) {
		errno = pthread_create(&threads[i], NULL, reader, &r);
		if (errno != 0)
			work_fail("thread");
	}
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

/* As an interpreter looks for its modules: the same names in one directory after the other. */
void tree_absent(struct work *w)
{
	unsigned long dirs = number(w->arg[1]), names = number(w->arg[2]);
	char path[8192];
	struct stat st;

	for (int round = 0; round < 2; round++)
		for (unsigned long i = 0; i < dirs * names; i++) {
			snprintf(path, sizeof(path), "%s/no_module_%lu.py",
				 w->lines[i / names % w->n_lines], i);
			if (stat(path, &st) == 0 || errno != ENOENT)
				work_fail(path);
		}
}

void tree_chmod(struct work *w)
{
	for (size_t i = 0; i < w->n_lines; i++)
		if (chmod(w->lines[i], 0640) < 0)
			work_fail(w->lines[i]);
}

/* The directory and the name of file I, with PREFIX. */
static const char *file_name(char *buf, size_t size, const char *prefix, unsigned long i,
			     unsigned long dirs)
{
	snprintf(buf, size, "d%lu/%s%lu", i % dirs, prefix, i);
	return buf;
}

void tree_make_dirs(struct work *w)
{
	for (unsigned long i = 0; i < number(w->arg[1]); i++) {
		char name[32];

		snprintf(name, sizeof(name), "d%lu", i);
		if (mkdir(name, 0755) < 0)
			work_fail(name);
	}
}

void tree_create(struct work *w)
{
	unsigned long n = number(w->arg[0]), dirs = number(w->arg[1]);
	static char text[SMALL_FILE];
	char name[64];

	memset(text, 'x', sizeof(text));
	for (unsigned long i = 0; i < n; i++) {
		int fd = open(file_name(name, sizeof(name), "f", i, dirs),
			      O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

		if (fd < 0 || write(fd, text, sizeof(text)) != (ssize_t)sizeof(text) ||
		    close(fd) < 0)
			work_fail(name);
	}
}

void tree_rename(struct work *w)
{
	unsigned long n = number(w->arg[0]), dirs = number(w->arg[1]);
	char from[64], to[64];

	for (unsigned long i = 0; i < n; i++)
		if (rename(file_name(from, sizeof(from), "f", i, dirs),
			   file_name(to, sizeof(to), "renamed", i, dirs)) < 0)
			work_fail(from);
}

void tree_unlink(struct work *w)
{
	unsigned long n = number(w->arg[0]), dirs = number(w->arg[1]);
	char name[64];

	for (unsigned long i = 0; i < n; i++)
		if (unlink(file_name(name, sizeof(name), "renamed", i, dirs)) < 0)
			work_fail(name);
}

void tree_move(struct work *w)
{
	char mv[] = "mv";
	char *argv[] = {mv, w->rest[0], w->rest[1], NULL};
	struct work fallback = {.rest = argv};

	if (rename(w->arg[0], w->arg[1]) == 0)
		return;
	if (errno != EXDEV)
		work_fail(w->arg[0]);
	run_program(&fallback);
}
