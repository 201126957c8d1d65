/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/platform. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "image/platform.h"

Test(platform, texts_are_read)
{
	static const char *const pairs[][2] = {
		{"linux/amd64", "linux/amd64"},
		{"linux/arm64/v8", "linux/arm64/v8"},
		{"arm64", "linux/arm64"},
		{"x86_64", "linux/amd64"},
		{"linux/aarch64", "linux/arm64"},
		{"linux/armv7l", "linux/arm/v7"},
		{"windows/amd64", "windows/amd64"},
		{"linux/armv7l/v6", "linux/arm/v6"},
		{"", NULL},
		{"/", NULL},
		{"linux/", NULL},
		{"linux//v8", NULL},
		{"a/b/c/d", NULL},
		{"a b", NULL},
		{"linux/am\n64", NULL},
	};
	char text[PLATFORM_TEXT_MAX];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		CLEANUP(platform) struct platform p = {0};
		CLEANUP(err) struct err e = {0};
		int rc = platform_parse(pairs[i][0], &p, &e);

		cr_assert_eq(rc, pairs[i][1] != NULL ? 0 : -EINVAL, "%s", pairs[i][0]);
		if (rc == 0)
			cr_assert_str_eq(platform_format(&p, text), pairs[i][1]);
	}
}

static int rank(const char *want, const char *have)
{
	CLEANUP(platform) struct platform w = {0}, h = {0};

	cr_assert_eq(platform_parse(want, &w, NULL), 0);
	cr_assert_eq(platform_parse(have, &h, NULL), 0);
	return platform_rank(&w, &h);
}

Test(platform, variants_have_an_order)
{
	cr_assert_eq(rank("linux/amd64", "linux/amd64"), 0);
	cr_assert_eq(rank("linux/amd64", "linux/arm64"), -1);
	cr_assert_eq(rank("linux/amd64", "windows/amd64"), -1);
	/* A machine runs its own variant best, then smaller ones, then one that says nothing. */
	cr_assert_eq(rank("linux/arm/v7", "linux/arm/v7"), 0);
	cr_assert_gt(rank("linux/arm/v7", "linux/arm/v6"), 0);
	cr_assert_gt(rank("linux/arm/v7", "linux/arm/v5"), rank("linux/arm/v7", "linux/arm/v6"));
	cr_assert_gt(rank("linux/arm/v7", "linux/arm"), rank("linux/arm/v7", "linux/arm/v5"));
	cr_assert_eq(rank("linux/arm/v7", "linux/arm/v8"), -1);
	/* Without a wish, one that says nothing, then the largest. */
	cr_assert_eq(rank("linux/arm", "linux/arm"), 0);
	cr_assert_gt(rank("linux/arm", "linux/arm/v6"), rank("linux/arm", "linux/arm/v7"));
	cr_assert_gt(rank("linux/arm64", "linux/arm64/v8"), 0);
	cr_assert_gt(rank("linux/arm64/v8", "linux/arm64"), 0);
	/* Not every amd64 can do v3. */
	cr_assert_eq(rank("linux/amd64", "linux/amd64/v3"), -1);
	cr_assert_gt(rank("linux/amd64/v3", "linux/amd64/v2"), 0);
	cr_assert_eq(rank("linux/odd/x", "linux/odd/y"), -1);
}

Test(platform, the_unknown_serves_nobody)
{
	CLEANUP(platform) struct platform host = {0};
	struct platform none = {0};
	char text[PLATFORM_TEXT_MAX];

	cr_assert_eq(platform_of_host(&host), 0);
	cr_assert_eq(platform_rank(&host, &none), -1);
	cr_assert_eq(platform_rank(&host, &host), 0);
	cr_assert_str_eq(platform_format(&none, text), "unknown/unknown");
}
