/* SPDX-License-Identifier: Apache-2.0 */
/* Going into the background so that whoever waits for us does not wait for ever. */
#include "cli/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "front/session.h"

void standard_fill(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* It becomes FD, as those below are open. A name without access is there also without /dev. */
		if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
			(void)open("/", O_PATH);
	}
}

static void note(struct inherited *in, int fd)
{
	int *grown = reallocarray(in->fds, in->n + 1, sizeof(*grown));

	if (grown == NULL)
		return;
	in->fds = grown;
	in->fds[in->n++] = fd;
}

void inherited_note(struct inherited *in)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *d;

	*in = (struct inherited){0};
	while (dir != NULL && (d = readdir(dir)) != NULL) {
		int fd = atoi(d->d_name);

		if (fd > 2 && fd != dirfd(dir))
			note(in, fd);
	}
	if (dir != NULL) {
		closedir(dir);
		return;
	}
	/* No /proc: what somebody left open has a small number. */
	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			note(in, fd);
}

void inherited_close(const struct inherited *in, int keep)
{
	for (size_t i = 0; i < in->n; i++)
		if (in->fds[i] != keep)
			close(in->fds[i]);
}

void inherited_done(struct inherited *in)
{
	free(in->fds);
	*in = (struct inherited){0};
}

/* Waits for the child's word; without one it has said on standard error why. */
static int await_child(pid_t child, int fd)
{
	char byte;
	int status = 0;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return 0;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	if (WIFSIGNALED(status))
		fprintf(stderr,
			"plyfs: the daemon was ended by a signal (%s) before the mount was "
			"ready\n",
			strsignal(WTERMSIG(status)));
	return 1;
}

int daemon_fork(int *ret_ready_fd)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		fprintf(stderr, "plyfs: cannot make a pipe: %s\n", strerror(errno));
		return 1;
	}
	child = fork();
	if (child < 0) {
		fprintf(stderr, "plyfs: cannot fork: %s\n",
			errno != EAGAIN ? strerror(errno) : FRONT_NO_MORE);
		close(fds[0]);
		close(fds[1]);
		return 1;
	}
	if (child > 0) {
		int status;

		close(fds[1]);
		status = await_child(child, fds[0]);
		close(fds[0]);
		return status;
	}
	close(fds[0]);
	setsid();
	*ret_ready_fd = fds[1];
	return -1;
}

int daemon_ready(int ready_fd, const struct inherited *in, int keep)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r;

	if (null < 0)
		return -errno;
	if (chdir("/") < 0)
		log_warn("cannot change to /: %s", strerror(errno));
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	close(null);
	inherited_close(in, keep);
	log_set_target(LOG_TARGET_SYSLOG);
	r = write(ready_fd, "", 1) == 1 ? 0 : -EPIPE;
	close(ready_fd);
	return r;
}

void daemon_raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_debug("cannot raise the limit of open files: %s", strerror(errno));
}
