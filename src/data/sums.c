/* SPDX-License-Identifier: Apache-2.0 */
/* Which data files have a sum, and which ought to get one. */
#include "data/sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "data/private.h"

/* More files than these are not remembered one by one. */
#define CHANGED_MAX 65536

void sums_init(struct sums *s, bool keep)
{
	pthread_mutex_init(&s->lock, NULL);
	atomic_init(&s->epoch, 1);
	s->keep = keep;
}

void sums_done(struct sums *s)
{
	pthread_mutex_destroy(&s->lock);
	free(s->changed);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorts, and leaves one of each. */
static size_t sort(uint64_t *inos, size_t n)
{
	size_t kept = 0;

	if (n > 0)
		qsort(inos, n, sizeof(*inos), compare);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || inos[kept - 1] != inos[i])
			inos[kept++] = inos[i];
	return kept;
}

/* Under the lock. */
static void add_changed(struct sums *s, uint64_t ino)
{
	if (s->n == CHANGED_MAX)
		s->n = sort(s->changed, s->n);
	if (s->n == s->cap && s->cap < CHANGED_MAX) {
		size_t cap = s->cap == 0 ? 64 : s->cap * 2;
		uint64_t *grown = reallocarray(s->changed, cap, sizeof(*grown));

		if (grown != NULL) {
			s->changed = grown;
			s->cap = cap;
		}
	}
	if (s->n < s->cap)
		s->changed[s->n++] = ino;
	else
		s->all = true;
}

void sums_note(struct data *d, struct fdref *ref)
{
	struct sums *s = &d->sums;

	if (!s->keep || atomic_load(&ref->sum_noted) == atomic_load(&s->epoch))
		return;
	pthread_mutex_lock(&s->lock);
	if (!s->all)
		add_changed(s, ref->ino);
	atomic_store(&ref->sum_noted, atomic_load(&s->epoch));
	pthread_mutex_unlock(&s->lock);
}

int data_sums_changed(struct data *d, uint64_t **ret_inos, size_t *ret_n, bool *ret_all)
{
	struct sums *s = &d->sums;

	pthread_mutex_lock(&s->lock);
	*ret_inos = steal_ptr(&s->changed);
	*ret_n = s->n;
	*ret_all = s->all;
	s->n = s->cap = 0;
	s->all = false;
	atomic_fetch_add(&s->epoch, 1);
	pthread_mutex_unlock(&s->lock);
	*ret_n = sort(*ret_inos, *ret_n);
	return 0;
}

static bool only_grows(const struct fdref *ref, uint64_t from)
{
	uint64_t size;

	return datafile_size(ref->fd, &size) == 0 && from >= size;
}

/*
 * Deletes the sum of REF's file, if there is one. What fails here must not fail the write: the other
 * mtime that the file is about to get makes the sum stale all the same. It is tried again then.
 */
static void drop_sum(struct data *d, struct fdref *ref, uint64_t from)
{
	CLEANUP(batch) struct batch b = {0};
	struct sums *s = &d->sums;
	struct sum_rec sum;
	uint64_t dropped;
	int r;

	pthread_mutex_lock(&s->lock);
	r = catalog_sum(d->catalog, ref->ino, &sum);
	if (r == 0 || r == -EUCLEAN) {
		batch_begin(&b, d->catalog);
		batch_del_sum(&b, ref->ino);
		r = catalog_commit(d->catalog, &b);
		if (r == 0)
			s->dropped = catalog_committed(d->catalog);
	}
	dropped = s->dropped;
	pthread_mutex_unlock(&s->lock);
	if (r < 0 && r != -ENOENT)
		return;
	/*
	 * A power cut must not bring a sum back to a file with other bytes and, perhaps, the mtime of
	 * before. It cannot for a file that grew: that has another size. (The delete may have been
	 * made through a descriptor that was closed since.)
	 */
	if (catalog_durable(d->catalog) < dropped &&
	    (only_grows(ref, from) || catalog_sync(d->catalog) < 0))
		return;
	atomic_store(&ref->sum_none, true);
}

void sums_before_change(struct data *d, struct fdref *ref, uint64_t from)
{
	if (d->sums.keep) {
		atomic_store(&ref->sum_changed, true);
		sums_note(d, ref);
	}
	if (!atomic_load(&ref->sum_none))
		drop_sum(d, ref, from);
}

static bool is_of(const struct sum_rec *sum, const struct stat *st)
{
	return sum->size == (uint64_t)st->st_size && timespec_cmp(&sum->mtime, &st->st_mtim) == 0;
}

void data_sum_job_done(struct data_sum_job *job)
{
	if (job->ref != NULL)
		fdcache_put(job->ref);
	job->ref = NULL;
}

int data_sum_begin(struct data *d, const struct inode_rec *rec, struct data_sum_job *ret_job)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	struct sum_rec sum;
	struct stat st;
	int r;

	if (d->read_only || !inode_has_file(rec))
		return 0;
	r = fdcache_get(d->fds, rec->attr.ino, &ref);
	if (r < 0)
		return r;
	data_settle_mtime(d, rec->attr.ino);
	if (fstat(ref->fd, &st) < 0)
		return -errno;
	if (catalog_sum(d->catalog, rec->attr.ino, &sum) == 0 && is_of(&sum, &st))
		return 0;
	if ((uint64_t)st.st_size > DATA_SUM_SIZE_MAX)
		return 0;
	atomic_store(&ref->sum_changed, false);
	ret_job->sum = (struct sum_rec){.size = (uint64_t)st.st_size, .mtime = st.st_mtim};
	ret_job->ref = steal_ptr(&ref);
	return 1;
}

int data_sum_end(struct data *d, struct data_sum_job *job)
{
	CLEANUP(fdref) struct fdref *now = fdcache_peek(d->fds, job->ref->ino);
	CLEANUP(batch) struct batch b = {0};
	struct stat st;
	int r;

	/* Another descriptor, or none: the file was deleted, or made anew. */
	if (now != job->ref || atomic_load(&job->ref->sum_changed))
		return 0;
	if (fstat(job->ref->fd, &st) < 0)
		return -errno;
	if (!is_of(&job->sum, &st))
		return 0;
	batch_begin(&b, d->catalog);
	batch_put_sum(&b, job->ref->ino, &job->sum);
	atomic_store(&job->ref->sum_none, false);
	r = catalog_commit(d->catalog, &b);
	if (r < 0)
		return r;
	d->sums.taken++;
	return 1;
}

int data_sum_check(struct data *d, uint64_t ino, enum data_sum_state *ret_state)
{
	struct data_sum_job job = {0};
	CLEANUP(fdref) struct fdref *ref = NULL;
	struct sum_rec sum;
	struct stat st;
	int r = fdcache_get(d->fds, ino, &ref);

	if (r < 0)
		return r;
	r = catalog_sum(d->catalog, ino, &sum);
	if (r < 0) {
		*ret_state = DATA_SUM_NONE;
		return r == -ENOENT ? 0 : r;
	}
	*ret_state = DATA_SUM_STALE;
	if (fstat(ref->fd, &st) < 0)
		return -errno;
	if (!is_of(&sum, &st))
		return 0;
	job.sum.size = sum.size;
	r = sum_of_file(ref->fd, sum.size, NULL, NULL, &job.sum.hash);
	if (r < 0 && r != -ESTALE)
		return r;
	/* Somebody who has the upper mounted may be writing. */
	if (fstat(ref->fd, &st) < 0)
		return -errno;
	if (r == 0 && is_of(&sum, &st))
		*ret_state = memcmp(&job.sum.hash, &sum.hash, sizeof(sum.hash)) == 0
				     ? DATA_SUM_OK
				     : DATA_SUM_MISMATCH;
	return 0;
}
