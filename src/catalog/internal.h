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
#include "catalog/delta.h"
#include "catalog/journal.h"
#include "catalog/lock.h"
#include "catalog/mirror.h"
#include "catalog/store.h"
#include "catalog/view.h"

/*
 * Where a record is. A batch is appended to the current journal and applied to the delta `active`.
 * A checkpoint freezes that delta: a new one takes its place, new records go to the other journal, and
 * the frozen one is brought into the tables by a transaction of LMDB that nobody waits for. Then it
 * is freed and its journal starts anew. A read asks `active`, `frozen` and the tables, in this order.
 *
 * Lock order: checkpoint_lock, then the gate (a byte of the lock file), then `lock`. Only `lock` is
 * taken by reads and commits, and nothing under it waits for a disk.
 */
struct catalog {
	/* Constant after open. */
	int dirfd; /* owned */
	struct catalog_options options;
	uint64_t seed;
	size_t map_size;
	uint64_t *orphans; /* owned; the orphans that the open found */
	size_t n_orphans;
	char *path;		 /* owned; of the LMDB file, through /proc/self/fd */
	int copy_fd;		 /* owned; a snapshot's private file, else -1 */
	bool unclean, recovered; /* the last owner did not close it; what it has left is seen to */
	uint64_t *replayed;	 /* owned; inodes whose records the open found in the journals */
	size_t n_replayed;

	_Atomic uint64_t next_ino; /* never falls */

	pthread_mutex_t spare_lock;    /* see doc/locking.md */
	bool wants_spares;	       /* constant after open */
	_Atomic unsigned int n_spares; /* so many SPARE_FILEs are there; changed under spare_lock */

	pthread_mutex_t checkpoint_lock; /* one checkpoint at a time */
	struct lock_file lock_file;	 /* protected by checkpoint_lock */
	int sum_fd;			 /* owned; SUM_FILE, or below 0; checkpoint_lock */
	bool has_sum;			 /* it is right; checkpoint_lock */
	bool sum_cleared;  /* durably, as it must be before LMDB writes; checkpoint_lock */
	bool is_behind;	   /* CATALOG_FILE may be one that was replaced; checkpoint_lock */
	bool has_new;	   /* an empty CATALOG_FILE_NEW is there, for the close; checkpoint_lock */
	bool closing;	   /* no name may be made any more; checkpoint_lock */
	uint64_t reserved; /* blocks of the LMDB file are allocated up to here; checkpoint_lock */
	struct mirror *mirror; /* owned; NULL: LMDB has the file itself open; checkpoint_lock */
	uint64_t mirrored_seq; /* the last batch in the mirror's copy; 0: as in the tables; same */

	pthread_mutex_t lock;		  /* protects all that follows */
	struct store store;		  /* the writer's part of it: checkpoint_lock */
	struct delta *active, *frozen;	  /* owned; NULL in a snapshot; NULL between checkpoints */
	uint64_t frozen_seq, frozen_next; /* the last batch in `frozen`; next_ino when it was */
	bool error_frozen;		  /* what came after it is in another journal than it is */
	struct journal journals[N_JOURNALS];
	unsigned int current;	  /* journal: where new records go */
	uint64_t seq;		  /* of the last batch */
	uint64_t applied;	  /* SUPER_APPLIED: the last batch that is in the tables */
	bool failed;		  /* nothing may be appended to the current journal any more */
	bool no_reserve;	  /* the LMDB file has no blocks for a checkpoint on a full disk */
	int checkpoint_error;	  /* of the last checkpoint, or 0 */
	struct timespec retry_at; /* no automatic checkpoint before: the last one failed */
	struct timespec kept_out; /* since when one that is due finds the gate held; 0: it is not */
	bool stuck;		  /* for so long that no commit waits for it any more */
	struct timespec began;	  /* when the first change came into `active`; 0: it has none */
	pthread_cond_t room;	  /* a checkpoint has ended */

	pthread_cond_t synced; /* a flush has ended */
	bool syncing;	       /* one thread is flushing, without the lock */
	uint64_t synced_seq;   /* on the disk, in the journals or in the tables */
	int sync_error;	       /* a flush failed and no checkpoint has made up for it */

	pthread_cond_t wake; /* the checkpoint thread has something to do */
	pthread_t thread;
	bool has_thread;
	bool stop;
	bool want_checkpoint;
	bool want_flush;	    /* within a tenth of a second */
	struct timespec flushed_at; /* by the thread, the last time */

	struct catalog_hooks hooks; /* called without the lock, but for is_behind() */

	struct { /* for catalog_to_text() */
		uint64_t commits, syncs, checkpoints, failed_checkpoints, compactions;
	} stats;

	int fail_apply; /* tests: so many checkpoints fail at the tables, as if out of memory */
};

/* How far catalog.mdb may grow: address space, nothing more. Tests lower it. */
extern size_t catalog_map_size;

/*
 * From these sizes on a checkpoint is due; it is the checkpoint thread's to make, or without a thread
 * the commit's that finds it. Commits are slowed down when a checkpoint does not keep up with them, and
 * fail when it cannot be made at all. Somebody who copies the catalog and keeps checkpoints out may do so up to
 * BYTES_MAX; from there on commits wait for him, but not for a process that has been stopped.
 */
#define CHECKPOINT_BYTES ((uint64_t)16 << 20) /* of a journal, of a delta's memory */
#define SLOW_BYTES	 (4 * CHECKPOINT_BYTES)
#define BYTES_MAX	 (16 * CHECKPOINT_BYTES)

/* open.c: opens the LMDB file PATH, or makes it, by this catalog's options. */
int open_store(const struct catalog *c, const char *path, bool create, struct store *ret_store);
/* Reads seed, format and sequence number from the tables. */
int read_super(struct catalog *c, struct err *err);
/* An error's sentence about the file NAME. */
int catalog_damaged(const struct catalog *c, struct err *err, const char *file, const char *why);
int catalog_too_new(const struct catalog *c, struct err *err, uint32_t version);
/* RC of replay_journals(). */
int replay_failed(const struct catalog *c, struct err *err, int rc);

/* mirrored.c: when the LMDB file must not be mapped. Under checkpoint_lock, but for the first two. */
bool mirrored_is_wanted(const struct catalog *c);
/* Makes the file from what MAKE puts into a local one. */
int mirrored_create(const struct catalog *c,
		    int (*make)(const struct catalog *c, const char *path));
/* Copies the file; C's path is the copy's then. */
int mirrored_open(struct catalog *c);
/* The copy's last commit gets to the file, durably. */
int mirrored_publish(struct catalog *c);
/* Makes copy and file anew, without free pages; RET_STORE is the new copy, opened. */
int mirrored_compact(struct catalog *c, struct store *ret_store);

/* create.c: an empty catalog, on the disk; whole or not at all. */
int create_file(const struct catalog *c);
/* Makes an empty CATALOG_FILE_NEW for LMDB, in the place of one that is left over. */
int create_new(const struct catalog *c);

/* The bytes of both journal files. */
struct journal_bytes {
	uint8_t *bytes[N_JOURNALS]; /* owned; NULL: no file */
	size_t len[N_JOURNALS];
};
void journal_bytes_done(struct journal_bytes *j);
DEFINE_CLEANUP(struct journal_bytes, journal_bytes, journal_bytes_done)

/* replay.c: appends INO to an owned array of *N that nobody else has made: 0 or -ENOMEM. */
int inos_add(uint64_t **inos, size_t *n, uint64_t ino);
/* An inode has the number INO, or had it. During an open. */
void ino_is_given(struct catalog *c, uint64_t ino);

/* replay.c: what a replay found, of each journal. */
struct replay {
	struct journal_scan scans[N_JOURNALS];
	bool gap; /* there are whole records behind the last that could be applied */
};
/* Reads both files of DIRFD. */
int journals_read(int dirfd, struct journal_bytes *ret_bytes);
/* Applies the valid records above `applied` to `active`: 0, -ESTALE (the journals go with a newer LMDB file),
 * -ENOMEM. */
int replay_journals(struct catalog *c, const struct journal_bytes *bytes,
		    struct replay *ret_replay);
/*
 * settle.c: what was replayed goes into the tables before the journals are used again. On a full disk it cannot;
 * then they are continued where their records end: RET_LENS. Damaged ones are put aside.
 */
int settle_replay(struct catalog *c, const struct replay *r, uint64_t ret_lens[N_JOURNALS],
		  struct err *err);

/* hooks.c: without the lock. */
int hooks_before(struct catalog *c);
void hooks_after(struct catalog *c);

/* checkpoint.c. Under the lock. */
bool checkpoint_is_due(struct catalog *c);
/* Makes one; WAIT: for a snapshot that is being taken. Takes the locks itself. */
int checkpoint(struct catalog *c, bool wait);
/*
 * Before the LMDB file changes: its checksum must be gone from the disk, and the file must be there under its name.
 * checkpoint_lock.
 */
int before_change(struct catalog *c);

/* space.c. Under checkpoint_lock, with the gate shut. */
/* Makes the LMDB file anew when most of it is free pages. LEAST: that many bytes of them. */
void compact_if_worth(struct catalog *c, uint64_t least);
/* Makes CATALOG_FILE_NEW where a close may want it, which makes no names (see sum.c). The other removes it. */
void prepare_compaction(struct catalog *c);
void forget_compaction(struct catalog *c);
/* Allocates blocks behind the end of the LMDB file for the next checkpoint. False: there are none. */
bool reserve_space(struct catalog *c);
/* Is there little left on the file system? */
bool space_is_tight(const struct catalog *c);
#define COMPACT_BYTES	    ((uint64_t)8 << 20)
#define COMPACT_CLOSE_BYTES ((uint64_t)1 << 20)

/* volatile.c: of an owner that flushes nothing, a mark; before others change anything, what it left is flushed. */
int volatile_settle(const struct catalog *c, struct err *err);

/* spare.c: room for writes that free space, on btrfs; nothing on others. Without the lock. */
/* The owner's first and last call; opening itself may need the room. */
void spare_begin(struct catalog *c);
void spare_close(struct catalog *c);
/* Who asks for one: the last ones are kept for deletions. */
enum spare_for { SPARE_FOR_DELETION, SPARE_FOR_CHECKPOINT, SPARE_FOR_OTHERS };
/* Gives one back after the failure RC: true when there is room now that was not there. */
bool spare_give(struct catalog *c, int rc, enum spare_for what);
/* Makes all of them again, as far as there is room. */
void spare_take(struct catalog *c);
/* Makes those that are for deletions; false when there is no room. Before a change that takes space. */
bool spare_regain(struct catalog *c);

/* sync.c; under the lock, which is released meanwhile. 0, or why something is not on the disk. */
int sync_journals(struct catalog *c);

/* thread.c; start under the lock: 0, also where no thread is wanted, or -EAGAIN. */
int thread_start(struct catalog *c);
void thread_stop(struct catalog *c);

/* snapshot.c: fills C from the files in DIRFD. */
int snapshot_open(int dirfd, struct catalog *c, struct err *err);

/* "the upper's .plyfs directory", or its path if the kernel tells: for sentences. */
struct dir_name {
	char text[256];
};
struct dir_name dir_name_of(int dirfd);

#endif
