/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/hash: the values are stored on disk, so they must never change. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/hash.h"

Test(hash, known_values)
{
	struct hash128 h = hash128("", 0);

	/* The published XXH3 values of the empty input. */
	cr_assert_eq(hash64("", 0, 0), 0x2d06800538d394c2u);
	cr_assert_eq(h.high, 0x99aa06d3014798d8u);
	cr_assert_eq(h.low, 0x6001c324468d497fu);
}

Test(hash, the_seed_matters)
{
	cr_assert_neq(hash64("abc", 3, 0), hash64("abc", 3, 1));
	cr_assert_eq(hash64("abc", 3, 1), hash64("abc", 3, 1));
}

Test(hash, alignment_does_not_matter)
{
	static char bytes[1024 + 16];
	uint64_t expected;

	memset(bytes, 'q', sizeof(bytes));
	for (size_t len = 0; len <= 1024; len += 31) {
		expected = hash64(bytes, len, 5);
		for (size_t shift = 1; shift < 16; shift++) {
			cr_assert_eq(hash64(bytes + shift, len, 5), expected);
			cr_assert_eq(hash128(bytes + shift, len).high, hash128(bytes, len).high);
		}
	}
}

Test(hash, pieces_give_the_same)
{
	static char bytes[5000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	for (size_t len = 0; len <= sizeof(bytes); len += 499) {
		struct hash128 whole = hash128(bytes, len), parts;
		struct hash128_stream s;

		hash128_begin(&s);
		for (size_t at = 0; at < len; at += 77)
			hash128_add(&s, bytes + at, len - at < 77 ? len - at : 77);
		parts = hash128_end(&s);
		cr_assert(parts.low == whole.low && parts.high == whole.high, "%zu bytes", len);
	}
}
