/* SPDX-License-Identifier: Apache-2.0 */
/* Data files that are to be deleted as soon as no power cut can bring their records back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sys_sched.h"
#include "data/path.h"
#include "data/private.h"

/*
 * A file in the queue has no name and no user any more. Its last name was removed by a batch that
 * may not be on the disk yet; were the bytes gone before the batch is, a power cut would bring the
 * name back without them. The queue is in the order of the batches, so the first is the first
 * that may go. It stays in the queue until it is gone, so that nobody can make a file of the same
 * number meanwhile (reaper_finish()).
 */

void reaper_init(struct reaper *r)
{
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->turn, NULL);
	pthread_cond_init(&r->wake, NULL);
}

static bool grow(struct reaper *r)
{
	size_t cap = r->cap > 0 ? r->cap * 2 : 64, i;
	struct doomed *bigger = calloc(cap, sizeof(*bigger));

	if (bigger == NULL)
		return false;
	for (i = 0; i < r->n; i++)
		bigger[i] = r->queue[(r->head + i) % r->cap];
	free(r->queue);
	r->queue = bigger;
	r->head = 0;
	r->cap = cap;
	return true;
}

int reaper_add(struct data *d, uint64_t ino, uint64_t seq, uint64_t bytes)
{
	struct reaper *r = &d->reaper;
	bool urgent = false;
	int result = 0;

	pthread_mutex_lock(&r->lock);
	if (r->n < r->cap || grow(r)) {
		r->queue[(r->head + r->n++) % r->cap] = (struct doomed){ino, seq, bytes};
		atomic_store(&r->count, r->n);
		urgent = atomic_fetch_add(&r->bytes, bytes) + bytes > REAPER_BYTES;
	} else {
		result = -ENOMEM;
	}
	pthread_mutex_unlock(&r->lock);
	if (urgent)
		catalog_flush_soon(d->catalog);
	return result;
}

static bool first(struct reaper *r, uint64_t durable, struct doomed *ret_doomed)
{
	bool ripe;

	pthread_mutex_lock(&r->lock);
	ripe = r->n > 0 && r->queue[r->head].seq <= durable;
	if (ripe)
		*ret_doomed = r->queue[r->head];
	pthread_mutex_unlock(&r->lock);
	return ripe;
}

static void remove_first(struct reaper *r, const struct doomed *doomed, int error)
{
	bool complain;

	pthread_mutex_lock(&r->lock);
	r->head = (r->head + 1) % r->cap;
	atomic_store(&r->count, --r->n);
	atomic_fetch_sub(&r->bytes, doomed->bytes);
	if (r->n == 0) {
		/* A time of much deleting does not leave its memory behind. */
		free(r->queue);
		r->queue = NULL;
		r->head = r->cap = 0;
	}
	complain = error < 0 && !r->complained;
	r->complained |= complain;
	pthread_mutex_unlock(&r->lock);
	if (complain)
		log_error(
			"data file %016llx could not be deleted (%s); a mount after a crash tries again",
			(unsigned long long)doomed->ino, strerror(-error));
}

/* Deletes the first file of the queue if it may go. */
static bool reap_one(struct data *d)
{
	struct reaper *r = &d->reaper;
	struct doomed doomed;
	bool ripe;

	pthread_mutex_lock(&r->turn);
	ripe = first(r, catalog_durable(d->catalog), &doomed);
	if (ripe) {
		int error = data_path_remove(d->dirfd, doomed.ino);

		/* A flush may have opened it again meanwhile. */
		fdcache_drop(d->fds, doomed.ino);
		remove_first(r, &doomed, error);
	}
	pthread_mutex_unlock(&r->turn);
	return ripe;
}

static void reap(struct data *d)
{
	while (reap_one(d))
		;
}

static void *run(void *arg)
{
	struct data *d = arg;
	struct reaper *r = &d->reaper;

	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		if (!r->work) {
			pthread_cond_wait(&r->wake, &r->lock);
			continue;
		}
		r->work = false;
		pthread_mutex_unlock(&r->lock);
		reap(d);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

int data_start(struct data *d)
{
	struct reaper *r = &d->reaper;
	int error;

	if (d->read_only || d->no_sync || r->has_thread)
		return 0;
	error = sys_thread_create(&r->thread, NULL, run, d);
	if (error < 0)
		return error;
	pthread_setname_np(r->thread, "reaper");
	pthread_mutex_lock(&r->lock);
	r->has_thread = true;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

void reaper_flushed(struct data *d)
{
	struct reaper *r = &d->reaper;
	bool has_thread;

	if (atomic_load(&r->count) == 0)
		return;
	pthread_mutex_lock(&r->lock);
	has_thread = r->has_thread;
	r->work = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (!has_thread)
		reap(d);
}

static bool has(struct reaper *r, uint64_t ino)
{
	bool found = false;
	size_t i;

	pthread_mutex_lock(&r->lock);
	for (i = 0; !found && i < r->n; i++)
		found = r->queue[(r->head + i) % r->cap].ino == ino;
	pthread_mutex_unlock(&r->lock);
	return found;
}

/* Takes INO out of the queue without deleting its file; another number stands in, for no file. */
static void pardon(struct reaper *r, uint64_t ino)
{
	size_t i;

	pthread_mutex_lock(&r->turn);
	pthread_mutex_lock(&r->lock);
	for (i = 0; i < r->n; i++)
		if (r->queue[(r->head + i) % r->cap].ino == ino)
			r->queue[(r->head + i) % r->cap].ino = 0;
	pthread_mutex_unlock(&r->lock);
	pthread_mutex_unlock(&r->turn);
}

void reaper_finish(struct data *d, uint64_t ino)
{
	/*
	 * The catalog gives a new number to a new inode. Only a lower inode can come back under its
	 * old one, and only when two lower files have the same, as after a change of the layers.
	 */
	if (ino < CATALOG_FIRST_LOWER_INO || !has(&d->reaper, ino))
		return;
	if (catalog_sync(d->catalog) == 0)
		reap(d);
	pardon(&d->reaper, ino);
}

bool data_reclaim(struct data *d)
{
	if (atomic_load(&d->reaper.count) == 0)
		return false;
	(void)catalog_sync(d->catalog);
	reap(d);
	return true;
}

uint64_t data_doomed_bytes(const struct data *d)
{
	return atomic_load(&d->reaper.bytes);
}

void reaper_done(struct data *d)
{
	struct reaper *r = &d->reaper;

	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (r->has_thread)
		pthread_join(r->thread, NULL);
	if (r->n > 0)
		reap(d);
	if (r->n > 0)
		log_warn("%zu deleted data files are left; the next mount removes them", r->n);
	free(r->queue);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->turn);
	pthread_mutex_destroy(&r->lock);
}
