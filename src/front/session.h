/* SPDX-License-Identifier: Apache-2.0 */
/* A mounted file system: the one place where fs/ meets the kernel. */
#ifndef PLYFS_FRONT_SESSION_H
#define PLYFS_FRONT_SESSION_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "front/options.h"
#include "fs/fs.h"

struct front;

/* What EAGAIN of a new thread or process means. */
#define FRONT_NO_MORE                                                                              \
	"no more processes and threads are allowed, or memory is short; raise the user's limit "   \
	"(ulimit -u) or the cgroup's (pids.max)"

/*
 * Mounts FS at OPTIONS->mountpoint (read-only when FS is) and blocks SIGTERM, SIGINT, SIGHUP and
 * SIGUSR1 in this thread, so that threads started afterwards do not get them. The threads that serve are
 * there afterwards. FS and OPTIONS must
 * outlive RET_FRONT. No request is answered before front_run(). After a failure nothing is mounted,
 * and ERR has one sentence with what libfuse or fusermount3 had to say.
 */
int front_open(struct fs *fs, const struct front_options *options, struct front **ret_front,
	       struct err *err);

/*
 * Serves until the mount is gone. READY is called once, when the kernel's INIT has been answered
 * and others are; what it returns when negative ends the mount. SIGTERM, SIGINT
 * and SIGHUP write back what the kernel still holds, unmount and end; SIGUSR1 logs statistics. To be
 * called in the thread that called front_open(). 0 after an orderly end.
 */
int front_run(struct front *f, int (*ready)(void *arg), void *arg, struct err *err);

/* Unmounts when that has not happened yet, and frees. FS is as it was: no request is running. */
void front_close(struct front *f);
DEFINE_CLEANUP_PTR(struct front, front, front_close)

/* Unmounts PATH for `plyfs umount`: by itself where it may, else by fusermount3. */
int front_unmount(const char *path, bool lazy, struct err *err);

/* Prints libfuse's version, the protocol's, fusermount3's and what is built in on stdout. */
void front_print_version(void);

#endif
