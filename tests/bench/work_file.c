/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads of scripts/bench on the bytes of one file, and other programs. */
#include "bench/work.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char block[1 << 20];
static int prepared_fd;

static int open_or_fail(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		work_fail(name);
	return fd;
}

/* Errors of writes that the kernel has put off come at close(2). */
static void close_or_fail(int fd, const char *name)
{
	if (close(fd) < 0)
		work_fail(name);
}

static void put(int fd, size_t size, off_t off, const char *name)
{
	if (pwrite(fd, block, size, off) != (ssize_t)size)
		work_fail(name);
}

void file_open_old(struct work *w)
{
	memset(block, 'r', sizeof(block));
	prepared_fd = open_or_fail(w->arg[0], O_WRONLY);
}

void file_open_new(struct work *w)
{
	memset(block, 's', sizeof(block));
	prepared_fd = open_or_fail(w->arg[0], O_WRONLY | O_CREAT | O_EXCL);
}

void file_append(struct work *w)
{
	int fd = open_or_fail(w->arg[0], O_WRONLY | O_APPEND);

	if (write(fd, "x", 1) != 1)
		work_fail(w->arg[0]);
	close_or_fail(fd, w->arg[0]);
}

void file_read(struct work *w)
{
	int fd = open_or_fail(w->arg[0], O_RDONLY);
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		;
	if (n < 0)
		work_fail(w->arg[0]);
	close(fd);
}

void file_write(struct work *w)
{
	long mib = strtol(w->arg[1], NULL, 10);
	int fd = open_or_fail(w->arg[0], O_WRONLY | O_CREAT | O_EXCL);

	memset(block, 'w', sizeof(block));
	for (long i = 0; i < mib; i++)
		put(fd, sizeof(block), (off_t)(i * (long)sizeof(block)), w->arg[0]);
	close_or_fail(fd, w->arg[0]);
}

/* Any order will do, if it is the same for every file system. */
static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 4;
}

void file_random(struct work *w)
{
	long n = strtol(w->arg[1], NULL, 10);
	uint32_t state = 1;
	struct stat st;

	if (fstat(prepared_fd, &st) < 0 || st.st_size < 4096)
		work_fail(w->arg[0]);
	for (long i = 0; i < n; i++)
		put(prepared_fd, 4096, (off_t)(next_random(&state) % (st.st_size / 4096)) * 4096,
		    w->arg[0]);
	close_or_fail(prepared_fd, w->arg[0]);
}

void file_small(struct work *w)
{
	long n = strtol(w->arg[1], NULL, 10);

	for (long i = 0; i < n; i++)
		put(prepared_fd, 512, (off_t)i * 512, w->arg[0]);
	close_or_fail(prepared_fd, w->arg[0]);
}

void run_program(struct work *w)
{
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	errno = posix_spawnp(&pid, w->rest[0], &actions, NULL, w->rest, environ);
	if (errno != 0)
		work_fail(w->rest[0]);
	posix_spawn_file_actions_destroy(&actions);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			work_fail(w->rest[0]);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}
