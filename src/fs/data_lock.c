/* SPDX-License-Identifier: Apache-2.0 */
/* Locks that are given out to inodes for as long as they are used. */
#include "fs/data_lock.h"

#include "base/hash.h"

int data_locks_init(struct data_locks *t)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < DATA_LOCK_SHARDS; i++) {
		struct data_lock_shard *s = &t->shards[i];

		r = -pthread_mutex_init(&s->lock, NULL);
		for (size_t k = 0; r == 0 && k < DATA_LOCK_SLOTS; k++) {
			s->slots[k].shard = s;
			s->order[k] = &s->slots[k];
			r = -pthread_rwlock_init(&s->slots[k].lock, NULL);
		}
	}
	return r;
}

void data_locks_done(struct data_locks *t)
{
	for (size_t i = 0; i < DATA_LOCK_SHARDS; i++) {
		for (size_t k = 0; k < DATA_LOCK_SLOTS; k++)
			pthread_rwlock_destroy(&t->shards[i].slots[k].lock);
		pthread_mutex_destroy(&t->shards[i].lock);
	}
}

/* Few are in use at a time, one a thread: they are looked through. */
static struct data_lock *take(struct data_locks *t, uint64_t ino)
{
	struct data_lock_shard *s = &t->shards[hash_number(ino) % DATA_LOCK_SHARDS];
	struct data_lock *lock = NULL;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; lock == NULL && i < s->used; i++) {
		if (s->order[i]->ino == ino)
			lock = s->order[i];
	}
	if (lock == NULL && s->used == DATA_LOCK_SLOTS)
		lock = s->order[ino % DATA_LOCK_SLOTS];
	if (lock == NULL) {
		lock = s->order[s->used++];
		lock->ino = ino;
	}
	lock->users++;
	pthread_mutex_unlock(&s->lock);
	return lock;
}

struct data_lock *data_lock_shared(struct data_locks *t, uint64_t ino)
{
	struct data_lock *lock = take(t, ino);

	pthread_rwlock_rdlock(&lock->lock);
	return lock;
}

struct data_lock *data_lock_exclusive(struct data_locks *t, uint64_t ino)
{
	struct data_lock *lock = take(t, ino);

	pthread_rwlock_wrlock(&lock->lock);
	return lock;
}

/* Out of those with users; the last of them takes its place. */
static void give_back(struct data_lock_shard *s, struct data_lock *lock)
{
	unsigned int i = 0;

	while (s->order[i] != lock)
		i++;
	s->order[i] = s->order[--s->used];
	s->order[s->used] = lock;
}

void data_lock_release(struct data_lock *lock)
{
	struct data_lock_shard *s;

	if (lock == NULL)
		return;
	s = lock->shard;
	pthread_rwlock_unlock(&lock->lock);
	pthread_mutex_lock(&s->lock);
	if (--lock->users == 0)
		give_back(s, lock);
	pthread_mutex_unlock(&s->lock);
}
