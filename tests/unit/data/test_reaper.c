/* SPDX-License-Identifier: Apache-2.0 */
/* When a data file is deleted: not before no power cut can bring its record back. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/private.h"
#include "support/synctrace.h"
#include "unit/data/fixture.h"

static struct fixture s;
static uint8_t bytes[8192];

static void open_store(bool no_sync)
{
	fixture_open(&s, NULL, &(struct data_options){.no_sync = no_sync});
}

static void make_big(struct file *f)
{
	file_make(f, &s, NULL);
	cr_assert_eq(file_write(f, bytes, sizeof(bytes), 0), 0);
}

/* As fs/ does it: a batch takes the name, then the bytes go, then the record. */
static int delete (struct file *f)
{
	CLEANUP(batch) struct batch b = {0};
	int r;

	batch_begin(&b, s.catalog);
	batch_put_orphan(&b, f->rec.attr.ino);
	cr_assert_eq(catalog_commit(s.catalog, &b), 0);
	r = data_delete(s.data, f->rec.attr.ino);
	batch_begin(&b, s.catalog);
	batch_del_inode(&b, f->rec.attr.ino);
	cr_assert_eq(catalog_commit(s.catalog, &b), 0);
	return r;
}

static bool is_there(uint64_t ino)
{
	char path[DATA_PATH_SIZE];
	struct stat st;

	data_path(ino, path);
	return fstatat(s.data->dirfd, path, &st, 0) == 0;
}

static void wait_until_gone(uint64_t ino)
{
	for (int i = 0; i < 5000 && is_there(ino); i++)
		usleep(1000);
	cr_assert(!is_there(ino));
}

static uint64_t durable(void)
{
	return catalog_durable(s.catalog);
}

Test(reaper, not_before_the_records_are_flushed)
{
	uint64_t taken;
	struct file f;

	open_store(false);
	make_big(&f);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	synctrace_start(durable);
	taken = catalog_committed(s.catalog) + 1;
	cr_assert_eq(delete (&f), 0);
	cr_assert(is_there(f.rec.attr.ino));
	cr_assert_eq(fixture_counter(&s, " of at most"), 0, "its descriptor is closed");
	cr_assert_geq(data_doomed_bytes(s.data), sizeof(bytes));
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert(!is_there(f.rec.attr.ino));
	cr_assert_geq(synctrace_first("unlinkat", "/data/").clock, taken);
	cr_assert_eq(data_doomed_bytes(s.data), 0);
	file_done(&f);
	fixture_close(&s);
}

/* A checkpoint is a flush as well. */
Test(reaper, after_a_checkpoint)
{
	struct file f;

	open_store(false);
	make_big(&f);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert_eq(delete (&f), 0);
	cr_assert(is_there(f.rec.attr.ino));
	cr_assert_eq(catalog_checkpoint(s.catalog), 0);
	cr_assert(!is_there(f.rec.attr.ino));
	file_done(&f);
	fixture_close(&s);
}

/* Most files that are deleted at all are deleted at once. */
Test(reaper, at_once_what_was_never_flushed)
{
	struct file f, g;

	open_store(false);
	make_big(&f);
	/* Small at first. */
	file_make(&g, &s, NULL);
	cr_assert_eq(file_write(&g, bytes, 10, 0), 0);
	cr_assert_eq(file_write(&g, bytes, sizeof(bytes), 10), 0);
	cr_assert_eq(delete (&f), 0);
	cr_assert_eq(delete (&g), 0);
	cr_assert(!is_there(f.rec.attr.ino));
	cr_assert(!is_there(g.rec.attr.ino));
	cr_assert_eq(s.data->unsynced.moved.n, 0);
	cr_assert_eq(s.data->unsynced.written.n, 0);
	file_done(&f);
	file_done(&g);
	fixture_close(&s);
}

/* The record that the journal may hold by now has no other bytes; the one before had. */
Test(reaper, not_at_once_what_has_replaced_durable_content)
{
	struct lower lower;
	uint64_t random = 1;
	struct file f;

	open_store(false);
	lower_make(&lower, 100000, 0, NULL, &random);
	file_make(&f, &s, &lower);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(f.rec.where, BYTES_FILE);
	cr_assert_eq(delete (&f), 0);
	cr_assert(is_there(f.rec.attr.ino));
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert(!is_there(f.rec.attr.ino));
	file_done(&f);
	lower_done(&lower);
	fixture_close(&s);
}

Test(reaper, at_once_in_a_volatile_store)
{
	struct file f;

	open_store(true);
	make_big(&f);
	cr_assert_eq(catalog_checkpoint(s.catalog), 0);
	cr_assert_eq(delete (&f), 0);
	cr_assert(!is_there(f.rec.attr.ino));
	file_done(&f);
	fixture_close(&s);
}

Test(reaper, many_in_order_by_a_thread)
{
	enum { N = 300 };
	static struct file f[N];
	unsigned int i;

	open_store(false);
	cr_assert_eq(data_start(s.data), 0);
	for (i = 0; i < N; i++)
		make_big(&f[i]);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	for (i = 0; i < N; i++) {
		cr_assert_eq(delete (&f[i]), 0);
		if (i % 100 == 0)
			cr_assert_eq(catalog_sync(s.catalog), 0);
	}
	cr_assert(is_there(f[N - 1].rec.attr.ino));
	cr_assert_eq(catalog_sync(s.catalog), 0);
	for (i = 0; i < N; i++)
		wait_until_gone(f[i].rec.attr.ino);
	(void)data_reclaim(s.data);
	cr_assert_eq(data_doomed_bytes(s.data), 0);
	for (i = 0; i < N; i++)
		file_done(&f[i]);
	fixture_close(&s);
}

Test(reaper, room_for_who_needs_it)
{
	struct file f;

	open_store(false);
	cr_assert(!data_reclaim(s.data));
	make_big(&f);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert_eq(delete (&f), 0);
	cr_assert(is_there(f.rec.attr.ino));
	cr_assert(data_reclaim(s.data));
	cr_assert(!is_there(f.rec.attr.ino));
	cr_assert(!data_reclaim(s.data));
	file_done(&f);
	fixture_close(&s);
}

/* A lower number comes back: as when the layers were changed. */
Test(reaper, a_number_that_is_used_again)
{
	struct lower lower;
	uint64_t random = 1, ino = CATALOG_FIRST_LOWER_INO + 5;
	struct file f;
	int turn;

	open_store(false);
	lower_make(&lower, 100000, 0, NULL, &random);
	for (turn = 0; turn < 2; turn++) {
		file_make(&f, &s, &lower);
		f.rec.attr.ino = ino;
		cr_assert_eq(file_write(&f, "x", 1, 0), 0);
		cr_assert_eq(catalog_sync(s.catalog), 0);
		lower.bytes[0] = 'x';
		cr_assert_eq(delete (&f), 0);
		file_done(&f);
		/* The second time its flush fails: then the file is not deleted, but replaced. */
		synctrace_start(NULL);
		if (turn == 1)
			synctrace_fail("fdatasync", "/journal", EIO, 100);
		file_make(&f, &s, &lower);
		f.rec.attr.ino = ino;
		cr_assert_eq(file_write(&f, "y", 1, 1), 0);
		lower.bytes[1] = 'y';
		synctrace_start(NULL);
		cr_assert_eq(catalog_sync(s.catalog), 0);
		file_expect(&f, lower.bytes, lower.size);
		file_done(&f);
	}
	lower_done(&lower);
	fixture_close(&s);
}

/* What cannot be deleted does not stop the others. */
Test(reaper, an_error)
{
	struct file f, g;

	open_store(false);
	make_big(&f);
	make_big(&g);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	synctrace_start(NULL);
	synctrace_fail("unlinkat", "/data/", EIO, 1);
	cr_assert_eq(delete (&f), 0);
	cr_assert_eq(delete (&g), 0);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert(is_there(f.rec.attr.ino));
	cr_assert(!is_there(g.rec.attr.ino));
	cr_assert_eq(data_doomed_bytes(s.data), 0);
	file_done(&f);
	file_done(&g);
	fixture_close(&s);
}
