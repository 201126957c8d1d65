/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading ahead of a walk. A walk (find, du, tar, cp -a, a container engine's commit) lists a directory,
 * stats its names, and goes on with its sub-directories, one request at a time: while the client works
 * the daemon waits, and the other way round. Once it has been seen to go down, a thread lists the
 * directories that come next, and looks their names up.
 */
#ifndef PLYFS_UNION_AHEAD_H
#define PLYFS_UNION_AHEAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct union_dir;

/* Directories whose children may come next; a walk goes into the latest first. */
#define AHEAD_MAX 16

struct ahead_entry {
	struct union_dir *dir; /* owned reference */
	size_t next;	       /* index of its listing from which on names were not looked at */
};

struct ahead {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	struct ahead_entry entries[AHEAD_MAX]; /* oldest first */
	size_t n;
	unsigned int down; /* directories in a row whose parent was walked just before */
	atomic_bool stop;  /* set under the lock */
	bool started;	   /* constant from union_start() on */
	pthread_t thread;
};

int ahead_init(struct ahead *a);
/*
 * Ends the thread and gives back all references; before the stack's root goes. False: the thread waits for a
 * layer that does not answer, so nothing that it uses may be freed.
 */
bool ahead_done(struct ahead *a);

#endif
