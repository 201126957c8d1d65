/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of splitting: options at commas, layers at colons, files at lines. */
#include "cli/strv.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The strings of S with '|' between them. */
static const char *joined(const struct strv *s)
{
	static char text[4096];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < s->n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? "|" : "",
					 s->v[i]);
	return text;
}

Test(strv, split_options)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", ""},
		{",", ""},
		{"a", "a"},
		{"a,b", "a|b"},
		{",,a,,b,,", "a|b"},
		{"a\\,b,c", "a,b|c"},
		{"lowerdir=/x\\:y:/z,upperdir=/u", "lowerdir=/x\\:y:/z|upperdir=/u"},
		{"lowerdir=/x\\\\,b", "lowerdir=/x\\\\|b"},
		{"context=\"system_u:object_r:c1,c2\",ro", "context=system_u:object_r:c1,c2|ro"},
		{"ro,context=\"a,b\"", "ro|context=a,b"},
		{"fsname=\"\",ro", "fsname=|ro"},
		{"fsname=\"x,ro", "fsname=\"x|ro"},	  /* not closed: an ordinary character */
		{"fsname=\"x\"y,ro", "fsname=\"x\"y|ro"}, /* closed in the middle: likewise */
		{"lowerdir=/a\"b:/c,ro", "lowerdir=/a\"b:/c|ro"},
		{"a\\", "a\\"},
		{"a=b=\"c,d\"", "a=b=\"c|d\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CLEANUP(strv) struct strv s = {0};

		cr_assert_eq(strv_split_options(&s, cases[i].text), 0);
		cr_expect_str_eq(joined(&s), cases[i].want, "%s: %s, not %s", cases[i].text,
				 joined(&s), cases[i].want);
	}
}

Test(strv, split_layers)
{
	static const struct {
		const char *text, *lower, *data;
	} cases[] = {
		{"/a", "/a", ""},
		{"/a:/b:/c", "/a|/b|/c", ""},
		{"l/ABC/../diff1:l/DEF", "l/ABC/../diff1|l/DEF", ""},
		{"/with\\:colon:/b", "/with:colon|/b", ""},
		{"/back\\\\slash:/b", "/back\\slash|/b", ""},
		{":/a:", "/a", ""},
		{"/a::/d", "/a", "/d"},
		{"/a:/b::/d1::/d2", "/a|/b", "/d1|/d2"},
		{"/a\\", "/a\\", ""},
		{"", "", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CLEANUP(strv) struct strv lower = {0}, data = {0};

		cr_assert_eq(strv_split_layers(&lower, &data, cases[i].text, NULL), 0);
		cr_expect_str_eq(joined(&lower), cases[i].lower, "%s", cases[i].text);
		cr_expect_str_eq(joined(&data), cases[i].data, "%s", cases[i].text);
	}
}

Test(strv, layer_after_data_only)
{
	CLEANUP(strv) struct strv lower = {0}, data = {0};
	CLEANUP(err) struct err err = {0};

	cr_assert_eq(strv_split_layers(&lower, &data, "/a::/d:/b", &err), -EINVAL);
	cr_assert_not_null(strstr(err_text(&err), "/b"));
}

Test(strv, read_layers)
{
	char path[] = "/tmp/plyfs-layers-XXXXXX";
	CLEANUP(strv) struct strv lower = {0}, data = {0};
	int fd = mkstemp(path);
	static const char text[] = "/a:with colon\n\n/b\\c\n::/d";

	cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	close(fd);
	cr_expect_eq(strv_read_layers(&lower, &data, path, NULL), 0);
	unlink(path);
	cr_expect_str_eq(joined(&lower), "/a:with colon|/b\\c");
	cr_expect_str_eq(joined(&data), "/d");
}

Test(strv, read_layers_fails)
{
	CLEANUP(strv) struct strv lower = {0}, data = {0};
	CLEANUP(err) struct err err = {0};

	cr_expect_eq(strv_read_layers(&lower, &data, "/nonexistent/layers", &err), -ENOENT);
	cr_expect_not_null(strstr(err_text(&err), "/nonexistent/layers"));
	cr_expect_eq(strv_read_layers(&lower, &data, "/", NULL), -EISDIR);
}
