/* SPDX-License-Identifier: Apache-2.0 */
/* Which data files have bytes that are not on the disk yet, and which have lost some. */
#ifndef PLYFS_DATA_SYNC_H
#define PLYFS_DATA_SYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/inoset.h"
#include "data/path.h"

struct data;
struct fdref;

/* More files than these are not flushed one by one: the whole file system is. */
#define UNSYNCED_MANY 1024
/* Files that nobody syncs are flushed with the records when there are more of them than this. */
#define UNSYNCED_TOO_MANY 16384

/* The names in a directory: how many were made, and up to which one they are on the disk. */
struct unsynced_names {
	_Atomic uint32_t made, synced;
};

struct unsynced {
	pthread_mutex_t lock;	  /* protects the sets and `report`; innermost */
	_Atomic uint64_t epoch;	  /* of the set `written`: from 1 up, one more when it is taken */
	_Atomic uint64_t flushed; /* the last epoch of which everything is on the disk */
	struct ino_set written;	  /* files with new bytes or times */
	struct ino_set moved;	  /* files on which records depend that were committed */
	struct ino_set replacing; /* and those whose names take the place of others by it */
	struct ino_set busy;	  /* those of them that are being flushed */
	bool replacing_busy;	  /* some of `replacing` are among these */
	bool written_busy;	  /* a set `written` is being flushed as a whole */
	/*
	 * Files whose descriptor was closed while they had unsynced bytes. The kernel tells an
	 * error of its own write-back to those who had the file open then, and may forget it when
	 * there was nobody: so a flush of the file alone proves nothing. One of the file system
	 * does, for that is told to us by our directory's descriptor.
	 */
	struct ino_set blind;
	/* Those that a flush of the file system is being made for: changed under `turn` and `lock`, read under either. */
	struct ino_set blind_busy;
	struct ino_set failed; /* files that have lost bytes: each fsync says so from then on */
	_Atomic bool any_failed;
	int report; /* a failure that no data_sync_all() has returned yet, or 0 */

	pthread_mutex_t turn;	    /* one flush of many files at a time */
	pthread_mutex_t names_turn; /* one flush of a directory at a time; protects `synced` */
	struct unsynced_names dirs[DATA_DIRS];
	struct unsynced_names root;  /* the directories themselves */
	atomic_bool seen[DATA_DIRS]; /* directories that had new names since the open */
};

void unsynced_init(struct unsynced *u);
void unsynced_done(struct unsynced *u);
/* At the open: an owner that was killed may have left unsynced bytes and names anywhere. */
void unsynced_unknown(struct data *d);

/* REF's file was written. Call after the bytes were. */
void unsynced_written(struct data *d, struct fdref *ref);
/* It was, and a record depends on it. Call before the record is committed. */
void unsynced_moved(struct data *d, struct fdref *ref);
/* Has it bytes that were not flushed? May miss it when very many files have. */
bool unsynced_has(struct data *d, uint64_t ino);
/* A data file was made. */
void unsynced_created(struct data *d, uint64_t ino);
/* It was deleted. */
void unsynced_forget(struct data *d, uint64_t ino);
/* All its bytes were replaced: those that it had lost are of no interest any more. */
void unsynced_forget_loss(struct data *d, uint64_t ino);
/*
 * fdatasync(2) of REF's file for the sake of its storage, not of a sync: it makes no difference to what is due. Any flush
 * of a data file that is made elsewhere must be this one, for the kernel tells a failure to one flush only.
 */
int unsynced_flush_bytes(struct data *d, struct fdref *ref);
/* An open file's descriptor is about to be closed, under the lock of the cache. */
void unsynced_evicted(void *data, const struct fdref *ref);

/*
 * Waits until REF's file is on the disk, with its name: for a record that replaces what was
 * durable, before it is committed. Nothing in a volatile store. The caller has the file for itself.
 */
int unsynced_wait(struct data *d, struct fdref *ref);
/* The same for all files on which records depend. A file that fails is noted as failed; that is no
 * reason for the others not to become durable. */
void unsynced_flush_moved(struct data *d);
/*
 * Has data_replacing() named files that are not on the disk yet? The second waits for these alone: new files come in
 * crowds, and a flush of records that waited for all that come meanwhile would have no end.
 */
bool unsynced_is_behind(struct data *d);
void unsynced_catch_up(struct data *d);

/* Has the file lost bytes? */
static inline bool unsynced_any_failed(const struct unsynced *u)
{
	return atomic_load_explicit(&u->any_failed, memory_order_relaxed);
}

#endif
