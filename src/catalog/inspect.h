/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a catalog, looked at from outside, without opening it or changing anything. */
#ifndef PLYFS_CATALOG_INSPECT_H
#define PLYFS_CATALOG_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/journal.h"

/* Who has the catalog open for writing. */
struct catalog_owner {
	bool in_use;
	bool closing;  /* it is about to let go */
	long pid;      /* 0: not known */
	char host[65]; /* "": not known */
};

/* 0, or -errno when the lock file cannot be read. No lock file: not in use. */
int catalog_owner_of(int dirfd, struct catalog_owner *ret_owner);

/* One journal file, as it was read. */
struct journal_file {
	const char *name;
	uint8_t *bytes; /* owned; NULL: there is none */
	size_t len;
};

struct catalog_files {
	bool has_catalog;
	int tree;	 /* 0 the pages are in order; -EUCLEAN and why; another -errno */
	const char *why; /* static text */
	int sum; /* 1 the file agrees with its checksum; 0 it has none; -EUCLEAN it differs */
	uint64_t pages; /* in use */
	struct journal_file journals[N_JOURNALS];
	bool has_changes;      /* a journal has more than a header */
	size_t n_bad_journals; /* damaged ones that were put aside earlier */
};
void catalog_files_done(struct catalog_files *f);
DEFINE_CLEANUP(struct catalog_files, catalog_files, catalog_files_done)

/*
 * Reads and checks the files. 0 whatever they are like; -errno and a sentence when they cannot be
 * read. IN_USE: catalog.mdb changes while it is read, so of it is only said whether it is there; a snapshot's open checks
 * its copy. RET_FILES is to be given to catalog_files_done().
 */
int catalog_inspect(int dirfd, bool in_use, struct catalog_files *ret_files, struct err *err);

/* What a journal is worth to a catalog with the seed SEED whose last batch is number LAST. */
struct journal_verdict {
	uint64_t records; /* that were not in the tables when the journal began */
	bool header_bad;
	bool damaged; /* records behind a damaged one: they are lost */
};
void journal_judge(const struct journal_file *file, uint64_t seed, uint64_t last,
		   struct journal_verdict *ret_verdict);

/* Removes the checksum of catalog.mdb, which then counts as it is. */
int catalog_forget_sum(int dirfd);

#endif
