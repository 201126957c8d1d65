/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of tool/json_out and tool/columns: what foreign texts can do to their readers. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tool/columns.h"
#include "tool/json_out.h"

static void json_of(const char *text, const char *wanted)
{
	struct json_out j = {0};
	char *out = NULL;
	size_t len;

	j.out = open_memstream(&out, &len);
	cr_assert_not_null(j.out);
	json_out_text(&j, NULL, text);
	fclose(j.out);
	cr_assert_str_eq(out, wanted);
	free(out);
}

Test(json_out, every_byte_becomes_text)
{
	json_of("plain", "\"plain\"\n");
	json_of("a\"b\\c\n\t\x1f\x7f", "\"a\\\"b\\\\c\\u000a\\u0009\\u001f\\u007f\"\n");
	json_of("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		"\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"\n");
	json_of("\xc2\x9b", "\"\\u009b\"\n");
	/* No UTF-8: alone, cut off, too long, a surrogate, beyond the last. */
	json_of("\xff", "\"\xef\xbf\xbd\"\n");
	json_of("\xc3", "\"\xef\xbf\xbd\"\n");
	json_of("\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"\n");
	json_of("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n");
	json_of("\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n");
	json_of(NULL, "null\n");
}

static void bytes_of(const char *text, const char *wanted)
{
	struct json_out j = {0};
	char *out = NULL;
	size_t len;

	j.out = open_memstream(&out, &len);
	cr_assert_not_null(j.out);
	json_out_object(&j, NULL);
	json_out_bytes(&j, "k", text);
	json_out_end(&j, '}');
	fclose(j.out);
	cr_assert_str_eq(out, wanted);
	free(out);
}

Test(json_out, what_is_no_text_comes_as_bytes_too)
{
	bytes_of("plain \xc3\xa4", "{\n  \"k\": \"plain \xc3\xa4\"\n}\n");
	/* The character that stands for others is one itself. */
	bytes_of("\xef\xbf\xbd", "{\n  \"k\": \"\xef\xbf\xbd\"\n}\n");
	bytes_of("\xff", "{\n  \"k\": \"\xef\xbf\xbd\",\n  \"k_base64\": \"/w==\"\n}\n");
	bytes_of("a\xff", "{\n  \"k\": \"a\xef\xbf\xbd\",\n  \"k_base64\": \"Yf8=\"\n}\n");
	bytes_of("ab\xff", "{\n  \"k\": \"ab\xef\xbf\xbd\",\n  \"k_base64\": \"YWL/\"\n}\n");
	bytes_of("ab\xc3", "{\n  \"k\": \"ab\xef\xbf\xbd\",\n  \"k_base64\": \"YWLD\"\n}\n");
	bytes_of(NULL, "{\n  \"k\": null\n}\n");
}

Test(json_out, values_nest)
{
	struct json_out j = {0};
	char *out = NULL;
	size_t len;

	j.out = open_memstream(&out, &len);
	cr_assert_not_null(j.out);
	json_out_object(&j, NULL);
	json_out_array(&j, "list");
	json_out_number(&j, NULL, -1);
	json_out_size(&j, NULL, UINT64_MAX);
	json_out_end(&j, ']');
	json_out_array(&j, "empty");
	json_out_end(&j, ']');
	json_out_bool(&j, "b", true);
	json_out_end(&j, '}');
	fclose(j.out);
	cr_assert_str_eq(
		out, "{\n  \"list\": [\n    -1,\n    18446744073709551615\n  ],\n  \"empty\": [],\n"
		     "  \"b\": true\n}\n");
	free(out);
}

Test(columns, cells_are_aligned_and_clean)
{
	CLEANUP(columns) struct columns c = {.n = 2};
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	cr_assert_not_null(f);
	columns_add(&c, "%s", "a\033[31m");
	columns_add(&c, "%d", 5);
	columns_add(&c, "\xc3\xa4");
	columns_add(&c, "100");
	cr_assert_eq(columns_print(&c, 1u << 1, f), 0);
	print_clean(f, "x\ny\xc2\x9bz");
	fclose(f);
	cr_assert_str_eq(out, "a?[31m    5\n\xc3\xa4       100\nx?y??z");
	free(out);
}

Test(columns, sizes_have_units)
{
	char text[32];

	cr_assert_str_eq(format_size(text, 0), "0 B");
	cr_assert_str_eq(format_size(text, 999), "999 B");
	cr_assert_str_eq(format_size(text, 1000), "1.0 kB");
	cr_assert_str_eq(format_size(text, 123456789), "123 MB");
	cr_assert_str_eq(format_size(text, 999999), "1.0 MB");
	cr_assert_str_eq(format_size(text, UINT64_MAX), "18.4 EB");
}
