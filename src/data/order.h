/* SPDX-License-Identifier: Apache-2.0 */
/* In which order bytes and records must reach the disk. */
#ifndef PLYFS_DATA_ORDER_H
#define PLYFS_DATA_ORDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct data;
struct inode_rec;

/* Small files that got their first bytes lately: a cache, one inode a slot. */
#define ORDER_SLOTS 4096

struct order {
	/* The last batch that a flush of records, begun by now, may have made durable. */
	_Atomic uint64_t flushing;
	pthread_mutex_t lock; /* protects the slots; a leaf */
	struct order_slot {
		uint64_t ino, seq;
	} slots[ORDER_SLOTS];
};

void order_init(struct order *o);
void order_done(struct order *o);

/* The next number of a batch: what is committed from now on has this one, or a later one. */
uint64_t order_now(struct data *d);
/*
 * True when no flush of ours, not even one under way, makes the batch SEQ durable without the files
 * that are in the set `moved` now. (The kernel may have written it by
 * itself; but nobody was told so.)
 */
bool order_is_unflushed(struct data *d, uint64_t seq);

/* The file of REC, empty and inline, gets its first bytes. Call before they are committed. */
void order_first_bytes(struct data *d, const struct inode_rec *rec);
/*
 * Does the file of REC, inline or lower, have content that was durable, so that a data file must be
 * on the disk before a record says that the content is there? False for the usual case, a new
 * file. To be asked when the data file is in the set of moved ones already.
 */
bool order_is_needed(struct data *d, const struct inode_rec *rec);

#endif
