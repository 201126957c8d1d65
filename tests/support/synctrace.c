/* SPDX-License-Identifier: Apache-2.0 */
/* Flushes and deletions of the test's own process: written down, and made to fail. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/synctrace.h"

#define MAX_CALLS 65536
#define MAX_RULES 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sync_call *calls; /* of the process's life */
static size_t n_calls;
static uint64_t (*the_clock)(void);
static struct rule {
	const char *name, *part;
	int error;
	unsigned int times, milliseconds;
	void (*hook)(void *arg);
	void *arg;
} rules[MAX_RULES];
static size_t n_rules;

void synctrace_start(uint64_t (*clock)(void))
{
	pthread_mutex_lock(&lock);
	if (calls == NULL)
		calls = calloc(MAX_CALLS, sizeof(*calls));
	n_calls = n_rules = 0;
	the_clock = clock;
	pthread_mutex_unlock(&lock);
}

static int matches(const char *name, const char *part, const struct sync_call *call)
{
	return (name == NULL || strcmp(name, call->name) == 0) &&
	       (part == NULL || strstr(call->path, part) != NULL);
}

size_t synctrace_count(const char *name, const char *part)
{
	size_t i, n = 0;

	pthread_mutex_lock(&lock);
	for (i = 0; i < n_calls; i++)
		n += (size_t)matches(name, part, &calls[i]);
	pthread_mutex_unlock(&lock);
	return n;
}

struct sync_call synctrace_first(const char *name, const char *part)
{
	struct sync_call found = {0};
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < n_calls && !matches(name, part, &calls[i]); i++)
		;
	if (i < n_calls)
		found = calls[i];
	pthread_mutex_unlock(&lock);
	cr_assert_neq(found.name[0], '\0', "no %s of %s", name, part);
	return found;
}

static void add_rule(const struct rule *rule)
{
	pthread_mutex_lock(&lock);
	cr_assert_lt(n_rules, MAX_RULES);
	rules[n_rules++] = *rule;
	pthread_mutex_unlock(&lock);
}

void synctrace_fail(const char *name, const char *part, int error, unsigned int times)
{
	add_rule(&(struct rule){.name = name, .part = part, .error = error, .times = times});
}

void synctrace_slow(const char *name, const char *part, unsigned int milliseconds)
{
	add_rule(&(struct rule){
		.name = name, .part = part, .times = UINT_MAX, .milliseconds = milliseconds});
}

void synctrace_before(const char *name, const char *part, void (*hook)(void *arg), void *arg)
{
	add_rule(&(struct rule){.name = name, .part = part, .times = 1, .hook = hook, .arg = arg});
}

/* Notes the call; the error that it shall fail with, or 0. */
static int note(const char *name, const char *path)
{
	struct sync_call call = {0};
	struct rule first = {.hook = NULL};
	unsigned int milliseconds = 0;
	int error = 0;
	size_t i;

	if (calls == NULL)
		return 0;
	snprintf(call.name, sizeof(call.name), "%s", name);
	snprintf(call.path, sizeof(call.path), "%s", path);
	if (the_clock != NULL && strstr(path, "/data/") != NULL)
		call.clock = the_clock();
	pthread_mutex_lock(&lock);
	if (n_calls < MAX_CALLS)
		calls[n_calls++] = call;
	for (i = 0; i < n_rules && error == 0; i++) {
		if (rules[i].times == 0 || !matches(rules[i].name, rules[i].part, &call))
			continue;
		rules[i].times--;
		error = rules[i].error;
		milliseconds += rules[i].milliseconds;
		if (rules[i].hook != NULL)
			first = rules[i];
	}
	pthread_mutex_unlock(&lock);
	if (first.hook != NULL)
		first.hook(first.arg);
	usleep(milliseconds * 1000);
	return error;
}

static void path_of(int fd, char *ret_path, size_t size)
{
	char link[40];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret_path, size - 1);
	ret_path[n > 0 ? n : 0] = '\0';
}

static int note_fd(const char *name, int fd)
{
	char path[160];

	path_of(fd, path, sizeof(path));
	return note(name, path);
}

static int fails_with(int error)
{
	errno = error;
	return -1;
}

int fsync(int fd)
{
	int error = note_fd("fsync", fd);

	return error != 0 ? fails_with(error) : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	int error = note_fd("fdatasync", fd);

	return error != 0 ? fails_with(error) : (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
	int error = note_fd("syncfs", fd);

	return error != 0 ? fails_with(error) : (int)syscall(SYS_syncfs, fd);
}

int sync_file_range(int fd, off64_t off, off64_t len, unsigned int flags)
{
	int error = note_fd("sync_file_range", fd);

	return error != 0 ? fails_with(error)
			  : (int)syscall(SYS_sync_file_range, fd, off, len, flags);
}

int fallocate(int fd, int mode, off64_t off, off64_t len)
{
	int error = note_fd("fallocate", fd);

	return error != 0 ? fails_with(error)
			  : (int)syscall(SYS_fallocate, fd, (long)mode, off, len);
}

int unlinkat(int dirfd, const char *name, int flags)
{
	char dir[160] = ".", path[512];
	int error;

	if (dirfd != AT_FDCWD)
		path_of(dirfd, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	error = note("unlinkat", path);
	return error != 0 ? fails_with(error) : (int)syscall(SYS_unlinkat, dirfd, name, flags);
}
