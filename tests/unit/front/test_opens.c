/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the table of open files. */
#include "front/opens.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

static struct opens t;

static void begin(void)
{
	cr_assert_eq(opens_init(&t), 0);
}

static void end(void)
{
	opens_done(&t);
}

TestSuite(opens, .init = begin, .fini = end);

Test(opens, the_first_decides_until_the_last_is_gone)
{
	int id = -1;

	cr_expect_not(opens_join(&t, 7, &id));
	cr_expect_eq(id, -1);
	cr_assert_eq(opens_add(&t, 7, 11, &id), 0);
	cr_expect_eq(id, 11);
	cr_assert_eq(opens_add(&t, 7, 12, &id), 0);
	cr_expect_eq(id, 11);
	cr_assert(opens_join(&t, 7, &id));
	cr_expect_eq(id, 11);
	cr_expect_eq(opens_drop(&t, 7), OPENS_CACHED);
	cr_expect_eq(opens_drop(&t, 7), OPENS_CACHED);
	cr_expect_eq(opens_drop(&t, 7), 11);
	cr_expect_not(opens_join(&t, 7, &id));
}

Test(opens, what_is_cached_stays_cached)
{
	int id = -1;

	cr_assert_eq(opens_add(&t, 1, OPENS_CACHED, &id), 0);
	cr_assert_eq(opens_add(&t, 1, 5, &id), 0);
	cr_expect_eq(id, OPENS_CACHED);
	cr_expect_eq(opens_drop(&t, 1), OPENS_CACHED);
	cr_expect_eq(opens_drop(&t, 1), OPENS_CACHED);
	cr_assert_eq(opens_add(&t, 1, 5, &id), 0);
	cr_expect_eq(id, 5);
}

Test(opens, inodes_are_told_apart)
{
	int id;

	for (int i = 1; i <= 1000; i++) {
		cr_assert_eq(opens_add(&t, (uint64_t)i << 40, i, &id), 0);
		cr_assert_eq(id, i);
	}
	for (int i = 1; i <= 1000; i++)
		cr_assert_eq(opens_drop(&t, (uint64_t)i << 40), i);
	cr_expect_eq(t.table.count, 0);
}

/* A RELEASE that belongs to no open: nothing happens. */
Test(opens, one_release_too_many)
{
	int id;

	cr_expect_eq(opens_drop(&t, 3), OPENS_CACHED);
	cr_assert_eq(opens_add(&t, 3, 1, &id), 0);
	cr_expect_eq(opens_drop(&t, 3), 1);
	cr_expect_eq(opens_drop(&t, 3), OPENS_CACHED);
}

static atomic_int next_id, live;

/* As passthrough_open() does it; an id is used by nobody who was told another one meanwhile. */
static void *open_and_close(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		uint64_t ino = (uint64_t)(i % 3);
		int id;

		if (!opens_join(&t, ino, &id)) {
			int fresh = atomic_fetch_add(&next_id, 1) + 1;

			atomic_fetch_add(&live, 1);
			cr_assert_eq(opens_add(&t, ino, fresh, &id), 0);
			if (id != fresh)
				atomic_fetch_sub(&live, 1);
		}
		if (opens_drop(&t, ino) != OPENS_CACHED)
			atomic_fetch_sub(&live, 1);
	}
	return NULL;
}

Test(opens, no_id_is_lost_between_threads)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, open_and_close, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(atomic_load(&live), 0);
	cr_expect_eq(t.table.count, 0);
}
