/* SPDX-License-Identifier: Apache-2.0 */
/* A mount whose backing file system is full: its daemon, its neighbour, and operations by path. */
#ifndef TESTS_CRASH_FULL_H
#define TESTS_CRASH_FULL_H

#include <stdbool.h>
#include <sys/types.h>

#include "support/shadow.h"

/* Ends the program; everything that it says of a failure. */
void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ---- daemon.c ---- */

struct mount {
	const char *program, *options, *dir;
	pid_t daemon; /* 0: not mounted */
};
void mount_start(struct mount *m);
/* Unmounts; comes back when the daemon has ended. */
void mount_stop(struct mount *m);
/* SIGKILL; then what is left of the mount is taken away. */
void mount_kill(struct mount *m);

/* ---- ballast.c: somebody else's files, in the directory DIR of the same file system ---- */

/* Grow until not one block is left. */
void ballast_fill(int dir);
/* Grow until LEAVE bytes, or somewhat more, are left. */
void ballast_leave(int dir, uint64_t leave);
/* Give back SIZE bytes, or somewhat more. */
void ballast_shrink(int dir, uint64_t size);

/* ---- ops.c ---- */

/* 0 or -errno; RET_DONE: of a write, how much of it is there. */
int op_do(const char *dir, const struct shadow_op *op, bool flush, uint64_t *ret_done);
/* ARG is the mount point's path. */
extern const struct shadow_view dir_view;

#endif
