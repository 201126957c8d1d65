/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/toml. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "image/source.h"
#include "image/toml.h"

/* The texts that KEY of TABLE has, joined by '|'. */
static void expect(const char *text, const char *table, const char *key, const char *wanted)
{
	struct image_strings s = {0};
	char all[200] = "";

	cr_assert_eq(toml_texts(text, table, key, &s), 0, "%s", text);
	for (size_t i = 0; i < s.count; i++) {
		strncat(all, s.list[i], 50);
		strncat(all, "|", 2);
	}
	strings_done(&s);
	cr_assert_str_eq(all, wanted, "%s: %s", text, all);
}

Test(toml, keys_belong_to_their_tables)
{
	static const char text[] = "# key = \"no\"\n"
				   "key = \"top\"\n"
				   "[a] # a comment\n"
				   "  key = \"in a\" # another\n"
				   " other='x'\n"
				   "[ a.b ]\n"
				   "key = ['1', \"2\",\n # \"not\"\n \"3\" ]\n"
				   "long = [ \"[a]\",\n\"key = 5\" ]\n"
				   "number = 5\n"
				   "[a.c]\nkey=\"\\\"quoted\\\\\"\n";

	expect(text, "a", "key", "in a|");
	expect(text, "a.b", "key", "1|2|3|");
	expect(text, "a.c", "key", "\"quoted\\|");
	expect(text, "a", "other", "x|");
	expect(text, "a", "absent", "");
	expect(text, "a.b", "number", "");
	expect("", "a", "key", "");
	expect("[a]\nkey = []", "a", "key", "");
}

Test(toml, what_has_no_end_is_refused)
{
	static const char *const bad[] = {"[a]\nkey = \"x", "[a]\nkey = [\"x\"",
					  "[a]\nkey = [5]", "[b]\nother = [\"x\n[a]\nkey=\"y\"",
					  "[a]\nkey = [",   "[a]\nkey = \"x\\"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct image_strings s = {0};

		cr_assert_eq(toml_texts(bad[i], "a", "key", &s), -EBADMSG, "%s", bad[i]);
		strings_done(&s);
	}
}
