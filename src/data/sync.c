/* SPDX-License-Identifier: Apache-2.0 */
/* Which data files have bytes that are not on the disk yet. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "data/path.h"
#include "data/private.h"

/*
 * A file is put into the set `written` once between two flushes. So that most writes need not look
 * into the set, the descriptor remembers the epoch of the set that holds the file. A flush takes
 * the set, begins a new epoch and flushes then: a write that comes between is flushed, or noted
 * again, or both.
 */

void unsynced_init(struct unsynced *u)
{
	pthread_mutex_init(&u->lock, NULL);
	pthread_mutex_init(&u->turn, NULL);
	atomic_init(&u->epoch, 1);
}

void unsynced_done(struct unsynced *u)
{
	pthread_mutex_destroy(&u->lock);
	pthread_mutex_destroy(&u->turn);
}

static size_t set_find(const struct ino_set *s, uint64_t ino)
{
	size_t i = 0;

	while (i < s->n && s->inos[i] != ino)
		i++;
	return i;
}

static void set_add(struct ino_set *s, uint64_t ino)
{
	if (s->full || set_find(s, ino) < s->n)
		return;
	if (s->n < UNSYNCED_MAX)
		s->inos[s->n++] = ino;
	else
		s->full = true;
}

static void set_remove(struct ino_set *s, uint64_t ino)
{
	size_t i = set_find(s, ino);

	if (i < s->n)
		s->inos[i] = s->inos[--s->n];
}

static void set_move(struct ino_set *from, struct ino_set *to)
{
	memcpy(to->inos, from->inos, from->n * sizeof(from->inos[0]));
	to->n = from->n;
	to->full = from->full;
	from->n = 0;
	from->full = false;
}

void unsynced_written(struct data *d, struct fdref *ref)
{
	struct unsynced *u = &d->unsynced;

	if (atomic_load(&ref->noted) == atomic_load(&u->epoch))
		return;
	pthread_mutex_lock(&u->lock);
	set_add(&u->written, ref->ino);
	/* Not before it is in the set: who sees the mark relies on that. */
	atomic_store(&ref->noted, atomic_load(&u->epoch));
	pthread_mutex_unlock(&u->lock);
}

void unsynced_moved(struct data *d, struct fdref *ref)
{
	struct unsynced *u = &d->unsynced;

	unsynced_written(d, ref);
	pthread_mutex_lock(&u->lock);
	set_add(&u->moved, ref->ino);
	pthread_mutex_unlock(&u->lock);
}

void unsynced_created(struct data *d, uint64_t ino)
{
	atomic_store(&d->unsynced.dirs[data_path_dir(ino)], true);
	if (!atomic_exchange(&d->unsynced.seen[data_path_dir(ino)], true))
		atomic_store(&d->unsynced.root, true);
}

static int fsync_dir(int dirfd, const char *name)
{
	CLEANUP(fd) int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return sys_fsync_dir(fd);
}

/* The name of a new data file, which a flush of the file alone need not make durable. */
static int sync_dir(struct data *d, unsigned int dir)
{
	struct unsynced *u = &d->unsynced;
	char name[3];
	int r;

	if (atomic_exchange(&u->dirs[dir], false)) {
		data_path_dir_name(dir, name);
		r = fsync_dir(d->dirfd, name);
		if (r < 0) {
			atomic_store(&u->dirs[dir], true);
			return r;
		}
	}
	if (atomic_exchange(&u->root, false)) {
		r = fsync_dir(d->dirfd, ".");
		if (r < 0) {
			atomic_store(&u->root, true);
			return r;
		}
	}
	return 0;
}

static int sync_file(struct data *d, struct fdref *ref)
{
	int r;

	do {
		r = fdatasync(ref->fd) < 0 ? -errno : 0;
	} while (r == -EINTR);
	return r == 0 ? sync_dir(d, data_path_dir(ref->ino)) : r;
}

int data_sync(struct data *d, const struct inode_rec *rec)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	struct unsynced *u = &d->unsynced;
	int r;

	if (d->read_only || (rec->where != BYTES_FILE && rec->where != BYTES_CHUNKS))
		return 0;
	r = datafile_get(d, rec->attr.ino, &ref);
	if (r < 0)
		return r;
	atomic_store(&ref->noted, 0);
	r = sync_file(d, ref);
	if (r < 0)
		return r;
	pthread_mutex_lock(&u->lock);
	if (atomic_load(&ref->noted) == 0) {
		set_remove(&u->written, ref->ino);
		set_remove(&u->moved, ref->ino);
	}
	pthread_mutex_unlock(&u->lock);
	return 0;
}

/* Lets the disk begin with all files before the first one is waited for. */
static void start_writing(struct data *d, const struct ino_set *s)
{
	size_t i;

	for (i = 0; s->n > 1 && i < s->n; i++) {
		CLEANUP(fdref) struct fdref *ref = NULL;

		if (fdcache_get(d->fds, s->inos[i], &ref) == 0)
			(void)sync_file_range(ref->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
}

static int sync_one(struct data *d, uint64_t ino)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	int r = fdcache_get(d->fds, ino, &ref);

	if (r == -ENOENT)
		return 0; /* deleted since */
	return r < 0 ? r : sync_file(d, ref);
}

static int sync_everything(struct data *d)
{
	return syncfs(d->dirfd) < 0 ? -errno : 0;
}

static int sync_set(struct data *d, struct ino_set *s)
{
	struct unsynced *u = &d->unsynced;
	struct ino_set *busy = &u->busy;
	int r, result = 0;
	size_t i;

	pthread_mutex_lock(&u->turn);
	pthread_mutex_lock(&u->lock);
	set_move(s, busy);
	atomic_fetch_add(&u->epoch, 1);
	pthread_mutex_unlock(&u->lock);
	start_writing(d, busy);
	if (busy->full)
		result = sync_everything(d);
	for (i = 0; i < busy->n; i++) {
		r = sync_one(d, busy->inos[i]);
		if (r < 0) {
			log_error("cannot flush data file %016llx: %s",
				  (unsigned long long)busy->inos[i], strerror(-r));
			result = r;
		}
	}
	/* After a failure all of them are due again: which ones were lost is not known. */
	if (result < 0) {
		pthread_mutex_lock(&u->lock);
		for (i = 0; i < busy->n; i++)
			set_add(s, busy->inos[i]);
		s->full = s->full || busy->full;
		pthread_mutex_unlock(&u->lock);
	}
	pthread_mutex_unlock(&u->turn);
	return result;
}

int data_sync_all(struct data *d)
{
	struct unsynced *u = &d->unsynced;
	int r;

	if (d->read_only)
		return 0;
	r = sync_set(d, &u->written);
	/* What was moved was written too, and is on the disk now unless it was written again. */
	return r < 0 ? r : sync_set(d, &u->moved);
}

int data_sync_moved(struct data *d)
{
	return d->read_only ? 0 : sync_set(d, &d->unsynced.moved);
}
