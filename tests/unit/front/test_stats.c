/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the request counters. */
#include "front/stats.h"

#include <criterion/criterion.h>

Test(stats, only_what_occurred)
{
	CLEANUP(buf) struct buf text = {0};
	static struct front_stats stats;

	front_stats_add(&stats, FRONT_OP_LOOKUP);
	front_stats_add(&stats, FRONT_OP_READ);
	front_stats_add(&stats, FRONT_OP_READ);
	front_stats_to_text(&stats, &text);
	cr_expect_str_eq(buf_cstr(&text), "request lookup 1\nrequest read 2\n");
}
