/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums of data files: when one is taken, when it is dropped, how it is checked. */
#ifndef PLYFS_DATA_SUMS_H
#define PLYFS_DATA_SUMS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/records.h"

/*
 * The sum of a data file is over its bytes from the first to the last, holes as zeros, whatever the chunk
 * map says of them: so it can be checked without the lower layers. Up to DATA_SUM_PIECE bytes it is their
 * XXH3-128; of a longer file it is the XXH3-128 of the XXH3-128s (16 bytes each: low half, high
 * half, little-endian) of its pieces of DATA_SUM_PIECE bytes, so that a hole costs next to nothing.
 *
 * A sum that is in the catalog is true whatever happens. It is taken of bytes that are on the disk, and
 * before these are changed in place, through any mount, it is deleted; replacing bytes even waits until a
 * power cut cannot bring it back, once, for the first write after a sum. The size and mtime that go with
 * it are a second guard, against changes made behind our back: with others it is stale and says
 * nothing.
 */
struct data;
struct fdref;
struct inode_rec;

#define DATA_SUM_PIECE ((uint64_t)1 << 20)
/* Longer files, which can only be holes in the main, get no sum. */
#define DATA_SUM_SIZE_MAX ((uint64_t)1 << 46)

/* fsck */

enum data_sum_state {
	DATA_SUM_NONE,	   /* there is no sum */
	DATA_SUM_STALE,	   /* it belongs to another size or mtime: the bytes are not known */
	DATA_SUM_OK,	   /* the bytes are those that were summed */
	DATA_SUM_MISMATCH, /* same size and mtime, other bytes: they have rotted */
};
/*
 * Reads the data file of INO and compares. Needs nothing but the catalog and the data files, and
 * works on snapshots. -ENOENT: no data file; -EIO and its kin: it cannot be read.
 */
int data_sum_check(struct data *d, uint64_t ino, enum data_sum_state *ret_state);

/* Taking sums */

/*
 * The files that were changed since the last call: a sorted array, the caller's. RET_ALL: there were
 * too many to remember them all. Only with data_options.keep_sums.
 */
int data_sums_changed(struct data *d, uint64_t **ret_inos, size_t *ret_n, bool *ret_all);

/* One sum being taken: begin, hash without locks, end. Zeroed memory is none. */
struct data_sum_job {
	struct fdref *ref; /* owned */
	struct sum_rec sum;
};
void data_sum_job_done(struct data_sum_job *job);
DEFINE_CLEANUP(struct data_sum_job, data_sum_job, data_sum_job_done)

/* [X] 1 and the job; 0 when the sum in the catalog is the file's, or it can have none. */
int data_sum_begin(struct data *d, const struct inode_rec *rec, struct data_sum_job *ret_job);
/*
 * The caller has made the bytes durable since the beginning. Gives up when the file changes, and
 * when GIVE_UP, asked every few hundred microseconds, says so: -ECANCELED.
 */
int data_sum_hash(struct data *d, struct data_sum_job *job, bool (*give_up)(void *arg), void *arg);
/* [X] Commits the sum: 1; 0 when the file has changed since the beginning. */
int data_sum_end(struct data *d, struct data_sum_job *job);

/* Inside data/ */

struct sums {
	bool keep;
	pthread_mutex_t lock;	/* protects what follows; the catalog is called under it */
	_Atomic uint64_t epoch; /* of the set, as in sync.h */
	uint64_t *changed;	/* owned; may hold a number twice */
	size_t n, cap;
	bool all;
	uint64_t dropped; /* number of the last batch that deleted a sum */
	_Atomic uint64_t taken, hashed_bytes;
};
void sums_init(struct sums *s, bool keep);
void sums_done(struct sums *s);

/*
 * [S] Before bytes of REF's file change in place, or its length, from the offset FROM on.
 */
void sums_before_change(struct data *d, struct fdref *ref, uint64_t from);
/* [S] REF's file is new, or its mtime has been set. */
void sums_note(struct data *d, struct fdref *ref);

#endif
