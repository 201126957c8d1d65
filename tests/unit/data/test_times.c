/* SPDX-License-Identifier: Apache-2.0 */
/* An mtime that is set while its owner may be killed: which one counts, the record's or the data file's. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "data/private.h"
#include "unit/data/fixture.h"

static const struct timespec set = {1227518501, 755825063};

static struct attr attr_of(const struct fixture *s, const struct file *f)
{
	struct attr a = {0};

	cr_assert_eq(data_attr(s->data, &f->rec, &a), 0);
	return a;
}

static struct timespec own_mtime(const struct fixture *s, const struct file *f)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	struct stat st;

	cr_assert_eq(datafile_get(s->data, f->rec.attr.ino, &ref), 0);
	cr_assert_eq(fstat(ref->fd, &st), 0);
	return st.st_mtim;
}

/* The record is committed; the data file does not have the new mtime yet. Its own is the result. */
static struct timespec open_marked(struct fixture *s, struct file *f)
{
	static const uint8_t bytes[20000];

	fixture_open_file(s, f);
	cr_assert_eq(file_write(f, bytes, sizeof(bytes), 0), 0);
	cr_assert_eq(data_mark_mtime(s->data, &f->rec), 0);
	f->rec.attr.mtime = set;
	f->rec.attr.ctime = own_mtime(s, f);
	return f->rec.attr.ctime;
}

Test(times, record_counts_until_the_file_has_it)
{
	struct fixture s;
	struct file f;
	struct attr a;

	open_marked(&s, &f);
	a = attr_of(&s, &f);
	cr_assert_eq(timespec_cmp(&a.mtime, &set), 0);
	cr_assert_eq(timespec_cmp(&a.ctime, &f.rec.attr.ctime), 0);
	cr_assert_eq(data_set_mtime(s.data, &f.rec, &set), 0);
	a = attr_of(&s, &f);
	cr_assert_eq(timespec_cmp(&a.mtime, &set), 0);
	fixture_reopen(&s);
	a = attr_of(&s, &f);
	cr_assert_eq(timespec_cmp(&a.mtime, &set), 0);
	fixture_close_file(&s, &f);
}

Test(times, written_counts)
{
	struct fixture s;
	struct file f;
	struct attr a;

	open_marked(&s, &f);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	a = attr_of(&s, &f);
	cr_assert_gt(a.mtime.tv_sec, set.tv_sec);
	fixture_close_file(&s, &f);
}

/* A clock with coarse ticks: the bytes that came last brought the very mtime that the record has replaced. */
Test(times, written_in_the_same_tick)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	struct timespec before, times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct fixture s;
	struct file f;
	struct attr a;

	times[1] = before = open_marked(&s, &f);
	cr_assert_eq(data_set_mtime(s.data, &f.rec, &set), 0);
	cr_assert_eq(datafile_get(s.data, f.rec.attr.ino, &ref), 0);
	cr_assert_eq(futimens(ref->fd, times), 0);
	times_moved(&f.rec, ref);
	a = attr_of(&s, &f);
	cr_assert_gt(timespec_cmp(&a.mtime, &before), 0);
	cr_assert_leq(a.mtime.tv_sec, before.tv_sec + 1);
	fdcache_put(steal_ptr(&ref));
	fixture_close_file(&s, &f);
}

/* The kernel's word for what it has written back, when it is that mtime: only a record can say it. */
Test(times, own_mtime_that_was_replaced)
{
	struct timespec before;
	struct fixture s;
	struct file f;

	before = open_marked(&s, &f);
	cr_assert_eq(data_set_mtime(s.data, &f.rec, &set), 0);
	f.rec.attr.ctime = before;
	cr_assert_eq(data_set_own_mtime(s.data, &f.rec, &before, &before), 1);
	fixture_close_file(&s, &f);
}
