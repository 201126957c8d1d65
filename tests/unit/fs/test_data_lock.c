/* SPDX-License-Identifier: Apache-2.0 */
/* Locks on the bytes of inodes. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "fs/data_lock.h"

static struct data_locks *make(void)
{
	struct data_locks *t = calloc(1, sizeof(*t));

	cr_assert_eq(data_locks_init(t), 0);
	return t;
}

static void *take_many(void *arg)
{
	for (uint64_t ino = 2; ino < 5000; ino++)
		data_lock_release(data_lock_exclusive(arg, ino));
	return NULL;
}

Test(lock, one_that_is_held_keeps_no_other_waiting)
{
	struct data_locks *t = make();
	struct data_lock *held[6];
	pthread_t thread;

	for (uint64_t i = 0; i < 6; i++)
		held[i] = data_lock_exclusive(t, 10000 + i);
	pthread_create(&thread, NULL, take_many, t);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < 6; i++)
		data_lock_release(held[i]);
	data_locks_done(t);
	free(t);
}

Test(lock, shared_with_its_like)
{
	struct data_locks *t = make();
	struct data_lock *a = data_lock_shared(t, 7), *b = data_lock_shared(t, 7);

	cr_assert_eq(a, b);
	data_lock_release(a);
	cr_assert_eq(data_lock_shared(t, 7), b, "it is still in use");
	data_lock_release(b);
	data_lock_release(b);
	for (size_t i = 0; i < DATA_LOCK_SHARDS; i++)
		cr_assert_eq(t->shards[i].used, 0);
	data_locks_done(t);
	free(t);
}

/* More than a shard has slots: they share, and all come free again. */
Test(lock, more_than_there_are)
{
	struct data_lock *held[DATA_LOCK_SLOTS + 8];
	struct data_locks *t = make();
	struct data_lock_shard *shard = NULL;

	for (uint64_t ino = 0, n = 0; n < DATA_LOCK_SLOTS + 8; ino++) {
		struct data_lock *lock = data_lock_shared(t, ino);

		if (shard == NULL || lock->shard == shard) {
			shard = lock->shard;
			held[n++] = lock;
		} else {
			data_lock_release(lock);
		}
	}
	cr_assert_eq(shard->used, DATA_LOCK_SLOTS);
	for (size_t i = 0; i < DATA_LOCK_SLOTS + 8; i++)
		data_lock_release(held[i]);
	cr_assert_eq(shard->used, 0);
	data_locks_done(t);
	free(t);
}

struct counting {
	struct data_locks *t;
	unsigned long n[3]; /* each under the lock of its number */
};

static void *count(void *arg)
{
	struct counting *c = arg;

	for (unsigned int i = 0; i < 30000; i++) {
		struct data_lock *lock = data_lock_exclusive(c->t, i % 3);

		c->n[i % 3]++;
		data_lock_release(lock);
	}
	return NULL;
}

Test(lock, keeps_threads_apart)
{
	struct counting c = {.t = make()};
	pthread_t threads[4];

	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, count, &c);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(c.n[i], 40000);
	data_locks_done(c.t);
	free(c.t);
}
