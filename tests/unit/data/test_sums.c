/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums of data files: true or absent, and blind to nothing but what a mount has written. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "data/path.h"
#include "data/sums.h"
#include "support/timed.h"
#include "unit/data/fixture.h"

#define SIZE 20000

struct sums_test {
	struct fixture s;
	struct file f;
	uint8_t bytes[SIZE];
};

static void begin(struct sums_test *t)
{
	uint64_t random = 1;

	fixture_open(&t->s, NULL, &(struct data_options){.keep_sums = true});
	for (size_t i = 0; i < SIZE; i++)
		t->bytes[i] = (uint8_t)random_next(&random);
	file_make(&t->f, &t->s, NULL);
	cr_assert_eq(file_write(&t->f, t->bytes, SIZE, 0), 0);
}

static void end(struct sums_test *t)
{
	file_done(&t->f);
	fixture_close(&t->s);
}

static int take(struct file *f)
{
	CLEANUP(data_sum_job) struct data_sum_job job = {0};
	struct data *d = f->store->data;
	int r = data_sum_begin(d, &f->rec, &job);

	if (r == 1)
		r = data_sum_hash(d, &job, NULL, NULL);
	return r == 0 && job.ref != NULL ? data_sum_end(d, &job) : r;
}

static const char *state(struct file *f)
{
	static const char *const names[] = {
		[DATA_SUM_NONE] = "none",
		[DATA_SUM_STALE] = "stale",
		[DATA_SUM_OK] = "ok",
		[DATA_SUM_MISMATCH] = "mismatch",
	};
	enum data_sum_state st;
	int r = data_sum_check(f->store->data, f->rec.attr.ino, &st);

	cr_assert_eq(r, 0, "%s", strerror(-r));
	return names[st];
}

static int open_behind(struct sums_test *t, struct stat *ret_st)
{
	char path[DATA_PATH_SIZE], full[400];
	int fd;

	data_path(t->f.rec.attr.ino, path);
	snprintf(full, sizeof(full), "%s/data/%s", t->s.path, path);
	fd = open(full, O_RDWR | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fstat(fd, ret_st), 0);
	return fd;
}

static void set_mtime(int fd, const struct timespec *mtime)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, *mtime};

	cr_assert_eq(futimens(fd, times), 0);
}

/* The clock that stamps files moves on. */
static void tick(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

Test(sums, none_until_it_is_taken)
{
	struct sums_test t;

	begin(&t);
	cr_assert_str_eq(state(&t.f), "none");
	cr_assert_eq(take(&t.f), 1);
	cr_assert_str_eq(state(&t.f), "ok");
	cr_assert_eq(take(&t.f), 0, "it is there");
	fixture_reopen(&t.s);
	cr_assert_str_eq(state(&t.f), "ok");
	end(&t);
}

Test(sums, value_of_a_short_file)
{
	struct sums_test t;
	struct hash128 want;
	struct sum_rec sum;
	struct stat st;

	begin(&t);
	cr_assert_eq(take(&t.f), 1);
	cr_assert_eq(catalog_sum(t.s.catalog, t.f.rec.attr.ino, &sum), 0);
	want = hash128(t.bytes, SIZE);
	cr_assert(sum.hash.low == want.low && sum.hash.high == want.high);
	cr_assert_eq(sum.size, SIZE);
	close(open_behind(&t, &st));
	cr_assert_eq(timespec_cmp(&sum.mtime, &st.st_mtim), 0);
	end(&t);
}

/* Whole pieces, a piece more or less by a byte, and holes of all sizes: what is stored does not matter. */
Test(sums, value_of_a_long_file)
{
	static const uint64_t sizes[] = {DATA_SUM_PIECE,     DATA_SUM_PIECE + 1,
					 3 * DATA_SUM_PIECE, 3 * DATA_SUM_PIECE - 1,
					 5 * DATA_SUM_PIECE, 2 * DATA_SUM_PIECE + 12345};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint64_t size = sizes[i], n = (size + DATA_SUM_PIECE - 1) / DATA_SUM_PIECE;
		CLEANUP(free) uint8_t *bytes = calloc(1, size);
		CLEANUP(free) struct hash128 *pieces = calloc(n, sizeof(*pieces));
		struct hash128 want;
		struct sum_rec sum;
		struct sums_test t;
		struct file dense;

		begin(&t);
		memcpy(bytes, t.bytes, SIZE);
		memcpy(bytes + size - 7, "the end", 7);
		/* A hole that begins in the first piece. */
		cr_assert_eq(file_truncate(&t.f, size), 0);
		cr_assert_eq(file_write(&t.f, "the end", 7, size - 7), 0);
		file_make(&dense, &t.s, NULL);
		cr_assert_eq(file_write(&dense, bytes, size, 0), 0);
		for (uint64_t p = 0; p < n; p++)
			pieces[p] = hash128(bytes + p * DATA_SUM_PIECE,
					    p + 1 < n ? DATA_SUM_PIECE : size - p * DATA_SUM_PIECE);
		want = n == 1 ? pieces[0] : hash128(pieces, n * sizeof(*pieces));
		cr_assert_eq(take(&t.f), 1);
		cr_assert_eq(take(&dense), 1);
		cr_assert_eq(catalog_sum(t.s.catalog, t.f.rec.attr.ino, &sum), 0);
		cr_assert(sum.hash.low == want.low && sum.hash.high == want.high, "%lu, holes",
			  (unsigned long)size);
		cr_assert_eq(catalog_sum(t.s.catalog, dense.rec.attr.ino, &sum), 0);
		cr_assert(sum.hash.low == want.low && sum.hash.high == want.high, "%lu, dense",
			  (unsigned long)size);
		file_done(&dense);
		end(&t);
	}
}

TIMED_TEST(sums, holes_are_cheap, 60)
{
	struct sums_test t;
	uint64_t size = (uint64_t)1 << 40;

	begin(&t);
	cr_assert_eq(file_truncate(&t.f, size), 0);
	cr_assert_eq(file_write(&t.f, "x", 1, size / 2), 0);
	cr_assert_eq(take(&t.f), 1);
	cr_assert_str_eq(state(&t.f), "ok");
	end(&t);
}

/* What changes a file in place, and must leave it without a sum. */
static int by_write(struct file *f)
{
	return file_write(f, "x", 1, 100);
}
static int by_append(struct file *f)
{
	return file_write(f, "x", 1, SIZE);
}
static int by_cutting(struct file *f)
{
	return file_truncate(f, SIZE - 1);
}
static int by_growing(struct file *f)
{
	return file_truncate(f, SIZE + 1);
}
static int by_zeros(struct file *f)
{
	return file_fallocate(f, FALLOC_FL_ZERO_RANGE, 0, 10);
}
static int by_hole(struct file *f)
{
	return file_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096);
}

static int (*const changes[])(struct file *f) = {by_write,   by_append, by_cutting,
						 by_growing, by_zeros,	by_hole};
#define N_CHANGES (sizeof(changes) / sizeof(*changes))

/* With the old mtime brought back, as many programs do, and through a mount that keeps no sums. */
Test(sums, change_drops_it)
{
	for (size_t i = 0; i < 2 * N_CHANGES; i++) {
		struct sums_test t;
		struct attr a = {0};

		begin(&t);
		cr_assert_eq(take(&t.f), 1);
		cr_assert_eq(data_attr(t.s.data, &t.f.rec, &a), 0);
		if (i >= N_CHANGES) {
			t.s.options.keep_sums = false;
			fixture_reopen(&t.s);
		}
		cr_assert_eq(changes[i % N_CHANGES](&t.f), 0);
		cr_assert_eq(file_truncate(&t.f, SIZE), 0);
		cr_assert_eq(data_set_mtime(t.s.data, &t.f.rec, &a.mtime), 0);
		cr_assert_str_eq(state(&t.f), "none", "change %zu", i);
		t.s.options.keep_sums = true;
		fixture_reopen(&t.s);
		cr_assert_eq(take(&t.f), 1);
		cr_assert_str_eq(state(&t.f), "ok");
		/* And again, now that the store knows the file as one without a sum. */
		cr_assert_eq(changes[i % N_CHANGES](&t.f), 0);
		cr_assert_str_eq(state(&t.f), "none", "change %zu", i);
		end(&t);
	}
}

Test(sums, change_between_beginning_and_end)
{
	for (size_t i = 0; i < 2 * N_CHANGES; i++) {
		struct data_sum_job job = {0};
		struct sums_test t;
		struct attr a = {0};

		begin(&t);
		cr_assert_eq(data_attr(t.s.data, &t.f.rec, &a), 0);
		cr_assert_eq(data_sum_begin(t.s.data, &t.f.rec, &job), 1);
		if (i < N_CHANGES)
			cr_assert_eq(data_sum_hash(t.s.data, &job, NULL, NULL), 0);
		cr_assert_eq(changes[i % N_CHANGES](&t.f), 0);
		cr_assert_eq(file_truncate(&t.f, SIZE), 0);
		cr_assert_eq(data_set_mtime(t.s.data, &t.f.rec, &a.mtime), 0);
		cr_assert_eq(data_sum_end(t.s.data, &job), 0);
		data_sum_job_done(&job);
		cr_assert_str_eq(state(&t.f), "none");
		end(&t);
	}
}

Test(sums, file_deleted_between_beginning_and_end)
{
	for (int again = 0; again < 2; again++) {
		struct data_sum_job job = {0};
		struct sum_rec sum;
		struct sums_test t;

		begin(&t);
		cr_assert_eq(data_sum_begin(t.s.data, &t.f.rec, &job), 1);
		cr_assert_eq(data_sum_hash(t.s.data, &job, NULL, NULL), 0);
		cr_assert_eq(data_delete(t.s.data, t.f.rec.attr.ino), 0);
		if (again) {
			t.f.rec.where = BYTES_INLINE;
			t.f.rec.attr.size = 0;
			cr_assert_eq(file_write(&t.f, t.bytes, SIZE, 0), 0);
		}
		cr_assert_eq(data_sum_end(t.s.data, &job), 0);
		data_sum_job_done(&job);
		cr_assert_eq(catalog_sum(t.s.catalog, t.f.rec.attr.ino, &sum), -ENOENT);
		end(&t);
	}
}

Test(sums, other_mtime_between_beginning_and_end)
{
	struct data_sum_job job = {0};
	struct sums_test t;
	struct stat st;
	int fd;

	begin(&t);
	cr_assert_eq(data_sum_begin(t.s.data, &t.f.rec, &job), 1);
	cr_assert_eq(data_sum_hash(t.s.data, &job, NULL, NULL), 0);
	fd = open_behind(&t, &st);
	set_mtime(fd, &(struct timespec){.tv_sec = 1000});
	cr_assert_eq(data_sum_end(t.s.data, &job), 0);
	data_sum_job_done(&job);
	close(fd);
	end(&t);
}

static bool always(void *arg)
{
	(*(int *)arg)++;
	return true;
}

Test(sums, hashing_ends_when_told)
{
	struct data_sum_job job = {0};
	struct sums_test t;
	int asked = 0;

	begin(&t);
	cr_assert_eq(file_truncate(&t.f, 100 * DATA_SUM_PIECE), 0);
	cr_assert_eq(data_sum_begin(t.s.data, &t.f.rec, &job), 1);
	cr_assert_eq(data_sum_hash(t.s.data, &job, always, &asked), -ECANCELED);
	cr_assert_eq(asked, 1);
	cr_assert_eq(by_write(&t.f), 0);
	cr_assert_eq(data_sum_hash(t.s.data, &job, NULL, NULL), -ECANCELED, "it has changed");
	data_sum_job_done(&job);
	end(&t);
}

Test(sums, other_mtime_makes_it_stale)
{
	struct sums_test t;
	struct stat st;
	int fd;

	begin(&t);
	cr_assert_eq(take(&t.f), 1);
	fd = open_behind(&t, &st);
	set_mtime(fd, &(struct timespec){.tv_sec = 1000});
	cr_assert_str_eq(state(&t.f), "stale");
	set_mtime(fd, &st.st_mtim);
	cr_assert_str_eq(state(&t.f), "ok");
	tick();
	cr_assert_eq(pwrite(fd, "x", 1, 5), 1);
	cr_assert_str_eq(state(&t.f), "stale", "changed behind our back");
	cr_assert_eq(ftruncate(fd, SIZE + 1), 0);
	set_mtime(fd, &st.st_mtim);
	cr_assert_str_eq(state(&t.f), "stale", "another size");
	close(fd);
	cr_assert_eq(take(&t.f), 1, "it is taken anew");
	cr_assert_str_eq(state(&t.f), "ok");
	end(&t);
}

Test(sums, flipped_bit_is_a_mismatch)
{
	struct sums_test t;
	uint8_t c;
	struct stat st;
	int fd;

	begin(&t);
	cr_assert_eq(take(&t.f), 1);
	fd = open_behind(&t, &st);
	for (off_t off = 0; off < SIZE; off += 1999) {
		cr_assert_eq(pread(fd, &c, 1, off), 1);
		c ^= 0x10;
		cr_assert_eq(pwrite(fd, &c, 1, off), 1);
		set_mtime(fd, &st.st_mtim);
		cr_assert_str_eq(state(&t.f), "mismatch");
		c ^= 0x10;
		cr_assert_eq(pwrite(fd, &c, 1, off), 1);
		set_mtime(fd, &st.st_mtim);
		cr_assert_str_eq(state(&t.f), "ok");
	}
	close(fd);
	end(&t);
}

Test(sums, flipped_bit_in_a_large_file)
{
	struct sums_test t;
	uint64_t size = 3 * DATA_SUM_PIECE + 5;
	struct stat st;
	int fd;

	begin(&t);
	cr_assert_eq(file_truncate(&t.f, size), 0);
	cr_assert_eq(take(&t.f), 1);
	fd = open_behind(&t, &st);
	for (uint64_t off = DATA_SUM_PIECE - 1; off < size; off += DATA_SUM_PIECE / 2) {
		cr_assert_eq(pwrite(fd, "\1", 1, (off_t)off), 1);
		set_mtime(fd, &st.st_mtim);
		cr_assert_str_eq(state(&t.f), "mismatch", "%lu", (unsigned long)off);
		cr_assert_eq(pwrite(fd, "\0", 1, (off_t)off), 1);
		set_mtime(fd, &st.st_mtim);
		cr_assert_str_eq(state(&t.f), "ok");
	}
	close(fd);
	end(&t);
}

Test(sums, missing_file)
{
	enum data_sum_state st;
	struct sums_test t;

	begin(&t);
	cr_assert_eq(take(&t.f), 1);
	cr_assert_eq(data_delete(t.s.data, t.f.rec.attr.ino), 0);
	cr_assert_eq(data_sum_check(t.s.data, t.f.rec.attr.ino, &st), -ENOENT);
	end(&t);
}

Test(sums, deleted_with_the_inode)
{
	CLEANUP(batch) struct batch b = {0};
	struct sum_rec sum;
	struct sums_test t;

	begin(&t);
	cr_assert_eq(take(&t.f), 1);
	batch_begin(&b, t.s.catalog);
	batch_del_inode(&b, t.f.rec.attr.ino);
	cr_assert_eq(catalog_commit(t.s.catalog, &b), 0);
	cr_assert_eq(catalog_sum(t.s.catalog, t.f.rec.attr.ino, &sum), -ENOENT);
	fixture_reopen(&t.s);
	cr_assert_eq(catalog_sum(t.s.catalog, t.f.rec.attr.ino, &sum), -ENOENT);
	end(&t);
}

Test(sums, of_the_data_file_of_chunks)
{
	uint64_t random = 3;
	struct sums_test t;
	struct lower l;
	struct file f;

	begin(&t);
	lower_make(&l, 2000000, 0, NULL, &random);
	file_make(&f, &t.s, &l);
	cr_assert_eq(take(&f), 0, "nothing of ours");
	cr_assert_eq(file_write(&f, "x", 1, 1000000), 0);
	cr_assert_eq(f.rec.where, BYTES_CHUNKS);
	cr_assert_eq(take(&f), 1);
	cr_assert_str_eq(state(&f), "ok");
	cr_assert_eq(file_write(&f, "x", 1, 2000000), 0);
	cr_assert_str_eq(state(&f), "none");
	cr_assert_eq(take(&f), 1);
	cr_assert_eq(file_write(&f, "x", 1, 10), 0);
	cr_assert_str_eq(state(&f), "none");
	file_done(&f);
	lower_done(&l);
	end(&t);
}

static size_t changed(struct sums_test *t, bool *ret_all)
{
	CLEANUP(free) uint64_t *inos = NULL;
	size_t n;

	cr_assert_eq(data_sums_changed(t->s.data, &inos, &n, ret_all), 0);
	for (size_t i = 1; i < n; i++)
		cr_assert_lt(inos[i - 1], inos[i]);
	return n;
}

Test(sums, changed_files_are_remembered)
{
	struct timespec mtime = {.tv_sec = 5};
	struct sums_test t;
	struct file g;
	bool all;

	begin(&t);
	cr_assert_eq(changed(&t, &all), 1);
	cr_assert_eq(changed(&t, &all), 0);
	cr_assert_eq(by_write(&t.f), 0);
	cr_assert_eq(by_write(&t.f), 0);
	file_make(&g, &t.s, NULL);
	cr_assert_eq(file_write(&g, "x", 1, 0), 0, "stays in the catalog");
	cr_assert_eq(changed(&t, &all), 1);
	cr_assert_eq(data_set_mtime(t.s.data, &t.f.rec, &mtime), 0);
	cr_assert_eq(changed(&t, &all), 1);
	cr_assert_not(all);
	t.s.options.max_fds = 1;
	fixture_reopen(&t.s);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(by_write(&t.f), 0);
		cr_assert_eq(file_write(&g, t.bytes, SIZE, 0), 0, "closes the other");
	}
	cr_assert_eq(changed(&t, &all), 2, "each once");
	t.s.options.keep_sums = false;
	fixture_reopen(&t.s);
	cr_assert_eq(by_write(&t.f), 0);
	cr_assert_eq(changed(&t, &all), 0);
	file_done(&g);
	end(&t);
}

static bool all_is_durable(struct sums_test *t)
{
	return catalog_durable(t->s.catalog) == catalog_committed(t->s.catalog);
}

/*
 * After a power cut a file that was written in place can have new bytes and its old mtime. So the sum
 * must be gone from the disk before the bytes change; not when they only grow.
 */
Test(sums, power_cut_does_not_bring_it_back)
{
	struct sums_test t;

	begin(&t);
	cr_assert_eq(take(&t.f), 1);
	fixture_reopen(&t.s);
	cr_assert_eq(by_append(&t.f), 0);
	cr_assert_not(all_is_durable(&t), "growing waits for no disk");
	cr_assert_eq(by_append(&t.f), 0, "writes the last byte anew");
	cr_assert(all_is_durable(&t), "the sum is deleted for good");
	cr_assert_eq(file_truncate(&t.f, SIZE), 0);
	cr_assert_eq(take(&t.f), 1);
	cr_assert_not(all_is_durable(&t));
	cr_assert_eq(by_write(&t.f), 0);
	cr_assert(all_is_durable(&t), "the sum is deleted for good");
	end(&t);
}

/* What is appended to chunks may fill, and settle, those before. */
Test(sums, chunks_never_only_grow)
{
	uint64_t random = 3, before;
	struct sums_test t;
	struct lower l;
	struct file f;

	begin(&t);
	lower_make(&l, 2000000, 0, NULL, &random);
	file_make(&f, &t.s, &l);
	cr_assert_eq(file_write(&f, "x", 1, 1000000), 0);
	cr_assert_eq(take(&f), 1);
	fixture_reopen(&t.s);
	before = catalog_committed(t.s.catalog);
	cr_assert_eq(file_write(&f, "x", 1, 3000000), 0);
	cr_assert_gt(catalog_durable(t.s.catalog), before, "the sum is deleted for good");
	file_done(&f);
	lower_done(&l);
	end(&t);
}

/* The descriptor that knew of the delete was closed. */
Test(sums, waits_for_what_another_descriptor_deleted)
{
	struct sums_test t;
	struct file g;

	begin(&t);
	cr_assert_eq(take(&t.f), 1);
	t.s.options.max_fds = 1;
	fixture_reopen(&t.s);
	file_make(&g, &t.s, NULL);
	cr_assert_eq(by_append(&t.f), 0);
	cr_assert_eq(file_write(&g, t.bytes, SIZE, 0), 0);
	cr_assert_eq(by_write(&t.f), 0);
	cr_assert(all_is_durable(&t));
	file_done(&g);
	end(&t);
}
