/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of reading /proc/PID/status. */
#include "front/caller.h"

#include <criterion/criterion.h>

Test(caller, parse_caps)
{
	uint64_t caps = 7;

	cr_expect(caller_parse_caps("Name:\tsh\nCapPrm:\t00\nCapEff:\t000001ffffffffff\nX:\n",
				    &caps));
	cr_expect_eq(caps, UINT64_C(0x1ffffffffff));
	cr_expect(caller_parse_caps("Name:\tsh\nCapEff:\t0000000000000000\n", &caps));
	cr_expect_eq(caps, 0);
}

Test(caller, parse_caps_of_nonsense)
{
	uint64_t caps = 7;

	cr_expect_not(caller_parse_caps("", &caps));
	cr_expect_not(caller_parse_caps("Name:\tCapEff:\t1\n", &caps));
	cr_expect_not(caller_parse_caps("\nCapEff:\tzz\n", &caps));
	cr_expect_not(caller_parse_caps("\nCapEff:\tfffffffffffffffffffff\n", &caps));
	cr_expect_eq(caps, 7);
}
