/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/json: what is read, and what is not. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "image/json.h"

static int read_text(const char *text, size_t len, json_t **ret)
{
	const struct json_limits limits = {.bytes = 1000, .depth = 4, .values = 20};
	CLEANUP(err) struct err e = {0};
	int rc = json_read(text, len, &limits, "x", ret, &e);

	cr_assert_eq(rc < 0, e.text != NULL);
	return rc;
}

static void refused(const char *text, size_t len, int code)
{
	json_t *root = NULL;

	cr_assert_eq(read_text(text, len, &root), -code, "%s", text);
	cr_assert_null(root);
}

#define REFUSED(text, code) refused(text, sizeof(text) - 1, code)

Test(json, wrong_bytes_are_refused)
{
	REFUSED("", EBADMSG);
	REFUSED("{", EBADMSG);
	REFUSED("{} x", EBADMSG);
	REFUSED("{}{}", EBADMSG);
	REFUSED("\"text\"", EBADMSG);
	REFUSED("{\"a\": 1, \"a\": 2}", EBADMSG);
	REFUSED("{\"a\": {\"b\": 1, \"b\": 1}}", EBADMSG);
	REFUSED("{\"a\": \"\\u0000\"}", EBADMSG);
	REFUSED("{\"a\": \"\xff\"}", EBADMSG);
	REFUSED("{\"a\": \"\xc0\x80\"}", EBADMSG);
	REFUSED("{\"a\": 99999999999999999999}", EBADMSG);
	REFUSED("{\"a\": 01}", EBADMSG);
	REFUSED("{\"a\": NaN}", EBADMSG);
	REFUSED("{'a': 1}", EBADMSG);
	REFUSED("{}\0", EBADMSG);
}

Test(json, limits_hold_before_anything_is_parsed)
{
	CLEANUP(json) json_t *root = NULL;
	char big[1002];

	memset(big, ' ', sizeof(big));
	memcpy(big, "{}", 2);
	refused(big, 1001, E2BIG);
	cr_assert_eq(read_text(big, 1000, &root), 0);
	REFUSED("[[[[[", E2BIG);
	REFUSED("[[[[[]]]]]", E2BIG);
	REFUSED("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21]", E2BIG);
}

Test(json, brackets_in_strings_are_text)
{
	static const char text[] = "{\"a\": \"[[[[[[[[,,,,,,,,,,,,,,,,,,,,,,,,,\\\"[[[[[\\\\\"}";
	CLEANUP(json) json_t *root = NULL;

	cr_assert_eq(read_text(text, sizeof(text) - 1, &root), 0);
	cr_assert_not_null(json_text(root, "a"));
}

Test(json, reading_is_total)
{
	static const char text[] =
		"{\"t\": \"x\", \"n\": 5, \"m\": -1, \"l\": [], \"o\": {}, \"z\": null, \"b\": true}";
	CLEANUP(json) json_t *root = NULL;
	uint64_t n = 7;

	cr_assert_eq(read_text(text, sizeof(text) - 1, &root), 0);
	cr_assert_str_eq(json_text(root, "t"), "x");
	cr_assert_null(json_text(root, "n"));
	cr_assert_null(json_text(root, "absent"));
	cr_assert_null(json_text(NULL, "t"));
	cr_assert_null(json_text(json_list(root, "l"), "t"));
	cr_assert_null(json_list(root, "o"));
	cr_assert_null(json_map(root, "l"));
	cr_assert_null(json_map(NULL, "l"));
	cr_assert(json_has(root, "b") && !json_has(root, "z") && !json_has(NULL, "b"));
	cr_assert(json_is_set(root, "b") && !json_is_set(root, "n") && !json_is_set(NULL, "b"));
	cr_assert_eq(json_size_of(root, "m", &n), -EBADMSG);
	cr_assert_eq(json_size_of(root, "t", &n), -EBADMSG);
	cr_assert_eq(json_size_of(NULL, "n", &n), -EBADMSG);
	cr_assert_eq(n, 7);
	cr_assert_eq(json_size_of(root, "n", &n), 0);
	cr_assert_eq(n, 5);
}
