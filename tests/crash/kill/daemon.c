/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon under test: started, killed, unmounted. It runs in the foreground, as our child. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash/kill/kill.h"

#define FUSE_MAGIC   0x65735546
#define WAIT_SECONDS 30

static void die(const struct place *p, const char *what)
{
	char line[512];
	FILE *log = fopen(p->log, "r");

	fprintf(stderr, "%s\n", what);
	while (log != NULL && fgets(line, sizeof(line), log) != NULL)
		fputs(line, stderr);
	if (p->daemon > 0)
		kill(p->daemon, SIGKILL);
	umount2(p->mnt, MNT_DETACH);
	exit(1);
}

void daemon_spawn(struct place *p, const char *options)
{
	char all[1200];

	snprintf(all, sizeof(all), "lowerdir=%s,upperdir=%s,workdir=%s-work,dev%s", p->lowers,
		 p->upper, p->upper, options);
	p->daemon = fork();
	if (p->daemon != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int fd = open(p->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	dup2(fd, STDERR_FILENO);
	execl(p->program, "plyfs", "-f", "-o", all, p->mnt, (char *)NULL);
	_exit(127);
}

static bool is_mounted(const struct place *p)
{
	struct statfs st;

	return statfs(p->mnt, &st) == 0 ? st.f_type == FUSE_MAGIC : errno != ENOENT;
}

void daemon_await(struct place *p)
{
	char what[100];
	struct statfs st;
	int status;

	for (unsigned int i = 0; i < WAIT_SECONDS * 2000; i++) {
		if (statfs(p->mnt, &st) == 0 && st.f_type == FUSE_MAGIC)
			return;
		if (waitpid(p->daemon, &status, WNOHANG) == p->daemon) {
			p->daemon = 0;
			snprintf(what, sizeof(what),
				 "the daemon ended instead of mounting, with status %x", status);
			die(p, what);
		}
		usleep(500);
	}
	die(p, "the mount does not answer");
}

void daemon_kill(struct place *p)
{
	kill(p->daemon, SIGKILL);
	while (waitpid(p->daemon, NULL, 0) < 0 && errno == EINTR)
		;
	p->daemon = 0;
}

void daemon_detach(struct place *p)
{
	while (is_mounted(p))
		if (umount2(p->mnt, MNT_DETACH) < 0)
			die(p, "cannot unmount");
}

void daemon_unmount(struct place *p)
{
	if (umount2(p->mnt, 0) < 0)
		die(p, "umount failed");
}

void daemon_wait(struct place *p)
{
	int status = 0;

	for (unsigned int i = 0; i < WAIT_SECONDS * 2000; i++) {
		if (waitpid(p->daemon, &status, WNOHANG) == p->daemon) {
			p->daemon = 0;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				die(p, "the daemon did not end well");
			return;
		}
		usleep(500);
	}
	die(p, "the daemon does not end");
}

int upper_check(const struct place *p, FILE *out)
{
	char path[300], line[512];
	int status = 0;
	pid_t pid;
	FILE *said;

	snprintf(path, sizeof(path), "%s-fsck", p->log);
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execl(p->program, "plyfs", "fsck", p->upper, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	fprintf(out, "fsck ends with status %x:\n", status);
	said = fopen(path, "r");
	while (said != NULL && fgets(line, sizeof(line), said) != NULL)
		fputs(line, out);
	if (said != NULL)
		fclose(said);
	return -1;
}
