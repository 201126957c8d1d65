/* SPDX-License-Identifier: Apache-2.0 */
/* Flushing data files: one, those that records depend on, all. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "data/path.h"
#include "data/private.h"

/* fdatasync(2) leaves times out, which are the file's own here. */
enum flush { FLUSH_BYTES, FLUSH_ALL };

/* A disk that dies takes many files: the log need not name them all. */
#define FAILED_LOGGED 16

static void fail_locked(struct unsynced *u, uint64_t ino, int error)
{
	if (!ino_set_has(&u->failed, ino) && u->failed.n < FAILED_LOGGED)
		log_error("data file %016llx could not be flushed, bytes of it may be lost: %s%s",
			  (unsigned long long)ino, strerror(-error),
			  u->failed.n + 1 < FAILED_LOGGED ? "" : "; others are not logged");
	ino_set_add(&u->failed, ino);
	ino_set_del(&u->blind, ino);
	atomic_store(&u->any_failed, true);
	if (u->report == 0)
		u->report = error;
}

static void fail(struct unsynced *u, uint64_t ino, int error)
{
	pthread_mutex_lock(&u->lock);
	fail_locked(u, ino, error);
	pthread_mutex_unlock(&u->lock);
}

int unsynced_flush_bytes(struct data *d, struct fdref *ref)
{
	int r = sys_fdatasync(ref->fd);

	if (r < 0)
		fail(&d->unsynced, ref->ino, r);
	return r;
}

static bool has_failed(struct unsynced *u, uint64_t ino)
{
	bool failed;

	if (!unsynced_any_failed(u))
		return false;
	pthread_mutex_lock(&u->lock);
	failed = u->failed.full || ino_set_has(&u->failed, ino);
	pthread_mutex_unlock(&u->lock);
	return failed;
}

/* Names that may be lost: of the new files in directory DIR, or in any (-1). */
static void fail_names(struct unsynced *u, int dir, int error)
{
	const struct ino_set *sets[] = {&u->moved, &u->replacing, &u->busy};
	uint64_t ino;
	size_t i, at;

	pthread_mutex_lock(&u->lock);
	for (i = 0; i < 3; i++)
		for (at = 0; (ino = ino_set_next(sets[i], &at)) != 0;)
			if (dir < 0 || data_path_dir(ino) == (unsigned int)dir)
				fail_locked(u, ino, error);
	pthread_mutex_unlock(&u->lock);
}

/* DIR as sync_names() has it. 1: it cannot be opened, which says nothing of the names in it. */
static int fsync_dir(struct data *d, int dir)
{
	CLEANUP(fd) int fd = -1;

	if (dir < 0)
		return sys_fsync_dir(d->dirfd);
	do {
		fd = data_path_open_dir(d->dirfd, (unsigned int)dir);
	} while ((fd == -EMFILE || fd == -ENFILE) && fdcache_make_room(d->fds));
	if (fd < 0)
		return fd == -ENOENT ? 0 : 1;
	return sys_fsync_dir(fd);
}

static struct unsynced_names *names_of(struct unsynced *u, int dir)
{
	return dir < 0 ? &u->root : &u->dirs[dir];
}

static bool names_are_due(const struct unsynced_names *names)
{
	return atomic_load(&names->synced) != atomic_load(&names->made);
}

/*
 * DIR -1: the store's own directory. Who finds a flush of it under way waits for its end. 1: nothing was flushed, and
 * nothing has failed; the flush is due until one of the file system has taken its place.
 */
static int sync_names(struct data *d, int dir)
{
	struct unsynced *u = &d->unsynced;
	struct unsynced_names *names = names_of(u, dir);
	uint32_t made;
	int r = 0;

	if (!names_are_due(names))
		return 0;
	pthread_mutex_lock(&u->names_turn);
	made = atomic_load(&names->made);
	if (atomic_load(&names->synced) != made) {
		r = fsync_dir(d, dir);
		if (r == 0)
			atomic_store(&names->synced, made);
	}
	pthread_mutex_unlock(&u->names_turn);
	if (r < 0)
		fail_names(u, dir, r);
	return r;
}

/*
 * The file with its name, which a flush of the file alone need not make durable; 1 as sync_names(). One that has lost
 * bytes keeps its name all the same: a record that speaks of it must find something.
 */
static int sync_file(struct data *d, struct fdref *ref, enum flush how)
{
	int r, names;

	do {
		r = (how == FLUSH_ALL ? fsync(ref->fd) : fdatasync(ref->fd)) < 0 ? -errno : 0;
	} while (r == -EINTR);
	names = sync_names(d, (int)data_path_dir(ref->ino));
	if (names == 0)
		names = sync_names(d, -1);
	return r < 0 ? r : names;
}

/*
 * The flush of REF's file has returned R: what the sets say of the file now. Under the lock.
 *
 * All bytes that were noted before the flush began are on the disk, or lost. Others may have been written and noted
 * meanwhile, and a rename that relies on them may have put the file into `replacing`: then the mark is not 0 any more.
 */
static void flushed_locked(struct unsynced *u, struct fdref *ref, enum flush how, int r)
{
	/* While others flush it, the mark may be theirs, of bytes that were noted after our flush. */
	bool last = atomic_fetch_sub(&ref->syncing, 1) == 1;
	bool all = last && atomic_load(&ref->noted) == 0;

	/* The sets may speak of a new file with its number by now. */
	if (atomic_load(&ref->gone))
		return;
	if (r < 0)
		fail_locked(u, ref->ino, r);
	if (all && (r < 0 || how == FLUSH_ALL))
		ino_set_del(&u->written, ref->ino);
	/* Not while its name is due. */
	if (all && r <= 0) {
		ino_set_del(&u->moved, ref->ino);
		ino_set_del(&u->replacing, ref->ino);
	}
}

/* Is a flush of the file alone no proof? Also while the one that proves it is under way. Under the lock. */
static bool is_blind(const struct unsynced *u, uint64_t ino)
{
	return u->blind.full || u->blind_busy.full || ino_set_has(&u->blind, ino) ||
	       ino_set_has(&u->blind_busy, ino);
}

/* Flushes one file. 1: it said that all is well, but could not know (see `blind`), or its name is still due. */
static int sync_ref(struct data *d, struct fdref *ref, enum flush how)
{
	struct unsynced *u = &d->unsynced;
	int r;

	atomic_fetch_add(&ref->syncing, 1);
	atomic_store(&ref->noted, 0);
	r = sync_file(d, ref, how);
	pthread_mutex_lock(&u->lock);
	flushed_locked(u, ref, how, r);
	if (r == 0 && is_blind(u, ref->ino))
		r = 1;
	pthread_mutex_unlock(&u->lock);
	return r;
}

/* As sync_ref(); 1 also when the file cannot be opened. */
static int sync_one(struct data *d, uint64_t ino, enum flush how)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	int r = fdcache_get(d->fds, ino, &ref);

	/* Deleted since; should it be needed after all, its readers will say so. It may be made anew just now. */
	if (r == -ENOENT)
		return 0;
	return r < 0 ? 1 : sync_ref(d, ref, how);
}

/* The file system could not be flushed: which of the files are hurt? */
static void find_failed(struct data *d, const struct ino_set *written, int error)
{
	struct unsynced *u = &d->unsynced;
	const struct ino_set *blind = &u->blind_busy;
	uint64_t ino;
	size_t at;

	log_error("the file system of the data files could not be flushed: %s", strerror(-error));
	for (at = 0; (ino = ino_set_next(written, &at)) != 0;)
		if (sync_one(d, ino, FLUSH_ALL) > 0)
			fail(u, ino, error);
	/* Some of these are flushed already, and here for their names. */
	for (at = 0; (ino = ino_set_next(&u->busy, &at)) != 0;)
		if (sync_names(d, (int)data_path_dir(ino)) > 0)
			fail(u, ino, error);
	for (at = 0; (ino = ino_set_next(blind, &at)) != 0;)
		fail(u, ino, error);
	if (!written->full && !blind->full)
		return;
	pthread_mutex_lock(&u->lock);
	u->failed.full = true;
	atomic_store(&u->any_failed, true);
	u->report = error;
	pthread_mutex_unlock(&u->lock);
}

static void names_made(struct unsynced *u, uint32_t *ret_made)
{
	size_t i;

	for (i = 0; i < DATA_DIRS; i++)
		ret_made[i] = atomic_load(&u->dirs[i].made);
	ret_made[DATA_DIRS] = atomic_load(&u->root.made);
}

static void names_synced(struct unsynced *u, const uint32_t *made)
{
	size_t i;

	pthread_mutex_lock(&u->names_turn);
	for (i = 0; i < DATA_DIRS; i++)
		atomic_store(&u->dirs[i].synced, made[i]);
	atomic_store(&u->root.synced, made[DATA_DIRS]);
	pthread_mutex_unlock(&u->names_turn);
}

/* The files of S are being flushed from now on. Under the lock. */
static void make_busy(struct unsynced *u, struct ino_set *s)
{
	uint64_t ino;
	size_t at;

	for (at = 0; (ino = ino_set_next(s, &at)) != 0;)
		ino_set_add(&u->busy, ino);
	u->replacing_busy |= s == &u->replacing && (s->n > 0 || s->full);
	ino_set_done(s);
}

/* They have been. */
static void end_busy(struct unsynced *u)
{
	pthread_mutex_lock(&u->lock);
	ino_set_done(&u->busy);
	u->replacing_busy = false;
	pthread_mutex_unlock(&u->lock);
}

/* Everything at once, when it is one's turn. What the flush of the file system has answered. */
static int sync_everything(struct data *d)
{
	CLEANUP(ino_set) struct ino_set written = {0};
	struct unsynced *u = &d->unsynced;
	uint32_t made[DATA_DIRS + 1];
	uint64_t epoch;
	int r;

	pthread_mutex_lock(&u->lock);
	ino_set_move(&u->written, &written);
	u->written_busy = true;
	ino_set_move(&u->blind, &u->blind_busy);
	make_busy(u, &u->moved);
	make_busy(u, &u->replacing);
	epoch = atomic_fetch_add(&u->epoch, 1);
	pthread_mutex_unlock(&u->lock);
	names_made(u, made);
	r = syncfs(d->dirfd) < 0 ? -errno : 0;
	if (r < 0) {
		find_failed(d, &written, r);
	} else {
		names_synced(u, made);
		atomic_store(&u->flushed, epoch);
	}
	pthread_mutex_lock(&u->lock);
	ino_set_done(&u->blind_busy);
	u->written_busy = false;
	pthread_mutex_unlock(&u->lock);
	end_busy(u);
	return r;
}

/* Lets the disk begin with all files before the first one is waited for. */
static void start_writing(struct data *d, const struct ino_set *s)
{
	uint64_t ino;
	size_t at;

	for (at = 0; s->n > 1 && (ino = ino_set_next(s, &at)) != 0;) {
		CLEANUP(fdref) struct fdref *ref = NULL;

		if (fdcache_get(d->fds, ino, &ref) == 0)
			(void)sync_file_range(ref->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
}

/* When it is one's turn: the files of S, whose failures are noted. */
static void sync_set(struct data *d, const struct ino_set *s)
{
	bool unsure = false;
	uint64_t ino;
	size_t at;

	start_writing(d, s);
	for (at = 0; (ino = ino_set_next(s, &at)) != 0;)
		unsure |= sync_one(d, ino, FLUSH_ALL) > 0;
	if (unsure)
		(void)sync_everything(d);
}

static bool is_many(const struct ino_set *s, size_t limit)
{
	return s->full || s->n > limit;
}

/* A failed flush of names is tried again, for names are metadata, which no failure makes clean. */
static void sync_all_names(struct data *d)
{
	bool unsure = false, failed = false;

	for (int i = 0; i < DATA_DIRS; i++) {
		int r = sync_names(d, i);

		unsure |= r > 0;
		failed |= r < 0;
	}
	if (unsure)
		(void)sync_everything(d);
	else if (!failed)
		(void)sync_names(d, -1);
}

/* ALL: those of the set `moved`, too. */
static void flush_due(struct data *d, bool all)
{
	struct unsynced *u = &d->unsynced;
	bool many;

	/* Also when there is nothing: somebody may be at it, and whoever flushes records next
	 * depends on that. */
	pthread_mutex_lock(&u->turn);
	pthread_mutex_lock(&u->lock);
	many = is_many(&u->replacing, UNSYNCED_MANY);
	if (all)
		many |= is_many(&u->moved, UNSYNCED_MANY) ||
			is_many(&u->written, UNSYNCED_TOO_MANY);
	if (!many && all)
		ino_set_move(&u->moved, &u->busy);
	if (!many)
		make_busy(u, &u->replacing);
	/* There was no memory to name them all. */
	many |= u->busy.full;
	pthread_mutex_unlock(&u->lock);
	if (many)
		(void)sync_everything(d);
	else
		sync_set(d, &u->busy);
	if (all)
		sync_all_names(d);
	end_busy(u);
	pthread_mutex_unlock(&u->turn);
}

void unsynced_flush_moved(struct data *d)
{
	flush_due(d, true);
}

void unsynced_catch_up(struct data *d)
{
	flush_due(d, false);
}

/* A copy of the set of written files; `full` when they are too many. */
static void copy_written(struct unsynced *u, struct ino_set *ret_set)
{
	uint64_t ino;
	size_t at;

	pthread_mutex_lock(&u->lock);
	ret_set->full = is_many(&u->written, UNSYNCED_MANY);
	for (at = 0; !ret_set->full && (ino = ino_set_next(&u->written, &at)) != 0;)
		ino_set_add(ret_set, ino);
	pthread_mutex_unlock(&u->lock);
}

int data_sync_all(struct data *d)
{
	CLEANUP(ino_set) struct ino_set written = {0};
	struct unsynced *u = &d->unsynced;
	int r;

	if (d->read_only || d->no_sync)
		return 0;
	copy_written(u, &written);
	pthread_mutex_lock(&u->turn);
	if (written.full)
		(void)sync_everything(d);
	else
		sync_set(d, &written);
	pthread_mutex_unlock(&u->turn);
	unsynced_flush_moved(d);
	pthread_mutex_lock(&u->lock);
	r = u->report;
	u->report = 0;
	pthread_mutex_unlock(&u->lock);
	return r;
}

/*
 * The flush of the file alone has proved nothing, or not taken its name along. Another thread may have made the other one
 * until it is our turn. An error is that of this sync only: what the file itself has lost is noted, and its name stays due.
 */
static int see(struct data *d, uint64_t ino)
{
	struct unsynced *u = &d->unsynced;
	const struct unsynced_names *names = names_of(u, (int)data_path_dir(ino));
	bool blind, due;
	int r = 0;

	pthread_mutex_lock(&u->turn);
	due = names_are_due(names) || names_are_due(&u->root);
	pthread_mutex_lock(&u->lock);
	blind = is_blind(u, ino);
	pthread_mutex_unlock(&u->lock);
	if (blind || due)
		r = sync_everything(d);
	pthread_mutex_unlock(&u->turn);
	return due ? r : 0;
}

/* One file, for somebody who waits for it. LOST: it has lost bytes before, and they do not matter. */
static int sync_for(struct data *d, struct fdref *ref, enum flush how, bool lost)
{
	int r = sync_ref(d, ref, how);

	if (r > 0)
		r = see(d, ref->ino);
	if (r < 0 || lost)
		return r;
	/* The kernel may have told the loss to another thread, which flushed at the same time. */
	return has_failed(&d->unsynced, ref->ino) ? -EIO : 0;
}

/* Bytes that were lost before do not matter: those that are waited for are not among them. */
int unsynced_wait(struct data *d, struct fdref *ref)
{
	if (d->no_sync)
		return 0;
	return sync_for(d, ref, FLUSH_BYTES, has_failed(&d->unsynced, ref->ino));
}

int data_sync(struct data *d, const struct inode_rec *rec, bool datasync)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	int r;

	if (d->read_only || d->no_sync || !inode_has_file(rec))
		return 0;
	if (has_failed(&d->unsynced, rec->attr.ino))
		return -EIO;
	r = datafile_get(d, rec->attr.ino, &ref);
	return r < 0 ? r : sync_for(d, ref, datasync ? FLUSH_BYTES : FLUSH_ALL, false);
}
