/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing the journals' records in at an open. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/sys.h"
#include "catalog/internal.h"

void journal_bytes_done(struct journal_bytes *j)
{
	for (unsigned int i = 0; i < N_JOURNALS; i++)
		free(j->bytes[i]);
	*j = (struct journal_bytes){0};
}

int journals_read(int dirfd, struct journal_bytes *ret_bytes)
{
	CLEANUP(journal_bytes) struct journal_bytes j = {0};

	for (unsigned int i = 0; i < N_JOURNALS; i++) {
		CLEANUP(fd) int fd = sys_openat(dirfd, journal_names[i], O_RDONLY | O_NOFOLLOW, 0);
		int rc;

		if (fd == -ENOENT)
			continue;
		rc = fd < 0 ? fd : journal_read(fd, &j.bytes[i], &j.len[i]);
		if (rc < 0)
			return rc;
	}
	*ret_bytes = j;
	j = (struct journal_bytes){0};
	return 0;
}

int inos_add(uint64_t **inos, size_t *n, uint64_t ino)
{
	/* Room comes in steps that double. */
	if ((*n & (*n - 1)) == 0) {
		uint64_t *more = reallocarray(*inos, *n == 0 ? 1 : *n * 2, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		*inos = more;
	}
	(*inos)[(*n)++] = ino;
	return 0;
}

/*
 * Has the inode a data file until this change? Then it is one that a checkpoint brought in, and was durable
 * then; or one that was remembered already.
 */
static bool has_file(struct catalog *c, const struct op *put)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	MDB_val v;

	return view_get(c, TABLE_INODE, put->key, put->key_len, &v) == 0 &&
	       inode_decode(v.mv_data, v.mv_size, get_be64(put->key), &rec) == 0 &&
	       inode_has_file(&rec);
}

void ino_is_given(struct catalog *c, uint64_t ino)
{
	if (ino < CATALOG_FIRST_LOWER_INO && ino >= c->next_ino)
		c->next_ino = ino + 1;
}

/* Remembers the inodes whose records a journal record puts, but for those that had a data file before. */
static int note_replayed(struct catalog *c, const struct journal_record *record, size_t *ret_n)
{
	struct reader r = reader_of(record->body, record->len);
	struct op op;

	for (*ret_n = 0; op_next(&r, &op) > 0; ++*ret_n) {
		int rc;

		if (op.kind != OP_PUT || op.table != TABLE_INODE)
			continue;
		/* Also when a later record deletes it. */
		ino_is_given(c, get_be64(op.key));
		if (has_file(c, &op))
			continue;
		rc = inos_add(&c->replayed, &c->n_replayed, get_be64(op.key));
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* A body that no batch can have was written by a newer program, or is damaged with a right sum. */
static int check_body(const struct journal_record *record)
{
	struct reader r = reader_of(record->body, record->len);
	struct op op;
	int rc;

	while ((rc = op_next(&r, &op)) > 0)
		;
	return rc;
}

static int apply_record(struct catalog *c, const struct journal_record *record)
{
	size_t n;
	int rc = check_body(record);

	if (rc == 0)
		rc = note_replayed(c, record, &n);
	if (rc == 0)
		rc = delta_reserve(c->active, record->len, n);
	if (rc < 0)
		return rc;
	delta_apply(c->active, record->body, record->len);
	c->seq = record->seq;
	return 0;
}

/* One journal's records that continue the last one. 1: it has more, but not the next. */
static int apply_journal(struct catalog *c, struct journal_scan *scan)
{
	struct journal_record record;
	struct journal_scan before = *scan;

	while (journal_scan_next(scan, c->seed, &record)) {
		int rc;

		if (record.seq > c->seq + 1) {
			*scan = before;
			return 1;
		}
		if (record.seq > c->seq) {
			rc = apply_record(c, &record);
			if (rc < 0)
				return rc;
		}
		before = *scan;
	}
	return 0;
}

/* The number of the first record in it; the highest when there is none. */
static uint64_t first_seq(const struct journal_scan *scan, uint64_t seed)
{
	struct journal_scan copy = *scan;
	struct journal_record record;

	return journal_scan_next(&copy, seed, &record) ? record.seq : UINT64_MAX;
}

int replay_journals(struct catalog *c, const struct journal_bytes *bytes, struct replay *ret_replay)
{
	struct replay replay = {0};
	unsigned int first;

	for (unsigned int i = 0; i < N_JOURNALS; i++) {
		journal_scan_begin(&replay.scans[i], bytes->bytes[i], bytes->len[i]);
		/* Whoever wrote this header had tables with more in them than ours. */
		if (replay.scans[i].base > c->applied)
			return -ESTALE;
	}
	first = first_seq(&replay.scans[1], c->seed) < first_seq(&replay.scans[0], c->seed);
	for (unsigned int i = 0; i < N_JOURNALS; i++) {
		int rc = apply_journal(c, &replay.scans[i == 0 ? first : !first]);

		if (rc < 0)
			return rc;
		replay.gap |= rc > 0;
	}
	*ret_replay = replay;
	return 0;
}
