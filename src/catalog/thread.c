/* SPDX-License-Identifier: Apache-2.0 */
/* The checkpoint thread, and what a fork does to it. */
#include <errno.h>

#include "base/clock.h"
#include "base/sys_sched.h"
#include "catalog/internal.h"

/* What a power cut may take. */
#define SYNC_SECONDS 5
#define SYNC_NSEC    (SYNC_SECONDS * INT64_C(1000000000))

/* And how soon it is made sure of when somebody waits for it. */
#define SOON_NSEC 100000000

/* Sleeps until it is time to flush, or there is something to do. Under the lock. */
static void rest(struct catalog *c)
{
	struct timespec until = monotonic_in(SYNC_NSEC);

	while (!c->stop && !c->want_checkpoint && !c->want_flush &&
	       pthread_cond_timedwait(&c->wake, &c->lock, &until) != ETIMEDOUT)
		;
	if (!c->want_flush)
		return;
	/* Others may want one too by then. */
	until = monotonic_in(SOON_NSEC);
	while (!c->stop && !c->want_checkpoint &&
	       pthread_cond_timedwait(&c->wake, &c->lock, &until) != ETIMEDOUT)
		;
	c->want_flush = false;
}

/* A checkpoint flushes, too. While somebody keeps them out, which may be for hours, it is done as often as at rest. */
static bool has_to_flush(struct catalog *c, bool checkpoint_due)
{
	struct timespec now = monotonic_now();

	if (c->options.no_sync || c->synced_seq >= c->seq)
		return false;
	if (checkpoint_due &&
	    (c->kept_out.tv_sec == 0 || now.tv_sec - c->flushed_at.tv_sec < SYNC_SECONDS))
		return false;
	c->flushed_at = now;
	return true;
}

/* Under the lock, which is released meanwhile. */
static void work(struct catalog *c)
{
	bool due = checkpoint_is_due(c);
	bool flushed = has_to_flush(c, due) && sync_journals(c) == 0;

	c->want_checkpoint = false;
	pthread_mutex_unlock(&c->lock);
	if (flushed)
		hooks_after(c);
	if (due)
		checkpoint(c, false);
	pthread_mutex_lock(&c->lock);
}

static void *run(void *arg)
{
	struct catalog *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		rest(c);
		if (!c->stop)
			work(c);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int thread_start(struct catalog *c)
{
	int rc;

	if (c->options.no_threads || c->has_thread)
		return 0;
	rc = sys_thread_create(&c->thread, NULL, run, c);
	if (rc < 0)
		return rc;
	c->has_thread = true;
	pthread_setname_np(c->thread, "checkpoint");
	return 0;
}

void thread_stop(struct catalog *c)
{
	bool has_thread;

	pthread_mutex_lock(&c->lock);
	has_thread = c->has_thread;
	c->stop = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	if (has_thread)
		pthread_join(c->thread, NULL);
	c->has_thread = false;
	c->stop = false;
}

void catalog_before_fork(struct catalog *c)
{
	thread_stop(c);
}

int catalog_owner_changed(struct catalog *c)
{
	int rc, thread;

	if (c->options.mode != CATALOG_WRITE)
		return 0;
	pthread_mutex_lock(&c->checkpoint_lock);
	rc = lock_write_owner(&c->lock_file);
	pthread_mutex_unlock(&c->checkpoint_lock);
	pthread_mutex_lock(&c->lock);
	thread = thread_start(c);
	pthread_mutex_unlock(&c->lock);
	return rc < 0 ? rc : thread;
}
