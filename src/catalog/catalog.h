/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog of an upper layer: every name, whiteout, attribute and xattr, in LMDB. */
#ifndef PLYFS_CATALOG_CATALOG_H
#define PLYFS_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/batch.h"
#include "catalog/records.h"

/*
 * Threads: every function may be called from any thread; a lock of the catalog's own is held only
 * inside the calls, which never wait for a disk except where it is said. No callback is ever called
 * under it.
 *
 * Promise: when catalog_commit() has returned 0 the batch survives the death of the process (it is
 * in the journal, in the page cache); after catalog_sync() it survives a power cut.
 */
struct catalog;

enum catalog_mode {
	CATALOG_WRITE,	  /* the owner: takes the lock, replays the journal, deletes orphans */
	CATALOG_SNAPSHOT, /* read-only, private copy of the state right now, owner or no owner;
			     nothing in the directory changes */
};

/* Whether catalog.mdb is mapped where it is, or a local copy of it (mirror.h). */
enum catalog_map {
	CATALOG_MAP_AUTO, /* by the type of the file system */
	CATALOG_MAP_YES,
	CATALOG_MAP_NO,
};

struct catalog_options {
	enum catalog_mode mode;
	bool create;	 /* WRITE: make a new catalog where there is none (else -ENOENT) */
	bool no_sync;	 /* volatile: never wait for a disk */
	bool no_threads; /* tests: no checkpoint thread */
	enum catalog_map map;
	/*
	 * WRITE, may be NULL: called during an open that has found records in the journals, before it brings them
	 * into the tables: behind that nobody can tell any more which records a power cut may have left without
	 * what belongs to them. What the records that catalog_each_replayed() tells need is made good here,
	 * durably; records are changed by what is put into FIXES, catalog_inode() reads them, and
	 * nothing else may be called. After an error (it has been told) FIXES count; without any the records stay in the journals.
	 */
	int (*replayed)(void *arg, struct catalog *c, struct batch *fixes);
	/*
	 * WRITE, may be NULL: called, after that one, during an open that has found changes of a damaged journal to be
	 * lost, before the journal is put aside: behind that nobody can tell any more that what no record speaks of is
	 * not merely left over. It is for the owner of the data files to keep them, durably. catalog_inode() may be
	 * called, and nothing else. After an error, which has a sentence, the catalog is not opened, and the next open asks
	 * again; on a full disk this one may.
	 */
	int (*lost)(void *arg, struct catalog *c, struct err *err);
	/* WRITE, may be NULL: makes what lies beside a catalog without records, before the names of both are flushed at once. */
	int (*beside)(void *arg, struct err *err);
	void *arg; /* of all three */
};

/*
 * Opens the catalog in the directory DIRFD (the `.plyfs` directory; borrowed, duplicated inside).
 * Errors with a sentence: -ENOENT no catalog; -EBUSY in use by a live process (the sentence names
 * its pid); -ENOLCK another host may have it, and nobody can tell; -EUCLEAN damaged;
 * -EPROTONOSUPPORT made by a newer version; -EROFS, -ENOSPC, -EACCES of the files. A lock left by a dead process is taken over silently.
 */
int catalog_open(int dirfd, const struct catalog_options *options, struct catalog **ret_catalog,
		 struct err *err);
/*
 * Says that catalog_close() will follow soon: who opens the catalog from now on waits for that,
 * instead of being told that it is in use. Not needed; NULL is fine.
 */
void catalog_closing(struct catalog *c);
/* Checkpoints (WRITE) and frees; NULL is fine. An error of the last checkpoint is logged: the journal has everything. */
void catalog_close(struct catalog *c);
DEFINE_CLEANUP_PTR(struct catalog, catalog, catalog_close)

/*
 * Daemonising. The lock on the catalog survives a fork; a thread does not, and a lock that a thread
 * holds at the fork stays locked in the child. So the process that opened the catalog and is about
 * to fork calls catalog_before_fork(), which ends the checkpoint thread if commits have started
 * it; the child that goes on with the catalog calls catalog_owner_changed(), which writes its pid
 * into the lock file (for messages) and starts the thread; the parent leaves by _exit() and does
 * not close the catalog. In a process that does not fork, the first commit starts the thread.
 */
void catalog_before_fork(struct catalog *c);
/* 0, the error of writing the lock file where that is the only lock, or -EAGAIN: no thread, so nobody who flushes in time. */
int catalog_owner_changed(struct catalog *c);

/* Random per catalog, constant for its life: seed of name hashes, and so of directory cookies. */
uint64_t catalog_seed(const struct catalog *c);

/* A number for a new inode: no record of this catalog has ever had it, unless damage has lost that record. So a
 * snapshot, which reads data files where they are, finds those of its own inodes or none. */
uint64_t catalog_new_ino(struct catalog *c);

/*
 * Applies B whole, or nothing of it: 0, -ENOSPC, -EDQUOT, -EIO, -ENOMEM, -EROFS (snapshot), -EINVAL (an
 * adder was given a name or value of impossible length). A little space is kept back for batches
 * that remove names or inodes, so that a full disk can be emptied. Waits for the disk only when
 * checkpoints have not kept up with commits.
 */
int catalog_commit(struct catalog *c, const struct batch *b);

/*
 * For another change that frees space and failed with RC: true when there is room now, for a moment; take it back
 * after the second try. Always false where the file system needs no such thing.
 */
bool catalog_give_spare(struct catalog *c, int rc);
void catalog_take_spare(struct catalog *c);

/*
 * True when room that is kept for deletions was needed for one and is not there again: what takes space has to wait
 * until catalog_regain_spares() says true. Commits see to that themselves.
 */
bool catalog_lacks_spares(struct catalog *c);
bool catalog_regain_spares(struct catalog *c);

/*
 * Has the file system give out what was freed, where it does so only with its own next commit: false elsewhere. LENDS: together
 * with the room that is kept for deletions beyond what they must have.
 */
bool catalog_settle_space(struct catalog *c, bool lends);

/* Waits until everything committed so far is on the disk. Concurrent callers share the flush. */
int catalog_sync(struct catalog *c);

/* Commits the LMDB transaction durably and starts a new journal. Waits for the disk. */
int catalog_checkpoint(struct catalog *c);

/*
 * Batches are numbered from 1 up over the life of the catalog. The number of the last one that was
 * committed, and of the last one that a power cut cannot take any more.
 */
uint64_t catalog_committed(struct catalog *c);
uint64_t catalog_durable(struct catalog *c);

/*
 * What others do around each flush of records to the disk, whoever asked for it: catalog_sync(), a checkpoint, or the catalog's own
 * thread, which flushes every few seconds. But for is_behind() they are called from any thread, one at a time, without any lock of
 * the catalog held, and may call it, but for catalog_sync(), catalog_checkpoint() and catalog_close(). NULL is fine.
 */
struct catalog_hooks {
	/* Before: makes durable what the records that are committed by now depend on. A failure is
	 * the flush's failure, and nothing is flushed. */
	int (*before_flush)(void *arg);
	/* Under the catalog's lock, so it takes a leaf at most: has one come since, up to UPTO, that must wait for more? */
	bool (*is_behind)(void *arg, uint64_t upto);
	void (*catch_up)(void *arg);	/* then this flushes that; a few times at most */
	void (*after_flush)(void *arg); /* it has succeeded: catalog_durable() has risen */
	void *arg;
};
/* Before the first commit of a batch that needs them; NULL takes them away. Not while a thread flushes that is not the catalog's. */
void catalog_set_hooks(struct catalog *c, const struct catalog_hooks *hooks);
/* Has the catalog's thread flush soon (a tenth of a second), not in a few seconds. */
void catalog_flush_soon(struct catalog *c);

/*
 * True when the last owner did not close the catalog: it was killed, or the power was cut. It stays true for every open
 * until one has called the second function, which is for whoever has seen to all that such an end leaves beside the
 * records. Before another thread uses the catalog.
 */
bool catalog_was_unclean(const struct catalog *c);
void catalog_recovered(struct catalog *c);

/*
 * Calls EACH for every inode whose record was in the journal at the open, and in no checkpoint as
 * that of an inode with a data file, and is still there; more than once where it was changed there. An error of EACH ends the
 * walk and is returned; that a record cannot be read is returned behind the others. EACH may commit once the catalog is open.
 */
int catalog_each_replayed(struct catalog *c, int (*each)(void *arg, uint64_t ino), void *arg);

/*
 * Calls EACH for every inode that has a record, in the order of the numbers. Waits for the disk, as it
 * makes a checkpoint first. An error of EACH ends the walk and is returned. EACH may commit.
 */
int catalog_each_inode(struct catalog *c, int (*each)(void *arg, uint64_t ino), void *arg);

/* Removes what an owner that died may have left half made beside the catalog. */
void catalog_remove_leftovers(struct catalog *c);

/* Lookups: 0, -ENOENT, -EUCLEAN (a damaged record), -EIO. */
int catalog_entry(struct catalog *c, uint64_t parent, const char *name, size_t len,
		  struct entry_rec *ret_entry);
/* RET_REC is filled, with attr.ino; to be freed with inode_rec_done(). */
int catalog_inode(struct catalog *c, uint64_t ino, struct inode_rec *ret_rec);

/* Position of a name in listings: hash of the name with the catalog's seed, 3 .. 2^63 - 1. */
uint64_t catalog_name_hash(uint64_t seed, const char *name, size_t len);

/* One name of a listing. */
struct catalog_name {
	uint64_t hash; /* catalog_name_hash() */
	struct entry_rec entry;
	uint32_t name_off; /* into catalog_names.text */
	uint16_t name_len;
};

/* A piece of a listing; zeroed memory is empty. */
struct catalog_names {
	struct catalog_name *names; /* owned, in order of (hash, name) */
	size_t n;
	size_t cap;
	struct buf text;
	bool end; /* there are no more names after these */
};
void catalog_names_done(struct catalog_names *l);
DEFINE_CLEANUP(struct catalog_names, catalog_names, catalog_names_done)

/*
 * Names and whiteouts of PARENT with hash > AFTER (0: all), about MAX of them, but never only some
 * of those with one hash. RET_NAMES is emptied first (its memory is reused).
 */
int catalog_list(struct catalog *c, uint64_t parent, uint64_t after, size_t max,
		 struct catalog_names *ret_names);

/* Copies the value; -ENODATA; -ERANGE when SIZE > 0 is too small; SIZE 0 asks for the length.
 * Returns the length. */
ssize_t catalog_xattr(struct catalog *c, uint64_t ino, const char *name, void *value, size_t size);
/* Appends all names, each with its NUL. */
int catalog_xattr_names(struct catalog *c, uint64_t ino, struct buf *out);

/* Copies inline bytes from OFF on; returns how many (0 past the end). */
ssize_t catalog_inline(struct catalog *c, uint64_t ino, uint64_t off, void *bytes, size_t size);

/* One segment of a chunk map; all zero bits when there is none. */
int catalog_chunks(struct catalog *c, uint64_t ino, uint32_t segment, uint8_t *ret_bits);

/* The checksum of a data file; -ENOENT. */
int catalog_sum(struct catalog *c, uint64_t ino, struct sum_rec *ret_sum);

/* Appends the value of KEY; -ENOENT. */
int catalog_super(struct catalog *c, const char *key, struct buf *out);

/*
 * All orphans that the open found, for the owner of their data files; their records are deleted by
 * batch_del_inode() once the data files are. RET_INOS is an owned array.
 */
int catalog_orphans(struct catalog *c, uint64_t **ret_inos, size_t *ret_n);

/* Text: tables and sizes, for `plyfs` statistics and bug reports. */
void catalog_to_text(struct catalog *c, struct buf *out);

/* "LMDB 0.9.24". */
const char *catalog_library_version(void);

#endif
