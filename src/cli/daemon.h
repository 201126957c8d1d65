/* SPDX-License-Identifier: Apache-2.0 */
/* Going into the background so that whoever waits for us does not wait for ever. */
#ifndef PLYFS_CLI_DAEMON_H
#define PLYFS_CLI_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

/*
 * To be called first: what is closed of standard input, output and error is opened, so that no descriptor of ours becomes one of
 * them. Reading and writing there stay errors.
 */
void standard_fill(void);

/* Descriptors that were open when the program began: those of whoever started it. */
struct inherited {
	int *fds; /* owned */
	size_t n;
};

/* Notes all descriptors from 3 on; to be called before there are others. */
void inherited_note(struct inherited *in);
/* Closes them all but KEEP (-1: none). */
void inherited_close(const struct inherited *in, int keep);
void inherited_done(struct inherited *in);

/*
 * Forks. In the parent it waits until the child has called daemon_ready() or ended, and returns the
 * exit status to end with. In the child it returns -1, in a session of its own and with
 * *RET_READY_FD to hand to daemon_ready(); standard error is still the caller's.
 */
int daemon_fork(int *ret_ready_fd);

/*
 * Lets go of everything the caller has a hold on (standard input, output and error, the current
 * directory, IN but KEEP), sends the log to syslog and tells the parent. -EPIPE: it is gone.
 */
int daemon_ready(int ready_fd, const struct inherited *in, int keep);

/* RLIMIT_NOFILE to its hard limit: layers and files are held by descriptor. */
void daemon_raise_limits(void);

#endif
