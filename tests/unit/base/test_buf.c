/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/buf: the writer and the reader. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "unit/base/fixture.h"

Test(buf, a_zeroed_buffer_is_empty)
{
	CLEANUP(buf) struct buf b = {0};

	cr_assert(buf_ok(&b));
	cr_assert_str_eq(buf_cstr(&b), "");
	cr_assert_eq(b.len, 0);
}

Test(buf, integers_are_little_endian)
{
	static const uint8_t expected[] = {1, 3, 2, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8};
	CLEANUP(buf) struct buf b = {0};

	buf_put_u8(&b, 0x01);
	buf_put_u16(&b, 0x0203);
	buf_put_u32(&b, 0x04050607);
	buf_put_u64(&b, 0x08090a0b0c0d0e0f);
	cr_assert_eq(b.len, sizeof(expected));
	cr_assert_arr_eq(b.data, expected, sizeof(expected));
}

Test(buf, text_grows_across_many_sizes)
{
	CLEANUP(buf) struct buf b = {0};
	size_t len = 0;

	for (int i = 0; i < 2000; i++) {
		buf_put_str(&b, "ab");
		buf_printf(&b, "%d,", i);
		len += 3 + (i >= 1000 ? 4u : i >= 100 ? 3u : i >= 10 ? 2u : 1u);
		cr_assert_eq(b.len, len);
		cr_assert_eq(strlen(buf_cstr(&b)), len);
	}
	cr_assert_eq(memcmp(b.data, "ab0,ab1,ab2,", 12), 0);
	cr_assert_eq(memcmp(b.data + len - 7, "ab1999,", 7), 0);
}

Test(buf, printf_at_every_fill_of_the_buffer)
{
	for (size_t fill = 0; fill < 200; fill++) {
		CLEANUP(buf) struct buf b = {0};

		for (size_t i = 0; i < fill; i++)
			buf_put_u8(&b, 'x');
		buf_printf(&b, "%s", "hello");
		cr_assert_eq(b.len, fill + 5);
		cr_assert_str_eq(buf_cstr(&b) + fill, "hello");
	}
}

Test(buf, a_failure_sticks_until_cleared)
{
	CLEANUP(buf) struct buf b = {0};

	buf_put_str(&b, "kept");
	/* More than any memory: refused before a byte of it is looked at. */
	buf_put(&b, "", SIZE_MAX);
	cr_assert_not(buf_ok(&b));
	cr_assert_null(buf_cstr(&b));
	buf_put_str(&b, "dropped");
	buf_printf(&b, "dropped");
	cr_assert_eq(b.len, 4);
	buf_clear(&b);
	cr_assert(buf_ok(&b));
	buf_put_str(&b, "again");
	cr_assert_str_eq(buf_cstr(&b), "again");
}

Test(buf, lengths_that_overflow_are_refused)
{
	static const size_t lens[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1, SIZE_MAX / 2};

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		CLEANUP(buf) struct buf b = {0};

		buf_put_u8(&b, 1);
		buf_put(&b, "", lens[i]);
		cr_assert_not(buf_ok(&b));
		cr_assert_eq(b.len, 1);
	}
}

Test(buf, clear_keeps_the_memory)
{
	CLEANUP(buf) struct buf b = {0};
	uint8_t *data;

	buf_put_u64(&b, 1);
	data = b.data;
	buf_clear(&b);
	buf_put_u64(&b, 2);
	cr_assert_eq(b.data, data);
	cr_assert_eq(b.len, 8);
}

Test(buf, set_u32_only_inside)
{
	CLEANUP(buf) struct buf b = {0};
	struct reader r;

	buf_put_u64(&b, 0);
	buf_set_u32(&b, 4, 0xdeadbeef);
	r = reader_of(b.data, b.len);
	cr_assert_eq(read_u64(&r), 0xdeadbeef00000000u);
	buf_set_u32(&b, 5, 1);
	cr_assert_not(buf_ok(&b));
	buf_clear(&b);
	buf_set_u32(&b, 0, 1);
	cr_assert_not(buf_ok(&b));
	buf_clear(&b);
	buf_put_u64(&b, 0);
	buf_set_u32(&b, SIZE_MAX, 1);
	cr_assert_not(buf_ok(&b));
}

Test(buf, putting_nothing_allocates_nothing)
{
	struct buf b = {0};

	buf_put(&b, NULL, 0);
	buf_put_str(&b, "");
	cr_assert(buf_ok(&b));
	cr_assert_null(b.data);
}

Test(reader, reads_back_what_was_written)
{
	CLEANUP(buf) struct buf b = {0};
	struct reader r;

	buf_put_u8(&b, 0xff);
	buf_put_u16(&b, 0xfffe);
	buf_put_u32(&b, 0xfffffffd);
	buf_put_u64(&b, 0xfffffffffffffffc);
	buf_put(&b, "xyz", 3);
	r = reader_of(b.data, b.len);
	cr_assert_eq(read_u8(&r), 0xff);
	cr_assert_eq(read_u16(&r), 0xfffe);
	cr_assert_eq(read_u32(&r), 0xfffffffd);
	cr_assert_eq(read_u64(&r), 0xfffffffffffffffc);
	cr_assert_not(reader_end(&r));
	cr_assert_eq(memcmp(read_bytes(&r, 3), "xyz", 3), 0);
	cr_assert(reader_end(&r));
}

Test(reader, the_end_is_zeros_and_sticks)
{
	const uint8_t bytes[3] = {1, 2, 3};
	struct reader r = reader_of(bytes, sizeof(bytes));

	cr_assert_eq(read_u32(&r), 0);
	cr_assert_not(reader_ok(&r));
	cr_assert_eq(read_u8(&r), 0);
	cr_assert_null(read_bytes(&r, 0));
	cr_assert_not(reader_end(&r));
}

Test(reader, a_huge_length_does_not_wrap)
{
	const uint8_t bytes[8] = {0};
	struct reader r = reader_of(bytes, sizeof(bytes));

	cr_assert_null(read_bytes(&r, SIZE_MAX));
	cr_assert_not(reader_ok(&r));
}

Test(reader, no_bytes_of_nothing)
{
	struct reader r = reader_of(NULL, 0);

	cr_assert(reader_end(&r));
	cr_assert_not_null(read_bytes(&r, 0));
	cr_assert(reader_end(&r));
	cr_assert_eq(read_u8(&r), 0);
	cr_assert_not(reader_ok(&r));
}

/* One random read; how many bytes it asked for. */
static size_t random_read(struct reader *r, struct rng *g)
{
	size_t len = rng_below(g, 12);

	switch (rng_below(g, 5)) {
	case 0:
		read_u8(r);
		return 1;
	case 1:
		read_u16(r);
		return 2;
	case 2:
		read_u32(r);
		return 4;
	case 3:
		read_u64(r);
		return 8;
	default:
		read_bytes(r, len);
		return len;
	}
}

Test(reader, random_reads_never_leave_the_bytes)
{
	struct rng g = rng_seeded(0xb0f);

	for (int i = 0; i < 5000; i++) {
		size_t len = rng_below(&g, 64);
		/* Exactly as long as it says: an overrun is the sanitizer's to find. */
		CLEANUP(free) uint8_t *bytes = malloc(len != 0 ? len : 1);
		struct reader r = reader_of(bytes, len);
		size_t asked = 0;

		cr_assert_not_null(bytes);
		memset(bytes, (int)rng_below(&g, 256), len);
		while (reader_ok(&r) && asked < 200) {
			size_t before = r.left;
			size_t n = random_read(&r, &g);

			asked += n;
			cr_assert_eq(reader_ok(&r), n <= before);
			cr_assert_eq(r.left, n <= before ? before - n : before);
		}
	}
}
