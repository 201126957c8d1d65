/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, ending and killing the daemon of the mount. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash/full/full.h"

#define START_SECONDS 20
#define STOP_SECONDS  30

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static dev_t dev_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_dev : 0;
}

void mount_start(struct mount *m)
{
	dev_t before = dev_of(m->dir);
	int status;

	m->daemon = fork();
	if (m->daemon == 0) {
		execl(m->program, m->program, "-f", "-o", m->options, m->dir, NULL);
		_exit(127);
	}
	for (int i = 0; i < START_SECONDS * 200; i++) {
		if (waitpid(m->daemon, &status, WNOHANG) == m->daemon)
			wrong("the mount is refused, status %x", (unsigned int)status);
		if (dev_of(m->dir) != before)
			return;
		nap();
	}
	wrong("it is not mounted after %d s", START_SECONDS);
}

static int run(const char *program, const char *a, const char *b, const char *c)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execlp(program, program, a, b, c, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void wait_for_end(struct mount *m, bool killed)
{
	int status;

	for (int i = 0; i < STOP_SECONDS * 200; i++) {
		if (waitpid(m->daemon, &status, WNOHANG) == m->daemon) {
			m->daemon = 0;
			if (!killed && status != 0)
				wrong("the daemon ends with status %x", (unsigned int)status);
			return;
		}
		nap();
	}
	wrong("the daemon has not ended after %d s", STOP_SECONDS);
}

void mount_stop(struct mount *m)
{
	if (run("fusermount3", "-u", m->dir, NULL) != 0)
		wrong("it cannot be unmounted");
	wait_for_end(m, false);
}

void mount_kill(struct mount *m)
{
	kill(m->daemon, SIGKILL);
	wait_for_end(m, true);
	if (run("fusermount3", "-u", "-z", m->dir) != 0)
		wrong("what is left of the mount cannot be taken away");
}
