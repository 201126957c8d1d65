/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: redo records of what the LMDB file does not hold yet. */
#ifndef PLYFS_CATALOG_JOURNAL_H
#define PLYFS_CATALOG_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/format.h"

/*
 * Records have consecutive sequence numbers. Which of them count is decided by the tables: those
 * up to SUPER_APPLIED are in the LMDB file already. So an old record that is still in the file, or
 * comes back from a disk block after a power cut, does no harm.
 */
struct journal {
	int fd;	       /* owned; -1 when closed */
	uint64_t seed; /* of the catalog: a record of another catalog is not valid in this one */
	uint64_t len;  /* where the next record goes; old records may lie behind it */
	bool unsynced; /* something was written since the last flush */
	uint64_t allocated; /* blocks are reserved up to here; at most `len`: unknown */
	bool no_reserve;    /* the file system cannot reserve blocks */
	bool step_failed; /* there was no room for a large step, since the journal was started anew */
};

/* There are two files: while the records of one are brought into the tables, new ones go to the other. */
#define N_JOURNALS 2
extern const char *const journal_names[N_JOURNALS];

/* Bytes kept reserved behind the records for changes that free space, so that a full disk can be
 * emptied again. */
#define JOURNAL_RESERVE ((uint64_t)128 << 10)

/* What a journal in memory holds. */
struct journal_scan {
	const uint8_t *bytes; /* borrowed */
	size_t len;
	size_t off;	   /* of the next record; after the last valid one: where the prefix ends */
	uint64_t last_seq; /* of the last valid record; 0: none yet */
	bool header_bad;   /* long enough for a header, but it is not one */
	uint64_t base;	   /* the header's: records up to here were in the tables; 0 if bad */
	uint32_t version;  /* the header's; 0 if bad or missing */
};

struct journal_record {
	uint64_t seq;
	const uint8_t *body;
	uint32_t len;
};

/* Looks at the header of BYTES, which stay borrowed. Total. */
void journal_scan_begin(struct journal_scan *scan, const void *bytes, size_t len);
/* The next record with the next number, checked; false at the end of the valid prefix. */
bool journal_scan_next(struct journal_scan *scan, uint64_t seed, struct journal_record *ret_record);
/* After the prefix has ended: is there a whole record numbered above AFTER behind it? A tail torn by a
 * crash has none. */
bool journal_scan_more(const struct journal_scan *scan, uint64_t seed, uint64_t after);

/* Reads the whole file FD, of at most 1 GiB, into allocated memory. */
int journal_read(int fd, uint8_t **ret_bytes, size_t *ret_len);

/*
 * Appends one record: 0, or -errno and the file is as before. -ENOSPC when the disk is full, or so
 * nearly full that only the reserve is left and FREES says that the body does not free space.
 * -EBADFD when the file could not be brought back: nothing may be appended any more.
 */
int journal_append(struct journal *j, uint64_t seq, const void *body, size_t len, bool frees);

/* Cuts the file back to LEN bytes. */
int journal_cut(struct journal *j, uint64_t len);

/*
 * Starts over after a durable commit of all records up to BASE: the header is overwritten, and what is
 * behind KEEP bytes is cut off. Blocks that are kept need not be asked for again, on a full disk, and
 * overwriting them makes flushes cheap. The old records in them have numbers that are not above BASE,
 * so they mean nothing. On failure they do no harm either.
 */
int journal_reset(struct journal *j, uint64_t base, uint64_t keep);
#define JOURNAL_KEEP ((uint64_t)1 << 20)

/*
 * The same where an append could not be undone: nobody was told that its record is there, and its number is above BASE.
 * Fails while that record cannot be had out of the way.
 */
int journal_reset_failed(struct journal *j, uint64_t base);

/* True when there is no record in it that counts. */
static inline bool journal_is_empty(const struct journal *j)
{
	return j->len <= JOURNAL_HEADER_SIZE;
}

/* Makes sure of the blocks behind the end that are for changes that free space. False: none left. */
bool journal_has_reserve(struct journal *j);

/*
 * Writes zeros behind the records, up to JOURNAL_KEEP, unless that was done. A flush of records that
 * are written over them changes no metadata of the file, which on most file systems halves its cost.
 * For who flushes often; nothing depends on it.
 */
void journal_fill(struct journal *j);

/* Creates the file NAME in DIRFD, or opens it; writes a header when it has none. Records go to LEN. */
int journal_open(struct journal *j, int dirfd, const char *name, uint64_t seed, uint64_t base,
		 uint64_t len);
void journal_close(struct journal *j);

/* Renames FILE to the first free JOURNAL_FILE_BAD; the number in RET_NUMBER. */
int journal_set_aside(int dirfd, const char *file, unsigned int *ret_number);

#endif
