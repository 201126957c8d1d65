/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of data/ share. Nobody else includes this. */
#ifndef PLYFS_DATA_PRIVATE_H
#define PLYFS_DATA_PRIVATE_H

#include <stdatomic.h>

#include "data/data.h"
#include "data/fdcache.h"
#include "data/kept.h"
#include "data/order.h"
#include "data/reaper.h"
#include "data/sums.h"
#include "data/sync.h"

/* Events since the store was opened; for people, and for tests that count bytes. */
struct data_stats {
	_Atomic uint64_t copied_bytes; /* of old content, by any means that takes time */
	_Atomic uint64_t filled_chunks;
	_Atomic uint64_t moved_inline, moved_whole, moved_chunks, reflinks; /* files */
	_Atomic uint64_t ahead_bytes; /* of chunks that were copied to spare flushes */
};

struct data {
	int dirfd;		 /* owned */
	struct catalog *catalog; /* borrowed */
	bool read_only;
	bool coarse; /* the file system keeps no nanoseconds */
	bool no_sync;
	uint8_t chunk_shift;
	uint32_t whole_max;
	struct fdcache *fds; /* owned */
	struct unsynced unsynced;
	struct sums sums;
	struct order order;
	struct reaper reaper;
	struct kept kept;
	struct data_stats stats;
};

/* R of a look at a data file that a record says is there: where there is none, or no file, a log line and -EIO. */
int datafile_missing(uint64_t ino, int r);
/* Gives the data file itself an mtime, as times_set() does. 0 or -errno. */
int datafile_set_mtime(struct data *d, struct fdref *ref, const struct timespec *mtime);
/* As fdcache_get() of a file that REC says is there: a missing one is -EIO and a log line. */
int datafile_get(struct data *d, uint64_t ino, struct fdref **ret_ref);

/*
 * datafile.c: one data file. All transfers are whole: short ones are continued, interrupted ones
 * repeated. Offsets and sizes were checked by the callers.
 */

/* Returns how many bytes were there, or -errno. */
ssize_t datafile_pread(int fd, void *bytes, size_t size, uint64_t off);
int datafile_pwrite(int fd, const void *bytes, size_t size, uint64_t off);
int datafile_write_zeros(int fd, uint64_t off, uint64_t end);
int datafile_size(int fd, uint64_t *ret_size);
/* A flush that this takes is noted when it fails, as any other (sync.c). */
int datafile_resize(struct data *d, struct fdref *ref, uint64_t size);
/* A failed change may have made the file longer: SIZE was its length. */
void datafile_undo_growth(struct data *d, struct fdref *ref, uint64_t size);
/* Writes, and takes the file back to its old length when that fails. Locks REF->growing. */
int datafile_write(struct data *d, struct fdref *ref, const void *bytes, size_t size, uint64_t off);

/*
 * times.c: does the file system of this directory of ours keep whole seconds only, or less? Tries
 * it out on the directory unless READ_ONLY.
 */
bool times_are_coarse(int dirfd, bool read_only);
/* Must the record be told MTIME, since the data file cannot keep it for certain? */
bool times_need_record(const struct data *d, const struct timespec *mtime);
/*
 * Gives the data file FD an mtime; where its file system cannot keep that century, one that stands for "as the record
 * says". 0 or -errno.
 */
int times_set(int fd, const struct timespec *mtime);
/*
 * MTIME is a data file's: makes it what was set. Whenever a time is set that the file may not keep the record is told, too, so
 * what the record says is meant when the file's is that of times_set(), and, where times are COARSE, as long as the file's
 * may be a rounded copy of it. It is also meant when times_in_record() says so.
 */
void times_refine(const struct inode_rec *rec, bool coarse, struct timespec *mtime);
/* Does the data file, with MTIME, still have the one that REC has replaced? */
bool times_in_record(const struct inode_rec *rec, const struct timespec *mtime);
/* Bytes of REF have changed: sees to it that the file's own mtime counts, which may be that one again, in one tick of the clock. */
void times_moved(const struct inode_rec *rec, struct fdref *ref);

/*
 * copy.c: LEN bytes of SRC from OFF on, to TO at TO_OFF. What is a hole in SRC becomes one in TO,
 * whatever TO held there. -EIO when SRC ends early. COPIED (may be NULL) counts bytes that are not
 * holes.
 */
int copy_from(const struct data_source *src, uint64_t off, int to, uint64_t to_off, uint64_t len,
	      _Atomic uint64_t *copied);
/* Makes TO share all bytes of FROM. False when the file system cannot; TO is then still empty. */
bool copy_reflink(int from, int to);

/* sum_file.c: the sum of SIZE bytes; -ESTALE when there are fewer, -ECANCELED. GIVE_UP: NULL is fine. */
int sum_of_file(int fd, uint64_t size, bool (*give_up)(void *arg), void *arg,
		struct hash128 *ret_hash);

/* inline.c: the content of a small file, zeros up to CONTENT's DATA_INLINE_MAX bytes. */
int inline_load(struct data *d, const struct inode_rec *rec, uint8_t *ret_content);
/* The same of a small lower file. */
int inline_from_lower(const struct inode_rec *rec, const struct data_source *src,
		      uint8_t *ret_content);

/*
 * SIZE bytes of a lower file, which must all be there: one that has become shorter than its record
 * says is damaged (-EIO), and must not turn into zeros without a word.
 */
int source_read(const struct data_source *src, void *bytes, size_t size, uint64_t off);

#endif
