/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog from inside: shared by the files of this folder, and by its tests. */
#ifndef PLYFS_CATALOG_INTERNAL_H
#define PLYFS_CATALOG_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "catalog/catalog.h"
#include "catalog/journal.h"
#include "catalog/lock.h"
#include "catalog/store.h"

/*
 * Lock order: checkpoint_lock, then the gate (a byte of the lock file), then `lock`. Only `lock` is
 * ever taken by a read or a commit that does not checkpoint.
 */
struct catalog {
	/* Constant after open. */
	int dirfd; /* owned; -1 in a snapshot */
	struct catalog_options options;
	uint64_t seed;
	size_t map_size;
	uint64_t *orphans; /* owned; the orphans that the open found */
	size_t n_orphans;
	char *path;  /* owned; of the LMDB file, through /proc/self/fd */
	int copy_fd; /* owned; a snapshot's private file, else -1 */

	_Atomic uint64_t next_ino;

	pthread_mutex_t checkpoint_lock; /* one checkpoint at a time */
	struct lock_file lock_file;	 /* protected by checkpoint_lock */

	pthread_mutex_t lock; /* protects all that follows */
	struct store store;
	struct journal journal;
	uint64_t seq;		  /* of the last record in the journal, and in the transaction */
	uint64_t applied;	  /* SUPER_APPLIED of the last commit */
	bool failed;		  /* nothing may be appended any more */
	bool has_sum;		  /* SUM_FILE is there and right */
	bool sum_removed;	  /* durably, as it must be before LMDB writes */
	struct timespec retry_at; /* no automatic checkpoint before: the last one failed */

	pthread_cond_t synced; /* a flush has ended */
	bool syncing;	       /* one thread is flushing, without the lock */
	uint64_t synced_seq;   /* on the disk, in the journal or in the tables */
	int sync_error;	       /* a flush failed and no checkpoint has made up for it */

	pthread_cond_t wake; /* the checkpoint thread has something to do */
	pthread_t thread;
	bool has_thread;
	bool stop;
	bool want_checkpoint;
	bool want_flush; /* within a tenth of a second */

	struct catalog_hooks hooks; /* protected by `lock`; called without it */
	bool unclean;		    /* constant after open: the last owner did not close it */
	uint64_t *replayed;	    /* owned; inodes whose records the open found in the journal */
	size_t n_replayed;

	struct { /* for catalog_to_text() */
		uint64_t commits, syncs, checkpoints, failed_checkpoints, recoveries;
	} stats;

	int fail_apply; /* tests: this many store_apply() calls fail, as if out of memory */
};

/* How far catalog.mdb may grow: address space, nothing more. Tests lower it. */
extern size_t catalog_map_size;

/* From these sizes on a checkpoint is due; it is the checkpoint thread's to make. From twice these,
 * the commit that finds it makes it. */
#define CHECKPOINT_JOURNAL_BYTES ((uint64_t)32 << 20)
#define CHECKPOINT_DIRTY_PAGES	 32768 /* 128 MiB; LMDB begins to spill at 131,071 */

/* open.c: makes the store and the journal agree; the catalog's lock is held or not needed yet. */
int replay_journal(struct catalog *c, const uint8_t *bytes, size_t len, struct journal_scan *scan);
/* Reads seed, format and sequence number from the tables. */
int read_super(struct catalog *c, struct err *err);
int read_next_ino(struct catalog *c);

/*
 * The transaction is lost: opens the store again and replays the journal. With KEEP < the journal's
 * length and a second failure, what is behind KEEP is cut off and the rest replayed, and DROPPED is
 * set. When that fails too the catalog has failed. Under the lock.
 */
int recover(struct catalog *c, uint64_t keep, bool *ret_dropped);

/* hooks.c: without the lock. */
int hooks_before(struct catalog *c);
void hooks_after(struct catalog *c);

/* checkpoint.c; under the lock. */
bool checkpoint_is_due(struct catalog *c, unsigned int times);
/* Takes the checkpoint lock, the gate and the lock; WAIT: for a snapshot that is being taken. */
int checkpoint(struct catalog *c, bool wait);
/* Commits the transaction, under the lock with the gate shut; the journal stays. */
int checkpoint_tables(struct catalog *c);
/* And starts the journal anew. */
int checkpoint_locked(struct catalog *c);

/* thread.c */
void thread_start(struct catalog *c); /* under the lock */
void thread_stop(struct catalog *c);

/* sync.c; under the lock, which is dropped meanwhile. */
int sync_journal(struct catalog *c);

/* snapshot.c */
int snapshot_open(int dirfd, struct catalog *c, struct err *err);

/* "the upper's .plyfs directory", or its path if the kernel tells: for sentences. */
struct dir_name {
	char text[256];
};
struct dir_name dir_name_of(int dirfd);

#endif
