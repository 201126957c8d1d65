/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of many kinds at the same time in one directory, slow requests beside quick ones, each checking
 * what it reads:
 *
 *     mixed DIR ROUNDS LARGE     LARGE: the name in DIR of a lower file of 8 MiB of 'l'
 *
 * Ends with 0 when all have finished all their rounds and what they saw was right.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB   (1 << 20)
#define BLOCK 4096

static const char *dir, *large;
static unsigned long rounds;
static volatile unsigned long *done; /* shared: quick requests that were answered */
static unsigned char buf[4 * MIB], seen[4 * MIB];

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "mixed: line %d: %s (%s)\n", __LINE__, #what,              \
				strerror(errno));                                                  \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static const char *path(const char *name, unsigned long i)
{
	static char text[2][4096];
	static int which;

	which = !which;
	snprintf(text[which], sizeof(text[which]), "%s/%s%lu", dir, name, i);
	return text[which];
}

/* Appends and flushes, then reads it all. */
static void append(void)
{
	int fd = open(path("append", 0), O_CREAT | O_EXCL | O_RDWR | O_APPEND, 0644);

	CHECK(fd >= 0);
	for (unsigned long i = 0; i < rounds; i++) {
		memset(buf, (int)(i % 251), BLOCK);
		CHECK(write(fd, buf, BLOCK) == BLOCK);
		CHECK((i % 2 ? fsync(fd) : fdatasync(fd)) == 0);
	}
	for (unsigned long i = 0; i < rounds; i++) {
		memset(buf, (int)(i % 251), BLOCK);
		CHECK(pread(fd, seen, BLOCK, (off_t)(i * BLOCK)) == BLOCK);
		CHECK(memcmp(buf, seen, BLOCK) == 0);
	}
	close(fd);
}

/* Large writes and reads, sizes that change. */
static void bulk(void)
{
	for (unsigned long i = 0; i < rounds / 10 + 1; i++) {
		int fd = open(path("bulk", i), O_CREAT | O_EXCL | O_RDWR, 0644);

		CHECK(fd >= 0);
		memset(buf, (int)(i % 250 + 1), sizeof(buf));
		CHECK(write(fd, buf, sizeof(buf)) == (ssize_t)sizeof(buf));
		CHECK(fsync(fd) == 0);
		CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
		CHECK(pread(fd, seen, sizeof(seen), 0) == (ssize_t)sizeof(seen));
		CHECK(memcmp(buf, seen, sizeof(buf)) == 0);
		CHECK(ftruncate(fd, MIB) == 0);
		CHECK(fallocate(fd, 0, 2 * MIB, MIB) == 0);
		CHECK(lseek(fd, 0, SEEK_END) == 3 * MIB);
		memset(buf + MIB, 0, 2 * MIB);
		CHECK(pread(fd, seen, sizeof(seen), 0) == 3 * MIB);
		CHECK(memcmp(buf, seen, 3 * MIB) == 0);
		CHECK(close(fd) == 0 && unlink(path("bulk", i)) == 0);
	}
}

/* Bytes of a lower file that are copied up here and there. */
static void copy_up(void)
{
	char name[4096];
	struct stat st;
	int fd;

	snprintf(name, sizeof(name), "%s/%s", dir, large);
	fd = open(name, O_RDWR);
	CHECK(fd >= 0);
	for (unsigned long i = 0; i < rounds; i++) {
		off_t at = (off_t)(i * 7919 * BLOCK % (8 * MIB));

		CHECK(pwrite(fd, "U", 1, at) == 1);
		if (i % 8 == 0)
			CHECK(fsync(fd) == 0);
		CHECK(pread(fd, seen, 2, at) == 2);
		CHECK(seen[0] == 'U' && seen[1] == 'l');
	}
	CHECK(fstat(fd, &st) == 0 && st.st_size == 8 * MIB);
	close(fd);
}

static void names(void)
{
	struct statx st;

	for (unsigned long i = 0; i < rounds * 4; i++) {
		int fd = open(path("name", i), O_CREAT | O_EXCL | O_WRONLY, 0644);

		CHECK(fd >= 0);
		CHECK(write(fd, buf, i % 100) == (ssize_t)(i % 100));
		CHECK(close(fd) == 0);
		CHECK(rename(path("name", i), path("other", i)) == 0);
		CHECK(statx(AT_FDCWD, path("other", i), AT_STATX_FORCE_SYNC, STATX_SIZE, &st) == 0);
		CHECK(st.stx_size == i % 100);
		CHECK(unlink(path("other", i)) == 0);
		CHECK(access(path("other", i), F_OK) < 0 && errno == ENOENT);
	}
}

/* Quick requests as long as the others are at work. */
static void quick(void)
{
	struct statx st;

	for (;;) {
		CHECK(statx(AT_FDCWD, dir, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st) == 0);
		CHECK(S_ISDIR(st.stx_mode));
		++*done;
	}
}

static pid_t start(void (*role)(void))
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid > 0)
		return pid;
	role();
	_exit(0);
}

int main(int argc, char **argv)
{
	static void (*const roles[])(void) = {append, bulk, copy_up, names};
	unsigned int left = sizeof(roles) / sizeof(*roles);
	pid_t quick_one;
	int result = 0;

	if (argc != 4)
		return 2;
	dir = argv[1];
	rounds = strtoul(argv[2], NULL, 10);
	large = argv[3];
	done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(done != MAP_FAILED);
	quick_one = start(quick);
	for (unsigned int i = 0; i < left; i++)
		start(roles[i]);
	while (left > 0) {
		int status;
		pid_t pid = wait(&status);

		CHECK(pid > 0);
		if (pid == quick_one || status != 0)
			result = 1;
		left -= pid != quick_one;
	}
	CHECK(kill(quick_one, SIGKILL) == 0);
	/* Nobody unmounts while it ends. */
	CHECK(waitpid(quick_one, NULL, 0) == quick_one);
	CHECK(*done > 0);
	return result;
}
