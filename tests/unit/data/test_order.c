/* SPDX-License-Identifier: Apache-2.0 */
/* What must be on the disk before a record is committed, and what need not be. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>

#include "data/private.h"
#include "support/synctrace.h"
#include "unit/data/fixture.h"

#define CHUNK 4096

static struct fixture s;
static struct file f;
static struct lower lower;
static uint8_t bytes[16 * CHUNK];

/* The last batch that was committed when a data file was flushed. */
static uint64_t committed(void)
{
	return catalog_committed(s.catalog);
}

static void open_store(bool no_sync)
{
	fixture_open(&s, NULL, &(struct data_options){.chunk_shift = 12, .no_sync = no_sync});
}

static void open_file(uint64_t lower_size)
{
	uint64_t random = 1;

	open_store(false);
	if (lower_size > 0)
		lower_make(&lower, lower_size, 0, NULL, &random);
	file_make(&f, &s, lower_size > 0 ? &lower : NULL);
}

static void done(void)
{
	file_done(&f);
	lower_done(&lower);
	fixture_close(&s);
}

/* That the change that was just made waited for its data file N times before its batch BEFORE + 1. */
static void expect_waits(size_t n, uint64_t before)
{
	cr_assert_eq(synctrace_count("fdatasync", "/data/"), n, "%zu flushes, not %zu",
		     synctrace_count("fdatasync", "/data/"), n);
	if (n > 0)
		cr_assert_eq(synctrace_first("fdatasync", "/data/").clock, before,
			     "flushed after the commit");
}

static uint64_t begin(void)
{
	synctrace_start(committed);
	return committed();
}

Test(order, a_new_file_waits_for_nothing)
{
	uint64_t before;

	open_file(0);
	before = begin();
	cr_assert_eq(file_write(&f, bytes, 10000, 0), 0);
	cr_assert_eq(f.rec.where, BYTES_FILE);
	expect_waits(0, before);
	cr_assert_eq(synctrace_count(NULL, NULL), 0);
	/* But no flush of records leaves its bytes behind, nor its name. */
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert_eq(synctrace_count("fsync", "/data/0"), 2);
	cr_assert_geq(synctrace_count("fdatasync", "/journal"), 1);
	synctrace_start(NULL);
	cr_assert_eq(file_write(&f, bytes, 10000, 10000), 0);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert_eq(synctrace_count(NULL, NULL), 0, "in place, no record");
	done();
}

Test(order, a_small_file_that_was_never_flushed)
{
	uint64_t before;

	open_file(0);
	cr_assert_eq(file_write(&f, "first", 5, 0), 0);
	before = begin();
	cr_assert_eq(file_write(&f, bytes, 10000, 5), 0);
	cr_assert_eq(f.rec.where, BYTES_FILE);
	expect_waits(0, before);
	done();
}

Test(order, a_small_file_that_was_flushed)
{
	uint64_t before;

	open_file(0);
	cr_assert_eq(file_write(&f, "first", 5, 0), 0);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	before = begin();
	cr_assert_eq(file_write(&f, bytes, 10000, 5), 0);
	expect_waits(1, before);
	cr_assert_eq(synctrace_count("fsync", "/data/0"), 1, "its name, too");
	cr_assert_eq(synctrace_first("fsync", "/data/0").clock, before);
	cr_assert_eq(s.data->unsynced.moved.n, 0);
	done();
}

/* Nothing is known of what other mounts have flushed. */
Test(order, a_small_file_of_another_mount)
{
	uint64_t before;

	open_file(0);
	cr_assert_eq(file_write(&f, "first", 5, 0), 0);
	fixture_reopen(&s);
	before = begin();
	cr_assert_eq(file_write(&f, bytes, 10000, 5), 0);
	expect_waits(1, before);
	done();
}

Test(order, a_small_file_while_records_are_flushed)
{
	struct catalog_hooks hooks;
	uint64_t before;

	open_file(0);
	cr_assert_eq(file_write(&f, "first", 5, 0), 0);
	hooks = data_hooks(s.data);
	cr_assert_eq(hooks.before_flush(hooks.arg), 0);
	before = begin();
	cr_assert_eq(file_write(&f, bytes, 10000, 5), 0);
	expect_waits(1, before);
	hooks.after_flush(hooks.arg);
	done();
}

Test(order, a_lower_file_that_moves_whole)
{
	uint64_t before;

	open_file(CHUNK + 100);
	s.data->whole_max = 2 * CHUNK;
	before = begin();
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(f.rec.where, BYTES_FILE);
	expect_waits(1, before);
	done();
}

Test(order, a_lower_file_that_was_emptied)
{
	uint64_t before;

	open_file(10 * CHUNK);
	cr_assert_eq(file_truncate(&f, 0), 0);
	before = begin();
	cr_assert_eq(file_write(&f, bytes, 3 * CHUNK, 0), 0);
	cr_assert_eq(f.rec.where, BYTES_FILE);
	expect_waits(0, before);
	done();
}

Test(order, chunks)
{
	uint64_t before;

	open_file(10 * CHUNK);
	before = begin();
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(f.rec.where, BYTES_CHUNKS);
	expect_waits(1, before);
	before = begin();
	cr_assert_eq(file_write(&f, "y", 1, 1), 0);
	expect_waits(0, before);
	before = begin();
	cr_assert_eq(file_write(&f, "z", 1, CHUNK), 0);
	expect_waits(1, before);
	before = begin();
	cr_assert_eq(file_fallocate(&f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * CHUNK, 10),
		     0);
	expect_waits(1, before);
	/* The length is the data file's own: longer is no record, shorter is one. */
	before = begin();
	cr_assert_eq(file_truncate(&f, 12 * CHUNK), 0);
	cr_assert_eq(file_truncate(&f, 11 * CHUNK), 0);
	expect_waits(0, before);
	before = begin();
	cr_assert_eq(file_truncate(&f, 5 * CHUNK), 0);
	expect_waits(1, before);
	before = begin();
	cr_assert_eq(file_truncate(&f, 0), 0);
	cr_assert_eq(f.rec.where, BYTES_FILE);
	expect_waits(1, before);
	done();
}

/* The cut was made and its record was not committed: as a commit that fails leaves it. */
Test(order, a_cut_that_was_lost)
{
	struct fdref *ref = NULL;
	uint64_t before;

	open_file(10 * CHUNK);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(fdcache_get(s.data->fds, f.rec.attr.ino, &ref), 0);
	cr_assert_eq(datafile_resize(s.data, ref, 5 * CHUNK), 0);
	fdcache_put(ref);
	before = begin();
	cr_assert_eq(file_truncate(&f, 8 * CHUNK), 0);
	/* Once for the chunks that must not come back, once for the record. */
	expect_waits(2, before);
	cr_assert_eq(f.rec.lower_size, 5 * CHUNK);
	done();
}

Test(order, a_volatile_store_waits_for_nothing)
{
	uint64_t random = 1;

	open_store(true);
	lower_make(&lower, 10 * CHUNK, 0, NULL, &random);
	file_make(&f, &s, &lower);
	synctrace_start(NULL);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(file_write(&f, "x", 1, CHUNK), 0);
	cr_assert_eq(file_truncate(&f, 5), 0);
	cr_assert_eq(data_sync(s.data, &f.rec, false), 0);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(synctrace_count(NULL, NULL), 0);
	done();
}

/* A flush that fails: the write fails, and nothing has changed. */
Test(order, no_record_without_the_bytes)
{
	open_file(0);
	memcpy(bytes, "first", 5);
	cr_assert_eq(file_write(&f, bytes, 5, 0), 0);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	synctrace_start(NULL);
	synctrace_fail("fdatasync", "/data/", EIO, 1);
	cr_assert_eq(file_write(&f, "more", 4, 10000), -EIO);
	cr_assert_eq(f.rec.where, BYTES_INLINE);
	file_expect(&f, bytes, 5);
	cr_assert_eq(synctrace_count("unlinkat", "/data/"), 1);
	cr_assert_eq(data_sync(s.data, &f.rec, false), 0);
	/* The directory of the data file counts as well. */
	synctrace_fail("fsync", "/data/", EIO, 1);
	cr_assert_eq(file_write(&f, "more", 4, 10000), -EIO);
	file_expect(&f, bytes, 5);
	cr_assert_eq(file_write(&f, "m", 1, 9999), 0);
	bytes[9999] = 'm';
	file_expect(&f, bytes, 10000);
	done();
}

Test(order, no_chunk_without_the_bytes)
{
	open_file(10 * CHUNK);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	lower.bytes[0] = 'x';
	synctrace_start(NULL);
	synctrace_fail("fdatasync", "/data/", EIO, 3);
	cr_assert_eq(file_write(&f, bytes, 3 * CHUNK, 9 * CHUNK), -EIO);
	file_expect(&f, lower.bytes, 10 * CHUNK);
	/* Bytes of chunks that were there may be lost, too: nobody is told otherwise. */
	cr_assert_eq(data_sync(s.data, &f.rec, true), -EIO);
	cr_assert_eq(data_sync(s.data, &f.rec, true), -EIO);
	done();
}

/* Random writes: the first ones are cheap, and all together wait much less often than once each. */
Test(order, chunks_are_copied_ahead)
{
	uint64_t size = (uint64_t)96 << 20, seed = random_seed(1), random = seed, i, chunk;
	size_t waits;

	printf("PLYFS_TEST_SEED=%llu\n", (unsigned long long)seed);
	fixture_open(&s, NULL, &(struct data_options){.chunk_shift = 17});
	lower_make(&lower, size, 3, NULL, &random);
	file_make(&f, &s, &lower);
	begin();
	for (i = 0; i < 2000; i++) {
		chunk = random_below(&random, size >> 17);
		lower.bytes[(chunk << 17) + i] = (uint8_t)i;
		cr_assert_eq(file_write(&f, &lower.bytes[(chunk << 17) + i], 1, (chunk << 17) + i),
			     0);
		if (i == 10)
			cr_assert_eq(fixture_counter(&s, "bytes copied ahead"), 0);
	}
	waits = synctrace_count("fdatasync", "/data/");
	cr_assert_leq(waits, size >> 21, "%zu waits", waits);
	cr_assert_geq(waits, 24);
	cr_assert_eq(f.rec.where, BYTES_FILE);
	file_expect(&f, lower.bytes, size);
	file_expect_seeks(&f, lower.bytes, size);
	done();
}

Test(order, an_error_of_copying_ahead_is_none_of_the_writer)
{
	uint64_t size = 200 * CHUNK, i, random = 1;

	open_file(size);
	for (i = 0; i < 40; i++)
		cr_assert_eq(file_write(&f, "x", 1, i * CHUNK), 0);
	cr_assert_eq(f.rec.where, BYTES_FILE);
	file_done(&f);
	lower_done(&lower);
	lower_make(&lower, size, 0, NULL, &random);
	file_make(&f, &s, &lower);
	lower.fail_from = 100 * CHUNK;
	for (i = 0; i < 40; i++)
		cr_assert_eq(file_write(&f, "x", 1, i * CHUNK), 0);
	cr_assert_eq(f.rec.where, BYTES_CHUNKS);
	lower.fail_from = UINT64_MAX;
	for (i = 0; i < 40; i++)
		lower.bytes[i * CHUNK] = 'x';
	file_expect(&f, lower.bytes, size);
	done();
}
