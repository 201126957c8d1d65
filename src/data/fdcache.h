/* SPDX-License-Identifier: Apache-2.0 */
/* Open descriptors of data files: the least recently used ones are closed. */
#ifndef PLYFS_DATA_FDCACHE_H
#define PLYFS_DATA_FDCACHE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/table.h"

/*
 * A descriptor is never closed while it is referenced: neither when there are too many of them
 * (then more than the maximum are open for a moment) nor when its file is deleted (then it is
 * closed with the last reference). There is one fdref an inode, so the lock in it is that of the
 * data file. Threads: all functions from any thread; no system call is made under the cache's lock.
 */
struct fdcache;

struct fdref {
	struct table_node node;	     /* while `cached` */
	struct fdref *newer, *older; /* idle list, while `cached` and refs is 0 */
	struct fdcache *cache;	     /* borrowed */
	uint64_t ino;
	int fd;		   /* owned */
	unsigned int refs; /* these two under the cache's lock */
	bool cached;
	atomic_bool gone; /* the file was deleted; what has its number now is another one */
	/* The set of unsynced files that it was last put into, by its epoch; how many threads
	 * flush it (sync.c). */
	_Atomic uint64_t noted;
	/* The same for files whose sum is to be taken (sums.c). */
	_Atomic uint64_t sum_noted;
	atomic_bool sum_none;	 /* the catalog has no sum of it: bytes may change at once */
	atomic_bool sum_changed; /* they did, since a sum was begun */
	atomic_bool mtime_moved; /* it is not the one that the record has replaced (times.c) */
	_Atomic unsigned int syncing;
	/* The number of the batch that may have been the first to name it; 0: not known (order.c).
	 */
	_Atomic uint64_t born;
	/* Writes that had to wait for the disk because they brought chunks into it; under the lock
	 * that the callers of data/ hold (chunks_edit.c). */
	uint32_t waits;
	/*
	 * Writers that grow the file hold it exclusively, others shared, so that a failed one can
	 * take its bytes back without cutting off anybody else's.
	 */
	pthread_rwlock_t growing;
};

struct fdcache_counts {
	size_t open, max;
	uint64_t hits, misses;
};

/* DIRFD is borrowed and outlives the cache. MAX is at least 1. */
int fdcache_new(int dirfd, bool read_only, size_t max, struct fdcache **ret_cache);
void fdcache_free(struct fdcache *c); /* NULL is fine; no references may be left */
DEFINE_CLEANUP_PTR(struct fdcache, fdcache, fdcache_free)

/* Another MAX: what is too many goes when files are next opened or put back. */
void fdcache_set_max(struct fdcache *c, size_t max);

/*
 * Calls EVICTED for each descriptor that is about to be closed although its file is not deleted;
 * under the cache's lock: it must not call the cache. To be set before the first use.
 */
void fdcache_on_evict(struct fdcache *c, void (*evicted)(void *arg, const struct fdref *ref),
		      void *arg);

/* A reference to INO's data file, opened when need be; -ENOENT when there is none. */
int fdcache_get(struct fdcache *c, uint64_t ino, struct fdref **ret_ref);
/* As fdcache_get(), and NULL when it is not open. */
struct fdref *fdcache_peek(struct fdcache *c, uint64_t ino);
/* A new and empty data file for INO, whatever was there. The caller has INO for itself. */
int fdcache_create(struct fdcache *c, uint64_t ino, struct fdref **ret_ref);
void fdcache_put(struct fdref *ref);
DEFINE_CLEANUP_PTR(struct fdref, fdref, fdcache_put)

/* Forgets INO's descriptor. Call after the file was removed, lest it be opened again. */
void fdcache_drop(struct fdcache *c, uint64_t ino);

/* When the process has no descriptor left: closes half of those that nobody uses. False when there are none. */
bool fdcache_make_room(struct fdcache *c);

void fdcache_count(struct fdcache *c, struct fdcache_counts *ret_counts);

#endif
