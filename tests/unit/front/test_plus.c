/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the choice whether listings carry attributes. */
#include "front/plus.h"

#include <criterion/criterion.h>

static struct plus p;
static uint64_t dir;

static void start(void)
{
	plus_init(&p);
	dir = 1000;
}

/* An answer with N names of the next directory; the first LOOKED_UP are looked up if it has no attributes. */
static bool answer(size_t n, size_t looked_up)
{
	bool with = plus_wanted(&p);

	plus_listed(&p, ++dir, n, with);
	for (size_t i = 0; i < looked_up && !with; i++)
		plus_looked_up(&p, dir);
	return with;
}

/* How many of COUNT answers had attributes. */
static int answers(int count, size_t n, size_t looked_up)
{
	int with = 0;

	for (int i = 0; i < count; i++)
		with += answer(n, looked_up);
	return with;
}

/* Nobody looks names up, until attributes are left out. */
static void turn_off(void)
{
	answers(100, 100, 0);
	cr_assert_not(answer(100, 0));
	cr_assert_not(answer(100, 0));
}

Test(plus, tries_one_answer_in_so_many_without)
{
	start();
	cr_expect_eq(answers(16, 100, 100), 16);
	cr_expect_not(answer(100, 100));
	cr_expect_eq(answers(16, 100, 100), 16);
	cr_expect_not(answer(100, 100));
	plus_done(&p);
}

Test(plus, names_that_are_looked_up_keep_their_attributes)
{
	start();
	cr_expect_geq(answers(10000, 100, 25), 10000 * 63 / 65);
	cr_expect_lt(answers(10000, 100, 25), 10000, "it is tried for ever");
	plus_done(&p);
}

Test(plus, names_that_nobody_looks_up_lose_them)
{
	start();
	/* Four are tried, each after sixteen with; it is decided when the next one is due. */
	cr_expect_eq(answers(4 * 17 + 16, 100, 24), 5 * 16);
	cr_expect_eq(answers(1000, 100, 0), 0);
	plus_done(&p);
}

Test(plus, a_few_names_are_no_reason)
{
	start();
	/* 256 names are in 32 answers of eight. */
	cr_expect_eq(answers(32 * 17 + 16, 8, 0), 33 * 16);
	cr_expect_eq(answers(1000, 8, 0), 0);
	plus_done(&p);
}

Test(plus, neither_is_one_large_directory)
{
	start();
	cr_expect_eq(answers(3 * 17, 1000, 0), 3 * 16);
	cr_expect(answer(1000, 0));
	plus_done(&p);
}

/* fts(3) reads all names, and then looks at them. */
Test(plus, look_ups_may_come_late)
{
	start();
	for (int i = 0; i < 4 * 17; i++)
		plus_listed(&p, 7, 100, plus_wanted(&p));
	for (int i = 0; i < 400; i++)
		plus_looked_up(&p, 7);
	cr_expect(plus_wanted(&p));
	plus_done(&p);
}

Test(plus, look_ups_bring_attributes_back)
{
	start();
	turn_off();
	cr_expect_not(answer(100, 0));
	for (int i = 0; i < 1000; i++)
		plus_looked_up(&p, 5);
	cr_expect_not(answer(100, 0), "look-ups in a directory that was not listed");
	answers(10, 100, 100);
	cr_expect(answer(100, 100));
	plus_done(&p);
}

Test(plus, what_was_long_ago_does_not_keep_them_away)
{
	start();
	turn_off();
	answers(100000, 190, 0);
	cr_expect_not(answer(190, 190));
	cr_expect_geq(answers(6, 190, 190), 3);
	plus_done(&p);
}

Test(plus, small_directories_bring_them_back_too)
{
	start();
	turn_off();
	for (int i = 0; i < 200 && !answer(3, 3); i++)
		continue;
	cr_expect(answer(3, 3));
	plus_done(&p);
}

Test(plus, a_look_up_now_and_then_does_not)
{
	start();
	turn_off();
	cr_expect_eq(answers(1000, 100, 10), 0);
	plus_done(&p);
}

Test(plus, the_end_of_a_directory_does_not_count)
{
	start();
	cr_expect_eq(answers(100, 0, 0), 100);
	cr_expect_eq(answers(16, 10, 10), 16);
	cr_expect_not(answer(0, 0));
	cr_expect_not(answer(10, 10), "the one that was to be tried had no names");
	cr_expect(answer(10, 10));
	plus_done(&p);
}

/* As after a tree was made: the kernel knows its names, so who looks at them asks for their attributes. */
static bool answer_of_known(size_t n, size_t asked_for)
{
	bool with = plus_wanted(&p);

	plus_listed(&p, ++dir, n, with);
	for (size_t i = 0; i < n && !with; i++)
		plus_left_out(&p, dir * 1000 + i);
	for (size_t i = 0; i < asked_for && !with; i++)
		plus_asked_for(&p, dir * 1000 + i);
	return with;
}

Test(plus, names_that_are_asked_for_keep_their_attributes)
{
	int with = 0;

	start();
	for (int i = 0; i < 10000; i++)
		with += answer_of_known(100, 30);
	cr_expect_geq(with, 10000 * 63 / 65);
	plus_done(&p);
}

Test(plus, who_asks_for_them_gets_them_back)
{
	int with = 0;

	start();
	turn_off();
	for (int i = 0; i < 100; i++)
		with += answer_of_known(100, 100);
	cr_expect_geq(with, 80);
	plus_done(&p);
}

Test(plus, one_that_is_asked_for_again_and_again_counts_once)
{
	start();
	for (int i = 0; i < 1000; i++) {
		bool with = answer_of_known(100, 0);

		for (int j = 0; j < 200 && !with; j++)
			plus_asked_for(&p, dir * 1000);
	}
	cr_expect_not(answer_of_known(100, 0));
	cr_expect_not(answer_of_known(100, 0));
	plus_done(&p);
}
