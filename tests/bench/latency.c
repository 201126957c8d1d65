/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one request to a FUSE daemon costs the program that waits for it:
 *
 *     latency [-b BUSY] [-s] stat DIR CLIENTS MILLISECONDS
 *         CLIENTS processes ask for the attributes of a file each, past the kernel's cache
 *         (AT_STATX_FORCE_SYNC: one GETATTR), as fast as they can. Prints mean, median, 99 %, 99.9 % and
 *         maximum in microseconds, and how many requests there were.
 *     latency [-b BUSY] [-s] files DIR N
 *         makes N files of 2 KiB, renames and unlinks them. Prints the milliseconds of each.
 *
 * -b: beside so many processes that do nothing but use a processor; they are a session of their own, which
 * is a group of its own to the scheduler where that has autogroups; -s: of this session.
 * Run by scripts/bench-latency.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SAMPLES 2000000
#define MAX_BUSY    64

struct samples {
	size_t n;
	uint32_t ns[MAX_SAMPLES];
};

static const char *dir;
static pid_t busy[MAX_BUSY];
static int n_busy;

static void end_busy(void)
{
	for (int i = 0; i < n_busy; i++)
		kill(busy[i], SIGKILL);
}

static void fail(const char *what)
{
	fprintf(stderr, "latency: %s: %s\n", what, strerror(errno));
	end_busy();
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void start_busy(int n, int same_session)
{
	for (n_busy = 0; n_busy < n; n_busy++) {
		busy[n_busy] = fork();
		if (busy[n_busy] < 0)
			fail("fork");
		if (busy[n_busy] > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!same_session)
			setsid();
		for (volatile unsigned int i = 0;; i++)
			;
	}
}

static void client(int number, uint64_t until, struct samples *s)
{
	char path[4096];
	struct statx st;
	int fd;

	snprintf(path, sizeof(path), "%s/latency-%d", dir, number);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	if (fd < 0)
		fail(path);
	do {
		uint64_t before = now_ns(), took;

		if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st) < 0)
			fail(path);
		took = now_ns() - before;
		s->ns[s->n++] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
	} while (s->n < MAX_SAMPLES && now_ns() < until);
	close(fd);
	unlink(path);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print(struct samples **s, int clients)
{
	size_t n = 0, at = 0;
	uint32_t *all;
	double sum = 0;

	for (int i = 0; i < clients; i++)
		n += s[i]->n;
	all = calloc(n + 1, sizeof(*all));
	if (all == NULL || n == 0)
		fail("no samples");
	for (int i = 0; i < clients; at += s[i]->n, i++)
		memcpy(all + at, s[i]->ns, s[i]->n * sizeof(*all));
	qsort(all, n, sizeof(*all), compare);
	for (size_t i = 0; i < n; i++)
		sum += all[i];
	printf("%.1f %.1f %.1f %.1f %.1f %zu\n", sum / (double)n / 1e3, all[n / 2] / 1e3,
	       all[n * 99 / 100] / 1e3, all[n * 999 / 1000] / 1e3, all[n - 1] / 1e3, n);
	free(all);
}

static void run_stat(int clients, unsigned long ms)
{
	struct samples *s[64];
	uint64_t until;

	if (clients < 1 || clients > 64)
		clients = 1;
	for (int i = 0; i < clients; i++) {
		s[i] = mmap(NULL, sizeof(*s[i]), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
		if (s[i] == MAP_FAILED)
			fail("mmap");
	}
	until = now_ns() + ms * 1000000;
	for (int i = 0; i < clients; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (pid == 0) {
			n_busy = 0;
			client(i, until, s[i]);
			_exit(0);
		}
	}
	for (int i = 0, status; i < clients; i++) {
		pid_t pid = wait(&status);

		if (pid < 0 || status != 0)
			fail("a client failed");
	}
	print(s, clients);
}

static void make(const char *path)
{
	static const char block[2048] = "x";
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);

	if (fd < 0 || write(fd, block, sizeof(block)) != (ssize_t)sizeof(block) || close(fd) < 0)
		fail(path);
}

static void run_files(unsigned long n)
{
	char path[4096], to[4096 + 2];

	for (int step = 0; step < 3; step++) {
		uint64_t before = now_ns();

		for (unsigned long i = 0; i < n; i++) {
			snprintf(path, sizeof(path), "%s/file-%lu", dir, i);
			snprintf(to, sizeof(to), "%s-b", path);
			if (step == 0)
				make(path);
			else if (step == 1 ? rename(path, to) : unlink(to))
				fail(path);
		}
		printf("%.0f%s", (double)(now_ns() - before) / 1e6, step < 2 ? " " : "\n");
	}
}

int main(int argc, char **argv)
{
	int opt, n = 0, same = 0;

	while ((opt = getopt(argc, argv, "b:s")) != -1) {
		if (opt == 'b')
			n = atoi(optarg);
		else
			same = 1;
	}
	argv += optind;
	argc -= optind;
	if (argc < 3 || n < 0 || n > MAX_BUSY) {
		fprintf(stderr, "usage: latency [-b BUSY] [-s] stat DIR CLIENTS MILLISECONDS\n"
				"       latency [-b BUSY] [-s] files DIR N\n");
		return 2;
	}
	dir = argv[1];
	start_busy(n, same);
	if (strcmp(argv[0], "stat") == 0 && argc > 3)
		run_stat(atoi(argv[2]), strtoul(argv[3], NULL, 10));
	else
		run_files(strtoul(argv[2], NULL, 10));
	end_busy();
	return 0;
}
