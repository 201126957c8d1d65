/* SPDX-License-Identifier: Apache-2.0 */
/* Which files are due for a flush, and what flushes them. */
#include <criterion/criterion.h>
#include <errno.h>

#include "data/private.h"
#include "support/synctrace.h"
#include "unit/data/fixture.h"

static uint8_t bytes[8192];

static void open_small(struct fixture *s)
{
	fixture_open(s, NULL, &(struct data_options){.chunk_shift = 12, .max_fds = 4});
}

static void make_big(struct file *f, struct fixture *s)
{
	file_make(f, s, NULL);
	cr_assert_eq(file_write(f, bytes, sizeof(bytes), 0), 0);
}

Test(sync, nothing_to_do_for_files_without_a_data_file)
{
	struct fixture s;
	struct file f;

	open_small(&s);
	file_make(&f, &s, NULL);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(data_sync(s.data, &f.rec, true), 0);
	cr_assert_eq(s.data->unsynced.written.n, 0);
	cr_assert_eq(data_sync_all(s.data), 0);
	file_done(&f);
	fixture_close(&s);
}

Test(sync, one_file)
{
	struct unsynced *u;
	struct file f, g;
	struct fixture s;

	open_small(&s);
	u = &s.data->unsynced;
	make_big(&f, &s);
	make_big(&g, &s);
	cr_assert_eq(u->written.n, 2);
	cr_assert_eq(u->moved.n, 2);
	cr_assert_eq(data_sync(s.data, &f.rec, true), 0);
	cr_assert_eq(u->moved.n, 1);
	cr_assert(ino_set_has(&u->moved, g.rec.attr.ino));
	/* Its times are not on the disk yet. */
	cr_assert_eq(u->written.n, 2);
	cr_assert_eq(data_sync(s.data, &f.rec, false), 0);
	cr_assert_eq(u->written.n, 1);
	cr_assert(ino_set_has(&u->written, g.rec.attr.ino));
	/* In place: written, but no record depends on it. */
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(u->written.n, 2);
	cr_assert_eq(u->moved.n, 1);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(u->written.n, 2);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert_eq(u->moved.n, 0, "a flush of records flushes what they depend on");
	cr_assert_eq(u->written.n, 1);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(u->written.n, 0);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(u->written.n, 1, "a write after a flush is noted again");
	file_done(&f);
	file_done(&g);
	fixture_close(&s);
}

/* What a commit that fails leaves: the data file is there, and no record says so. */
static void write_in_vain(struct file *f)
{
	CLEANUP(batch) struct batch b = {0};
	struct inode_rec rec = f->rec;
	bool changed = false;

	batch_begin(&b, f->store->catalog);
	cr_assert_eq(data_write(f->store->data, &rec, NULL, bytes, sizeof(bytes), 0, &b, &changed),
		     0);
	cr_assert(changed);
}

/* Waits for the disk, for the content that it replaces is there; and then nothing waits for the byte. */
static void write_again(void *file)
{
	struct file *f = file;

	cr_assert_eq(file_write(f, bytes, sizeof(bytes), 0), 0);
	cr_assert_eq(file_write(f, "x", 1, 0), 0);
}

static void make_in_vain(struct file *f, struct fixture *s, char path[DATA_PATH_SIZE])
{
	file_make(f, s, NULL);
	cr_assert_eq(file_write(f, "small", 5, 0), 0);
	cr_assert_eq(catalog_sync(s->catalog), 0);
	write_in_vain(f);
	data_path(f->rec.attr.ino, path);
	synctrace_start(NULL);
	synctrace_before("fsync", path, write_again, f);
}

/* The flush of a file that is gone says nothing of the one that has its number now. */
Test(sync, a_file_made_anew_while_the_old_one_is_flushed)
{
	char path[DATA_PATH_SIZE];
	struct unsynced *u;
	struct fixture s;
	struct file f;

	open_small(&s);
	u = &s.data->unsynced;
	make_in_vain(&f, &s, path);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(synctrace_count("unlinkat", path), 1);
	cr_assert_eq(u->moved.n, 0);
	cr_assert(ino_set_has(&u->written, f.rec.attr.ino));
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(u->written.n, 0);
	file_done(&f);
	/* Nor does its failure. */
	make_in_vain(&f, &s, path);
	synctrace_fail("fsync", path, EIO, 1);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(synctrace_count("unlinkat", path), 1);
	cr_assert_eq(data_sync(s.data, &f.rec, true), 0);
	file_done(&f);
	fixture_close(&s);
}

/* As threads do: one writes, and one gives the file the name of another, which is durable. */
static void write_and_rename(void *file)
{
	struct file *f = file;

	cr_assert_eq(file_write(f, "x", 1, 0), 0);
	data_replacing(f->store->data, f->rec.attr.ino);
}

/* The fsync may be too early for the bytes that the new name is to show. */
Test(sync, a_rename_during_an_fsync)
{
	char path[DATA_PATH_SIZE];
	struct unsynced *u;
	struct fixture s;
	struct file f;

	open_small(&s);
	u = &s.data->unsynced;
	make_big(&f, &s);
	cr_assert_eq(data_sync_all(s.data), 0);
	data_path(f.rec.attr.ino, path);
	for (int i = 0; i < 2; i++) {
		const char *call = i == 0 ? "fdatasync" : "fsync";

		cr_assert_eq(file_write(&f, "x", 1, 0), 0);
		synctrace_start(NULL);
		synctrace_before(call, path, write_and_rename, &f);
		cr_assert_eq(data_sync(s.data, &f.rec, i == 0), 0);
		cr_assert(ino_set_has(&u->replacing, f.rec.attr.ino), "%s", call);
		/* As any flush of records does first. */
		unsynced_flush_moved(s.data);
		cr_assert_eq(synctrace_count("fsync", path), (size_t)i + 1);
		cr_assert_eq(u->replacing.n, 0);
		cr_assert_eq(u->written.n, 0);
	}
	file_done(&f);
	fixture_close(&s);
}

Test(sync, too_many_files_to_count)
{
	const unsigned int n = UNSYNCED_MANY + 10;
	struct file *files = calloc(n, sizeof(*files));
	struct unsynced *u;
	struct fixture s;
	unsigned int i;

	open_small(&s);
	u = &s.data->unsynced;
	for (i = 0; i < n; i++)
		make_big(&files[i], &s);
	cr_assert_eq(u->written.n, n);
	/* Files that have been deleted since are no error. */
	for (i = 0; i < n; i += 200)
		cr_assert_eq(data_delete(s.data, files[i].rec.attr.ino), 0);
	cr_assert_eq(u->written.n, n - 6);
	synctrace_start(NULL);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(u->written.n, 0);
	cr_assert_eq(synctrace_count("syncfs", NULL), 1);
	cr_assert_leq(synctrace_count(NULL, NULL), 3);
	/* The last one is still open: it must be noted anew. */
	cr_assert_eq(file_write(&files[n - 1], "x", 1, 0), 0);
	cr_assert_eq(u->written.n, 1);
	for (i = 0; i < n; i++)
		file_done(&files[i]);
	free(files);
	fixture_close(&s);
}

/* What a flush of one file, or of everything, costs. */
Test(sync, no_call_too_many)
{
	struct fixture s;
	struct file f;

	open_small(&s);
	make_big(&f, &s);
	cr_assert_eq(data_sync(s.data, &f.rec, false), 0);
	cr_assert_eq(file_write(&f, bytes, 100, 100), 0);
	synctrace_start(NULL);
	cr_assert_eq(data_sync(s.data, &f.rec, true), 0);
	cr_assert_eq(synctrace_count("fdatasync", "/data/"), 1);
	cr_assert_eq(file_write(&f, bytes, 100, 8192), 0);
	cr_assert_eq(data_sync(s.data, &f.rec, false), 0);
	cr_assert_eq(synctrace_count("fsync", "/data/"), 1);
	cr_assert_eq(synctrace_count(NULL, NULL), 2);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(synctrace_count(NULL, NULL), 2);
	file_done(&f);
	fixture_close(&s);
}

Test(sync, a_new_name_is_flushed_once)
{
	struct fixture s;
	struct file f;

	open_small(&s);
	make_big(&f, &s);
	synctrace_start(NULL);
	cr_assert_eq(data_sync(s.data, &f.rec, true), 0);
	cr_assert_eq(data_sync(s.data, &f.rec, true), 0);
	cr_assert_eq(synctrace_count("fdatasync", NULL), 2);
	/* Its directory, and the directory of that, which was new, too. */
	cr_assert_eq(synctrace_count("fsync", NULL), 2);
	file_done(&f);
	fixture_close(&s);
}

/* An owner that was killed leaves bytes that nobody knows of. */
Test(sync, after_a_crash_everything_is_flushed_once)
{
	struct fixture s;
	struct file f;

	open_small(&s);
	make_big(&f, &s);
	unsynced_unknown(s.data);
	synctrace_start(NULL);
	cr_assert_eq(data_sync(s.data, &f.rec, true), 0);
	cr_assert_eq(synctrace_count("fsync", NULL), 2, "the names may be unsynced");
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(synctrace_count("syncfs", NULL), 1);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(synctrace_count("syncfs", NULL), 1);
	file_done(&f);
	fixture_close(&s);
}
