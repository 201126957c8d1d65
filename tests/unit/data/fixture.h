/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of data/ share: a store in a directory of its own, lower files, a record. */
#ifndef PLYFS_TESTS_UNIT_DATA_FIXTURE_H
#define PLYFS_TESTS_UNIT_DATA_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/data.h"

/* A catalog and a data store in a temporary directory, or in one that the test has made. */
struct fixture {
	char path[256];
	bool own_dir;
	int dirfd;
	struct catalog *catalog;
	struct data *data;
	struct data_options options;
};
void fixture_open(struct fixture *s, const char *dir, const struct data_options *options);
/* As after an unmount and a mount. */
void fixture_reopen(struct fixture *s);
void fixture_close(struct fixture *s);

/* The counter after which data_to_text() says LABEL. */
uint64_t fixture_counter(struct fixture *s, const char *label);

/* A lower file: in memory, with holes of whole 4 KiB blocks, with or without a descriptor. */
struct lower {
	uint8_t *bytes;
	uint64_t size;
	struct data_source src;
	uint64_t fail_from; /* reading this byte or a later one is -EIO */
	uint64_t reads;
};
/* Random bytes; about one of HOLES blocks is a hole (0: none). DIR: where the descriptor's file is
 * made, NULL for a lower file without one. */
void lower_make(struct lower *l, uint64_t size, unsigned int holes, const char *dir,
		uint64_t *random);
void lower_done(struct lower *l);

/* A file: its record as the caller holds it, and as it was committed last. */
struct file {
	struct fixture *store;
	struct inode_rec rec;
	struct lower *lower;
};
/* An empty inline file with a new number, or a file with LOWER's bytes; committed. */
void file_make(struct file *f, struct fixture *s, struct lower *lower);
void file_done(struct file *f);
/* A store with small chunks and one empty file, and their end. */
void fixture_open_file(struct fixture *s, struct file *f);
void fixture_close_file(struct fixture *s, struct file *f);
/* Reads the record from the catalog, as after a crash. */
void file_reload(struct file *f);
const struct data_source *file_source(const struct file *f);

/* One change and its commit: what the call, or the commit, returned. */
int file_write(struct file *f, const void *bytes, size_t size, uint64_t off);
int file_truncate(struct file *f, uint64_t size);
int file_fallocate(struct file *f, int mode, uint64_t off, uint64_t len);
uint64_t file_length(struct file *f);
/* Fails the test unless the content is SIZE bytes, these. */
void file_expect(struct file *f, const uint8_t *bytes, uint64_t size);
/* Fails the test when holes hold bytes, or SEEK_DATA and SEEK_HOLE contradict each other. */
void file_expect_seeks(struct file *f, const uint8_t *bytes, uint64_t size);

/* A small random number generator, so that a seed gives the same test again. */
uint64_t random_next(uint64_t *state);
uint64_t random_below(uint64_t *state, uint64_t n);
/* The seed that PLYFS_TEST_SEED names, or DEFAULT_SEED. */
uint64_t random_seed(uint64_t default_seed);

/* Removes a directory and what is in it. */
void remove_tree(const char *path);
/* A new directory under $TMPDIR. */
void make_temp_dir(char *ret_path, size_t size);

#endif
