/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of looking where clients run. */
#include "front/follow.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/sys_sched.h"

#define FIELDS_4_TO_38                                                                             \
	"4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 "  \
	"35 36 37 38 "

static bool parse(const char *text, int *ret_cpu, char *ret_state)
{
	*ret_cpu = -7;
	*ret_state = '-';
	return follow_parse_stat(text, ret_cpu, ret_state);
}

Test(follow, parse_stat)
{
	char state;
	int cpu;

	cr_expect(parse("1 (sh) S " FIELDS_4_TO_38 "3 0 0\n", &cpu, &state));
	cr_expect_eq(cpu, 3);
	cr_expect_eq(state, 'S');
	cr_expect(parse("1 (a) R 1 (b) D " FIELDS_4_TO_38 "255\n", &cpu, &state));
	cr_expect_eq(cpu, 255);
	cr_expect_eq(state, 'D');
}

Test(follow, parse_stat_of_nonsense)
{
	char state;
	int cpu;

	cr_expect_not(parse("", &cpu, &state));
	cr_expect_not(parse("1 (sh)", &cpu, &state));
	cr_expect_not(parse("1 (sh) S 4 5 6\n", &cpu, &state));
	cr_expect_not(parse("1 (sh) S " FIELDS_4_TO_38 "x\n", &cpu, &state));
	cr_expect_not(parse("1 (sh) S " FIELDS_4_TO_38 "-1\n", &cpu, &state));
	cr_expect_not(parse("1 (sh) S " FIELDS_4_TO_38 "99999999999\n", &cpu, &state));
}

Test(follow, parse_load)
{
	cr_expect_eq(follow_parse_load("0.08 1.25 2.53 3/123 4567\n"), 3);
	cr_expect_eq(follow_parse_load("0.08 1.25 2.53\n"), -1);
	cr_expect_eq(follow_parse_load("0.08 1.25 2.53 x/3 1\n"), -1);
	cr_expect_eq(follow_parse_load("0.08 1.25 2.53 3 1\n"), -1);
	cr_expect_eq(follow_parse_load(""), -1);
}

Test(follow, finds_itself)
{
	CLEANUP(follow) struct follow f;
	struct pace_seen seen;

	follow_init(&f);
	for (int i = 0; i < 3; i++) {
		seen = follow_look(&f, sys_gettid());
		cr_expect(seen.reachable);
		cr_expect_geq(f.cpu, 0);
	}
	cr_expect_eq(follow_state(sys_gettid()), 'R');
}

Test(follow, nobody)
{
	CLEANUP(follow) struct follow f;

	follow_init(&f);
	cr_expect_not(follow_look(&f, 0).reachable);
	cr_expect_not(follow_look(&f, -1).reachable);
	cr_expect_not(follow_look(&f, 1 << 30).reachable);
	cr_expect(follow_look(&f, getpid()).reachable);
	cr_expect_eq(follow_state(1 << 30), '?');
}
