/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of who was shown the attributes of directories. */
#include "front/shown.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOW 1000000

static struct shown s;

static void start(void)
{
	s = (struct shown){0};
}

static void show(uint64_t ino, pid_t pid, unsigned int now)
{
	shown_begin(&s);
	shown_note(&s, ino, pid, now);
	shown_end(&s);
}

Test(shown, one_alone_is_never_told)
{
	start();
	cr_expect_not(shown_to_others(&s, 5, 100, NOW));
	for (uint64_t ino = 1; ino < 100000; ino++) {
		show(ino, 100, NOW + (unsigned int)ino / 1000);
		cr_assert_not(shown_to_others(&s, ino, 100, NOW + (unsigned int)ino / 1000));
	}
}

Test(shown, another_who_saw_it_counts_for_ten_seconds)
{
	start();
	show(5, 200, NOW);
	cr_expect(shown_to_others(&s, 5, 100, NOW));
	cr_expect(shown_to_others(&s, 5, 100, NOW + 10));
	cr_expect_not(shown_to_others(&s, 5, 100, NOW + 12));
	cr_expect_not(shown_to_others(&s, 5, 200, NOW));
}

/* The kernel asks for the directory's attributes after each change of it. */
Test(shown, also_when_the_changer_saw_it_later)
{
	start();
	show(5, 200, NOW);
	for (unsigned int i = 0; i <= 10; i++) {
		show(5, 100, NOW + i);
		cr_expect(shown_to_others(&s, 5, 100, NOW + i));
	}
	show(5, 100, NOW + 12);
	cr_expect_not(shown_to_others(&s, 5, 100, NOW + 12));
}

Test(shown, and_when_it_was_one_of_three)
{
	start();
	show(5, 200, NOW);
	show(5, 300, NOW + 1);
	show(5, 300, NOW + 2);
	cr_expect(shown_to_others(&s, 5, 300, NOW + 2), "200 saw it");
	cr_expect(shown_to_others(&s, 5, 200, NOW + 2), "300 saw it");
}

Test(shown, an_answer_that_is_being_made_counts)
{
	start();
	shown_begin(&s);
	cr_expect(shown_to_others(&s, 5, 100, NOW));
	shown_end(&s);
	cr_expect_not(shown_to_others(&s, 5, 100, NOW));
}

/* Outside of our pid namespace all are 0. */
Test(shown, the_unknown_are_others)
{
	start();
	show(5, 0, NOW);
	cr_expect(shown_to_others(&s, 5, 0, NOW));
	cr_expect(shown_to_others(&s, 5, 100, NOW));
	cr_expect_not(shown_to_others(&s, 5, 0, NOW + 12));
}

Test(shown, a_clock_that_differs_by_a_second)
{
	start();
	show(5, 200, NOW + 1);
	cr_expect(shown_to_others(&s, 5, 100, NOW));
}

/* Directories that share a place are taken for each other, never forgotten. */
Test(shown, nothing_is_forgotten)
{
	unsigned int seed = (unsigned int)time(NULL);

	printf("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 200; round++) {
		uint64_t ino = (uint64_t)rand() << 20 | (uint64_t)rand();

		start();
		show(ino, 200, NOW);
		for (int i = 0; i < 5000; i++)
			show((uint64_t)rand(), 100, NOW + (unsigned int)i / 1000);
		cr_assert(shown_to_others(&s, ino, 100, NOW + 6), "inode %llu",
			  (unsigned long long)ino);
	}
}
