/* SPDX-License-Identifier: Apache-2.0 */
/* An upper with one of everything, and what fsck says of it. */
#ifndef PLYFS_TESTS_SUPPORT_SAMPLE_H
#define PLYFS_TESTS_SUPPORT_SAMPLE_H

#include "catalog/raw.h"
#include "support/made_upper.h"
#include "tool/fsck.h"

/*
 * /		1	merged
 * /d		10	of the upper alone, link count 3
 * /d/s		11
 * /d/s/f	12	small file "hello", user.a
 * /d/g		13	data file
 * /d/h1, /h2	14	small file, two names
 * /k		15	link to "target"
 * /p		16	fifo
 * /m		M(5)	merged with m of the lower layers
 * /m/l		M(6)	lower file, 3 names
 * /m/c		M(7)	chunks
 * /m/w			whiteout
 */
#define M(n)	      ABOVE(n)
#define SAMPLE_G_SIZE 10000

/* Made, and open for writing. */
void sample_make(struct made_upper *u);

/* Everything in the tables and in the data files as text. Owned. The upper must be closed. */
char *sample_dump(const struct made_upper *u);

/* Runs fsck; its exit status, and its findings without the summary. RET_TEXT is owned. */
int sample_fsck(const struct made_upper *u, bool repair, char **ret_text);
int sample_salvage(const struct made_upper *u, const char *to, char **ret_text);

/* Changes of single records. */
void sample_commit(const struct made_upper *u, const struct batch *b);
/* Overwrites bytes in the value of an inode's record. */
void sample_poke(struct made_upper *u, uint64_t ino, size_t off, uint64_t value, size_t size);
void sample_name(struct made_upper *u, uint64_t parent, const char *name, uint64_t ino,
		 uint8_t dtype);
void sample_unname(struct made_upper *u, uint64_t parent, const char *name);
/* A name with any hash and value. */
void sample_raw_name(struct made_upper *u, uint64_t parent, const char *name, int64_t hash_off,
		     uint64_t ino, uint8_t dtype);
void sample_data(struct made_upper *u, uint64_t ino, const char *text);
void sample_no_data(struct made_upper *u, uint64_t ino);

#endif
