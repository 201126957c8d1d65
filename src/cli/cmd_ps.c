/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs ps [--reap]: what is mounted, by whom, from what. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "front/session.h"
#include "tool/columns.h"

/* A daemon has that long to answer. */
#define ANSWER_MS 2000

/* What a line of /proc/self/mountinfo says; points into it. */
struct mounted {
	char *place, *source, *flags, *options;
};

/* Octal escapes of the kernel ("\040") become their bytes, in place. */
static void unescape(char *text)
{
	char *to = text;
	unsigned int byte;

	while (*text != '\0') {
		if (text[0] == '\\' && sscanf(text + 1, "%3o", &byte) == 1) {
			*to++ = (char)byte;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* 36 35 98:0 /root PLACE FLAGS optional... - TYPE SOURCE OPTIONS */
static bool parse(char *line, struct mounted *m)
{
	char *tail = strstr(line, " - "), *type;

	line[strcspn(line, "\n")] = '\0';
	if (tail == NULL)
		return false;
	*tail = '\0';
	tail += 3;
	type = strsep(&tail, " ");
	m->source = strsep(&tail, " ");
	m->options = tail;
	if (m->options == NULL || strcmp(type, "fuse.plyfs") != 0)
		return false;
	for (int i = 0; i < 4; i++)
		strsep(&line, " ");
	m->place = strsep(&line, " ");
	m->flags = strsep(&line, " ");
	if (m->place == NULL || m->flags == NULL)
		return false;
	unescape(m->place);
	unescape(m->source);
	return true;
}

static void add_user(struct columns *c, const char *options)
{
	const char *id = strstr(options, "user_id=");
	unsigned int uid;
	const struct passwd *pw;

	if (id == NULL || sscanf(id, "user_id=%u", &uid) != 1) {
		columns_add(c, "?");
		return;
	}
	pw = getpwuid(uid);
	if (pw != NULL)
		columns_add(c, "%s", pw->pw_name);
	else
		columns_add(c, "%u", uid);
}

/* In a child: one byte goes to FD when the daemon of the mount at PLACE has answered, or the kernel knows that there is none. */
static void ask(const char *place, int fd)
{
	struct statfs st;
	char dead;

	/* Whoever reads what plyfs ps writes does not wait for it either. */
	for (int i = 0; i <= STDERR_FILENO; i++)
		if (i != fd)
			close(i);
	dead = statfs(place, &st) < 0 && errno == ENOTCONN;
	_exit(write(fd, &dead, 1) == 1 ? 0 : 1);
}

/*
 * "dead", "stuck" or what M's flags say. A child asks: from the moment that a daemon has taken a question, waiting for its
 * answer cannot be interrupted. A child that waits like this is not waited for.
 */
static const char *state_of(const struct mounted *m)
{
	const char *alive = strncmp(m->flags, "rw", 2) == 0 ? "rw" : "ro";
	struct pollfd answer = {.events = POLLIN};
	char dead = 0;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return "?";
	pid = fork();
	if (pid == 0)
		ask(m->place, fds[1]);
	close(fds[1]);
	answer.fd = fds[0];
	if (pid < 0)
		alive = "?";
	else if (poll(&answer, 1, ANSWER_MS) == 0)
		alive = "stuck";
	else if (read(fds[0], &dead, 1) == 1 && dead)
		alive = "dead";
	close(fds[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, WNOHANG);
	}
	return alive;
}

static int show(struct mounted *m, bool reap, struct columns *c)
{
	CLEANUP(err) struct err err = {0};
	const char *state = state_of(m);

	if (reap && strcmp(state, "dead") == 0)
		return front_unmount(m->place, true, &err) < 0 ? complain(&err) : 0;
	columns_add(c, "%s", m->place);
	add_user(c, m->options);
	columns_add(c, "%s", state);
	columns_add(c, "%s", m->source);
	return 0;
}

static int list(bool reap)
{
	CLEANUP(columns) struct columns c = {.n = 4};
	CLEANUP(free) char *line = NULL;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	size_t size = 0;
	int status = 0;

	if (f == NULL) {
		CLEANUP(err) struct err err = {0};

		err_errno(&err, errno, "/proc/self/mountinfo");
		return complain(&err);
	}
	columns_add(&c, "MOUNTPOINT");
	columns_add(&c, "USER");
	columns_add(&c, "STATE");
	columns_add(&c, "SOURCE");
	while (getline(&line, &size, f) > 0) {
		struct mounted m;

		if (parse(line, &m))
			status |= show(&m, reap, &c);
	}
	fclose(f);
	return columns_print(&c, 0, stdout) == 0 && fflush(stdout) == 0 ? status : 1;
}

int cmd_ps(const struct invocation *by, int argc, char **argv)
{
	CLEANUP(err) struct err err = {0};
	bool reap = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return cmd_help(by, 1, argv);
		if (strcmp(argv[i], "--reap") != 0) {
			err_set(&err, EINVAL, "unknown argument: %s; see plyfs --help", argv[i]);
			return complain(&err);
		}
		reap = true;
	}
	return list(reap);
}
