/* SPDX-License-Identifier: Apache-2.0 */
#include "image/compression.h"

#include <stdbool.h>
#include <string.h>

#include "image/tar_header.h"

const char *compression_name(enum compression c)
{
	static const char *const names[] = {
		[COMPRESSION_NONE] = "none",   [COMPRESSION_GZIP] = "gzip",
		[COMPRESSION_ZSTD] = "zstd",   [COMPRESSION_XZ] = "xz",
		[COMPRESSION_BZIP2] = "bzip2", [COMPRESSION_UNKNOWN] = "unknown",
	};

	return names[c];
}

/* A zstd frame, or one of the sixteen skippable ones that seekable and chunked layers begin with. */
static bool is_zstd(const uint8_t *p)
{
	return memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0 ||
	       ((p[0] & 0xf0) == 0x50 && memcmp(p + 1, "\x2a\x4d\x18", 3) == 0);
}

int compression_detect(struct blob *b, enum compression *ret_c)
{
	uint8_t p[TAR_BLOCK] = {0};
	ssize_t n = blob_pread(b, p, sizeof(p), 0);

	if (n < 0)
		return (int)n;
	*ret_c = COMPRESSION_UNKNOWN;
	if (n == 0 || (n == TAR_BLOCK && (tar_block_is_zero(p) || tar_checksum_ok(p))))
		*ret_c = COMPRESSION_NONE;
	else if (memcmp(p, "\x1f\x8b\x08", 3) == 0)
		*ret_c = COMPRESSION_GZIP;
	else if (is_zstd(p))
		*ret_c = COMPRESSION_ZSTD;
	else if (memcmp(p, "\xfd\x37zXZ\0", 6) == 0)
		*ret_c = COMPRESSION_XZ;
	else if (memcmp(p, "BZh", 3) == 0)
		*ret_c = COMPRESSION_BZIP2;
	return 0;
}
