/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes, limits, arguments and options of the store. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "unit/data/fixture.h"

Test(data, attributes_of_inline_and_lower)
{
	struct fixture s;
	struct file f;
	struct attr a = {.mtime = {1, 2}, .ctime = {3, 4}, .mode = S_IFREG | 0600};

	fixture_open_file(&s, &f);
	cr_assert_eq(file_write(&f, "0123456789", 10, 600), 0);
	cr_assert_eq(data_attr(s.data, &f.rec, &a), 0);
	cr_assert_eq(a.size, 610);
	cr_assert_eq(a.blocks, 2);
	/* Times and the rest are the record's, so they are left alone. */
	cr_assert_eq(a.mtime.tv_sec, 1);
	cr_assert_eq(a.ctime.tv_sec, 3);
	cr_assert_eq(a.mode, S_IFREG | 0600);
	f.rec.where = BYTES_LOWER;
	f.rec.attr.blocks = 7;
	cr_assert_eq(data_attr(s.data, &f.rec, &a), 0);
	cr_assert_eq(a.size, 610);
	cr_assert_eq(a.blocks, 7);
	fixture_close_file(&s, &f);
}

Test(data, attributes_of_a_data_file)
{
	static const uint8_t bytes[20000];
	struct timespec old = {1000, 5}, future = {4000000000, 7};
	struct attr a = {0};
	struct fixture s;
	struct file f;

	fixture_open_file(&s, &f);
	cr_assert_eq(data_set_mtime(s.data, &f.rec, &old), 0, "an inline file has none to set");
	cr_assert_eq(file_write(&f, bytes, sizeof(bytes), 0), 0);
	cr_assert(data_is_plain(&f.rec));
	cr_assert_eq(data_set_mtime(s.data, &f.rec, &old), 0);
	cr_assert_eq(data_attr(s.data, &f.rec, &a), 0);
	cr_assert_eq(a.size, sizeof(bytes));
	cr_assert_geq(a.blocks, sizeof(bytes) / 512);
	cr_assert_eq(a.mtime.tv_sec, 1000);
	cr_assert_eq(a.mtime.tv_nsec, 5);
	/* The later one of what the record says and what was written without it. */
	cr_assert_eq(timespec_cmp(&a.ctime, &old), 0);
	a = f.rec.attr;
	cr_assert_eq(data_attr(s.data, &f.rec, &f.rec.attr), 0,
		     "the record's own attributes may be filled in");
	cr_assert_eq(timespec_cmp(&f.rec.attr.ctime, &old), 0);
	f.rec.attr = a;
	f.rec.attr.ctime = future;
	cr_assert_eq(data_attr(s.data, &f.rec, &a), 0);
	cr_assert_eq(timespec_cmp(&a.ctime, &future), 0);
	/* A time that was set together with the record is no change, be it still to come. */
	f.rec.attr.mtime = old;
	f.rec.attr.ctime = (struct timespec){5, 6};
	cr_assert_eq(data_attr(s.data, &f.rec, &a), 0);
	cr_assert_eq(a.ctime.tv_sec, 5);
	/* The same from a file that is not open. */
	fixture_reopen(&s);
	cr_assert_eq(data_attr(s.data, &f.rec, &a), 0);
	cr_assert_eq(a.mtime.tv_sec, 1000);
	cr_assert_eq(a.size, sizeof(bytes));
	fixture_close_file(&s, &f);
}

/* Whatever the file system of the data files can keep: no answer may change by itself. */
Test(data, times_of_any_century)
{
	static const int64_t seconds[] = {-(1LL << 33),	   -1,	     1LL << 30, (1LL << 31) + 5,
					  (1LL << 34) + 5, 1LL << 40};
	static const uint8_t bytes[20000];
	struct fixture s;
	struct file f;

	fixture_open_file(&s, &f);
	cr_assert_eq(file_write(&f, bytes, sizeof(bytes), 0), 0);
	for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
		struct timespec t = {seconds[i], 0}, now;
		struct attr a = {0};

		/* As whoever sets one does. */
		f.rec.attr.mtime = t;
		cr_assert_eq(data_set_mtime(s.data, &f.rec, &t), 0);
		cr_assert_eq(data_attr(s.data, &f.rec, &a), 0);
		cr_assert_eq(timespec_cmp(&a.mtime, &t), 0, "%ld", (long)t.tv_sec);
		cr_assert_eq(timespec_cmp(&a.ctime, &f.rec.attr.ctime), 0);
		fixture_reopen(&s);
		cr_assert_eq(data_attr(s.data, &f.rec, &a), 0);
		cr_assert_eq(timespec_cmp(&a.mtime, &t), 0, "%ld, reopened", (long)t.tv_sec);
		/* The first write moves it, as ever. */
		clock_gettime(CLOCK_REALTIME, &now);
		cr_assert_eq(file_write(&f, "x", 1, 0), 0);
		cr_assert_eq(data_attr(s.data, &f.rec, &a), 0);
		cr_assert_geq(a.mtime.tv_sec, now.tv_sec - 2);
		cr_assert_leq(a.mtime.tv_sec, now.tv_sec + 60);
	}
	fixture_close_file(&s, &f);
}

/* Only the record can keep it, so the record must be told. */
Test(data, a_time_of_another_century_needs_the_record)
{
	static const uint8_t bytes[20000];
	struct timespec far = {1LL << 40, 0}, near = {1LL << 30, 5};
	struct fixture s;
	struct file f;

	fixture_open_file(&s, &f);
	cr_assert_eq(file_write(&f, bytes, sizeof(bytes), 0), 0);
	f.rec.attr.ctime = (struct timespec){5, 6};
	cr_assert_eq(data_set_own_mtime(s.data, &f.rec, &near, &near), 0);
	cr_assert_eq(data_set_own_mtime(s.data, &f.rec, &far, &far), 1);
	fixture_close_file(&s, &f);
}

Test(data, arguments)
{
	CLEANUP(batch) struct batch b = {0};
	bool changed = true;
	struct fixture s;
	struct file f;
	uint8_t byte = 0;

	fixture_open_file(&s, &f);
	batch_begin(&b, s.catalog);
	cr_assert_eq(data_write(s.data, &f.rec, NULL, &byte, 1, -1, &b, &changed), -EINVAL);
	cr_assert_eq(data_write(s.data, &f.rec, NULL, &byte, 1, INT64_MAX, &b, &changed), -EFBIG);
	cr_assert_eq(data_truncate(s.data, &f.rec, NULL, (uint64_t)INT64_MAX + 1, &b, &changed),
		     -EFBIG);
	cr_assert_eq(data_fallocate(s.data, &f.rec, NULL, 0, -1, 1, &b, &changed), -EINVAL);
	cr_assert_eq(data_fallocate(s.data, &f.rec, NULL, 0, 0, 0, &b, &changed), -EINVAL);
	cr_assert_eq(data_fallocate(s.data, &f.rec, NULL, 0, 2, INT64_MAX, &b, &changed), -EFBIG);
	cr_assert_eq(data_fallocate(s.data, &f.rec, NULL, FALLOC_FL_COLLAPSE_RANGE, 0, 4096, &b,
				    &changed),
		     -EOPNOTSUPP);
	cr_assert_eq(data_fallocate(s.data, &f.rec, NULL, FALLOC_FL_PUNCH_HOLE, 0, 1, &b, &changed),
		     -EOPNOTSUPP);
	cr_assert(changed, "an output was touched by a failure");
	cr_assert_eq(data_write(s.data, &f.rec, NULL, &byte, 0, 77, &b, &changed), 0);
	cr_assert(!changed);
	cr_assert_eq(b.n, 0);
	cr_assert_eq(data_read(s.data, &f.rec, NULL, &byte, 1, -1), -EINVAL);
	cr_assert_eq(data_read(s.data, &f.rec, NULL, &byte, 1, INT64_MAX), 0);
	cr_assert_eq(data_seek(s.data, &f.rec, NULL, 0, SEEK_SET), -EINVAL);
	cr_assert_eq(data_seek(s.data, &f.rec, NULL, -1, SEEK_DATA), -ENXIO);
	fixture_close_file(&s, &f);
}

Test(data, room_beyond_the_end_is_real)
{
	struct attr a = {0};
	struct fixture s;
	struct file f;

	fixture_open_file(&s, &f);
	cr_assert_eq(file_fallocate(&f, FALLOC_FL_KEEP_SIZE, 0, 1 << 20), 0);
	cr_assert_eq(data_attr(s.data, &f.rec, &a), 0);
	cr_assert_eq(a.size, 0);
	cr_assert_geq(a.blocks, 2048);
	fixture_close_file(&s, &f);
}

Test(data, file_size_limit)
{
	struct rlimit limit = {8192, RLIM_INFINITY};
	static uint8_t bytes[20000];
	struct fixture s;
	struct file f;

	fixture_open_file(&s, &f);
	memset(bytes, 'x', sizeof(bytes));
	cr_assert_eq(file_write(&f, bytes, 5000, 0), 0);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	/* A part would have fitted. */
	cr_assert_eq(file_write(&f, bytes, 10000, 5000), -EFBIG);
	cr_assert_eq(file_truncate(&f, 10000), -EFBIG);
	limit.rlim_cur = RLIM_INFINITY;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	file_expect(&f, bytes, 5000);
	cr_assert_eq(file_write(&f, bytes, 10000, 5000), 0);
	file_expect(&f, bytes, 15000);
	fixture_close_file(&s, &f);
}

Test(data, read_only)
{
	CLEANUP(batch) struct batch b = {0};
	struct timespec now = {1, 1};
	static uint8_t bytes[20000];
	struct fixture s;
	struct file f;
	bool changed;

	fixture_open_file(&s, &f);
	cr_assert_eq(file_write(&f, bytes, sizeof(bytes), 0), 0);
	s.options.read_only = true;
	fixture_reopen(&s);
	batch_begin(&b, s.catalog);
	file_expect(&f, bytes, sizeof(bytes));
	cr_assert_eq(data_write(s.data, &f.rec, NULL, bytes, 1, 0, &b, &changed), -EROFS);
	cr_assert_eq(data_truncate(s.data, &f.rec, NULL, 1, &b, &changed), -EROFS);
	cr_assert_eq(data_set_mtime(s.data, &f.rec, &now), -EROFS);
	cr_assert_eq(data_delete(s.data, f.rec.attr.ino), -EROFS);
	cr_assert_eq(data_sync_all(s.data), 0);
	file_expect(&f, bytes, sizeof(bytes));
	fixture_close_file(&s, &f);
}

Test(data, bad_options)
{
	CLEANUP(err) struct err err = {0};
	struct data *d = NULL;

	cr_assert_eq(data_open(AT_FDCWD, NULL, &(struct data_options){.chunk_shift = 3}, &d, &err),
		     -EINVAL);
	cr_assert_not_null(strstr(err_text(&err), "2^3"));
	cr_assert_eq(data_open(-1, NULL, &(struct data_options){0}, &d, NULL), -EBADF);
	cr_assert_null(d);
	data_close(NULL);
}
