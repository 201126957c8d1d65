/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the journal: cut anywhere, flipped anywhere, continued by a killed process. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "catalog/internal.h"
#include "unit/catalog/helper.h"

/* A child that commits numbers FROM to TO and dies without closing. */
struct range {
	const struct dir *d;
	uint64_t from, to;
	bool checkpoint; /* in the middle */
};

static int commit_and_die(void *arg)
{
	const struct range *r = arg;
	struct catalog *c = open_quick(r->d);

	if (c == NULL)
		return 1;
	for (uint64_t n = r->from; n <= r->to; n++) {
		if (commit_numbered(c, n) < 0)
			return 2;
		if (r->checkpoint && n == (r->from + r->to) / 2 && catalog_checkpoint(c) < 0)
			return 3;
	}
	return 0; /* and _exit() */
}

static void die_after(const struct dir *d, uint64_t from, uint64_t to, bool checkpoint)
{
	struct range r = {d, from, to, checkpoint};

	cr_assert_eq(in_child(commit_and_die, &r), 0);
}

static int64_t count_in(const struct dir *d)
{
	CLEANUP(catalog) struct catalog *c = open_quick(d);

	return c == NULL ? -2 : count_numbered(c);
}

Test(journal, exit_without_close)
{
	CLEANUP(dir) struct dir d = dir_make();

	die_after(&d, 1, 100, false);
	cr_assert_gt(file_size(&d, JOURNAL_FILE), 10000);
	die_after(&d, 101, 250, true);
	die_after(&d, 251, 251, false);
	cr_assert_eq(count_in(&d), 251);
	cr_assert_eq(file_size(&d, JOURNAL_FILE), JOURNAL_HEADER_SIZE, "a clean close empties it");
	cr_assert_eq(count_in(&d), 251);
}

/* Acknowledges each commit through a pipe until it is killed. */
static void commit_until_killed(const struct dir *d, uint64_t from, int ack)
{
	struct catalog_options options = {.mode = CATALOG_WRITE,
					  .create = true,
					  .no_sync = true,
					  .no_threads = NO_THREADS_IN_CHILDREN};
	struct catalog *c = NULL;

	die_with_parent();
	if (catalog_open(d->fd, &options, &c, NULL) < 0)
		_exit(1);
	for (uint64_t n = from;; n++) {
		if (commit_numbered(c, n) < 0 || write(ack, &n, sizeof(n)) != sizeof(n))
			_exit(2);
		if (n % 97 == 0 && catalog_checkpoint(c) < 0)
			_exit(3);
	}
}

Test(journal, sigkill_at_any_time)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct rng r = rng_seeded("sigkill_at_any_time");
	int64_t have = 0;

	for (int round = 0; round < 50; round++) {
		uint64_t n, acked = (uint64_t)have;
		int ack[2], status;
		pid_t pid;

		cr_assert_eq(pipe(ack), 0);
		pid = fork();
		cr_assert_geq(pid, 0);
		if (pid == 0)
			commit_until_killed(&d, (uint64_t)have + 1, ack[1]);
		close(ack[1]);
		/* Wait for the first, so that each round gets somewhere. */
		cr_assert_eq(read(ack[0], &n, sizeof(n)), (ssize_t)sizeof(n));
		usleep((useconds_t)rng_below(&r, 12000));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		cr_assert(WIFSIGNALED(status), "the child failed with %d", WEXITSTATUS(status));
		do {
			acked = n;
		} while (read(ack[0], &n, sizeof(n)) == sizeof(n));
		close(ack[0]);
		have = count_in(&d);
		cr_assert(have == (int64_t)acked || have == (int64_t)acked + 1,
			  "round %d: %lld acknowledged, %lld there", round, (long long)acked,
			  (long long)have);
	}
}

/* Cuts the journal NAME at every length from its end down. */
static void cut_everywhere(const struct dir *d, const char *name, uint64_t all, uint64_t at_least)
{
	CLEANUP(saved) struct saved saved = save_files(d);
	size_t journal_len;
	CLEANUP(free) uint8_t *journal = file_read(d, name, &journal_len);
	int64_t last = (int64_t)all;

	for (size_t len = journal_len + 1; len-- > 0;) {
		struct catalog *c;
		int64_t n;

		restore_files(d, &saved);
		file_write(d, name, journal, len);
		c = open_quick(d);
		cr_assert_not_null(c, "cut at %zu", len);
		n = count_numbered(c);
		cr_assert(n <= last && n >= last - 1 && n >= (int64_t)at_least,
			  "cut at %zu: %lld, before %lld", len, (long long)n, (long long)last);
		last = n;
		/* What comes next must not be spoiled by what is left of the torn record. */
		cr_assert_eq(commit_numbered(c, (uint64_t)n + 1), 0);
		catalog_close(c);
		cr_assert_eq(count_in(d), n + 1, "cut at %zu", len);
		cr_assert_eq(file_size(d, "journal.bad-1"), -1, "a torn tail is no damage");
	}
	cr_assert_eq(last, (int64_t)at_least);
}

Test(journal, cut_at_every_byte)
{
	CLEANUP(dir) struct dir d = dir_make();

	be_quiet();
	die_after(&d, 1, 6, false);
	cut_everywhere(&d, JOURNAL_FILE, 6, 0);
}

Test(journal, cut_at_every_byte_after_a_checkpoint)
{
	CLEANUP(dir) struct dir d = dir_make();

	be_quiet();
	die_after(&d, 1, 23, true);
	cut_everywhere(&d, JOURNAL_FILE_2, 23, 12);
}

/* The journal that a checkpoint has brought in has nothing that counts. */
Test(journal, cut_the_old_one_at_every_byte)
{
	CLEANUP(dir) struct dir d = dir_make();

	be_quiet();
	die_after(&d, 1, 23, true);
	cut_everywhere(&d, JOURNAL_FILE, 23, 23);
}

/* What opens after a flipped bit must be a state that once was. */
static void flip_everywhere(const struct dir *d, const char *name, uint64_t all, uint64_t at_least)
{
	CLEANUP(saved) struct saved saved = save_files(d);
	size_t journal_len;
	CLEANUP(free) uint8_t *journal = file_read(d, name, &journal_len);
	int aside = 0;

	for (size_t at = 0; at < journal_len; at++) {
		int64_t n;

		journal[at] ^= (uint8_t)(1u << (at % 8));
		restore_files(d, &saved);
		file_write(d, name, journal, journal_len);
		n = count_in(d);
		cr_assert(n >= (int64_t)at_least && n <= (int64_t)all, "flipped at %zu: %lld", at,
			  (long long)n);
		if (at < JOURNAL_HEADER_SIZE)
			cr_assert_eq(n, (int64_t)all, "a bad header costs no record");
		else
			cr_assert_lt(n, (int64_t)all, "a bad record must not be applied");
		if (file_size(d, "journal.bad-1") >= 0) {
			size_t len;
			CLEANUP(free) uint8_t *kept = file_read(d, "journal.bad-1", &len);

			cr_assert_eq(len, journal_len);
			cr_assert_eq(memcmp(kept, journal, len), 0, "kept as it was");
			cr_assert_eq(unlinkat(d->fd, "journal.bad-1", 0), 0);
			aside++;
		}
		cr_assert_eq(count_in(d), n, "the next open finds the same");
		journal[at] ^= (uint8_t)(1u << (at % 8));
	}
	/* All but those in the last record, which look torn. */
	cr_assert_gt(aside, (int)journal_len / 2);
	cr_assert_lt(aside, (int)journal_len);
}

Test(journal, flip_every_byte)
{
	CLEANUP(dir) struct dir d = dir_make();

	be_quiet();
	die_after(&d, 1, 6, false);
	flip_everywhere(&d, JOURNAL_FILE, 6, 0);
}

Test(journal, flip_every_byte_after_a_checkpoint)
{
	CLEANUP(dir) struct dir d = dir_make();

	be_quiet();
	die_after(&d, 1, 13, true);
	flip_everywhere(&d, JOURNAL_FILE_2, 13, 7);
}

/* Both journals hold records that count: a checkpoint had begun when the process died. */
static int die_in_a_checkpoint(void *arg)
{
	struct catalog *c = open_quick(arg);

	if (c == NULL)
		return 1;
	for (uint64_t n = 1; n <= 12; n++) {
		if (commit_numbered(c, n) < 0)
			return 2;
		c->fail_apply = 1;
		if (n == 6 && catalog_checkpoint(c) == 0)
			return 3;
	}
	return 0;
}

Test(journal, both_journals_count)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(saved) struct saved saved = {0};

	be_quiet();
	cr_assert_eq(in_child(die_in_a_checkpoint, &d), 0);
	saved = save_files(&d);
	cr_assert_eq(count_in(&d), 12);
	restore_files(&d, &saved);
	cut_everywhere(&d, JOURNAL_FILE_2, 12, 6);
	restore_files(&d, &saved);
	/* What is behind a gap is damage: it is kept for people. */
	file_write(&d, JOURNAL_FILE, saved.bytes[1], saved.len[1] - 1);
	cr_assert_eq(count_in(&d), 5);
	cr_assert_eq(file_size(&d, "journal.bad-1"), (off_t)saved.len[2]);
	cr_assert_eq(count_in(&d), 5);
}

Test(journal, bad_journals_are_all_kept)
{
	CLEANUP(dir) struct dir d = dir_make();

	be_quiet();
	for (uint64_t i = 0; i < 3; i++) {
		size_t len;
		uint8_t *journal;
		char name[32];

		die_after(&d, i + 1, i + 4, false);
		journal = file_read(&d, JOURNAL_FILE, &len);
		/* The second record: one survives each time. */
		journal[JOURNAL_HEADER_SIZE + len / 4] ^= 1;
		file_write(&d, JOURNAL_FILE, journal, len);
		free(journal);
		cr_assert_eq(count_in(&d), (int64_t)i + 1);
		snprintf(name, sizeof(name), JOURNAL_FILE_BAD, (unsigned int)i + 1);
		cr_assert_eq(file_size(&d, name), (off_t)len);
	}
}

/* Random bytes in the place of a journal: every length, no crash. */
Test(journal, garbage)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct rng r = rng_seeded("journal garbage");
	uint8_t bytes[512];

	be_quiet();
	cr_assert_eq(count_in(&d), 0);
	for (size_t len = 0; len < sizeof(bytes); len++) {
		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)rng_next(&r);
		/* Something that looks like records, now and then. */
		for (size_t i = JOURNAL_HEADER_SIZE; i + 4 < len; i += 40)
			put_le32(bytes + i, JOURNAL_RECORD_MAGIC);
		file_write(&d, JOURNAL_FILE, bytes, len);
		cr_assert_eq(count_in(&d), 0);
		unlinkat(d.fd, "journal.bad-1", 0);
	}
}

static void assert_refused(const struct dir *d, int code, const char *word)
{
	CLEANUP(err) struct err err = {0};

	cr_assert_eq(open_error(d, CATALOG_WRITE, &err), -code);
	cr_assert_not_null(strstr(err_text(&err), word), "%s", err_text(&err));
	cr_assert_null(strchr(err_text(&err), '\n'));
}

Test(journal, of_a_newer_version)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(free) uint8_t *journal = NULL;
	size_t len;

	die_after(&d, 1, 3, false);
	journal = file_read(&d, JOURNAL_FILE, &len);
	put_le32(journal + 8, FORMAT_VERSION + 1);
	put_le64(journal + 24, hash64(journal, 24, 0));
	file_write(&d, JOURNAL_FILE, journal, len);
	assert_refused(&d, EPROTONOSUPPORT, "version 2");
	assert_refused(&d, EPROTONOSUPPORT, "version 1");
}

/* An old copy of catalog.mdb beside the journal of a newer one. */
Test(journal, with_an_older_catalog)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(free) uint8_t *mdb = NULL;
	size_t len;

	die_after(&d, 1, 10, false);
	mdb = file_read(&d, CATALOG_FILE, &len);
	die_after(&d, 11, 20, true);
	file_write(&d, CATALOG_FILE, mdb, len);
	assert_refused(&d, EUCLEAN, JOURNAL_FILE);
	/* The way out that the sentence names. */
	cr_assert_eq(unlinkat(d.fd, JOURNAL_FILE, 0), 0);
	cr_assert_eq(unlinkat(d.fd, JOURNAL_FILE_2, 0), 0);
	cr_assert_eq(count_in(&d), 0);
}

Test(journal, without_a_catalog)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(err) struct err err = {0};
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .create = true, .no_threads = true};
	struct catalog *c = NULL;

	die_after(&d, 1, 10, false);
	cr_assert_eq(unlinkat(d.fd, CATALOG_FILE, 0), 0);
	cr_assert_eq(catalog_open(d.fd, &options, &c, &err), -EUCLEAN);
	cr_assert_not_null(strstr(err_text(&err), CATALOG_FILE));
}

/* Of another catalog: its records are not ours. */
Test(journal, of_another_catalog)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(dir) struct dir other = dir_make();
	CLEANUP(free) uint8_t *journal = NULL;
	size_t len;

	be_quiet();
	die_after(&d, 1, 5, false);
	die_after(&other, 1, 9, false);
	journal = file_read(&other, JOURNAL_FILE, &len);
	file_write(&d, JOURNAL_FILE, journal, len);
	cr_assert_eq(count_in(&d), 0);
}

static int mend_some(void *arg, struct catalog *c, struct batch *fixes)
{
	struct inode_rec rec = {.attr = {.ino = 1000, .mode = S_IFREG | 0600, .nlink = 1}};

	(void)arg, (void)c;
	batch_put_inode(fixes, &rec);
	return -EIO;
}

/* What could be mended is in the tables with the records, and not only until the next kill: the journals do not have it. */
Test(journal, what_is_mended_counts_after_an_error)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog_options o = {
		.mode = CATALOG_WRITE,
		.no_sync = true,
		.no_threads = true,
		.replayed = mend_some,
	};
	CLEANUP(catalog) struct catalog *c = NULL;
	CLEANUP(catalog) struct catalog *as_is = NULL;
	CLEANUP(inode_rec) struct inode_rec rec = {0};

	be_quiet();
	die_after(&d, 1, 25, false);
	cr_assert_eq(catalog_open(d.fd, &o, &c, NULL), 0);
	cr_assert_eq(catalog_inode(c, 1000, &rec), 0);
	as_is = open_snapshot(&d);
	cr_assert_eq(catalog_inode(as_is, 1000, &rec), 0);
}

/* A crash between a checkpoint's commit and the journal's new start: old records change nothing. */
Test(journal, old_records_are_not_applied_again)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(free) uint8_t *journal = NULL;
	size_t len;

	die_after(&d, 1, 25, false);
	journal = file_read(&d, JOURNAL_FILE, &len);
	cr_assert_eq(count_in(&d), 25);
	die_after(&d, 26, 27, false);
	/* The newer records are lost with it, as with an unsynced journal at a power cut. */
	file_write(&d, JOURNAL_FILE, journal, len);
	cr_assert_eq(count_in(&d), 25);
	die_after(&d, 26, 30, false);
	cr_assert_eq(count_in(&d), 30);
}

/* A write that fails and cannot be undone: no more commits until a checkpoint. */
Test(journal, failed_undo)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);
	int fds[2], journal;

	be_quiet();
	cr_assert_not_null(c);
	for (uint64_t n = 1; n <= 5; n++)
		cr_assert_eq(commit_numbered(c, n), 0);
	cr_assert_eq(pipe(fds), 0);
	journal = c->journals[c->current].fd;
	c->journals[c->current].fd = fds[1];
	cr_assert_eq(commit_numbered(c, 6), -EIO);
	c->journals[c->current].fd = journal;
	cr_assert(c->failed);
	cr_assert_eq(commit_numbered(c, 6), -EIO);
	cr_assert_eq(count_numbered(c), 5, "reads go on");
	cr_assert_eq(catalog_checkpoint(c), 0);
	cr_assert_eq(commit_numbered(c, 6), 0);
	cr_assert_eq(count_numbered(c), 6);
	close(fds[0]);
	close(fds[1]);
}

/* As from an error after the last byte of a record was written: it is there, whole. */
static void commit_undead(struct catalog *c)
{
	CLEANUP(batch) struct batch b = {0};
	struct journal copy = c->journals[c->current];
	uint64_t n = c->seq + 1;

	batch_begin(&b, c);
	batch_put_super(&b, "n", &n, sizeof(n));
	cr_assert_eq(journal_append(&copy, n, b.body.data, b.body.len, false), 0);
	c->failed = true;
	cr_assert_eq(commit_numbered(c, n), -EIO);
}

/* What is in the directory, to somebody who opens it after a kill. */
static int64_t count_after_kill(const struct dir *d)
{
	CLEANUP(dir) struct dir other = dir_make();
	CLEANUP(saved) struct saved s = save_files(d);

	restore_files(&other, &s);
	return count_in(&other);
}

/* The journal may just have been started anew; either way the record that was not promised is gone for good. */
static void failed_undo_behind(uint64_t n_records)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);

	be_quiet();
	cr_assert_not_null(c);
	for (uint64_t n = 1; n <= 5; n++)
		cr_assert_eq(commit_numbered(c, n), 0);
	cr_assert_eq(catalog_checkpoint(c), 0);
	while (c->seq < 5 + n_records)
		cr_assert_eq(commit_numbered(c, c->seq + 1), 0);
	cr_assert_eq(journal_is_empty(&c->journals[c->current]), n_records == 0);
	commit_undead(c);
	cr_assert_eq(catalog_checkpoint(c), 0);
	cr_assert_not(c->failed);
	cr_assert_eq(count_after_kill(&d), 5 + (int64_t)n_records);
	cr_assert_eq(commit_numbered(c, c->seq + 1), 0);
	cr_assert_eq(count_numbered(c), 6 + (int64_t)n_records);
	cr_assert_eq(count_after_kill(&d), 6 + (int64_t)n_records);
}

Test(journal, failed_undo_of_the_first)
{
	failed_undo_behind(0);
}

Test(journal, failed_undo_of_a_later_one)
{
	failed_undo_behind(2);
}

/* Large enough that checkpoints come by themselves, without a thread. */
Test(journal, does_not_grow_without_end)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);
	CLEANUP(batch) struct batch b = {0};
	static uint8_t value[XATTR_VALUE_MAX];

	cr_assert_not_null(c);
	for (int i = 0; i < 1600; i++) {
		value[i] = (uint8_t)i;
		batch_begin(&b, c);
		batch_put_xattr(&b, (uint64_t)i % 7, "user.large", value, sizeof(value));
		cr_assert_eq(catalog_commit(c, &b), 0);
		cr_assert_lt(c->journals[c->current].len, CHECKPOINT_BYTES + 100000);
	}
	cr_assert_geq(c->stats.checkpoints, 3);
}
