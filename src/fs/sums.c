/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper of checksums: takes the sums of data files that have not been written for a while. */
#include "data/sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fs/background.h"
#include "fs/private.h"

/*
 * Files that were changed are collected for the length of a period. At its end those that were not
 * changed again since the period before get their sums: one to two periods after the last write. A
 * mount begins with a look at all files, as the last one may have been killed, or was without sums.
 */
unsigned int sum_keeper_period_ms = 10000;

/* At the end, in all. Who mounts the upper again at once waits for it. */
#define FINISH_SECONDS 5

struct inos {
	uint64_t *v; /* owned; sorted */
	size_t n;
};

struct sum_keeper {
	struct fs *fs;
	struct background bg;
	double deadline; /* at the end: when to give up; 0: when told to stop */

	/* The thread's own. */
	struct inos ready, fresh; /* changed in the period before the last, and in the last */
	bool look_at_all;
	bool lost_count; /* of what this mount has changed */
	size_t n_failed;
};

static bool give_up(void *arg)
{
	struct sum_keeper *k = arg;

	return k->deadline > 0 ? background_now() > k->deadline : background_stopped(&k->bg);
}

/* [X] of data/sums.h: 1 when there is something to hash. */
static int begin(struct fs *fs, uint64_t ino, struct data_sum_job *job)
{
	CLEANUP(data_lock) struct data_lock *lock = data_lock_exclusive(&fs->data_locks, ino);
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r;

	r = record_load(fs, ino, &rec);
	if (r < 0 || !S_ISREG(rec.attr.mode) || rec.attr.nlink == 0)
		return r;
	return data_sum_begin(fs->data, &rec, job);
}

static int make_durable(struct fs *fs, uint64_t ino)
{
	CLEANUP(data_lock) struct data_lock *lock = data_lock_shared(&fs->data_locks, ino);
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r;

	r = record_load(fs, ino, &rec);
	return r < 0 ? r : data_sync(fs->data, &rec, false);
}

static int end(struct fs *fs, uint64_t ino, struct data_sum_job *job)
{
	CLEANUP(data_lock) struct data_lock *lock = data_lock_exclusive(&fs->data_locks, ino);

	return data_sum_end(fs->data, job);
}

static int take(struct sum_keeper *k, uint64_t ino)
{
	CLEANUP(data_sum_job) struct data_sum_job job = {0};
	bool closing = k->deadline > 0;
	int r = begin(k->fs, ino, &job);

	if (r <= 0)
		return r;
	if (!closing && !k->fs->options->no_sync)
		r = make_durable(k->fs, ino);
	if (r >= 0)
		r = data_sum_hash(k->fs->data, &job, give_up, k);
	return r < 0 ? r : end(k->fs, ino, &job);
}

/* While it is held nobody can delete its record, behind which a sum would stay. */
static int take_held(struct sum_keeper *k, uint64_t ino)
{
	CLEANUP(held) struct held h = {k->fs, NULL};
	struct attr attr;
	int r;

	if (k->deadline > 0)
		return take(k, ino);
	r = inode_of_entry(k->fs, ino, &h.inode, &attr);
	/* Deleted since. */
	if (r < 0)
		return r == -EUCLEAN ? 0 : r;
	return take(k, ino);
}

/* 0; -ECANCELED to stop. What goes wrong with one file is not the others'. */
static int take_one(struct sum_keeper *k, uint64_t ino)
{
	double start = background_now();
	int r;

	if (give_up(k))
		return -ECANCELED;
	r = take_held(k, ino);
	if (r < 0 && r != -ECANCELED && r != -ENOENT)
		k->n_failed++;
	if (k->deadline == 0)
		background_worked(&k->bg, background_now() - start);
	return give_up(k) ? -ECANCELED : 0;
}

static bool inos_have(const struct inos *l, uint64_t ino)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->v[mid] == ino)
			return true;
		if (l->v[mid] < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

static void inos_done(struct inos *l)
{
	free(l->v);
	*l = (struct inos){0};
}

/* Those of L that are not in BUT. */
static int take_list(struct sum_keeper *k, const struct inos *l, const struct inos *but)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++)
		if (but == NULL || !inos_have(but, l->v[i]))
			r = take_one(k, l->v[i]);
	return r;
}

/* Is the sum missing, or another state's? Without opening the file. */
static bool lacks_sum(struct fs *fs, const struct inode_rec *rec)
{
	struct attr attr = rec->attr;
	struct sum_rec sum;

	if (!S_ISREG(rec->attr.mode) || rec->attr.nlink == 0 || !inode_has_file(rec))
		return false;
	if (catalog_sum(fs->catalog, rec->attr.ino, &sum) < 0)
		return true;
	return data_attr(fs->data, rec, &attr) == 0 &&
	       (sum.size != attr.size || timespec_cmp(&sum.mtime, &attr.mtime) != 0);
}

static int look_at(void *arg, uint64_t ino)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	struct sum_keeper *k = arg;

	if (give_up(k))
		return -ECANCELED;
	if (record_load(k->fs, ino, &rec) < 0 || !lacks_sum(k->fs, &rec))
		return 0;
	return inos_have(&k->fresh, ino) ? 0 : take_one(k, ino);
}

static int collect(struct sum_keeper *k)
{
	bool all = false;
	int r = data_sums_changed(k->fs->data, &k->fresh.v, &k->fresh.n, &all);

	if (all)
		k->look_at_all = k->lost_count = true;
	return r;
}

static void period(struct sum_keeper *k)
{
	int r = collect(k);

	if (r == 0)
		r = take_list(k, &k->ready, &k->fresh);
	if (r == 0 && k->look_at_all) {
		r = catalog_each_inode(k->fs->catalog, look_at, k);
		if (r == 0)
			k->look_at_all = k->lost_count = false;
	}
	/* When it was stopped, what is left is done at the end. */
	if (r == -ECANCELED)
		return;
	inos_done(&k->ready);
	k->ready = k->fresh;
	k->fresh = (struct inos){0};
}

static void report(struct sum_keeper *k)
{
	if (k->n_failed > 0)
		log_warn("upper %s: the checksums of %zu files could not be taken",
			 k->fs->options->upper, k->n_failed);
	k->n_failed = 0;
}

static void *run(void *arg)
{
	struct sum_keeper *k = arg;

	while (!background_stopped(&k->bg)) {
		background_rest(&k->bg, sum_keeper_period_ms / 1e3);
		if (!background_stopped(&k->bg))
			period(k);
		report(k);
	}
	return NULL;
}

int sum_keeper_start(struct fs *fs)
{
	struct sum_keeper *k = calloc(1, sizeof(*k));
	int r;

	if (k == NULL)
		return -ENOMEM;
	k->fs = fs;
	k->look_at_all = true;
	r = background_start(&k->bg, "sums", run, k);
	if (r < 0)
		log_warn("no thread for checksums (%s); they are taken at the end", strerror(-r));
	fs->sum_keeper = k;
	return 0;
}

void sum_keeper_stop(struct fs *fs)
{
	if (fs->sum_keeper != NULL)
		background_stop(&fs->sum_keeper->bg);
}

/* The last period's, this one's, and, where they are too many to be known by name, all that lack one. */
static int take_rest(struct sum_keeper *k)
{
	int r = take_list(k, &k->ready, NULL);

	if (r == 0)
		r = take_list(k, &k->fresh, NULL);
	inos_done(&k->fresh);
	if (r == 0)
		r = collect(k);
	if (r == 0)
		r = take_list(k, &k->fresh, NULL);
	inos_done(&k->fresh);
	if (r == 0 && k->lost_count)
		r = catalog_each_inode(k->fs->catalog, look_at, k);
	return r;
}

void sum_keeper_finish(struct fs *fs, bool durable)
{
	struct sum_keeper *k = fs->sum_keeper;

	if (k == NULL)
		return;
	if (durable) {
		k->deadline = background_now() + FINISH_SECONDS;
		if (take_rest(k) == -ECANCELED)
			log_info("upper %s: there was no time for all checksums; the next mount "
				 "takes the others",
				 fs->options->upper);
		report(k);
	}
	inos_done(&k->ready);
	inos_done(&k->fresh);
	background_done(&k->bg);
	free(k);
	fs->sum_keeper = NULL;
}
