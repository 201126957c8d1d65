/* SPDX-License-Identifier: Apache-2.0 */
/* Committing a batch: into the journal, then into the transaction; what happens when that fails. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "catalog/internal.h"

/* Walks a body: 0 or -EINVAL. RET_FREES: it removes names or inodes, and so frees space. */
static int check_body(const struct buf *body, bool *ret_frees)
{
	struct reader r = reader_of(body->data, body->len);
	bool frees = false;
	struct op op;
	int rc;

	while ((rc = op_next(&r, &op)) > 0)
		frees |= op.kind == OP_DEL_INODE ||
			 (op.table == TABLE_ENTRY && (op.kind != OP_PUT || op.value[0] == DT_WHT));
	*ret_frees = frees;
	return rc < 0 || body->len > JOURNAL_BODY_MAX ? -EINVAL : 0;
}

static int apply(struct catalog *c, const void *body, size_t len)
{
	if (c->fail_apply > 0) {
		c->fail_apply--;
		store_close(&c->store);
		return -ENOMEM;
	}
	return store_apply(&c->store, body, len);
}

/* Everything anew from what is on the disk. */
static int rebuild(struct catalog *c)
{
	CLEANUP(free) uint8_t *bytes = NULL;
	struct journal_scan scan;
	size_t len;
	int rc;

	store_close(&c->store);
	if (c->fail_apply > 0) {
		c->fail_apply--;
		return -ENOMEM;
	}
	rc = journal_read(c->journal.fd, &bytes, &len);
	if (rc == 0)
		rc = store_open(&c->store, c->path, false, c->options.no_sync, c->map_size);
	if (rc == 0)
		rc = read_super(c, NULL);
	if (rc == 0)
		rc = replay_journal(c, bytes, len < c->journal.len ? len : c->journal.len, &scan);
	if (rc < 0)
		store_close(&c->store);
	return rc;
}

int recover(struct catalog *c, uint64_t keep, bool *ret_dropped)
{
	uint64_t synced = c->synced_seq;
	int rc;

	c->stats.recoveries++;
	*ret_dropped = false;
	rc = rebuild(c);
	if (rc < 0 && keep < c->journal.len) {
		*ret_dropped = true;
		rc = journal_cut(&c->journal, keep);
		if (rc == 0)
			rc = rebuild(c);
	}
	/* What was on the disk still is; read_super() only knew of the tables. */
	if (synced > c->synced_seq)
		c->synced_seq = synced;
	if (rc < 0) {
		c->failed = true;
		log_error("the catalog can no longer be changed: %s", strerror(-rc));
	}
	return rc;
}

/* The record is in the journal, but LMDB did not take it. */
static int commit_again(struct catalog *c, uint64_t before, int error)
{
	bool dropped;

	log_warn("applying a change to the catalog failed (%s); replaying the journal",
		 strerror(-error));
	if (recover(c, before, &dropped) < 0)
		return -EIO;
	return dropped ? error : 0;
}

static int commit_locked(struct catalog *c, const struct buf *body, bool frees)
{
	uint64_t before = c->journal.len;
	int rc;

	if (c->failed || c->store.txn == NULL)
		return -EIO;
	rc = journal_append(&c->journal, c->seq + 1, body->data, body->len, frees);
	if (rc == -EBADFD) {
		c->failed = true;
		log_error(
			"a failed write to the journal could not be undone; the catalog cannot be "
			"changed until a checkpoint succeeds");
		return -EIO;
	}
	if (rc < 0)
		return rc;
	rc = apply(c, body->data, body->len);
	if (rc < 0)
		return commit_again(c, before, rc);
	c->seq++;
	return 0;
}

/* Has the thread make a checkpoint; says whether the caller must make it itself. */
static bool ask_for_checkpoint(struct catalog *c)
{
	if (!checkpoint_is_due(c, 1))
		return false;
	if (c->has_thread && !c->want_checkpoint) {
		c->want_checkpoint = true;
		pthread_cond_signal(&c->wake);
	}
	return !c->has_thread || checkpoint_is_due(c, 2);
}

int catalog_commit(struct catalog *c, const struct batch *b)
{
	bool frees, checkpoint_now = false;
	int rc;

	if (!buf_ok(&b->body))
		return -ENOMEM;
	if (c->options.mode != CATALOG_WRITE)
		return -EROFS;
	if (b->body.len == 0)
		return 0;
	rc = check_body(&b->body, &frees);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&c->lock);
	rc = commit_locked(c, &b->body, frees);
	if (rc == 0) {
		c->stats.commits++;
		if (!c->has_thread)
			thread_start(c);
		checkpoint_now = ask_for_checkpoint(c);
	}
	pthread_mutex_unlock(&c->lock);
	/* The batch is committed whatever becomes of the checkpoint, which is tried again later. */
	if (checkpoint_now)
		checkpoint(c, false);
	return rc;
}
