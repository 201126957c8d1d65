/* SPDX-License-Identifier: Apache-2.0 */
/* Committing a batch: into the journal, then into the delta. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "catalog/internal.h"

/* How long a commit waits for a checkpoint that does not keep up; several of them share the load. */
#define SLOW_NSEC 5000000

/* What has to be known of a body before it is committed. */
struct body_info {
	size_t n;
	bool frees; /* it removes names or inodes, and so frees space */
};

/* Walks a body: 0 or -EINVAL. */
static int check_body(const struct buf *body, struct body_info *ret_info)
{
	struct reader r = reader_of(body->data, body->len);
	struct body_info info = {0};
	struct op op;
	int rc;

	for (; (rc = op_next(&r, &op)) > 0; info.n++)
		info.frees |= op.kind == OP_DEL_INODE ||
			      (op.table == TABLE_ENTRY &&
			       (op.kind != OP_PUT || op.value[0] == DT_WHT));
	*ret_info = info;
	return rc < 0 || body->len > JOURNAL_BODY_MAX ? -EINVAL : 0;
}

static uint64_t waiting_bytes(const struct catalog *c)
{
	uint64_t journal = c->journals[c->current].len;

	return journal > c->active->bytes ? journal : c->active->bytes;
}

/* Is a checkpoint being made, or to be tried again at once? */
static bool room_may_come(const struct catalog *c)
{
	return c->checkpoint_error == 0 && !c->stuck &&
	       (c->frozen != NULL || (c->kept_out.tv_sec != 0 && c->has_thread));
}

/* Lets a checkpoint catch up. Under the lock, which is released meanwhile. */
static int wait_for_room(struct catalog *c)
{
	struct timespec until;

	if (waiting_bytes(c) < SLOW_BYTES)
		return 0;
	/* A disk that does not answer stops everybody in the end, as anywhere. */
	while (waiting_bytes(c) >= BYTES_MAX && room_may_come(c))
		pthread_cond_wait(&c->room, &c->lock);
	if (c->checkpoint_error < 0)
		return c->checkpoint_error;
	if (waiting_bytes(c) >= BYTES_MAX && c->stuck)
		return -EBUSY;
	if (c->frozen == NULL)
		return 0;
	until = monotonic_in(SLOW_NSEC);
	pthread_cond_timedwait(&c->room, &c->lock, &until);
	return 0;
}

static int commit_locked(struct catalog *c, const struct buf *body, const struct body_info *info)
{
	int rc = wait_for_room(c);

	/* Whatever else is the matter: nobody may believe that the record of before is in no journal. */
	if (c->failed)
		rc = -EIO;
	if (rc == 0)
		rc = delta_reserve(c->active, body->len, info->n);
	if (rc < 0)
		return rc;
	rc = journal_append(&c->journals[c->current], c->seq + 1, body->data, body->len,
			    info->frees);
	if (rc == -EBADFD) {
		c->failed = true;
		log_error(
			"a failed write to the journal could not be undone; the catalog cannot be "
			"changed until a checkpoint succeeds");
		return -EIO;
	}
	if (rc < 0)
		return rc;
	delta_apply(c->active, body->data, body->len);
	if (c->began.tv_sec == 0)
		c->began = monotonic_now();
	c->seq++;
	c->stats.commits++;
	return 0;
}

/* Has the thread make a checkpoint; says whether the caller must make it himself. */
static bool ask_for_checkpoint(struct catalog *c)
{
	if (!checkpoint_is_due(c))
		return false;
	if (c->has_thread && !c->want_checkpoint) {
		c->want_checkpoint = true;
		pthread_cond_signal(&c->wake);
	}
	return !c->has_thread;
}

/* Without one commits make the checkpoints; what is lost is the flush every few seconds. */
static void start_thread(struct catalog *c)
{
	int rc = thread_start(c);

	if (rc < 0)
		log_warn("no checkpoint thread: %s", strerror(-rc));
}

static int commit_once(struct catalog *c, const struct buf *body, const struct body_info *info,
		       bool *ret_checkpoint)
{
	int rc;

	pthread_mutex_lock(&c->lock);
	rc = commit_locked(c, body, info);
	if (rc == 0 && !c->has_thread)
		start_thread(c);
	*ret_checkpoint = ask_for_checkpoint(c);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* Only removing is possible while there are no blocks for the checkpoint that it will need. */
static int regain_reserve(struct catalog *c)
{
	bool lacks;

	pthread_mutex_lock(&c->lock);
	lacks = c->no_reserve;
	pthread_mutex_unlock(&c->lock);
	if (!spare_regain(c))
		return -ENOSPC;
	if (!lacks)
		return 0;
	pthread_mutex_lock(&c->checkpoint_lock);
	lacks = !reserve_space(c);
	pthread_mutex_unlock(&c->checkpoint_lock);
	return lacks ? -ENOSPC : 0;
}

static bool has_failed(struct catalog *c)
{
	bool failed;

	pthread_mutex_lock(&c->lock);
	failed = c->failed;
	pthread_mutex_unlock(&c->lock);
	return failed;
}

int catalog_commit(struct catalog *c, const struct batch *b)
{
	bool checkpoint_now = false, gave = false;
	struct body_info info;
	int rc;

	if (!buf_ok(&b->body))
		return -ENOMEM;
	if (c->options.mode != CATALOG_WRITE)
		return -EROFS;
	if (b->body.len == 0)
		return 0;
	rc = check_body(&b->body, &info);
	if (rc == 0 && !info.frees)
		rc = regain_reserve(c);
	if (rc < 0)
		return has_failed(c) ? -EIO : rc;
	rc = commit_once(c, &b->body, &info, &checkpoint_now);
	while (info.frees && spare_give(c, rc, SPARE_FOR_DELETION)) {
		gave = true;
		rc = commit_once(c, &b->body, &info, &checkpoint_now);
	}
	/* A checkpoint empties the journal, without which even removing would fail. */
	if (sys_is_full(rc) && info.frees && checkpoint(c, true) == 0)
		rc = commit_once(c, &b->body, &info, &checkpoint_now);
	if (gave)
		spare_take(c);
	/* The batch is committed whatever becomes of the checkpoint, which is tried again later. */
	if (checkpoint_now)
		checkpoint(c, false);
	return rc;
}
