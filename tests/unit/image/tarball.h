/* SPDX-License-Identifier: Apache-2.0 */
/* Making tars block by block, right ones and wrong ones, and writing down what is read. */
#ifndef PLYFS_TESTS_IMAGE_TARBALL_H
#define PLYFS_TESTS_IMAGE_TARBALL_H

#include "base/buf.h"
#include "image/tar.h"

/* What a header block says. Zeroed fields are zeros; NAME and LINK are cut to 100 bytes. */
struct entry {
	char type;
	const char *name, *link, *prefix;
	const char *magic; /* eight bytes; default ustar's */
	unsigned mode, uid, gid, major, minor;
	int64_t size, mtime;
	void (*patch)(uint8_t *block); /* changes the block before it is summed */
};

void tarball_header(struct buf *t, const struct entry *x);
/* Fills up the last block with zeros. */
void tarball_pad(struct buf *t);
/* LEN bytes, padded. */
void tarball_bytes(struct buf *t, const void *p, size_t len);
/* A header of type 'x', 'g', 'L' or 'K' and its bytes. */
void tarball_special(struct buf *t, char type, const void *p, size_t len);
/* Adds a record with its length to the bytes of a pax header. */
void pax_record(struct buf *pax, const char *key, const void *value, size_t len);
void pax_text(struct buf *pax, const char *key, const char *value);
/* A regular file of LEN bytes, with its content. */
void tarball_file(struct buf *t, const char *name, const void *p, size_t len);
/* Two blocks of zeros. */
void tarball_end(struct buf *t);

/*
 * A sink that writes each member as a line, "f path mode uid gid size sec.nsec data_off", and
 * what else it has behind that; a warning as "! path: text".
 */
struct transcript {
	struct buf text;
};
struct tar_sink transcript_sink(struct transcript *t);
void transcript_done(struct transcript *t);
DEFINE_CLEANUP(struct transcript, transcript, transcript_done)

/* The transcript of the archive fed in pieces of PIECE bytes; RET the parser's result. */
const char *transcribe(struct transcript *t, const void *p, size_t len, size_t piece,
		       const struct tar_limits *limits, struct err *e, int *ret);

#endif
