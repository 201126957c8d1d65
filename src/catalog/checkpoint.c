/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: the journal's records become part of the LMDB file, and the journal starts anew. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "catalog/check.h"
#include "catalog/internal.h"

/* After a failed checkpoint every commit would try the next one. */
#define RETRY_SECONDS 10

static struct timespec now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t;
}

bool checkpoint_is_due(struct catalog *c, unsigned int times)
{
	struct timespec t;

	if (!c->failed && c->sync_error == 0 && c->journal.len < times * CHECKPOINT_JOURNAL_BYTES &&
	    store_dirty_pages(&c->store) < times * CHECKPOINT_DIRTY_PAGES)
		return false;
	if (c->retry_at.tv_sec == 0)
		return true;
	t = now();
	return timespec_cmp(&t, &c->retry_at) >= 0;
}

/* The checksum must be gone from the disk before the file that it describes changes. */
static int remove_sum(struct catalog *c)
{
	int rc;

	if (c->sum_removed)
		return 0;
	rc = sum_remove(c->dirfd);
	if (rc < 0)
		return rc;
	if (!c->options.no_sync && fsync(c->dirfd) < 0)
		return -errno;
	c->has_sum = false;
	c->sum_removed = true;
	return 0;
}

static int commit_tables(struct catalog *c)
{
	uint8_t applied[8];
	int rc;

	put_le64(applied, c->seq);
	rc = store_put(&c->store, TABLE_SUPER, SUPER_APPLIED, strlen(SUPER_APPLIED), applied,
		       sizeof(applied));
	return rc < 0 ? rc : store_commit(&c->store);
}

int checkpoint_tables(struct catalog *c)
{
	bool dropped;
	int rc;

	if (c->store.txn == NULL)
		return -EIO;
	if (c->seq == c->applied)
		return 0;
	rc = remove_sum(c);
	if (rc < 0)
		return rc;
	rc = commit_tables(c);
	if (rc < 0) {
		c->stats.failed_checkpoints++;
		recover(c, UINT64_MAX, &dropped);
		return store_full_errno(c->dirfd, rc);
	}
	c->stats.checkpoints++;
	c->applied = c->synced_seq = c->seq;
	c->sync_error = 0;
	return 0;
}

/*
 * The order is what makes a crash at any point harmless. Until LMDB's meta page is on the disk, the
 * old tables and the whole journal are valid. From then on the new tables are, and they say up to
 * which record they hold the journal, so it does not matter whether its old records are still there.
 */
int checkpoint_locked(struct catalog *c)
{
	bool needed = c->seq != c->applied || c->failed;
	int rc = checkpoint_tables(c);

	if (rc < 0 || !needed)
		return rc;
	rc = journal_reset(&c->journal, c->applied);
	if (rc == 0)
		c->failed = false; /* what could not be undone in the journal is gone with it */
	else if (c->journal.len > CHECKPOINT_JOURNAL_BYTES)
		log_warn("the journal could not be started anew: %s", strerror(-rc));
	return 0;
}

int checkpoint(struct catalog *c, bool wait)
{
	int rc;

	pthread_mutex_lock(&c->checkpoint_lock);
	rc = hooks_before(c);
	if (rc == 0)
		rc = gate_shut(&c->lock_file, wait);
	if (rc == 0) {
		pthread_mutex_lock(&c->lock);
		rc = checkpoint_locked(c);
		c->want_checkpoint = false;
		c->retry_at = (struct timespec){0};
		if (rc < 0) {
			c->retry_at = now();
			c->retry_at.tv_sec += RETRY_SECONDS;
		}
		pthread_mutex_unlock(&c->lock);
		gate_open(&c->lock_file);
	}
	pthread_mutex_unlock(&c->checkpoint_lock);
	if (rc == 0)
		hooks_after(c);
	return rc;
}

int catalog_checkpoint(struct catalog *c)
{
	return c->options.mode == CATALOG_WRITE ? checkpoint(c, true) : 0;
}
