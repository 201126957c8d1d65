/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/digest: the strict form, known values, bytes in pieces. */
#include <criterion/criterion.h>
#include <string.h>

#include "image/digest.h"

static const char empty256[] =
	"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char abc512[] =
	"sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

Test(digest, known_values_are_computed_and_printed)
{
	char text[DIGEST_TEXT_MAX];
	struct digest d;

	cr_assert_eq(digest_of(DIGEST_SHA256, "", 0, &d), 0);
	cr_assert_str_eq(digest_format(&d, text), empty256);
	cr_assert_eq(digest_of(DIGEST_SHA512, "abc", 3, &d), 0);
	cr_assert_str_eq(digest_format(&d, text), abc512);
	cr_assert_str_eq(digest_hex(&d, text), abc512 + 7);
}

Test(digest, what_is_printed_is_parsed)
{
	struct digest d = {0}, abc;

	cr_assert_eq(digest_parse(abc512, strlen(abc512), &d), 0);
	cr_assert_eq(digest_of(DIGEST_SHA512, "abc", 3, &abc), 0);
	cr_assert(digest_equal(&d, &abc));
	cr_assert_eq(digest_parse(empty256, strlen(empty256), &d), 0);
	cr_assert_eq(d.alg, DIGEST_SHA256);
	cr_assert_not(digest_equal(&d, &abc));
}

Test(digest, anything_else_is_refused)
{
	struct digest d = {0};
	char text[DIGEST_TEXT_MAX];

	for (size_t len = 0; len < strlen(empty256); len++)
		cr_assert_eq(digest_parse(empty256, len, &d), -EINVAL, "%zu bytes", len);
	for (size_t i = 0; i < strlen(empty256); i++) {
		memcpy(text, empty256, sizeof(empty256));
		text[i] = i < 7 ? 'x' : 'A';
		cr_assert_eq(digest_parse(text, strlen(text), &d), -EINVAL, "%s", text);
		text[i] = '/';
		cr_assert_eq(digest_parse(text, strlen(text), &d), -EINVAL, "%s", text);
	}
	cr_assert_eq(digest_parse("md5:d41d8cd98f00b204e9800998ecf8427e", 36, &d), -EINVAL);
	cr_assert_eq(d.alg, DIGEST_NONE);
}

Test(digest, no_digest_equals_nothing_and_prints_as_none)
{
	struct digest none = {0};
	char text[DIGEST_TEXT_MAX];

	cr_assert_not(digest_equal(&none, &none));
	cr_assert_str_eq(digest_format(&none, text), "none");
	cr_assert_str_eq(digest_hex(&none, text), "");
	cr_assert_eq(digest_of(DIGEST_NONE, "", 0, &none), -EINVAL);
}

Test(digest, pieces_give_what_the_whole_gives)
{
	char bytes[1000];
	struct digest whole, pieces;
	CLEANUP(digester) struct digester g = {0};

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	cr_assert_eq(digest_of(DIGEST_SHA256, bytes, sizeof(bytes), &whole), 0);
	cr_assert_eq(digester_begin(&g, DIGEST_SHA256), 0);
	for (size_t done = 0, n = 0; done < sizeof(bytes); done += n, n = (n + 1) % 97) {
		n = n < sizeof(bytes) - done ? n : sizeof(bytes) - done;
		digester_add(&g, bytes + done, n);
	}
	cr_assert_eq(digester_end(&g, &pieces), 0);
	cr_assert(digest_equal(&whole, &pieces));
}
