/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for the client's CPU. */
#include "front/follow.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "base/sys_sched.h"

void follow_init(struct follow *f)
{
	*f = (struct follow){.stat_fd = -1, .cpu = -1, .online = sysconf(_SC_NPROCESSORS_ONLN)};
	f->load_fd = sys_openat(AT_FDCWD, "/proc/loadavg", O_RDONLY, 0);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void follow_done(struct follow *f)
{
	close_fd(&f->stat_fd);
	close_fd(&f->load_fd);
}

bool follow_parse_stat(const char *text, int *ret_cpu, char *ret_state)
{
	/* Field 2 is the name in parentheses, which may hold anything. */
	const char *p = strrchr(text, ')');
	char *end;
	long cpu;

	if (p == NULL || p[1] != ' ' || p[2] == '\0')
		return false;
	p += 2;
	*ret_state = *p;
	for (int field = 3; field < 39; field++) {
		p = strchr(p, ' ');
		if (p == NULL)
			return false;
		p++;
	}
	cpu = strtol(p, &end, 10);
	if (end == p || cpu < 0 || cpu > INT_MAX)
		return false;
	*ret_cpu = (int)cpu;
	return true;
}

long follow_parse_load(const char *text)
{
	const char *p = text;
	char *end;
	long n;

	for (int field = 1; field < 4; field++) {
		p = strchr(p, ' ');
		if (p == NULL)
			return -1;
		p++;
	}
	n = strtol(p, &end, 10);
	return end == p || *end != '/' || n < 0 ? -1 : n;
}

/* From the beginning of a file of /proc, which is made anew by each read. */
static bool read_text(int fd, char *text, size_t size)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, text, size - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

/* The descriptor stands for the process, not the number: reading it fails when that is gone. */
static bool read_stat(struct follow *f, int pid, int *ret_cpu, char *ret_state)
{
	char path[48], text[1024];

	if (f->stat_fd < 0 || f->pid != pid || !read_text(f->stat_fd, text, sizeof(text))) {
		close_fd(&f->stat_fd);
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		f->stat_fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
		f->pid = pid;
		if (!read_text(f->stat_fd, text, sizeof(text)))
			return false;
	}
	return follow_parse_stat(text, ret_cpu, ret_state);
}

/*
 * The main thread is never moved: its set is what taskset(1) and cpusets leave us. It is looked at
 * when the client has moved only.
 */
static bool is_usable(unsigned int cpu)
{
	struct cpus cpus = {0};
	bool usable;

	if (sys_get_cpus(getpid(), &cpus) < 0)
		return false;
	usable = cpus_have(&cpus, cpu);
	cpus_done(&cpus);
	return usable;
}

struct pace_seen follow_look(struct follow *f, int pid)
{
	struct pace_seen seen = {0};
	char state = '?', text[128];
	long running = -1;
	int cpu;

	if (pid <= 0 || !read_stat(f, pid, &cpu, &state))
		return seen;
	if (cpu != f->cpu) {
		f->cpu = cpu;
		f->usable = is_usable((unsigned int)cpu);
	}
	seen.reachable = f->usable;
	if (read_text(f->load_fd, text, sizeof(text)))
		running = follow_parse_load(text);
	/* This thread and its client are not "other tasks". */
	seen.crowded = running - 1 - (state == 'R') >= f->online;
	return seen;
}

char follow_state(pid_t tid)
{
	char path[64], text[1024], state = '?';
	int cpu, fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0)
		return '?';
	if (!read_text(fd, text, sizeof(text)) || !follow_parse_stat(text, &cpu, &state))
		state = '?';
	close(fd);
	return state;
}
