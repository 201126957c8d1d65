/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What durable writes and very many files cost, in whatever directory it is given:
 *
 *     files append DIR N            appends 4 KiB to a file and flushes it, N times
 *     files overwrite DIR N         writes 4 KiB over a file of 1 MiB and flushes it, N times
 *     files make DIR N              makes and flushes N files
 *     files together DIR N          as append, by four threads, a file each
 *     files flat DIR N              makes N empty files in one directory
 *     files deep DIR N              makes N files of 100 bytes, a thousand in a directory
 *     files remove DIR N            removes what flat made
 *
 * Prints the milliseconds that it took. Run by scripts/bench-durability.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char block[4096];
static unsigned long n;

static void fail(const char *what)
{
	fprintf(stderr, "files: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int make(const char *name, int flags)
{
	int fd = open(name, O_CREAT | O_WRONLY | flags, 0644);

	if (fd < 0)
		fail(name);
	return fd;
}

static void put(int fd, off_t off, size_t size)
{
	if (pwrite(fd, block, size, off) != (ssize_t)size)
		fail("write");
}

static void flush(int fd)
{
	if (fsync(fd) < 0)
		fail("fsync");
}

static void append_to(const char *name)
{
	int fd = make(name, O_TRUNC);

	for (unsigned long i = 0; i < n; i++) {
		put(fd, (off_t)(i * sizeof(block)), sizeof(block));
		flush(fd);
	}
	close(fd);
}

static void append(void)
{
	append_to("appended");
}

static void *append_thread(void *arg)
{
	char name[32];

	snprintf(name, sizeof(name), "together%d", (int)(long)arg);
	append_to(name);
	return NULL;
}

static void together(void)
{
	pthread_t threads[4];

	for (long i = 0; i < 4; i++) {
		if (pthread_create(&threads[i], NULL, append_thread, (void *)i) != 0)
			fail("thread");
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void overwrite(void)
{
	int fd = make("overwritten", O_TRUNC);

	for (off_t off = 0; off < 1 << 20; off += (off_t)sizeof(block))
		put(fd, off, sizeof(block));
	flush(fd);
	for (unsigned long i = 0; i < n; i++) {
		put(fd, (off_t)(i * 37 % 256 * sizeof(block)), sizeof(block));
		flush(fd);
	}
	close(fd);
}

static void make_files(void)
{
	for (unsigned long i = 0; i < n; i++) {
		char name[32];
		int fd;

		snprintf(name, sizeof(name), "made%lu", i);
		fd = make(name, O_EXCL);
		put(fd, 0, 100);
		flush(fd);
		close(fd);
	}
}

static void flat(void)
{
	if (mkdir("flat", 0755) < 0)
		fail("flat");
	for (unsigned long i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "flat/f%lu", i);
		close(make(name, O_EXCL));
	}
}

static void remove_flat(void)
{
	for (unsigned long i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "flat/f%lu", i);
		if (unlink(name) < 0)
			fail(name);
	}
	rmdir("flat");
}

static void deep(void)
{
	char name[48];

	for (unsigned long i = 0; i < n; i++) {
		int fd;

		if (i % 1000 == 0) {
			snprintf(name, sizeof(name), "d%lu", i / 1000);
			if (mkdir(name, 0755) < 0)
				fail(name);
		}
		snprintf(name, sizeof(name), "d%lu/f%lu", i / 1000, i);
		fd = make(name, O_EXCL);
		put(fd, 0, 100);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	static const struct job {
		const char *name;
		void (*run)(void);
	} jobs[] = {
		{"append", append},	 {"overwrite", overwrite}, {"make", make_files},
		{"together", together},	 {"flat", flat},	   {"deep", deep},
		{"remove", remove_flat},
	};
	struct timespec from, to;

	if (argc != 4 || chdir(argv[2]) < 0)
		return 2;
	n = strtoul(argv[3], NULL, 10);
	memset(block, 'x', sizeof(block));
	for (size_t i = 0; i < sizeof(jobs) / sizeof(*jobs); i++) {
		if (strcmp(jobs[i].name, argv[1]) != 0)
			continue;
		clock_gettime(CLOCK_MONOTONIC, &from);
		jobs[i].run();
		clock_gettime(CLOCK_MONOTONIC, &to);
		printf("%.1f\n", (double)(to.tv_sec - from.tv_sec) * 1e3 +
					 (double)(to.tv_nsec - from.tv_nsec) / 1e6);
		return 0;
	}
	return 2;
}
