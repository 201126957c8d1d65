/* SPDX-License-Identifier: Apache-2.0 */
/* Times of data files that writing moved although they are to stay. */
#include "data/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "data/private.h"

struct kept_mtime {
	struct table_node node;
	uint64_t ino;
	struct timespec mtime;
};

int kept_init(struct kept *k)
{
	int r = table_init(&k->mtimes);

	if (r == 0)
		pthread_mutex_init(&k->lock, NULL);
	return r;
}

static void free_one(struct table_node *node, void *arg)
{
	free(table_entry(node, struct kept_mtime, node));
}

void kept_done(struct kept *k)
{
	if (k->mtimes.buckets == NULL)
		return;
	table_each(&k->mtimes, free_one, NULL);
	table_done(&k->mtimes);
	pthread_mutex_destroy(&k->lock);
}

static struct kept_mtime *find(struct kept *k, uint64_t ino)
{
	struct table_node *n;

	for (n = table_first(&k->mtimes, hash_number(ino)); n != NULL; n = table_next(n))
		if (table_entry(n, struct kept_mtime, node)->ino == ino)
			return table_entry(n, struct kept_mtime, node);
	return NULL;
}

bool kept_find(struct data *d, uint64_t ino, struct timespec *ret_mtime)
{
	struct kept *k = &d->kept;
	struct kept_mtime *m;

	if (atomic_load(&k->n) == 0)
		return false;
	pthread_mutex_lock(&k->lock);
	m = find(k, ino);
	if (m != NULL)
		*ret_mtime = m->mtime;
	pthread_mutex_unlock(&k->lock);
	return m != NULL;
}

/* The first one stays. Without memory the time moves, which is no reason to fail a write. */
static void add(struct kept *k, uint64_t ino, const struct timespec *mtime)
{
	struct kept_mtime *m = malloc(sizeof(*m));

	if (m == NULL)
		return;
	*m = (struct kept_mtime){.ino = ino, .mtime = *mtime};
	pthread_mutex_lock(&k->lock);
	if (find(k, ino) == NULL) {
		table_add(&k->mtimes, &m->node, hash_number(ino));
		atomic_fetch_add(&k->n, 1);
		m = NULL;
	}
	pthread_mutex_unlock(&k->lock);
	free(m);
}

void kept_before_change(struct data *d, const struct inode_rec *rec, struct fdref *ref)
{
	struct timespec mtime;
	struct stat st;

	/*
	 * Two that come at once, and find none, look at the file before either of them has written: whoever
	 * is first to write has added his. So the other, who may have looked later, adds nothing.
	 */
	if (kept_find(d, ref->ino, &mtime) || fstat(ref->fd, &st) < 0)
		return;
	mtime = st.st_mtim;
	times_refine(rec, d->coarse, &mtime);
	add(&d->kept, ref->ino, &mtime);
}

void kept_moved(struct data *d, const struct inode_rec *rec)
{
	kept_drop(d, rec->attr.ino);
	add(&d->kept, rec->attr.ino, &rec->attr.mtime);
}

void kept_drop(struct data *d, uint64_t ino)
{
	struct kept *k = &d->kept;
	struct kept_mtime *m;

	if (atomic_load(&k->n) == 0)
		return;
	pthread_mutex_lock(&k->lock);
	m = find(k, ino);
	if (m != NULL) {
		table_del(&k->mtimes, &m->node);
		atomic_fetch_sub(&k->n, 1);
	}
	pthread_mutex_unlock(&k->lock);
	free(m);
}

/*
 * A sum that could not be deleted must not become true again by a time that comes back: then the time stays where
 * writing has moved it.
 */
static int put_back(struct data *d, struct fdref *ref, const struct timespec *mtime)
{
	if (!atomic_load(&ref->sum_none))
		sums_before_change(d, ref, 0);
	if (!atomic_load(&ref->sum_none))
		return 0;
	return datafile_set_mtime(d, ref, mtime);
}

int data_put_mtime(struct data *d, uint64_t ino)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	struct timespec mtime;
	int r;

	if (d->read_only || !kept_find(d, ino, &mtime))
		return 0;
	r = datafile_get(d, ino, &ref);
	return r < 0 ? r : put_back(d, ref, &mtime);
}

bool data_keeps_mtime(struct data *d, uint64_t ino)
{
	struct timespec mtime;

	return kept_find(d, ino, &mtime);
}

void data_settle_mtime(struct data *d, uint64_t ino)
{
	/* A time is no reason to fail anything: it stays as the file has it. */
	(void)data_put_mtime(d, ino);
	kept_drop(d, ino);
}

static void put_one(struct table_node *node, void *arg)
{
	(void)data_put_mtime(arg, table_entry(node, struct kept_mtime, node)->ino);
}

void data_put_mtimes(struct data *d)
{
	table_each(&d->kept.mtimes, put_one, d);
}
