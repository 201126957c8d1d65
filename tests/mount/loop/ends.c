/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that end in the middle of a burst of requests, with a map of a file of the mount that has to be
 * written back:
 *
 *     ends DIR ROUNDS
 *
 * Who looks at /proc/PID/stat of such a client just then holds the last reference to its memory, and is the
 * one that unmaps it: the kernel writes the file back and waits for that (fuse_vma_close()). A daemon that
 * looks at its client waits for itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (512 << 10)

static const char *dir;

static void check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "ends: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void client(unsigned long number)
{
	unsigned long requests = (unsigned long)random() % 32;
	unsigned char *map;
	struct statx stx;
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/end%lu", dir, number % 8);
	fd = open(path, O_CREAT | O_RDWR, 0644);
	check(fd >= 0, path);
	check(ftruncate(fd, SIZE) == 0, "ftruncate");
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(map != MAP_FAILED, "mmap");
	close(fd);
	memset(map, (int)(number % 251), SIZE);
	/* The daemon looks once in so many requests; who ends at once after that one is still looked at. */
	while (requests-- > 0)
		statx(AT_FDCWD, dir, AT_STATX_FORCE_SYNC, STATX_ALL, &stx);
	_exit(0);
}

int main(int argc, char **argv)
{
	unsigned long rounds;

	check(argc == 3, "usage: ends DIR ROUNDS");
	dir = argv[1];
	rounds = strtoul(argv[2], NULL, 10);
	for (unsigned long i = 0; i < rounds; i++) {
		int status = 0;
		pid_t pid;

		srandom((unsigned int)i);
		pid = fork();
		check(pid >= 0, "fork");
		if (pid == 0)
			client(i);
		check(waitpid(pid, &status, 0) == pid && status == 0, "a client failed");
	}
	return 0;
}
