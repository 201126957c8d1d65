/* SPDX-License-Identifier: Apache-2.0 */
/* Times of data files that writing moved although they are to stay. */
#ifndef PLYFS_DATA_KEPT_H
#define PLYFS_DATA_KEPT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/table.h"

/*
 * A kernel that caches writes owns the times of the files that it caches: it knows when a program wrote, and says so
 * when it has written back, unless the clock has not ticked since the time that it knows; then it says nothing. So bytes that
 * come out of its cache must not move the mtime, and pwrite(2) into the data file does. To put it back after each write would be a
 * call more for each, in vain most times, as the kernel's word follows; and who dies between the two would
 * leave new bytes under an old time. So the time is kept here, shown instead of the file's, and put back once: when the
 * kernel lets go of the inode, at fsync(2) and at the close. After a crash a file shows the time at which its bytes
 * arrived.
 *
 * An entry says: the data file's mtime is not meant, this one is. It is made before the bytes change, and goes when
 * somebody sets the time or writes otherwise. Threads: all functions from any thread; no system call is made under the
 * lock, which is a leaf.
 */
struct kept {
	pthread_mutex_t lock;
	struct table mtimes; /* by inode number; protected by lock */
	atomic_size_t n;     /* of them: mostly none */
};

struct data;
struct fdref;
struct inode_rec;

/* 0 or -ENOMEM. */
int kept_init(struct kept *k);
void kept_done(struct kept *k);

/* [S] REF's bytes are about to be replaced by cached ones: remembers the mtime of now, unless one is remembered. */
void kept_before_change(struct data *d, const struct inode_rec *rec, struct fdref *ref);
/* [X] REC's data file is new: it has the record's mtime. */
void kept_moved(struct data *d, const struct inode_rec *rec);
/* The data file's own mtime counts from now on. Call it before that is changed. */
void kept_drop(struct data *d, uint64_t ino);
/* True and the mtime to be shown; false when the data file's is. */
bool kept_find(struct data *d, uint64_t ino, struct timespec *ret_mtime);

#endif
