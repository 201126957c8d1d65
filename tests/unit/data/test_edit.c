/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that fail or are lost on the way leave the old content. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "unit/data/fixture.h"

#define CHUNK 4096

static const struct data_options small_chunks = {.chunk_shift = 12};

/* A store and a file with a lower file of N chunks without a hole. */
struct setup {
	struct fixture store;
	struct lower lower;
	struct file file;
	uint64_t random;
};

static void setup(struct setup *t, uint64_t size, bool with_fd, const struct data_options *options)
{
	struct data_options o = *options;

	memset(t, 0, sizeof(*t));
	o.no_sync = true; /* test_order.c has the waiting */
	fixture_open(&t->store, NULL, &o);
	lower_make(&t->lower, size, 0, with_fd ? t->store.path : NULL, &t->random);
	file_make(&t->file, &t->store, &t->lower);
}

static void done(struct setup *t)
{
	file_done(&t->file);
	lower_done(&t->lower);
	fixture_close(&t->store);
}

/* As file_write(), without the commit: the process died, or the journal was full. */
static void lose_write(struct file *f, const void *bytes, size_t size, uint64_t off)
{
	CLEANUP(batch) struct batch b = {0};
	bool changed = false;

	batch_begin(&b, f->store->catalog);
	cr_assert_eq(data_write(f->store->data, &f->rec, file_source(f), bytes, size, (off_t)off,
				&b, &changed),
		     0);
	cr_assert(changed);
	file_reload(f);
}

static void lose_truncate(struct file *f, uint64_t size)
{
	CLEANUP(batch) struct batch b = {0};
	bool changed = false;

	batch_begin(&b, f->store->catalog);
	cr_assert_eq(data_truncate(f->store->data, &f->rec, file_source(f), size, &b, &changed), 0);
	cr_assert(changed);
	file_reload(f);
}

Test(edit, lost_inline_to_file)
{
	struct fixture s;
	struct file f;
	uint8_t big[6000];

	fixture_open(&s, NULL, &small_chunks);
	file_make(&f, &s, NULL);
	memset(big, 'x', sizeof(big));
	cr_assert_eq(file_write(&f, "small", 5, 0), 0);
	lose_write(&f, big, sizeof(big), 0);
	cr_assert_eq(f.rec.where, BYTES_INLINE);
	file_expect(&f, (const uint8_t *)"small", 5);
	/* The data file that was left behind must not show where the next one has a hole. */
	cr_assert_eq(file_truncate(&f, 5000), 0);
	cr_assert_eq(f.rec.where, BYTES_FILE);
	memset(big, 0, sizeof(big));
	memcpy(big, "small", 5);
	file_expect(&f, big, 5000);
	cr_assert_eq(catalog_inline(s.catalog, f.rec.attr.ino, 0, big, 5), 0, "in both places");
	file_done(&f);
	fixture_close(&s);
}

Test(edit, lost_move_of_a_lower_file)
{
	struct setup t;
	uint8_t junk[3 * CHUNK];

	setup(&t, 8 * CHUNK, true, &small_chunks);
	memset(junk, 'j', sizeof(junk));
	lose_write(&t.file, junk, sizeof(junk), CHUNK);
	cr_assert_eq(t.file.rec.where, BYTES_LOWER);
	cr_assert_str_eq(t.file.rec.origin, "some/where");
	file_expect(&t.file, t.lower.bytes, t.lower.size);
	done(&t);
}

Test(edit, lost_write_into_new_chunks)
{
	struct setup t;
	uint8_t junk[3 * CHUNK];

	setup(&t, 8 * CHUNK, true, &small_chunks);
	memset(junk, 'j', sizeof(junk));
	cr_assert_eq(file_write(&t.file, "A", 1, 7), 0);
	t.lower.bytes[7] = 'A';
	cr_assert_eq(t.file.rec.where, BYTES_CHUNKS);
	lose_write(&t.file, junk, sizeof(junk), 2 * CHUNK + 5);
	file_expect(&t.file, t.lower.bytes, t.lower.size);
	/* What was lost lies in the data file; a smaller write in its place must not show it. */
	cr_assert_eq(file_write(&t.file, "B", 1, 3 * CHUNK), 0);
	t.lower.bytes[3 * CHUNK] = 'B';
	file_expect(&t.file, t.lower.bytes, t.lower.size);
	done(&t);
}

Test(edit, lost_write_shows_through_no_hole)
{
	struct setup t;
	uint8_t junk[2 * CHUNK];

	setup(&t, 8 * CHUNK, false, &small_chunks);
	memset(t.lower.bytes + 2 * CHUNK, 0, 2 * CHUNK);
	memset(junk, 'j', sizeof(junk));
	cr_assert_eq(file_write(&t.file, "A", 1, 7), 0);
	t.lower.bytes[7] = 'A';
	lose_write(&t.file, junk, sizeof(junk), 2 * CHUNK);
	/* The fill finds a hole below, and junk in the data file. */
	cr_assert_eq(file_write(&t.file, "B", 1, 2 * CHUNK + 9), 0);
	t.lower.bytes[2 * CHUNK + 9] = 'B';
	file_expect(&t.file, t.lower.bytes, t.lower.size);
	done(&t);
}

/* Grows the file in one of the ways and expects no byte that was cut off. */
static void grow_after_lost_truncate(int way)
{
	struct setup t;
	uint64_t cut = 3 * CHUNK + 100, size = 7 * CHUNK;
	CLEANUP(free) uint8_t *want = calloc(1, 8 * CHUNK);

	setup(&t, 8 * CHUNK, true, &small_chunks);
	memcpy(want, t.lower.bytes, cut);
	cr_assert_eq(file_write(&t.file, "A", 1, 7), 0);
	want[7] = 'A';
	lose_truncate(&t.file, cut);
	cr_assert_eq(t.file.rec.lower_size, 8 * CHUNK);
	file_expect(&t.file, want, cut);
	if (way == 0) {
		cr_assert_eq(file_truncate(&t.file, size), 0);
	} else if (way == 1) {
		cr_assert_eq(file_write(&t.file, "E", 1, size - 1), 0);
		want[size - 1] = 'E';
	} else if (way == 2) {
		cr_assert_eq(file_fallocate(&t.file, 0, 0, size), 0);
	} else {
		/* And this growth is lost too. */
		lose_truncate(&t.file, size);
		cr_assert_eq(t.file.rec.lower_size, 8 * CHUNK);
	}
	file_expect(&t.file, want, size);
	file_expect_seeks(&t.file, want, size);
	file_reload(&t.file);
	file_expect(&t.file, want, size);
	done(&t);
}

Test(edit, lost_truncate_then_longer)
{
	grow_after_lost_truncate(0);
}

Test(edit, lost_truncate_then_write)
{
	grow_after_lost_truncate(1);
}

Test(edit, lost_truncate_then_allocate)
{
	grow_after_lost_truncate(2);
}

Test(edit, lost_truncate_then_lost_growth)
{
	grow_after_lost_truncate(3);
}

Test(edit, lost_truncate_then_fill)
{
	struct setup t;

	setup(&t, 8 * CHUNK, true, &small_chunks);
	cr_assert_eq(file_write(&t.file, "A", 1, 7), 0);
	t.lower.bytes[7] = 'A';
	lose_truncate(&t.file, 3 * CHUNK + 100);
	/* Filling the rest of the last chunk must not make the file longer. */
	cr_assert_eq(file_write(&t.file, "B", 1, 3 * CHUNK + 50), 0);
	t.lower.bytes[3 * CHUNK + 50] = 'B';
	file_expect(&t.file, t.lower.bytes, 3 * CHUNK + 100);
	cr_assert_eq(t.file.rec.lower_size, 3 * CHUNK + 100);
	done(&t);
}

Test(edit, a_lost_append_can_be_taken_back)
{
	struct setup t;
	uint8_t junk[2 * CHUNK];

	setup(&t, 8 * CHUNK, true, &small_chunks);
	memset(junk, 'j', sizeof(junk));
	cr_assert_eq(file_write(&t.file, "A", 1, 7), 0);
	t.lower.bytes[7] = 'A';
	lose_write(&t.file, junk, sizeof(junk), 7 * CHUNK + 5);
	cr_assert_eq(file_length(&t.file), 9 * CHUNK + 5);
	cr_assert_eq(file_truncate(&t.file, 8 * CHUNK), 0);
	file_expect(&t.file, t.lower.bytes, t.lower.size);
	done(&t);
}

/* Every way that reads the lower file, with an error in the middle, then without. */
static void write_with_error(uint64_t size, uint64_t fail_from, uint64_t off, size_t len,
			     const struct data_options *options, enum bytes_where after)
{
	struct setup t;
	CLEANUP(free) uint8_t *new = calloc(1, len);

	setup(&t, size, false, options);
	memset(new, 'n', len);
	t.lower.fail_from = fail_from;
	cr_assert_eq(file_write(&t.file, new, len, off), -EIO);
	cr_assert_eq(t.file.rec.where, BYTES_LOWER);
	cr_assert_str_eq(t.file.rec.origin, "some/where");
	t.lower.fail_from = UINT64_MAX;
	file_expect(&t.file, t.lower.bytes, size);
	cr_assert_eq(file_write(&t.file, new, len, off), 0);
	cr_assert_eq(t.file.rec.where, after);
	memcpy(t.lower.bytes + off, new, len);
	file_expect(&t.file, t.lower.bytes, size);
	done(&t);
}

Test(edit, bad_source_inline)
{
	write_with_error(3000, 1500, 10, 5, &small_chunks, BYTES_INLINE);
}

Test(edit, bad_source_whole)
{
	struct data_options whole = {.chunk_shift = 12, .whole_max = 1 << 20};

	write_with_error(300000, 200000, 10, 5, &whole, BYTES_FILE);
}

Test(edit, bad_source_chunk)
{
	write_with_error(8 * CHUNK, 2 * CHUNK + 50, 2 * CHUNK + 10, 5, &small_chunks, BYTES_CHUNKS);
}

Test(edit, bad_source_of_a_second_chunk)
{
	struct setup t;

	setup(&t, 8 * CHUNK, false, &small_chunks);
	cr_assert_eq(file_write(&t.file, "A", 1, 7), 0);
	t.lower.bytes[7] = 'A';
	t.lower.fail_from = 3 * CHUNK;
	cr_assert_eq(file_write(&t.file, "12345678", 8, 3 * CHUNK - 4), -EIO);
	cr_assert_eq(file_write(&t.file, "B", 1, CHUNK), 0);
	t.lower.bytes[CHUNK] = 'B';
	t.lower.fail_from = UINT64_MAX;
	file_expect(&t.file, t.lower.bytes, t.lower.size);
	done(&t);
}

Test(edit, a_lower_file_that_has_become_shorter)
{
	struct setup t;
	uint8_t byte;

	setup(&t, 8 * CHUNK, true, &small_chunks);
	cr_assert_eq(file_write(&t.file, "A", 1, 7), 0);
	cr_assert_eq(ftruncate(t.lower.src.fd, 6 * CHUNK), 0);
	t.lower.size = 6 * CHUNK;
	/* Reading is an error, not zeros; so is copying, which would make zeros permanent. */
	cr_assert_eq(data_read(t.store.data, &t.file.rec, &t.lower.src, &byte, 1, 7 * CHUNK), -EIO);
	cr_assert_eq(file_write(&t.file, "B", 1, 7 * CHUNK + 5), -EIO);
	/* The same where all that is missing would have been a hole. */
	memset(t.lower.bytes + 5 * CHUNK, 0, CHUNK);
	cr_assert_eq(file_write(&t.file, "C", 1, 8 * CHUNK - 1), -EIO);
	cr_assert_eq(file_write(&t.file, "D", 1, 4 * CHUNK), 0);
	done(&t);
}

Test(edit, all_chunks_make_a_file)
{
	static const uint8_t none[CHUNK_SEGMENT_BYTES];
	uint8_t bits[CHUNK_SEGMENT_BYTES];
	struct setup t;
	uint64_t chunk;

	setup(&t, 8 * CHUNK - 1000, true, &small_chunks);
	for (chunk = 0; chunk < 8; chunk++) {
		cr_assert_eq(t.file.rec.where, chunk == 0 ? BYTES_LOWER : BYTES_CHUNKS);
		cr_assert_eq(file_write(&t.file, "A", 1, (7 - chunk) * CHUNK), 0);
		t.lower.bytes[(7 - chunk) * CHUNK] = 'A';
		file_expect(&t.file, t.lower.bytes, t.lower.size);
	}
	cr_assert_eq(t.file.rec.where, BYTES_FILE);
	cr_assert_null(t.file.rec.origin);
	cr_assert_eq(catalog_chunks(t.store.catalog, t.file.rec.attr.ino, 0, bits), 0);
	cr_assert_arr_eq(bits, none, sizeof(bits), "the map was left behind");
	file_reload(&t.file);
	cr_assert_eq(t.file.rec.where, BYTES_FILE);
	cr_assert_null(t.file.rec.origin);
	file_expect(&t.file, t.lower.bytes, t.lower.size);
	done(&t);
}

Test(edit, maps_of_several_segments)
{
	struct setup t;
	struct data_options tiny = {.chunk_shift = 9, .whole_max = 1};
	uint64_t size = 3 * CHUNK_SEGMENT_BITS * 512 - 77, i;
	uint8_t bytes[2000];

	setup(&t, size, true, &tiny);
	for (i = 1; i < 3; i++) {
		uint64_t off = i * CHUNK_SEGMENT_BITS * 512 - 1000;

		memset(bytes, (int)i, sizeof(bytes));
		cr_assert_eq(file_write(&t.file, bytes, sizeof(bytes), off), 0);
		memcpy(t.lower.bytes + off, bytes, sizeof(bytes));
		file_expect(&t.file, t.lower.bytes, size);
	}
	cr_assert_eq(file_fallocate(&t.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 700,
				    size - 1500),
		     0);
	memset(t.lower.bytes + 700, 0, size - 1500);
	file_expect(&t.file, t.lower.bytes, size);
	file_expect_seeks(&t.file, t.lower.bytes, size);
	fixture_reopen(&t.store);
	file_reload(&t.file);
	file_expect(&t.file, t.lower.bytes, size);
	/* The chunks at both ends are all that is missing. */
	cr_assert_eq(t.file.rec.where, BYTES_CHUNKS);
	cr_assert_eq(file_write(&t.file, t.lower.bytes, 512, 0), 0);
	cr_assert_eq(file_write(&t.file, t.lower.bytes + size - 1024, 1024, size - 1024), 0);
	cr_assert_eq(t.file.rec.where, BYTES_FILE);
	file_expect(&t.file, t.lower.bytes, size);
	done(&t);
}

Test(edit, one_full_segment_is_not_all)
{
	struct setup t;
	struct data_options tiny = {.chunk_shift = 9, .whole_max = 1};
	uint64_t part = CHUNK_SEGMENT_BITS * 512, size = 3 * part;

	setup(&t, size, true, &tiny);
	cr_assert_eq(file_fallocate(&t.file, FALLOC_FL_ZERO_RANGE, part, part), 0);
	memset(t.lower.bytes + part, 0, part);
	cr_assert_eq(t.file.rec.where, BYTES_CHUNKS);
	file_expect(&t.file, t.lower.bytes, size);
	cr_assert_eq(file_fallocate(&t.file, FALLOC_FL_ZERO_RANGE, 0, part), 0);
	memset(t.lower.bytes, 0, part);
	cr_assert_eq(t.file.rec.where, BYTES_CHUNKS);
	file_expect(&t.file, t.lower.bytes, size);
	/* What is missing is cut off; the next write sees that nothing is. */
	cr_assert_eq(file_truncate(&t.file, 2 * part), 0);
	cr_assert_eq(t.file.rec.lower_size, 2 * part);
	file_expect(&t.file, t.lower.bytes, 2 * part);
	done(&t);
}

/* A sparse file as a source, with nothing in memory. */
static ssize_t read_fd(void *arg, void *bytes, size_t size, off_t off)
{
	ssize_t n = pread(*(int *)arg, bytes, size, off);

	return n < 0 ? -errno : n;
}

static off_t seek_fd(void *arg, off_t off, int whence)
{
	off_t at = lseek(*(int *)arg, off, whence);

	return at < 0 ? -errno : at;
}

Test(edit, appending_to_ten_gigabytes_copies_one_chunk)
{
	const uint64_t size = ((uint64_t)10 << 30) - 77;
	struct fixture s;
	struct file f;
	struct lower lower = {0};
	char have[78];
	int fd;

	fixture_open(&s, NULL, &(struct data_options){0});
	fd = open(s.path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	cr_assert_eq(pwrite(fd, "begin", 5, 0), 5);
	cr_assert_eq(pwrite(fd, "end", 3, (off_t)size - 3), 3);
	lower.size = size;
	lower.src = (struct data_source){read_fd, seek_fd, &fd, fd};
	file_make(&f, &s, &lower);
	cr_assert_eq(file_write(&f, "+", 1, size), 0);
	cr_assert_eq(file_length(&f), size + 1);
	cr_assert_leq(fixture_counter(&s, " bytes copied"), 131072);
	/* One more inside the last chunk: now there is something to copy, and only that. */
	cr_assert_eq(file_write(&f, "!", 1, size - 10), 0);
	cr_assert_gt(fixture_counter(&s, " bytes copied"), 0);
	cr_assert_leq(fixture_counter(&s, " bytes copied"), 131072);
	cr_assert_eq(data_read(s.data, &f.rec, &lower.src, have, 78, (off_t)size - 10), 11);
	cr_assert_eq(memcmp(have, "!\0\0\0\0\0\0end+", 11), 0);
	cr_assert_eq(data_read(s.data, &f.rec, &lower.src, have, 5, 0), 5);
	cr_assert_eq(memcmp(have, "begin", 5), 0);
	/* Emptying it, or making it longer, copies nothing. */
	cr_assert_eq(file_truncate(&f, 0), 0);
	cr_assert_eq(file_length(&f), 0);
	cr_assert_leq(fixture_counter(&s, " bytes copied"), 131072);
	close(fd);
	file_done(&f);
	fixture_close(&s);
}

Test(edit, lengths_of_lower_files_copy_nothing)
{
	struct setup t;
	struct attr attr;
	CLEANUP(free) uint8_t *want = calloc(1, 8 * CHUNK);

	setup(&t, 6 * CHUNK, true, &small_chunks);
	memcpy(want, t.lower.bytes, CHUNK + 1);
	cr_assert_eq(file_truncate(&t.file, CHUNK + 1), 0);
	cr_assert_eq(file_truncate(&t.file, 8 * CHUNK), 0);
	cr_assert_eq(t.file.rec.where, BYTES_LOWER);
	cr_assert_eq(t.lower.reads, 0);
	/* What is behind them is a hole. */
	cr_assert_eq(data_attr(t.store.data, &t.file.rec, &attr), 0);
	cr_assert_eq(attr.size, 8 * CHUNK);
	cr_assert_eq(attr.blocks, CHUNK / 512 + 1);
	file_expect(&t.file, want, 8 * CHUNK);
	file_expect_seeks(&t.file, want, 8 * CHUNK);
	t.lower.reads = 0;
	cr_assert_eq(file_truncate(&t.file, 0), 0);
	cr_assert_eq(t.file.rec.where, BYTES_INLINE);
	cr_assert_null(t.file.rec.origin);
	file_expect(&t.file, want, 0);
	cr_assert_eq(t.lower.reads, 0);
	cr_assert_eq(fixture_counter(&t.store, " bytes copied"), 0);
	done(&t);
}

/* The process's own limit stands for that of the file system. */
Test(edit, a_lower_file_gets_no_length_that_no_file_can_have)
{
	const struct rlimit limit = {UINT64_C(3) << 30, UINT64_C(3) << 30};
	struct setup t;

	setup(&t, 6 * CHUNK, true, &small_chunks);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_eq(file_truncate(&t.file, limit.rlim_cur + 1), -EFBIG);
	cr_assert_eq(t.file.rec.attr.size, 6 * CHUNK);
	cr_assert_eq(file_truncate(&t.file, limit.rlim_cur), 0);
	cr_assert_eq(t.file.rec.attr.size, limit.rlim_cur);
	cr_assert_eq(t.file.rec.where, BYTES_LOWER);
	cr_assert_eq(t.lower.reads, 0);
	done(&t);
}

Test(edit, a_write_over_all_reads_nothing)
{
	struct setup t;
	struct data_options whole = {.whole_max = 1 << 20};
	CLEANUP(free) uint8_t *new = malloc(100000);

	setup(&t, 90000, false, &whole);
	memset(new, 'n', 100000);
	cr_assert_eq(file_write(&t.file, new, 100000, 0), 0);
	cr_assert_eq(t.file.rec.where, BYTES_FILE);
	cr_assert_eq(t.lower.reads, 0);
	file_expect(&t.file, new, 100000);
	done(&t);
}

Test(edit, damaged_records)
{
	struct setup t;
	uint8_t byte = 0;
	CLEANUP(batch) struct batch b = {0};
	bool changed;

	setup(&t, 8 * CHUNK, true, &small_chunks);
	cr_assert_eq(file_write(&t.file, "A", 1, 7), 0);
	batch_begin(&b, t.store.catalog);
	t.file.rec.chunk_shift = 70;
	cr_assert_eq(data_read(t.store.data, &t.file.rec, &t.lower.src, &byte, 1, 0), -EUCLEAN);
	cr_assert_eq(data_seek(t.store.data, &t.file.rec, &t.lower.src, 0, SEEK_DATA), -EUCLEAN);
	cr_assert_eq(data_write(t.store.data, &t.file.rec, &t.lower.src, &byte, 1, 0, &b, &changed),
		     -EUCLEAN);
	t.file.rec.chunk_shift = 9;
	t.file.rec.lower_size = INT64_MAX;
	cr_assert_eq(data_read(t.store.data, &t.file.rec, &t.lower.src, &byte, 1, 0), -EUCLEAN);
	t.file.rec.where = BYTES_INLINE;
	t.file.rec.attr.size = 5000;
	cr_assert_eq(data_write(t.store.data, &t.file.rec, NULL, &byte, 1, 0, &b, &changed),
		     -EUCLEAN);
	t.file.rec.attr.size = 3;
	t.file.rec.where = (enum bytes_where)77;
	cr_assert_eq(data_write(t.store.data, &t.file.rec, NULL, &byte, 1, 0, &b, &changed),
		     -EUCLEAN);
	cr_assert_eq(data_read(t.store.data, &t.file.rec, NULL, &byte, 1, 0), -EUCLEAN);
	cr_assert_eq(data_seek(t.store.data, &t.file.rec, NULL, 0, SEEK_DATA), -EUCLEAN);
	cr_assert_eq(b.n, 0);
	done(&t);
}

Test(edit, missing_data_file)
{
	struct setup t;
	struct attr a = {0};
	uint8_t byte;

	setup(&t, 8 * CHUNK, true, &small_chunks);
	cr_assert_eq(file_write(&t.file, "A", 1, 7), 0);
	cr_assert_eq(data_delete(t.store.data, t.file.rec.attr.ino), 0);
	cr_assert_eq(data_delete(t.store.data, t.file.rec.attr.ino), 0);
	cr_assert_eq(data_read(t.store.data, &t.file.rec, &t.lower.src, &byte, 1, 0), -EIO);
	cr_assert_eq(data_attr(t.store.data, &t.file.rec, &a), -EIO);
	cr_assert_eq(file_write(&t.file, "A", 1, 7), -EIO);
	cr_assert_eq(file_truncate(&t.file, 1), -EIO);
	/* Who wants an empty file can have one. */
	cr_assert_eq(file_truncate(&t.file, 0), 0);
	cr_assert_eq(t.file.rec.where, BYTES_FILE);
	file_expect(&t.file, &byte, 0);
	done(&t);
}
