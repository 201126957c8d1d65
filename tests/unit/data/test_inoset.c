/* SPDX-License-Identifier: Apache-2.0 */
/* The set of inode numbers against a plain array. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "data/inoset.h"
#include "unit/data/fixture.h"

#define RANGE 700

Test(inoset, like_an_array)
{
	CLEANUP(ino_set) struct ino_set s = {0};
	uint64_t seed = random_seed(1), random = seed, ino;
	bool in[RANGE] = {false};
	size_t i, at, n = 0;

	printf("PLYFS_TEST_SEED=%llu\n", (unsigned long long)seed);
	for (i = 0; i < 200000; i++) {
		uint64_t k = random_below(&random, RANGE);

		/* Neighbours, and numbers that are far apart: the second kind of each is a lower
		 * one's. */
		ino = (k & 1 ? k << 48 : 0) + k + 1;
		if (random_below(&random, 100) < (i / 20000 % 2 == 0 ? 60 : 40)) {
			ino_set_add(&s, ino);
			n += !in[k];
			in[k] = true;
		} else {
			ino_set_del(&s, ino);
			n -= in[k];
			in[k] = false;
		}
		cr_assert_eq(s.n, n);
		cr_assert_eq(ino_set_has(&s, ino), in[k]);
	}
	for (i = 0; i < RANGE; i++)
		cr_assert_eq(ino_set_has(&s, (i & 1 ? i << 48 : 0) + i + 1), in[i]);
	for (i = 0, at = 0; (ino = ino_set_next(&s, &at)) != 0; i++)
		cr_assert(in[(ino - 1) & 0xffff]);
	cr_assert_eq(i, n);
	cr_assert(!s.full);
}

Test(inoset, too_many)
{
	CLEANUP(ino_set) struct ino_set s = {0};
	CLEANUP(ino_set) struct ino_set t = {0};
	uint64_t i;

	for (i = 1; i <= INO_SET_MAX; i++)
		ino_set_add(&s, i);
	cr_assert(!s.full);
	ino_set_add(&s, 1);
	cr_assert(!s.full);
	ino_set_add(&s, i);
	cr_assert(s.full);
	cr_assert_eq(s.n, INO_SET_MAX);
	ino_set_move(&s, &t);
	cr_assert(t.full && !s.full && s.n == 0);
	cr_assert(!ino_set_has(&s, 1) && ino_set_has(&t, 1));
}
