/* SPDX-License-Identifier: Apache-2.0 */
/* Which files are due for a flush. Whether the disk obeys is not for a unit test to see. */
#include <criterion/criterion.h>
#include <errno.h>

#include "data/private.h"
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
	cr_assert_eq(data_sync(s.data, &f.rec), 0);
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
	cr_assert_eq(data_sync(s.data, &f.rec), 0);
	cr_assert_eq(u->written.n, 1);
	cr_assert_eq(u->written.inos[0], g.rec.attr.ino);
	cr_assert_eq(u->moved.n, 1);
	/* In place: written, but no record depends on it. */
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(u->written.n, 2);
	cr_assert_eq(u->moved.n, 1);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(u->written.n, 2);
	cr_assert_eq(data_sync_moved(s.data), 0);
	cr_assert_eq(u->moved.n, 0);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(u->written.n, 0);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(u->written.n, 1, "a write after a flush is noted again");
	file_done(&f);
	file_done(&g);
	fixture_close(&s);
}

Test(sync, chunks_that_move)
{
	struct lower lower;
	uint64_t random = 1;
	struct fixture s;
	struct file f;

	open_small(&s);
	lower_make(&lower, 10 * 4096, 0, NULL, &random);
	file_make(&f, &s, &lower);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(file_write(&f, "x", 1, 1), 0);
	cr_assert_eq(s.data->unsynced.moved.n, 0);
	cr_assert_eq(file_write(&f, "x", 1, 4096), 0);
	cr_assert_eq(s.data->unsynced.moved.n, 1);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(file_truncate(&f, 20000), 0);
	cr_assert_eq(s.data->unsynced.moved.n, 1, "a shorter lower part depends on the length");
	file_done(&f);
	lower_done(&lower);
	fixture_close(&s);
}

Test(sync, too_many_files_to_count)
{
	const unsigned int n = UNSYNCED_MAX + 10;
	struct file *files = calloc(n, sizeof(*files));
	struct unsynced *u;
	struct fixture s;
	unsigned int i;

	open_small(&s);
	u = &s.data->unsynced;
	for (i = 0; i < n; i++)
		make_big(&files[i], &s);
	cr_assert_eq(u->written.n, UNSYNCED_MAX);
	cr_assert(u->written.full);
	/* Files that have been deleted since are no error. */
	for (i = 0; i < n; i += 2)
		cr_assert_eq(data_delete(s.data, files[i].rec.attr.ino), 0);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(u->written.n, 0);
	cr_assert(!u->written.full);
	/* The last one was left out of the set, and is still open: it must be noted now. */
	cr_assert_eq(file_write(&files[n - 1], "x", 1, 0), 0);
	cr_assert_eq(u->written.n, 1);
	for (i = 0; i < n; i++)
		file_done(&files[i]);
	free(files);
	fixture_close(&s);
}
