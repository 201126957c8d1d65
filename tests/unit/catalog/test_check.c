/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of damaged LMDB files: cut short, flipped, garbage. Never a crash, never wrong content. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/check.h"
#include "catalog/internal.h"
#include "unit/catalog/helper.h"

#define PAGE  4096
#define LARGE ((uint64_t)1 << 40) /* inodes with long values */

/* A closed catalog with free pages, long values and several levels, and its bytes. */
struct sample {
	struct dir d;
	uint8_t *mdb; /* owned */
	size_t len;
	uint64_t n;
};

static void sample_done(struct sample *s)
{
	free(s->mdb);
	dir_remove(&s->d);
}
DEFINE_CLEANUP(struct sample, sample, sample_done)

static void put_large(struct catalog *c, uint64_t ino, size_t len)
{
	CLEANUP(batch) struct batch b = {0};
	static uint8_t bytes[XATTR_VALUE_MAX];

	memset(bytes, (int)ino, sizeof(bytes));
	batch_begin(&b, c);
	batch_put_xattr(&b, ino, "user.large", bytes, len);
	cr_assert_eq(catalog_commit(c, &b), 0);
}

static void del_large(struct catalog *c, uint64_t ino)
{
	CLEANUP(batch) struct batch b = {0};

	batch_begin(&b, c);
	batch_del_inode(&b, ino);
	cr_assert_eq(catalog_commit(c, &b), 0);
}

static struct sample sample_make(uint64_t n)
{
	struct sample s = {.d = dir_make(), .n = n};
	struct catalog *c = open_quick(&s.d);

	cr_assert_not_null(c);
	for (uint64_t i = 1; i <= n; i++) {
		cr_assert_eq(commit_numbered(c, i), 0);
		if (i % 50 == 0)
			put_large(c, LARGE + i, i * 37 % XATTR_VALUE_MAX);
		if (i % 150 == 0)
			del_large(c, LARGE + i - 50);
		if (i % 100 == 0)
			cr_assert_eq(catalog_checkpoint(c), 0);
	}
	cr_assert_eq(count_numbered(c), (int64_t)n);
	catalog_close(c);
	cr_assert(has_sum(&s.d));
	s.mdb = file_read(&s.d, CATALOG_FILE, &s.len);
	return s;
}

static int check_fd(const struct dir *d, const char **ret_why)
{
	int fd = openat(d->fd, CATALOG_FILE, O_RDONLY | O_CLOEXEC);
	struct check_info info;
	int rc = check_tree(fd, &info, ret_why);

	close(fd);
	return rc;
}

Test(check, whole_files_pass)
{
	CLEANUP(sample) struct sample s = sample_make(3000);
	const char *why = "";
	struct check_info info;
	int fd;

	cr_assert_eq(check_fd(&s.d, &why), 0, "%s", why);
	fd = openat(s.d.fd, CATALOG_FILE, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(check_tree(fd, &info, &why), 0);
	/* Every page belongs to a tree or to the free list. */
	cr_assert_geq(info.pages + 2, s.len / PAGE);
	cr_assert_eq(info.size, s.len);
	cr_assert_eq(check_sum(s.d.fd, fd), 1);
	close(fd);
}

/* Opens in a child, where even a crash would be seen: 0 right content, 1 refused, 2 wrong. */
static int open_and_count(void *arg)
{
	const struct sample *s = arg;
	struct err err = {0};
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .no_sync = true, .no_threads = true};
	struct catalog *c = NULL;
	int64_t n;
	int rc = catalog_open(s->d.fd, &options, &c, &err);

	if (rc < 0)
		return (rc == -EUCLEAN || rc == -EPROTONOSUPPORT) &&
				       strstr(err.text, CATALOG_FILE) != NULL
			       ? 1
			       : 3;
	n = count_numbered(c);
	/* Use it, so that damage in what only writing touches shows. */
	for (uint64_t i = 1; n == (int64_t)s->n && i <= 60; i++) {
		if (commit_numbered(c, s->n + i) < 0)
			return 4;
	}
	if (catalog_checkpoint(c) < 0 || catalog_checkpoint(c) < 0)
		return 5;
	catalog_close(c);
	return n == (int64_t)s->n ? 0 : 2;
}

/* As it was, but for what the caller changed in s->mdb. */
static int try_bytes(const struct sample *s, size_t len, bool sum)
{
	file_write(&s->d, CATALOG_FILE, s->mdb, len);
	unlinkat(s->d.fd, JOURNAL_FILE, 0);
	unlinkat(s->d.fd, JOURNAL_FILE_2, 0);
	if (!sum)
		unlinkat(s->d.fd, SUM_FILE, 0);
	return in_child(open_and_count, (void *)(uintptr_t)s);
}

Test(check, cut_short)
{
	CLEANUP(sample) struct sample s = sample_make(400);
	struct rng r = rng_seeded("cut_short");
	int refused = 0;

	be_quiet();
	for (int i = 0; i < 300; i++) {
		size_t len = i < 20 ? (size_t)i * 600 : rng_below(&r, s.len);
		int rc;

		if (i % 3 == 0)
			len &= ~(size_t)(PAGE - 1);
		rc = try_bytes(&s, len, false);
		cr_assert(rc == 1 || (rc == 0 && len > s.len / 2), "cut at %zu of %zu: %d", len,
			  s.len, rc);
		refused += rc == 1;
	}
	cr_assert_gt(refused, 250);
	cr_assert_eq(try_bytes(&s, s.len, false), 0);
}

/* With the sum of a clean close, every flipped bit of the file is found. */
Test(check, flipped_with_sum)
{
	CLEANUP(sample) struct sample s = sample_make(400);
	struct rng r = rng_seeded("flipped_with_sum");
	size_t sum_len;
	CLEANUP(free) uint8_t *sum = file_read(&s.d, SUM_FILE, &sum_len);

	be_quiet();
	for (int i = 0; i < 300; i++) {
		/* In the meta pages a larger number can say that the sum is older than the file. */
		size_t at = 2 * PAGE + rng_below(&r, s.len - 2 * PAGE);
		uint8_t bit = (uint8_t)(1u << rng_below(&r, 8));

		s.mdb[at] ^= bit;
		file_write(&s.d, SUM_FILE, sum, sum_len);
		cr_assert_eq(try_bytes(&s, s.len, true), 1, "flipped %#x at %zu", bit, at);
		s.mdb[at] ^= bit;
	}
	file_write(&s.d, SUM_FILE, sum, sum_len);
	cr_assert_eq(try_bytes(&s, s.len, true), 0);
}

/* Without it: every byte of the meta pages. */
Test(check, flipped_meta)
{
	CLEANUP(sample) struct sample s = sample_make(120);
	int counts[3] = {0};

	be_quiet();
	for (size_t at = 0; at < 2 * PAGE; at++) {
		int rc;

		if (at % PAGE >= 200) /* unused, but for a sample */
			at += 95;
		s.mdb[at] ^= (uint8_t)(1u << (at % 8));
		rc = try_bytes(&s, s.len, false);
		/*
		 * The older of the two states can win when its number is made larger or the newer's
		 * smaller: that was a state once, so count_numbered() accepts it, but it is not this
		 * one. With a journal beside it the older one is refused, see below.
		 */
		cr_assert(rc <= 2, "flipped at %zu: %d", at, rc);
		counts[rc]++;
		s.mdb[at] ^= (uint8_t)(1u << (at % 8));
	}
	cr_assert_gt(counts[1], 20, "%d", counts[1]);
	cr_assert_lt(counts[2], 20);
}

/* The newer meta page is damaged so that LMDB would take the older: the journal knows better. */
Test(check, older_state_is_refused)
{
	CLEANUP(sample) struct sample s = sample_make(120);
	size_t older;
	CLEANUP(err) struct err err = {0};

	be_quiet();
	older = get_le64(s.mdb + 144) < get_le64(s.mdb + PAGE + 144) ? 144 : PAGE + 144;
	s.mdb[older + 3] ^= 1;
	file_write(&s.d, CATALOG_FILE, s.mdb, s.len);
	unlinkat(s.d.fd, SUM_FILE, 0);
	cr_assert_eq(open_error(&s.d, CATALOG_WRITE, &err), -EUCLEAN);
	cr_assert_eq(file_size(&s.d, JOURNAL_FILE), JOURNAL_HEADER_SIZE);
}

/* Without the sum, anywhere: no crash; what opens is right, but for flips in the values themselves. */
Test(check, flipped_without_sum)
{
	CLEANUP(sample) struct sample s = sample_make(700);
	struct rng r = rng_seeded("flipped_without_sum");
	int counts[3] = {0};

	be_quiet();
	for (int i = 0; i < 800; i++) {
		size_t at = rng_below(&r, s.len), page = at & ~(size_t)(PAGE - 1);
		uint8_t bit = (uint8_t)(1u << rng_below(&r, 8));
		int rc;

		/* Half of them where it hurts most: page headers and offsets of nodes. */
		if (i % 2 == 0)
			at = page + rng_below(&r, 100);
		s.mdb[at] ^= bit;
		rc = try_bytes(&s, s.len, false);
		cr_assert(rc <= 2, "flipped %#x at %zu: %d", bit, at, rc);
		counts[rc]++;
		s.mdb[at] ^= bit;
	}
	cr_assert_gt(counts[0], 100, "%d", counts[0]);
	cr_assert_gt(counts[1], 100, "%d", counts[1]);
}

/* Whole stretches overwritten. */
Test(check, overwritten)
{
	CLEANUP(sample) struct sample s = sample_make(400);
	struct rng r = rng_seeded("overwritten");

	be_quiet();
	for (int i = 0; i < 300; i++) {
		size_t len = 1 + rng_below(&r, i % 2 ? 32 : 9000);
		size_t at = rng_below(&r, s.len - len);
		CLEANUP(free) uint8_t *saved = malloc(len);
		int rc;

		memcpy(saved, s.mdb + at, len);
		for (size_t k = 0; k < len; k++)
			s.mdb[at + k] = i % 3 == 0 ? 0 : (uint8_t)rng_next(&r);
		rc = try_bytes(&s, s.len, false);
		cr_assert(rc <= 2, "%zu bytes at %zu: %d", len, at, rc);
		memcpy(s.mdb + at, saved, len);
	}
}

Test(check, not_a_catalog)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(err) struct err err = {0};
	struct rng r = rng_seeded("not_a_catalog");
	static uint8_t bytes[5 * PAGE];

	be_quiet();
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)rng_next(&r);
	for (size_t len = 0; len <= sizeof(bytes); len += 1024) {
		err_done(&err);
		file_write(&d, CATALOG_FILE, bytes, len);
		cr_assert_eq(open_error(&d, CATALOG_WRITE, &err), -EUCLEAN);
		cr_assert_not_null(strstr(err_text(&err), CATALOG_FILE));
		err_done(&err);
		cr_assert_eq(open_error(&d, CATALOG_SNAPSHOT, &err), -EUCLEAN);
	}
}

Test(check, another_version_of_lmdb)
{
	CLEANUP(sample) struct sample s = sample_make(10);
	CLEANUP(err) struct err err = {0};

	unlinkat(s.d.fd, SUM_FILE, 0);
	put_le32(s.mdb + 16 + 4, 2);
	file_write(&s.d, CATALOG_FILE, s.mdb, s.len);
	cr_assert_eq(open_error(&s.d, CATALOG_WRITE, &err), -EPROTONOSUPPORT);
	cr_assert_not_null(strstr(err_text(&err), "LMDB"));
}

Test(check, newer_format)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(err) struct err err = {0};
	CLEANUP(batch) struct batch b = {0};
	struct catalog *c = open_quick(&d);
	uint32_t version = FORMAT_VERSION + 6;

	cr_assert_not_null(c);
	batch_begin(&b, c);
	batch_put_super(&b, SUPER_FORMAT, &version, sizeof(version));
	cr_assert_eq(catalog_commit(c, &b), 0);
	catalog_close(c);
	cr_assert_eq(open_error(&d, CATALOG_WRITE, &err), -EPROTONOSUPPORT);
	cr_assert_not_null(strstr(err_text(&err), "version 7"));
	cr_assert_not_null(strstr(err_text(&err), "version 1"));
	err_done(&err);
	cr_assert_eq(open_error(&d, CATALOG_SNAPSHOT, &err), -EPROTONOSUPPORT);
}

/* A sum that a power cut left beside a newer file says nothing. */
Test(check, older_sum)
{
	CLEANUP(sample) struct sample s = sample_make(30);
	size_t len;
	CLEANUP(free) uint8_t *sum = file_read(&s.d, SUM_FILE, &len);
	struct catalog *c = open_quick(&s.d);

	cr_assert_not_null(c);
	cr_assert_eq(commit_numbered(c, 31), 0);
	cr_assert_eq(catalog_checkpoint(c), 0);
	cr_assert_not(has_sum(&s.d), "gone before the file changes");
	catalog_close(c);
	file_write(&s.d, SUM_FILE, sum, len);
	c = open_quick(&s.d);
	cr_assert_not_null(c);
	cr_assert_eq(count_numbered(c), 31);
	catalog_close(c);
}

/* The names in D, of which there are no more than N; returns how many. */
static size_t list_names(const struct dir *d, char names[][64], size_t n)
{
	DIR *dir = fdopendir(openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *de;
	size_t found = 0;

	cr_assert_not_null(dir);
	while ((de = readdir(dir)) != NULL) {
		if (de->d_name[0] == '.')
			continue;
		cr_assert_lt(found, n);
		snprintf(names[found++], 64, "%.63s", de->d_name);
	}
	closedir(dir);
	return found;
}

/* Who removes the upper while it is being closed finds no name that was not there. */
Test(check, a_close_makes_no_names)
{
	CLEANUP(sample) struct sample s = sample_make(30);
	struct catalog *c = open_quick(&s.d);
	char names[16][64];
	size_t n;

	cr_assert_not_null(c);
	cr_assert_eq(commit_numbered(c, 31), 0);
	cr_assert_eq(catalog_checkpoint(c), 0);
	n = list_names(&s.d, names, 16);
	cr_assert_geq(n, 4);
	catalog_close(c);
	cr_assert(has_sum(&s.d));
	cr_assert_leq(list_names(&s.d, names, 16), n);

	c = open_quick(&s.d);
	cr_assert_not_null(c);
	cr_assert_eq(commit_numbered(c, 32), 0);
	n = list_names(&s.d, names, 16);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(unlinkat(s.d.fd, names[i], 0), 0);
	catalog_close(c);
	cr_assert_eq(list_names(&s.d, names, 16), 0, "%s", names[0]);
}

/* What takes the place of a file that is no file, or that a disk does not flush. */
Test(check, sums_that_cannot_be_kept)
{
	CLEANUP(sample) struct sample s = sample_make(30);
	struct catalog *c;

	cr_assert_eq(unlinkat(s.d.fd, SUM_FILE, 0), 0);
	cr_assert_eq(mkdirat(s.d.fd, SUM_FILE, 0700), 0);
	c = open_quick(&s.d);
	cr_assert_not_null(c);
	cr_assert_eq(commit_numbered(c, 31), 0);
	cr_assert_eq(catalog_checkpoint(c), 0);
	catalog_close(c);
	cr_assert_eq(unlinkat(s.d.fd, SUM_FILE, AT_REMOVEDIR), 0);
	cr_assert_eq(symlinkat(CATALOG_FILE, s.d.fd, SUM_FILE), 0);
	c = open_quick(&s.d);
	cr_assert_not_null(c);
	cr_assert_eq(commit_numbered(c, 32), 0);
	cr_assert_eq(catalog_checkpoint(c), 0);
	cr_assert_eq(file_size(&s.d, SUM_FILE), -1);
	catalog_close(c);
	cr_assert_not(has_sum(&s.d));
	c = open_quick(&s.d);
	cr_assert_eq(count_numbered(c), 32);
	cr_assert_eq(commit_numbered(c, 33), 0);
	catalog_close(c);
	cr_assert(has_sum(&s.d), "at the next close");
}
