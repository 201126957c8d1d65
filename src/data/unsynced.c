/* SPDX-License-Identifier: Apache-2.0 */
/* Which data files have bytes that are not on the disk yet, and which have lost some: the notes of it. */
#include "data/path.h"
#include "data/private.h"

/*
 * A file is put into the set `written` once between two flushes. So that most writes need not look
 * into the set, the descriptor remembers the epoch of the set that holds the file; 0 while it is
 * being flushed. A flush changes the mark first and flushes then: a write that comes between is
 * flushed, or noted again, or both.
 *
 * After a failed flush the kernel calls the lost pages clean, and the next flush succeeds without
 * them. So a failure is remembered for as long as the store is open.
 */

void unsynced_init(struct unsynced *u)
{
	pthread_mutex_init(&u->lock, NULL);
	pthread_mutex_init(&u->turn, NULL);
	pthread_mutex_init(&u->names_turn, NULL);
	atomic_init(&u->epoch, 1);
}

void unsynced_done(struct unsynced *u)
{
	ino_set_done(&u->written);
	ino_set_done(&u->moved);
	ino_set_done(&u->replacing);
	ino_set_done(&u->busy);
	ino_set_done(&u->blind);
	ino_set_done(&u->blind_busy);
	ino_set_done(&u->failed);
	pthread_mutex_destroy(&u->lock);
	pthread_mutex_destroy(&u->turn);
	pthread_mutex_destroy(&u->names_turn);
}

void unsynced_unknown(struct data *d)
{
	struct unsynced *u = &d->unsynced;
	size_t i;

	u->moved.full = true;
	for (i = 0; i < DATA_DIRS; i++)
		atomic_fetch_add(&u->dirs[i].made, 1);
	atomic_fetch_add(&u->root.made, 1);
}

void unsynced_written(struct data *d, struct fdref *ref)
{
	struct unsynced *u = &d->unsynced;

	if (atomic_load(&ref->noted) == atomic_load(&u->epoch))
		return;
	pthread_mutex_lock(&u->lock);
	if (!d->no_sync)
		ino_set_add(&u->written, ref->ino);
	/* Not before it is in the set: who sees the mark relies on that. */
	atomic_store(&ref->noted, atomic_load(&u->epoch));
	pthread_mutex_unlock(&u->lock);
}

void unsynced_moved(struct data *d, struct fdref *ref)
{
	struct unsynced *u = &d->unsynced;

	unsynced_written(d, ref);
	if (d->no_sync)
		return;
	pthread_mutex_lock(&u->lock);
	ino_set_add(&u->moved, ref->ino);
	pthread_mutex_unlock(&u->lock);
}

bool unsynced_has(struct data *d, uint64_t ino)
{
	struct unsynced *u = &d->unsynced;
	bool has;

	pthread_mutex_lock(&u->lock);
	has = ino_set_has(&u->written, ino);
	pthread_mutex_unlock(&u->lock);
	return has;
}

void data_replacing(struct data *d, uint64_t ino)
{
	struct unsynced *u = &d->unsynced;

	pthread_mutex_lock(&u->lock);
	if (u->written_busy || u->written.full || ino_set_has(&u->written, ino))
		ino_set_add(&u->replacing, ino);
	pthread_mutex_unlock(&u->lock);
}

bool unsynced_is_behind(struct data *d)
{
	struct unsynced *u = &d->unsynced;
	bool behind;

	pthread_mutex_lock(&u->lock);
	behind = u->replacing_busy || u->replacing.n > 0 || u->replacing.full;
	pthread_mutex_unlock(&u->lock);
	return behind;
}

void unsynced_created(struct data *d, uint64_t ino)
{
	struct unsynced *u = &d->unsynced;

	atomic_fetch_add(&u->dirs[data_path_dir(ino)].made, 1);
	if (!atomic_exchange(&u->seen[data_path_dir(ino)], true))
		atomic_fetch_add(&u->root.made, 1);
}

void unsynced_forget(struct data *d, uint64_t ino)
{
	struct unsynced *u = &d->unsynced;

	pthread_mutex_lock(&u->lock);
	ino_set_del(&u->written, ino);
	ino_set_del(&u->moved, ino);
	ino_set_del(&u->replacing, ino);
	ino_set_del(&u->blind, ino);
	pthread_mutex_unlock(&u->lock);
	unsynced_forget_loss(d, ino);
}

void unsynced_forget_loss(struct data *d, uint64_t ino)
{
	struct unsynced *u = &d->unsynced;

	pthread_mutex_lock(&u->lock);
	ino_set_del(&u->failed, ino);
	atomic_store(&u->any_failed, u->failed.n > 0 || u->failed.full);
	pthread_mutex_unlock(&u->lock);
}

void unsynced_evicted(void *data, const struct fdref *ref)
{
	struct data *d = data;
	struct unsynced *u = &d->unsynced;

	if (d->no_sync || atomic_load(&ref->noted) <= atomic_load(&u->flushed))
		return;
	pthread_mutex_lock(&u->lock);
	ino_set_add(&u->blind, ref->ino);
	pthread_mutex_unlock(&u->lock);
}
