/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: a delta is brought into the tables, and its journal starts anew. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "catalog/check.h"
#include "catalog/internal.h"

/* After a failed checkpoint every commit would try the next one. */
#define RETRY_SECONDS 10

/* A few changes are kept in memory and journal for so long at most. */
#define AGE_SECONDS 30

bool checkpoint_is_due(struct catalog *c)
{
	struct timespec t = monotonic_now();

	if (c->retry_at.tv_sec != 0)
		return timespec_cmp(&t, &c->retry_at) >= 0;
	return c->failed || c->sync_error != 0 || c->frozen != NULL ||
	       c->journals[c->current].len >= CHECKPOINT_BYTES ||
	       c->active->bytes >= CHECKPOINT_BYTES ||
	       (c->began.tv_sec != 0 && t.tv_sec - c->began.tv_sec >= AGE_SECONDS);
}

int before_change(struct catalog *c)
{
	int rc = 0;

	if (!c->sum_cleared) {
		c->has_sum = false;
		rc = sum_clear(c->dirfd, &c->sum_fd, !c->options.no_sync);
	}
	if (rc < 0)
		return rc;
	c->sum_cleared = true;
	/* A mirror's file is replaced or written with what changes. */
	if (c->is_behind && c->mirror == NULL) {
		rc = sys_fsync_dir(c->dirfd);
		c->is_behind = rc < 0;
	}
	return rc;
}

/* The journal that is not the current one; NULL when it has records that count, or no reserve. */
static struct journal *free_journal(struct catalog *c)
{
	struct journal *other = &c->journals[!c->current];
	struct journal copy;
	bool usable;

	/* Nobody else touches it but flushes, which read its flag. */
	pthread_mutex_lock(&c->lock);
	copy = *other;
	pthread_mutex_unlock(&c->lock);
	if (copy.fd < 0 || !journal_is_empty(&copy))
		return NULL;
	usable = journal_has_reserve(&copy);
	pthread_mutex_lock(&c->lock);
	other->allocated = copy.allocated;
	other->no_reserve = copy.no_reserve;
	pthread_mutex_unlock(&c->lock);
	return usable ? other : NULL;
}

/* What is to be brought into the tables is in c->frozen then. 1: there is nothing. */
static int freeze(struct catalog *c)
{
	struct delta *fresh = NULL;
	struct journal *next;
	int rc = 0;

	if (c->frozen != NULL)
		return 0;
	rc = delta_new(&fresh);
	if (rc < 0)
		return rc;
	next = free_journal(c);
	pthread_mutex_lock(&c->lock);
	if (c->seq != c->applied) {
		c->frozen = c->active;
		c->frozen_seq = c->seq;
		/* The numbers of all its inodes were given before. */
		c->frozen_next = c->next_ino;
		c->active = steal_ptr(&fresh);
		c->began = (struct timespec){0};
		/* A journal with a record that could not be taken back must not be continued elsewhere. */
		if (next != NULL && !c->failed)
			c->current = !c->current;
		c->error_frozen = c->sync_error != 0 && &c->journals[c->current] == next;
	}
	pthread_mutex_unlock(&c->lock);
	delta_free(fresh);
	return c->frozen == NULL;
}

static int refresh(void *arg)
{
	struct catalog *c = arg;
	int rc;

	pthread_mutex_lock(&c->lock);
	rc = store_refresh(&c->store);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* LMDB refuses everything after some failures, until the file is opened anew. */
static void reopen(struct catalog *c)
{
	struct store fresh, old;

	if (open_store(c, c->path, false, &fresh) < 0)
		return;
	pthread_mutex_lock(&c->lock);
	old = c->store;
	c->store = fresh;
	pthread_mutex_unlock(&c->lock);
	store_close(&old);
}

/*
 * The frozen delta's journal: it must be whole before a part of the delta is in the tables. False: what a power cut would
 * leave of it is not known, so that it is all of the delta or nothing.
 */
static bool sync_frozen(struct catalog *c)
{
	bool whole;

	if (c->options.no_sync)
		return true;
	pthread_mutex_lock(&c->lock);
	/* During an open it was flushed already, if it could be. */
	if (c->journals[0].fd < 0) {
		whole = c->sync_error == 0;
	} else {
		if (c->synced_seq < c->frozen_seq && c->sync_error == 0)
			(void)sync_journals(c);
		whole = c->synced_seq >= c->frozen_seq;
	}
	pthread_mutex_unlock(&c->lock);
	return whole;
}

/* Into LMDB's file, or into the local copy of it and from there into the file. PARTS: as in store_apply(). */
static int apply_to_tables(struct catalog *c, bool parts)
{
	struct store_mark mark = {c->frozen_seq, c->frozen_next};
	int rc = 0;

	/* Only publishing it may have failed the last time. */
	if (c->mirror == NULL || c->mirrored_seq != c->frozen_seq)
		rc = store_apply(&c->store, c->frozen, &mark, parts ? refresh : NULL, c);
	if (rc == -EIO)
		reopen(c);
	rc = store_full_errno(c->mirror != NULL ? mirror_fd(c->mirror) : c->dirfd, rc);
	if (rc < 0 || c->mirror == NULL)
		return rc;
	c->mirrored_seq = c->frozen_seq;
	/* Whether or not it is published: readers must not stay behind by two commits. */
	rc = refresh(c);
	return rc < 0 ? rc : mirrored_publish(c);
}

static int apply_frozen(struct catalog *c)
{
	int rc = hooks_before(c);
	bool whole;

	if (rc < 0)
		return rc;
	whole = sync_frozen(c);
	/* When the journal cannot be flushed the tables make up for it. */
	if (!whole)
		log_info("a checkpoint makes up for the flush that failed");
	rc = before_change(c);
	if (rc == 0 && c->fail_apply > 0) {
		c->fail_apply--;
		rc = -ENOMEM;
	}
	if (rc < 0)
		return rc;
	/* Nobody sees the parts in a mirror's copy. */
	return apply_to_tables(c, whole || c->mirror != NULL);
}

/* The frozen delta is in the tables, durably. */
static int thaw(struct catalog *c)
{
	struct delta *old;
	int rc;

	pthread_mutex_lock(&c->lock);
	rc = store_refresh(&c->store);
	if (rc < 0) {
		pthread_mutex_unlock(&c->lock);
		return rc;
	}
	old = steal_ptr(&c->frozen);
	c->applied = c->frozen_seq;
	if (c->synced_seq < c->applied)
		c->synced_seq = c->applied;
	/* Records behind those that a failed flush lost are not safe in the same journal. */
	if (c->seq == c->applied || c->error_frozen)
		c->sync_error = 0;
	c->stats.checkpoints++;
	pthread_mutex_unlock(&c->lock);
	delta_free(old);
	return 0;
}

static void complain_of_reset(const struct journal *j, int rc)
{
	if (rc < 0 && j->len > CHECKPOINT_BYTES)
		log_warn("the journal could not be started anew: %s", strerror(-rc));
}

/* Under the lock. It may hold up a commit, but only where there was no other journal to go to. */
static void reset_current(struct catalog *c)
{
	struct journal *j = &c->journals[c->current];
	int rc;

	if (c->seq != c->applied || j->fd < 0)
		return;
	/* An append may have failed in one that was empty. */
	if (c->failed)
		rc = journal_reset_failed(j, c->applied);
	else
		rc = journal_is_empty(j) ? 0 : journal_reset(j, c->applied, JOURNAL_KEEP);
	if (rc == 0)
		c->failed = false;
	complain_of_reset(j, rc);
}

/* Journals all of whose records are in the tables start anew. */
static void reset_journals(struct catalog *c)
{
	struct journal *other = &c->journals[!c->current], copy;
	int rc;

	pthread_mutex_lock(&c->lock);
	copy = *other;
	reset_current(c);
	pthread_mutex_unlock(&c->lock);
	if (copy.fd < 0 || journal_is_empty(&copy))
		return;
	rc = journal_reset(&copy, c->applied, JOURNAL_KEEP);
	complain_of_reset(&copy, rc);
	if (rc < 0)
		return;
	pthread_mutex_lock(&c->lock);
	*other = copy;
	pthread_mutex_unlock(&c->lock);
}

/*
 * The order is what makes a crash at any point harmless. Until LMDB's meta page is on the disk, the
 * old tables and both journals are valid. From then on the new tables are, and they say up to
 * which record they hold the journals, so it does not matter whether old records are still there.
 */
static int bring_in(struct catalog *c)
{
	int rc = freeze(c);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		rc = apply_frozen(c);
		if (rc == 0)
			rc = thaw(c);
	} else if (c->mirror != NULL && c->is_behind) {
		/* A compaction failed half way: what the tables hold may have no name. */
		rc = mirrored_publish(c);
	}
	if (rc < 0)
		return rc;
	reset_journals(c);
	return 0;
}

/* All that was committed by now, also where an earlier attempt has left a frozen delta. */
static int checkpoint_gated(struct catalog *c)
{
	bool left_over = c->frozen != NULL;
	int rc = bring_in(c);

	if (rc == 0 && left_over)
		rc = bring_in(c);
	if (rc < 0)
		return rc;
	compact_if_worth(c, COMPACT_BYTES);
	prepare_compaction(c);
	reserve_space(c);
	return 0;
}

/* While one is due the thread tries again and again, so that the time counts. Under the lock. */
static void note_gate(struct catalog *c, bool held)
{
	struct timespec t = monotonic_now();
	bool was_stuck = c->stuck;

	if (!held)
		c->kept_out = (struct timespec){0};
	else if (c->kept_out.tv_sec == 0)
		c->kept_out = t;
	c->stuck = held && t.tv_sec - c->kept_out.tv_sec > GATE_WAIT_MS / 1000;
	if (c->stuck && !was_stuck)
		log_warn("a process that reads the catalog does not come to an end; until it does "
			 "no checkpoint can be made");
}

/* Somebody who takes a snapshot is no failure, and soon done. */
static void note_result(struct catalog *c, int rc)
{
	pthread_mutex_lock(&c->lock);
	c->want_checkpoint = rc == -EBUSY && c->has_thread;
	c->checkpoint_error = rc == -EBUSY ? 0 : rc;
	c->retry_at = (struct timespec){0};
	if (rc < 0 && rc != -EBUSY) {
		c->stats.failed_checkpoints++;
		c->retry_at = monotonic_now();
		c->retry_at.tv_sec += RETRY_SECONDS;
	}
	note_gate(c, rc == -EBUSY && checkpoint_is_due(c));
	pthread_cond_broadcast(&c->room);
	pthread_mutex_unlock(&c->lock);
}

int checkpoint(struct catalog *c, bool wait)
{
	int rc;

	pthread_mutex_lock(&c->checkpoint_lock);
	/* Most of what has to be flushed first is flushed before anybody who opens a snapshot waits. */
	rc = hooks_before(c);
	if (rc == 0)
		rc = gate_shut(&c->lock_file, wait ? GATE_WAIT_MS : GATE_BRIEFLY_MS);
	if (rc == 0) {
		rc = checkpoint_gated(c);
		while (spare_give(c, rc, SPARE_FOR_CHECKPOINT))
			rc = checkpoint_gated(c);
		gate_open(&c->lock_file);
	}
	note_result(c, rc);
	pthread_mutex_unlock(&c->checkpoint_lock);
	if (rc == 0)
		hooks_after(c);
	return rc;
}

int catalog_checkpoint(struct catalog *c)
{
	return c->options.mode == CATALOG_WRITE ? checkpoint(c, true) : 0;
}
