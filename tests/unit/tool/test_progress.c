/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of tool/progress: what the line says, at every width. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tool/progress.h"

static char *line_of(const struct progress_view *v)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	cr_assert_not_null(f);
	progress_put(f, v);
	fclose(f);
	return out;
}

static void line_is(const struct progress_view *v, const char *wanted)
{
	char *line = line_of(v);

	cr_assert_str_eq(line, wanted, "\"%s\", not \"%s\"", line, wanted);
	free(line);
}

static size_t columns(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

Test(progress, a_bar_with_bytes_rate_and_time)
{
	struct progress_view v = {"layer 2", 30000000, 120000000, 10e6, 79};

	line_is(&v,
		"layer 2 [======>                   ]  25% 30.0 MB of 120 MB 10.0 MB/s 0:09 left");
	v.done = v.total;
	line_is(&v,
		"layer 2 [=====================================] 100% 120 MB of 120 MB 10.0 MB/s");
	v.done = 0;
	v.rate = 0;
	line_is(&v, "layer 2 [>                                      ]   0% 0 B of 120 MB");
	v.rate = 10000;
	line_is(&v,
		"layer 2 [>                          ]   0% 0 B of 120 MB 10.0 kB/s 3:20:00 left");
}

Test(progress, without_a_total_there_is_no_bar)
{
	const struct progress_view v = {"copying", 5000000, 0, 1e6, 79};

	line_is(&v, "copying 5.0 MB 1.0 MB/s");
}

Test(progress, a_narrow_terminal_is_told_less)
{
	struct progress_view v = {"/images/one.tar, layer 2", 30000000, 120000000, 10e6, 60};

	line_is(&v, "...e.tar, layer 2  25% 30.0 MB of 120 MB 10.0 MB/s 0:09 left");
	v.width = 40;
	line_is(&v, "...e.tar, layer 2  25% 30.0 MB of 120 MB");
	v.width = 20;
	line_is(&v, "...tar, layer 2  25%");
	v.width = 5;
	line_is(&v, "... 2");
	/* What goes on with a character that is not there takes no column, and none away. */
	v.what = "\x80\x80long name";
	line_is(&v, "...me");
}

/* Whatever comes: no more columns than there are, no order to the terminal, no half characters. */
Test(progress, never_wider_than_the_terminal)
{
	static const char *const names[] = {
		"",
		"x",
		"a name that is as long as names of files are",
		"\xc3\xa4\xe2\x82\xac\xc3\xa4\xe2\x82\xac\xc3\xa4\xe2\x82\xac",
		"\xff\xfe\x80\x80 broken",
		"\x80 broken at the beginning",
		"\033[31mred\n"};
	static const uint64_t sizes[] = {0, 1, 999, 1000000, UINT64_MAX / 2, UINT64_MAX};
	static const double rates[] = {0, 0.001, 1, 1e9, 1e300};

	for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++)
		for (size_t i = 0; i < 6 * 6 * 5; i++)
			for (unsigned int width = 1; width < 200; width++) {
				const struct progress_view v = {names[n], sizes[i % 6],
								sizes[i / 6 % 6], rates[i / 36],
								width};
				char *line = line_of(&v);

				cr_assert_leq(columns(line), width, "%s", line);
				cr_assert_null(strchr(line, '\033'));
				cr_assert_null(strchr(line, '\n'));
				free(line);
			}
}
