/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the comparison of two ways of serving. */
#include "front/trial.h"

#include <criterion/criterion.h>

static struct trial t;

/* N windows, each as long as its way takes; returns how many were led. */
static int run(int n, uint64_t leader_ns, uint64_t threads_ns)
{
	int led = 0;

	for (int i = 0; i < n; i++) {
		bool leader = trial_wants_leader(&t);

		led += leader;
		trial_window(&t, leader, leader ? leader_ns : threads_ns);
	}
	return led;
}

Test(trial, does_what_it_was_told_until_it_knows)
{
	trial_init(&t, true);
	cr_expect(trial_wants_leader(&t));
	trial_init(&t, false);
	cr_expect_not(trial_wants_leader(&t));
}

Test(trial, keeps_the_better_way)
{
	trial_init(&t, true);
	run(1000, 100, 200);
	cr_expect_geq(run(1000, 100, 200), 940);
	trial_init(&t, true);
	run(1000, 200, 100);
	cr_expect_leq(run(1000, 200, 100), 60);
}

/* Also early: a burst of a few hundred requests should not be lost to a bad guess. */
Test(trial, finds_it_soon)
{
	trial_init(&t, true);
	cr_expect_leq(run(100, 200, 100), 60);
	trial_init(&t, false);
	cr_expect_geq(run(100, 100, 200), 40);
}

Test(trial, notices_that_it_has_changed)
{
	trial_init(&t, true);
	run(2000, 100, 200);
	run(1000, 200, 100);
	cr_expect_leq(run(1000, 200, 100), 60);
}

Test(trial, a_small_difference_changes_nothing)
{
	trial_init(&t, true);
	for (int i = 0; i < 5000; i++) {
		bool leader = trial_wants_leader(&t);

		trial_window(&t, leader, leader ? 104 : 100);
		cr_expect(t.leader);
	}
}

Test(trial, windows_of_the_other_way_do_not_count)
{
	trial_init(&t, true);
	for (int i = 0; i < 1000; i++)
		trial_window(&t, false, 1);
	cr_expect(trial_wants_leader(&t));
	cr_expect_not(t.trying);
}

/* The window in which threads are woken, or sent to rest. */
Test(trial, the_window_after_a_change_does_not_count)
{
	bool before;

	trial_init(&t, true);
	before = trial_wants_leader(&t);
	for (int i = 0; i < 5000; i++) {
		bool leader = trial_wants_leader(&t);

		trial_window(&t, leader, leader != before ? 100000 : leader ? 100 : 200);
		before = leader;
	}
	cr_expect(t.leader);
	cr_expect_geq(run(1000, 100, 200), 940);
}
