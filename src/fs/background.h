/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of fs/ that works behind everybody's back, and leaves most of the time to others. */
#ifndef PLYFS_FS_BACKGROUND_H
#define PLYFS_FS_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct background {
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	atomic_bool stop; /* set under the lock */
	double debt;	  /* seconds of work that no pause was made for; the thread's own */
};

/*
 * Starts RUN in a thread called NAME (15 bytes), which ends soon after background_stopped(). 0 or -errno: there is no thread.
 * To be given to background_done() in either case, after background_stop().
 */
int background_start(struct background *b, const char *name, void *(*run)(void *arg), void *arg);
/* Tells the thread to stop, and waits for it. */
void background_stop(struct background *b);
void background_done(struct background *b);

/* For the thread: was it told to stop? */
bool background_stopped(struct background *b);
/* Sleeps, or returns at once when told to stop. */
void background_rest(struct background *b, double seconds);
/* It has worked for so long: sleeps four times as long, not for each little piece. */
void background_worked(struct background *b, double seconds);

/* Seconds on a clock that only goes forward. */
double background_now(void);

#endif
