/* SPDX-License-Identifier: Apache-2.0 */
/* long: sub-commands for long.sh. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crash/long/long.h"

uint64_t run_seed;

uint64_t rnd(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void content(uint64_t seed, uint64_t off, unsigned char *bytes, size_t n)
{
	uint64_t word = 0, have = UINT64_MAX;

	for (size_t i = 0; i < n; i++) {
		uint64_t at = off + i;

		if (at / 8 != have) {
			uint64_t s = seed ^ (at / 8 * 0xd6e8feb86659fd93u);

			have = at / 8;
			word = rnd(&s);
		}
		bytes[i] = (unsigned char)(word >> (at % 8 * 8));
	}
}

void wrong(const char *fmt, ...)
{
	va_list ap;

	flockfile(stdout);
	printf("FAIL: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" (seed %llu)\n", (unsigned long long)run_seed);
	fflush(stdout);
	_exit(1);
}

double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void read_at(int fd, void *bytes, size_t n, off_t off, const char *what)
{
	ssize_t got = pread(fd, bytes, n, off);

	if (got != (ssize_t)n)
		wrong("%s: read of %zu bytes at %lld: %zd %s", what, n, (long long)off, got,
		      got < 0 ? strerror(errno) : "");
}

void write_at(int fd, const void *bytes, size_t n, off_t off, const char *what)
{
	ssize_t got = pwrite(fd, bytes, n, off);

	if (got != (ssize_t)n)
		wrong("%s: write of %zu bytes at %lld: %zd %s", what, n, (long long)off, got,
		      got < 0 ? strerror(errno) : "");
}

void make_file(int dirfd, const char *name, uint64_t seed, size_t size)
{
	unsigned char *bytes = malloc(size + 1);
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	if (fd < 0 || bytes == NULL)
		wrong("create of %s: %s", name, strerror(errno));
	content(seed, 0, bytes, size);
	write_at(fd, bytes, size, 0, name);
	close(fd);
	free(bytes);
}

int open_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		wrong("directory %s: %s", name, strerror(errno));
	return fd;
}

static int usage(void)
{
	fprintf(stderr,
		"long lower DIR | fsx DIR STATE SEED SECONDS | fsx-check DIR STATE |\n"
		"     stress DIR STATE SEED SECONDS | stress-check DIR STATE | race DIR SEED WRITEBACK\n");
	return 2;
}

static void report(const char *what, uint64_t ops, double began)
{
	double took = seconds() - began;

	printf("# %s: %llu operations, %.0f a second\n", what, (unsigned long long)ops,
	       (double)ops / took);
}

int main(int argc, char **argv)
{
	double began = seconds();
	const char *what = argc > 1 ? argv[1] : "";

	umask(022);
	if (argc > 4)
		run_seed = strtoull(argv[4], NULL, 0);
	if (argc == 3 && strcmp(what, "lower") == 0) {
		int dir = open_dir(AT_FDCWD, argv[2]);

		fsx_lower(dir);
		stress_lower(dir);
		race_lower(dir);
	} else if (argc == 6 && strcmp(what, "fsx") == 0) {
		report(what, fsx_run(argv[2], argv[3], run_seed, atof(argv[5])), began);
	} else if (argc == 6 && strcmp(what, "stress") == 0) {
		report(what, stress_run(argv[2], argv[3], run_seed, atof(argv[5])), began);
	} else if (argc == 4 && strcmp(what, "fsx-check") == 0) {
		fsx_check(argv[2], argv[3]);
	} else if (argc == 4 && strcmp(what, "stress-check") == 0) {
		stress_check(argv[2], argv[3]);
	} else if (argc == 5 && strcmp(what, "race") == 0) {
		run_seed = strtoull(argv[3], NULL, 0);
		report(what, race_run(argv[2], run_seed, strcmp(argv[4], "0") != 0), began);
	} else {
		return usage();
	}
	return 0;
}
