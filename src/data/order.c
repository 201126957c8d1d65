/* SPDX-License-Identifier: Apache-2.0 */
/* In which order bytes and records must reach the disk. */
#include <errno.h>

#include "data/private.h"

/*
 * A record must not be on the disk without the bytes that it speaks of. There are two ways to get
 * there:
 *
 *  - The file was empty, as far as any flush has told anybody: its data file is put into the set
 *    `moved` and flushed before the next flush of records. The kernel may write the record by
 *    itself before that; after a power cut the file is then empty or short, as a new file on any
 *    file system is that nobody has synced.
 *  - It had content that was durable: a lower file, an inline file that was flushed, a chunk map.
 *    A record that reaches the disk before the bytes would take that content away. So the data
 *    file is flushed before the record is committed.
 *
 * A rename over another name is in between: nobody waits for it, but what it replaces may be durable. So its file is flushed
 * before each of our flushes that may take its record along, even one that had begun when it came. What is left is the instant
 * between the flush's last look and its call of fdatasync(2), and those who rename without a pause: it looks a few times only.
 */

void order_init(struct order *o)
{
	pthread_mutex_init(&o->lock, NULL);
}

void order_done(struct order *o)
{
	pthread_mutex_destroy(&o->lock);
}

uint64_t order_now(struct data *d)
{
	return catalog_committed(d->catalog) + 1;
}

bool order_is_unflushed(struct data *d, uint64_t seq)
{
	/*
	 * A flush of records says first how far it may come, and looks into the set then. So either
	 * this sees what it said, or the flush sees what the caller has put into the set.
	 */
	return atomic_load(&d->order.flushing) < seq && catalog_durable(d->catalog) < seq;
}

static struct order_slot *slot_of(struct order *o, uint64_t ino)
{
	return &o->slots[ino % ORDER_SLOTS];
}

void order_first_bytes(struct data *d, const struct inode_rec *rec)
{
	struct order *o = &d->order;
	struct order_slot *s = slot_of(o, rec->attr.ino);
	uint64_t seq;

	if (d->no_sync)
		return;
	seq = order_now(d);
	pthread_mutex_lock(&o->lock);
	s->ino = rec->attr.ino;
	s->seq = seq;
	pthread_mutex_unlock(&o->lock);
}

bool order_is_needed(struct data *d, const struct inode_rec *rec)
{
	struct order *o = &d->order;
	struct order_slot *s = slot_of(o, rec->attr.ino);
	uint64_t seq = 0;

	if (d->no_sync || rec->attr.size == 0)
		return false;
	if (rec->where != BYTES_INLINE)
		return true;
	pthread_mutex_lock(&o->lock);
	if (s->ino == rec->attr.ino)
		seq = s->seq;
	pthread_mutex_unlock(&o->lock);
	return seq == 0 || !order_is_unflushed(d, seq);
}

/* A flush may come so far: see order_is_unflushed(). */
static void say_flushing(struct order *o, uint64_t upto)
{
	uint64_t before = atomic_load(&o->flushing);

	while (before < upto && !atomic_compare_exchange_weak(&o->flushing, &before, upto))
		;
}

static int before_flush(void *arg)
{
	struct data *d = arg;

	say_flushing(&d->order, catalog_committed(d->catalog));
	unsynced_flush_moved(d);
	/* Bytes that are lost stay lost however long the records wait: their file says so. */
	return 0;
}

static bool is_behind(void *arg, uint64_t upto)
{
	struct data *d = arg;

	say_flushing(&d->order, upto);
	return unsynced_is_behind(d);
}

static void catch_up(void *arg)
{
	unsynced_catch_up(arg);
}

static void after_flush(void *arg)
{
	reaper_flushed(arg);
}

struct catalog_hooks data_hooks(struct data *d)
{
	return (struct catalog_hooks){.before_flush = before_flush,
				      .is_behind = is_behind,
				      .catch_up = catch_up,
				      .after_flush = after_flush,
				      .arg = d};
}
