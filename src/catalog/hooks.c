/* SPDX-License-Identifier: Apache-2.0 */
/* What others do around a flush, and what they may ask about it. */
#include <errno.h>

#include "catalog/internal.h"

void catalog_set_hooks(struct catalog *c, const struct catalog_hooks *hooks)
{
	pthread_mutex_lock(&c->lock);
	c->hooks = hooks != NULL ? *hooks : (struct catalog_hooks){0};
	pthread_mutex_unlock(&c->lock);
}

static struct catalog_hooks hooks_of(struct catalog *c)
{
	struct catalog_hooks hooks;

	pthread_mutex_lock(&c->lock);
	hooks = c->hooks;
	pthread_mutex_unlock(&c->lock);
	return hooks;
}

int hooks_before(struct catalog *c)
{
	struct catalog_hooks hooks = hooks_of(c);

	return hooks.before_flush != NULL ? hooks.before_flush(hooks.arg) : 0;
}

void hooks_after(struct catalog *c)
{
	struct catalog_hooks hooks = hooks_of(c);

	if (hooks.after_flush != NULL)
		hooks.after_flush(hooks.arg);
}

uint64_t catalog_committed(struct catalog *c)
{
	uint64_t seq;

	pthread_mutex_lock(&c->lock);
	seq = c->seq;
	pthread_mutex_unlock(&c->lock);
	return seq;
}

uint64_t catalog_durable(struct catalog *c)
{
	uint64_t seq;

	pthread_mutex_lock(&c->lock);
	seq = c->synced_seq;
	pthread_mutex_unlock(&c->lock);
	return seq;
}

void catalog_flush_soon(struct catalog *c)
{
	pthread_mutex_lock(&c->lock);
	c->want_flush = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

bool catalog_was_unclean(const struct catalog *c)
{
	return c->unclean;
}

void catalog_recovered(struct catalog *c)
{
	c->recovered = true;
}

int catalog_each_replayed(struct catalog *c, int (*each)(void *arg, uint64_t ino), void *arg)
{
	int error = 0;

	for (size_t i = 0; i < c->n_replayed; i++) {
		CLEANUP(inode_rec) struct inode_rec rec = {0};
		int rc = catalog_inode(c, c->replayed[i], &rec);

		if (rc < 0) {
			if (error == 0 && rc != -ENOENT)
				error = rc;
			continue;
		}
		rc = each(arg, c->replayed[i]);
		if (rc != 0 && rc != -ENOENT)
			return rc;
	}
	return error;
}
