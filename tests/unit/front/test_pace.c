/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the choice of how requests are served. */
#include "front/pace.h"

#include <criterion/criterion.h>
#include <limits.h>

static const struct pace_seen idle_machine = {.reachable = true};
static const struct pace_seen full_machine = {.reachable = true, .crowded = true};
static const struct pace_seen unreachable = {0};

static struct pace p;
static uint64_t now;

static void start(enum front_loop loop, bool may_idle)
{
	now = 1000 * PACE_MS;
	pace_init(&p, loop, may_idle, now);
}

/* Requests of CLIENTS in turn until a window is full, SLOW of them slow; it lasts NS. */
static enum pace_mode window(int clients, unsigned int slow, uint64_t ns,
			     const struct pace_seen *seen)
{
	bool full = false;

	for (int i = 0; !full; i++) {
		struct request r = {.pid = 100 + i % clients, .slow = (unsigned int)i < slow};

		cr_assert_lt(i, PACE_WINDOW);
		full = pace_request(&p, &r);
	}
	now += ns;
	return pace_decide(&p, seen, now);
}

static enum pace_mode burst(const struct pace_seen *seen)
{
	return window(1, 0, PACE_MS, seen);
}

Test(pace, rests_in_threads)
{
	start(FRONT_LOOP_AUTO, true);
	cr_expect_eq(p.mode, PACE_THREADS);
	cr_expect_eq(window(1, 0, 1000 * PACE_MS, &idle_machine), PACE_THREADS);
}

Test(pace, one_client_is_followed)
{
	start(FRONT_LOOP_AUTO, true);
	cr_expect_eq(burst(&idle_machine), PACE_FOLLOW_IDLE);
	cr_expect_eq(burst(&idle_machine), PACE_FOLLOW_IDLE);
	cr_expect_eq(window(1, 0, 1000 * PACE_MS, &idle_machine), PACE_THREADS);
	cr_expect_eq(p.served[PACE_THREADS], PACE_WINDOW);
	cr_expect_eq(p.served[PACE_FOLLOW_IDLE], 2 * PACE_WINDOW);
}

Test(pace, not_without_a_thread_under_sched_idle)
{
	start(FRONT_LOOP_AUTO, false);
	cr_expect_eq(burst(&idle_machine), PACE_FOLLOW);
}

/* Without /proc, in another pid namespace, or on a CPU that we may not use. */
Test(pace, who_cannot_be_reached_is_not_followed)
{
	start(FRONT_LOOP_AUTO, true);
	cr_expect_eq(burst(&unreachable), PACE_THREADS);
	burst(&idle_machine);
	cr_expect_eq(burst(&unreachable), PACE_THREADS);
}

Test(pace, several_clients_get_threads)
{
	start(FRONT_LOOP_AUTO, true);
	cr_expect_eq(window(2, 0, PACE_MS, &idle_machine), PACE_THREADS);
	cr_expect_eq(burst(&idle_machine), PACE_FOLLOW_IDLE);
	/* One window may be chance. */
	cr_expect_eq(window(2, 0, PACE_MS, &idle_machine), PACE_FOLLOW_IDLE);
	cr_expect_eq(window(4, 0, PACE_MS, &idle_machine), PACE_THREADS);
}

/* A shell's children come one after the other. */
Test(pace, one_client_after_the_other_is_followed)
{
	start(FRONT_LOOP_AUTO, true);
	for (int i = 0; i < PACE_WINDOW; i++) {
		struct request r = {.pid = i < 7 ? 100 : i < 12 ? 101 : 102};

		pace_request(&p, &r);
	}
	cr_expect_eq(p.last, 102);
	cr_expect_eq(pace_decide(&p, &idle_machine, now + PACE_MS), PACE_FOLLOW_IDLE);
}

Test(pace, what_nobody_waits_for_does_not_count)
{
	struct request behind = {.pid = 7, .background = true};

	start(FRONT_LOOP_AUTO, true);
	for (int i = 0; i < 10 * PACE_WINDOW; i++)
		cr_expect_not(pace_request(&p, &behind));
	cr_expect_eq(burst(&idle_machine), PACE_FOLLOW_IDLE);
}

Test(pace, slow_requests_get_threads)
{
	start(FRONT_LOOP_AUTO, true);
	cr_expect_eq(window(1, 1, PACE_MS, &idle_machine), PACE_FOLLOW_IDLE);
	cr_expect_eq(window(1, 2, PACE_MS, &idle_machine), PACE_THREADS);
}

Test(pace, a_full_machine_gets_a_leader_of_the_usual_class)
{
	enum pace_mode mode = PACE_FOLLOW_IDLE;
	int windows = 0;

	start(FRONT_LOOP_AUTO, true);
	/* Of which class, not whether. */
	p.trial.wait = UINT_MAX;
	burst(&idle_machine);
	/* Not for a glimpse. */
	cr_expect_eq(burst(&full_machine), PACE_FOLLOW_IDLE);
	cr_expect_eq(burst(&idle_machine), PACE_FOLLOW_IDLE);
	for (; mode == PACE_FOLLOW_IDLE && windows < 100; windows++)
		mode = burst(&full_machine);
	cr_expect_eq(mode, PACE_FOLLOW);
	cr_expect_lt(windows, 10);
	/* Half full stays as it is. */
	for (int i = 0; i < 50; i++) {
		cr_expect_eq(burst(&full_machine), PACE_FOLLOW);
		mode = burst(&idle_machine);
	}
	cr_expect_eq(mode, PACE_FOLLOW);
	for (windows = 0; mode == PACE_FOLLOW && windows < 100; windows++)
		mode = burst(&idle_machine);
	cr_expect_eq(mode, PACE_FOLLOW_IDLE);
	cr_expect_lt(windows, 10);
}

Test(pace, a_full_machine_at_the_start)
{
	start(FRONT_LOOP_AUTO, true);
	cr_expect_eq(burst(&full_machine), PACE_FOLLOW);
}

static void stuck(bool starved)
{
	pace_stuck(&p, starved, now);
	p.mode = PACE_THREADS;
}

/* From NOW on: how long the mode is not MODE. */
static uint64_t until(enum pace_mode mode)
{
	uint64_t begin = now;

	while (burst(&idle_machine) != mode)
		cr_assert_lt(now - begin, 100000 * PACE_MS);
	return now - begin;
}

Test(pace, a_leader_that_waits_for_a_disk)
{
	uint64_t first, second;

	start(FRONT_LOOP_AUTO, true);
	burst(&idle_machine);
	stuck(false);
	first = until(PACE_FOLLOW_IDLE);
	cr_expect_geq(first, 10 * PACE_MS);
	stuck(false);
	second = until(PACE_FOLLOW_IDLE);
	cr_expect_gt(second, first);
	for (int i = 0; i < 20; i++) {
		stuck(false);
		second = until(PACE_FOLLOW_IDLE);
	}
	cr_expect_leq(second, 2000 * PACE_MS);
	/* After a long time without, it begins anew. */
	now += 100000 * PACE_MS;
	burst(&idle_machine);
	burst(&idle_machine);
	stuck(false);
	cr_expect_leq(until(PACE_FOLLOW_IDLE), first);
}

Test(pace, a_leader_that_starves)
{
	uint64_t first;

	start(FRONT_LOOP_AUTO, true);
	burst(&idle_machine);
	stuck(true);
	/* One of the usual class at once, another under SCHED_IDLE later. */
	cr_expect_leq(until(PACE_FOLLOW), 2 * PACE_MS);
	first = until(PACE_FOLLOW_IDLE);
	cr_expect_geq(first, 100 * PACE_MS);
	stuck(true);
	cr_expect_gt(until(PACE_FOLLOW_IDLE), first);
}

/* As much time as BY_LEADER says for a window with a leader, BY_THREADS without: windows led of 500. */
static int led_of_500(uint64_t by_leader, uint64_t by_threads)
{
	int led = 0;

	start(FRONT_LOOP_AUTO, true);
	burst(&idle_machine);
	for (int i = 0; i < 500; i++) {
		led += p.mode != PACE_THREADS;
		window(1, 0, p.mode != PACE_THREADS ? by_leader : by_threads, &idle_machine);
	}
	return led;
}

Test(pace, a_leader_leads_where_that_is_faster)
{
	cr_expect_geq(led_of_500(PACE_MS, 2 * PACE_MS), 400);
	cr_expect_leq(led_of_500(2 * PACE_MS, PACE_MS), 100);
}

/* Who asks for a leader gets one. */
Test(pace, loop_follow_compares_nothing)
{
	start(FRONT_LOOP_FOLLOW, true);
	burst(&idle_machine);
	for (int i = 0; i < 500; i++)
		cr_expect_eq(window(1, 0, 7 * PACE_MS, &idle_machine), PACE_FOLLOW_IDLE);
}

Test(pace, loop_follow_has_a_leader_whatever_comes)
{
	start(FRONT_LOOP_FOLLOW, true);
	cr_expect_eq(p.mode, PACE_THREADS);
	cr_expect_eq(burst(&unreachable), PACE_FOLLOW);
	cr_expect_eq(window(4, 16, 1000 * PACE_MS, &full_machine), PACE_FOLLOW);
	stuck(false);
	cr_expect_eq(burst(&idle_machine), PACE_FOLLOW);
	now += 1000 * PACE_MS;
	burst(&idle_machine);
	cr_expect_eq(burst(&idle_machine), PACE_FOLLOW_IDLE);
}

Test(pace, loop_threads_has_none)
{
	start(FRONT_LOOP_THREADS, true);
	for (int i = 0; i < 10; i++)
		cr_expect_eq(burst(&idle_machine), PACE_THREADS);
	stuck(true);
	cr_expect_eq(burst(&idle_machine), PACE_THREADS);
}

Test(pace, names)
{
	cr_expect_str_eq(pace_mode_name(PACE_THREADS), "threads");
	cr_expect_str_eq(pace_mode_name(PACE_FOLLOW), "follow");
	cr_expect_str_eq(pace_mode_name(PACE_FOLLOW_IDLE), "follow-idle");
}
