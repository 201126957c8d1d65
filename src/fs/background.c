/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that work in the background: told to stop, and sleeping more than they work. */
#include "fs/background.h"

#include <errno.h>

#include "base/clock.h"
#include "base/sys_sched.h"

/* One part of the time is theirs, and this many parts are left to others. */
#define PAUSE_PARTS 4
#define PAUSE_FROM  0.02

double background_now(void)
{
	struct timespec t = monotonic_now();

	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int background_start(struct background *b, const char *name, void *(*run)(void *arg), void *arg)
{
	int r;

	pthread_mutex_init(&b->lock, NULL);
	monotonic_cond_init(&b->wake);
	r = sys_thread_create(&b->thread, NULL, run, arg);
	b->has_thread = r == 0;
	if (r == 0)
		pthread_setname_np(b->thread, name);
	return r;
}

void background_stop(struct background *b)
{
	if (!b->has_thread)
		return;
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_signal(&b->wake);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	b->has_thread = false;
}

void background_done(struct background *b)
{
	pthread_cond_destroy(&b->wake);
	pthread_mutex_destroy(&b->lock);
}

bool background_stopped(struct background *b)
{
	return atomic_load(&b->stop);
}

void background_rest(struct background *b, double seconds)
{
	struct timespec until = monotonic_in((int64_t)(seconds * 1e9));

	pthread_mutex_lock(&b->lock);
	while (!b->stop && pthread_cond_timedwait(&b->wake, &b->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&b->lock);
}

void background_worked(struct background *b, double seconds)
{
	b->debt += seconds;
	if (b->debt <= PAUSE_FROM)
		return;
	background_rest(b, b->debt * PAUSE_PARTS);
	b->debt = 0;
}
