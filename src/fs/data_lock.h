/* SPDX-License-Identifier: Apache-2.0 */
/* The locks on the bytes of inodes: one for each inode whose bytes are in use just now. */
#ifndef PLYFS_FS_DATA_LOCK_H
#define PLYFS_FS_DATA_LOCK_H

#include <pthread.h>
#include <stdint.h>

#include "base/cleanup.h"

#define DATA_LOCK_SHARDS 16
#define DATA_LOCK_SLOTS	 32

struct data_lock {
	struct data_lock_shard *shard;
	pthread_rwlock_t lock;
	uint64_t ino;
	uint32_t users; /* who hold it or wait for it; under the shard's lock */
};

struct data_lock_shard {
	pthread_mutex_t lock;
	struct data_lock slots[DATA_LOCK_SLOTS];
	struct data_lock *order[DATA_LOCK_SLOTS]; /* all slots; those with users first */
	unsigned int used;
};

/*
 * No inode's lock is another's, so that one whose bytes are waited for, on a file system that hangs, keeps no other
 * waiting. (Were there ever more users than slots, some would share: that costs waiting, never a deadlock, as nobody
 * holds two.)
 */
struct data_locks {
	struct data_lock_shard shards[DATA_LOCK_SHARDS];
};

int data_locks_init(struct data_locks *t);
void data_locks_done(struct data_locks *t);

/* Waits for the lock of INO; never NULL. To be released once. */
struct data_lock *data_lock_shared(struct data_locks *t, uint64_t ino);
struct data_lock *data_lock_exclusive(struct data_locks *t, uint64_t ino);
void data_lock_release(struct data_lock *lock); /* NULL is fine */
DEFINE_CLEANUP_PTR(struct data_lock, data_lock, data_lock_release)

#endif
