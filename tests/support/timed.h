/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests that must not stand still.
 *
 * Criterion has timeouts of its own, but its version 2.4 leaks when tests that run at the same time
 * both have one, and AddressSanitizer tells.
 */
#ifndef PLYFS_TESTS_TIMED_H
#define PLYFS_TESTS_TIMED_H

#include <criterion/criterion.h>
#include <unistd.h>

/* TIMED_TEST(suite, name, seconds) { ... }: a test that SIGALRM ends after that time. */
#define TIMED_TEST(suite, name, seconds)                                                           \
	static void suite##_##name##_body(void);                                                   \
	Test(suite, name)                                                                          \
	{                                                                                          \
		alarm(seconds);                                                                    \
		suite##_##name##_body();                                                           \
	}                                                                                          \
	static void suite##_##name##_body(void)

#endif
