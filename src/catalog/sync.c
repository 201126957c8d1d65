/* SPDX-License-Identifier: Apache-2.0 */
/* Making the journal durable, one flush for all who wait for it. */
#include <errno.h>

#include "base/log.h"
#include "base/sys.h"
#include "catalog/internal.h"

/* Waits for a flush that another thread has under way. */
static void wait_for_flush(struct catalog *c)
{
	while (c->syncing)
		pthread_cond_wait(&c->synced, &c->lock);
}

/* Fails only when the hook did. */
static int flush(struct catalog *c)
{
	uint64_t upto = c->seq;
	int rc;

	c->syncing = true;
	pthread_mutex_unlock(&c->lock);
	rc = hooks_before(c);
	if (rc < 0) {
		pthread_mutex_lock(&c->lock);
		c->syncing = false;
		pthread_cond_broadcast(&c->synced);
		return rc;
	}
	rc = sys_fdatasync(c->journal.fd);
	pthread_mutex_lock(&c->lock);
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
	pthread_mutex_unlock(&c->lock);
	hooks_after(c);
	pthread_mutex_lock(&c->lock);
	return 0;
}

int sync_journal(struct catalog *c)
{
	uint64_t upto = c->seq;
	int rc = 0;

	while (rc == 0 && c->synced_seq < upto && c->sync_error == 0) {
		if (c->syncing)
			wait_for_flush(c);
		else
			rc = flush(c);
	}
	if (rc < 0)
		return rc;
	return c->synced_seq >= upto ? 0 : c->sync_error;
}

int catalog_sync(struct catalog *c)
{
	int rc;

	if (c->options.mode != CATALOG_WRITE || c->options.no_sync)
		return 0;
	pthread_mutex_lock(&c->lock);
	rc = sync_journal(c);
	pthread_mutex_unlock(&c->lock);
	return rc;
}
