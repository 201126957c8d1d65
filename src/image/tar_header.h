/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A header block of a tar: its fields as values. The formats are those of POSIX.1-2001 (ustar, pax),
 * of GNU tar, star, and of Seventh Edition Unix. Pure functions.
 */
#ifndef PLYFS_IMAGE_TAR_HEADER_H
#define PLYFS_IMAGE_TAR_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK 512u

/* Where the fields are. */
enum tar_field {
	TAR_NAME = 0,
	TAR_MODE = 100,
	TAR_UID = 108,
	TAR_GID = 116,
	TAR_SIZE = 124,
	TAR_MTIME = 136,
	TAR_CHECKSUM = 148,
	TAR_TYPE = 156,
	TAR_LINK = 157,
	TAR_MAGIC = 257,
	TAR_MAJOR = 329,
	TAR_MINOR = 337,
	TAR_PREFIX = 345,
	TAR_GNU_ATIME = 345,	/* in GNU's format the prefix's place has other fields */
	TAR_GNU_CTIME = 357,	/* the same */
	TAR_GNU_SPARSE = 386,	/* four extents of two numbers of twelve bytes */
	TAR_GNU_EXTENDED = 482, /* more extents follow in a block of their own */
	TAR_GNU_REALSIZE = 483,
	TAR_STAR_TRAILER = 508,
};

enum tar_format {
	TAR_V7,
	TAR_USTAR,
	TAR_STAR,
	TAR_GNU,
};

bool tar_block_is_zero(const uint8_t b[static TAR_BLOCK]);

/* Whether the header's checksum is right, summed over unsigned or, as old programs did, signed bytes. */
bool tar_checksum_ok(const uint8_t b[static TAR_BLOCK]);

enum tar_format tar_format_of(const uint8_t b[static TAR_BLOCK]);

/*
 * A number of LEN bytes: octal digits between blanks or NULs, or binary when the first bit is set
 * (GNU). An empty field is 0. False when it is no number or does not fit.
 */
bool tar_number(const uint8_t *field, size_t len, int64_t *ret_n);

/* The length of a text field of LEN bytes, which a NUL ends early. */
size_t tar_text_len(const uint8_t *field, size_t len);

/*
 * The directory part of the name that the format keeps apart: its length, at TAR_PREFIX. Some old
 * archives of Docker have one in GNU's format, which gives the place to two times that then are no
 * numbers.
 */
size_t tar_prefix_len(const uint8_t b[static TAR_BLOCK], enum tar_format format);

#endif
