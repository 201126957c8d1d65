/* SPDX-License-Identifier: Apache-2.0 */
/* Making the journals durable, one flush for all who wait for it. */
#include <errno.h>

#include "base/log.h"
#include "base/sys.h"
#include "catalog/internal.h"

/* The older journal first: records behind a gap are worth nothing. 0 or -errno. */
static int flush_files(const int *fds, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		int rc = fds[i] >= 0 ? sys_fdatasync(fds[i]) : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* So many flushes are no accident: there will be more. */
#define FLUSHES_OFTEN 4

/* Which of the N oldest have to be flushed, in this order; they count as flushed from now on. */
static void take_unsynced(struct catalog *c, unsigned int n, int *ret_fds)
{
	/* It is a megabyte into the page cache, at most once for each journal. */
	if (n == N_JOURNALS && c->stats.syncs >= FLUSHES_OFTEN &&
	    c->journals[c->current].len < JOURNAL_KEEP)
		journal_fill(&c->journals[c->current]);
	for (unsigned int i = 0; i < n; i++) {
		struct journal *j = &c->journals[i == 0 ? !c->current : c->current];

		ret_fds[i] = j->unsynced ? j->fd : -1;
		j->unsynced = false;
	}
}

/* Those who commit without an end must not keep a flush from its end. */
#define CATCH_UPS 3

/* What was committed since the hook was called goes to the disk with the rest, and the hooks know of it. Releases the lock. */
static void catch_up(struct catalog *c)
{
	for (int i = 0;; i++) {
		struct catalog_hooks hooks = c->hooks;

		if (hooks.is_behind == NULL || !hooks.is_behind(hooks.arg, c->seq) ||
		    i == CATCH_UPS)
			return;
		pthread_mutex_unlock(&c->lock);
		hooks.catch_up(hooks.arg);
		pthread_mutex_lock(&c->lock);
	}
}

/* The N oldest journals. Under the lock, which is released meanwhile. */
static int flush_journals(struct catalog *c, unsigned int n)
{
	int fds[N_JOURNALS], rc;

	catch_up(c);
	take_unsynced(c, n, fds);
	pthread_mutex_unlock(&c->lock);
	rc = flush_files(fds, n);
	pthread_mutex_lock(&c->lock);
	return rc;
}

/* Fails only when the hook did. */
static int flush(struct catalog *c)
{
	uint64_t upto;
	int rc;

	c->syncing = true;
	upto = c->seq;
	pthread_mutex_unlock(&c->lock);
	rc = hooks_before(c);
	pthread_mutex_lock(&c->lock);
	if (rc < 0) {
		c->syncing = false;
		pthread_cond_broadcast(&c->synced);
		return rc;
	}
	/* By itself: while the disk is at it the other one gets new records. */
	if (c->journals[!c->current].unsynced)
		rc = flush_journals(c, 1);
	if (rc == 0)
		rc = flush_journals(c, N_JOURNALS);
	c->syncing = false;
	c->stats.syncs++;
	/*
	 * After a failed flush the kernel may call the lost pages clean, so that the next flush
	 * succeeds without them: the failure stays until a checkpoint has written the records to the
	 * tables. A checkpoint meanwhile has done that already.
	 */
	if (rc == 0 && c->sync_error == 0 && upto > c->synced_seq)
		c->synced_seq = upto;
	else if (rc < 0 && upto > c->synced_seq) {
		c->sync_error = rc;
		log_error("the catalog's journal could not be flushed to the disk");
	}
	pthread_cond_broadcast(&c->synced);
	return 0;
}

int sync_journals(struct catalog *c)
{
	uint64_t upto = c->seq;
	int rc = 0;

	while (rc == 0 && c->synced_seq < upto && c->sync_error == 0) {
		if (c->syncing)
			pthread_cond_wait(&c->synced, &c->lock);
		else
			rc = flush(c);
	}
	if (rc < 0)
		return rc;
	return c->synced_seq >= upto ? 0 : c->sync_error;
}

int catalog_sync(struct catalog *c)
{
	uint64_t upto;
	bool lost;
	int rc;

	if (c->options.mode != CATALOG_WRITE || c->options.no_sync)
		return 0;
	pthread_mutex_lock(&c->lock);
	upto = c->seq;
	rc = c->synced_seq >= upto ? 1 : sync_journals(c);
	lost = rc < 0 && c->sync_error != 0;
	pthread_mutex_unlock(&c->lock);
	if (rc == 0)
		hooks_after(c);
	/* The records are in memory: a checkpoint writes them once more, to another file. */
	if (lost) {
		rc = checkpoint(c, true);
		if (rc == 0 && catalog_durable(c) < upto)
			rc = -EIO;
	}
	return rc < 0 ? rc : 0;
}
