/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tar_header.h"

#include <string.h>

bool tar_block_is_zero(const uint8_t b[static TAR_BLOCK])
{
	return b[0] == 0 && memcmp(b, b + 1, TAR_BLOCK - 1) == 0;
}

bool tar_checksum_ok(const uint8_t b[static TAR_BLOCK])
{
	int64_t wanted, plain = 0, with_sign = 0;

	if (!tar_number(b + TAR_CHECKSUM, 8, &wanted))
		return false;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		bool blank = i >= TAR_CHECKSUM && i < TAR_CHECKSUM + 8;

		plain += blank ? ' ' : b[i];
		with_sign += blank ? ' ' : (int8_t)b[i];
	}
	return wanted == plain || wanted == with_sign;
}

enum tar_format tar_format_of(const uint8_t b[static TAR_BLOCK])
{
	if (memcmp(b + TAR_MAGIC, "ustar  \0", 8) == 0)
		return TAR_GNU;
	if (memcmp(b + TAR_MAGIC, "ustar\0", 6) != 0)
		return TAR_V7;
	return memcmp(b + TAR_STAR_TRAILER, "tar\0", 4) == 0 ? TAR_STAR : TAR_USTAR;
}

/* Two's complement, most significant byte first; the first bit only says that it is binary. */
static bool binary_number(const uint8_t *field, size_t len, int64_t *ret_n)
{
	uint64_t fill = field[0] & 0x40 ? UINT64_MAX : 0;
	uint64_t n = fill;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = field[i];

		if (i == 0) /* the sign goes where the mark is */
			byte = (uint8_t)((byte & 0x7f) | (fill & 0x80));
		if (n >> 56 != (fill & 0xff))
			return false;
		n = n << 8 | byte;
	}
	if (n >> 63 != (fill & 1))
		return false;
	*ret_n = (int64_t)n;
	return true;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\0';
}

bool tar_number(const uint8_t *field, size_t len, int64_t *ret_n)
{
	uint64_t n = 0;
	size_t i = 0;

	if (len > 0 && field[0] & 0x80)
		return binary_number(field, len, ret_n);
	while (i < len && is_blank(field[i]))
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++) {
		if (n >> 60 != 0)
			return false;
		n = n << 3 | (uint64_t)(field[i] - '0');
	}
	/* What follows the NUL that ends a field is nobody's. */
	if (i < len && !is_blank(field[i]))
		return false;
	*ret_n = (int64_t)n;
	return true;
}

size_t tar_text_len(const uint8_t *field, size_t len)
{
	return strnlen((const char *)field, len);
}

/* ASCII without control characters, and not empty. */
static bool is_plain_text(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] < ' ' || p[i] > '~')
			return false;
	return len > 0;
}

size_t tar_prefix_len(const uint8_t b[static TAR_BLOCK], enum tar_format format)
{
	const uint8_t *prefix = b + TAR_PREFIX;
	size_t len = tar_text_len(prefix, 155);
	int64_t n;

	switch (format) {
	case TAR_USTAR:
		return len;
	case TAR_STAR: /* times follow a shorter prefix */
		return tar_text_len(prefix, 131);
	case TAR_GNU:
		if (tar_number(b + TAR_GNU_ATIME, 12, &n) && tar_number(b + TAR_GNU_CTIME, 12, &n))
			return 0;
		return is_plain_text(prefix, len) ? len : 0;
	case TAR_V7:
		break;
	}
	return 0;
}
