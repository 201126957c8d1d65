/* SPDX-License-Identifier: Apache-2.0 */
/* Damage to the files of a small upper, one byte or one length at a time, and what is said of it. */
#ifndef PLYFS_TESTS_TOOL_DAMAGE_H
#define PLYFS_TESTS_TOOL_DAMAGE_H

#include "support/sample.h"

/* The most that are flipped at once. */
#define DAMAGE_BYTES 64

enum damage_file { FILE_TABLES, FILE_SUM, FILE_JOURNAL, FILE_JOURNAL2, N_DAMAGE_FILES };

/* What happens where, for people and for the parent of a child that died. Shared memory. */
struct damage_place {
	char upper[sizeof(((struct tmpdir *)NULL)->path)];
	char what[32];
	size_t at,
		upto; /* the bytes from AT on, all of them below UPTO; one, unless it says otherwise */
	unsigned int bit;
};

/* A child's own upper. */
struct damage {
	struct made_upper u;
	int dir; /* .plyfs */
	struct {
		uint8_t *bytes; /* owned; undamaged; NULL: there is none */
		size_t len;
	} files[N_DAMAGE_FILES];
	enum damage_file file; /* the damaged one */
	size_t from, to;       /* the damaged bytes */
	bool is_changed;       /* any file may be another by now */
	char *whole;	       /* owned; the dump of the undamaged state */
	struct damage_place *place;
	unsigned int child, n_children, seed;
	bool all;	  /* PLYFS_TEST_ALL */
	const char *only; /* PLYFS_DAMAGE_AT: the one place to look at; NULL: every one */
};

/* CLOSED: everything is in catalog.mdb; else everything is in the journal. */
enum damage_state { DAMAGE_CLOSED, DAMAGE_UNCLOSED };

/*
 * Runs WORK in children, each with an upper of its own in memory. A child that finds something
 * wrong, dies or hangs fails the test, which says at which place.
 */
void damage_run(enum damage_state state, void (*work)(struct damage *d));

/* Are the places from FROM on, N of them, this child's? FROM is a multiple of N. */
bool damage_is_mine(const struct damage *d, size_t from, size_t n);
/* Is this one asked for, as all are unless PLYFS_DAMAGE_AT says which? */
bool damage_is_wanted(const struct damage *d, size_t place);
/* One in N of the places, others each time; with PLYFS_TEST_ALL every one. */
bool damage_is_sampled(const struct damage *d, size_t place, size_t n);

/* Flips a bit of the byte at AT, or makes the file LEN bytes long. One damage at a time. */
void damage_flip(struct damage *d, enum damage_file file, size_t at, unsigned int bit);
/* Flips one bit of each byte from FROM on that is below TO: of the next byte the next bit. */
void damage_flip_all(struct damage *d, enum damage_file file, size_t from, size_t to,
		     unsigned int bit);
void damage_cut(struct damage *d, enum damage_file file, size_t len);
/* All files as they were. */
void damage_mend(struct damage *d);
/* From now on there is no such file. */
void damage_drop(struct damage *d, enum damage_file file);

/* Fsck's verdict: any that there is, and what it says is fit for people. RET_TEXT is owned. */
int damage_check(struct damage *d, char **ret_text);
/* Gets out what can be got, which is always something or nothing, but never an error. */
void damage_salvage(struct damage *d);
/*
 * Opens the catalog as a mount does, and closes it: what fsck finds nothing wrong with must open, what
 * does not must be told with the file's name. Changes the files.
 */
void damage_mount(struct damage *d, int verdict);

/* Ends the child: TEXT is wrong. */
void damage_wrong(const struct damage *d, int status, const char *text) __attribute__((noreturn));

#endif
