/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes: lower, inline, in data files and in chunks; what was not touched is not copied. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/fs/support.h"

#define BIG (4 << 20)

/* Writes in the middle, at the end and behind it; compares with the same done to memory. */
static void edit_and_compare(struct world *w, const char *path, size_t size, unsigned int seed)
{
	CLEANUP(free) uint8_t *want = calloc(1, size * 2 + 100000);
	CLEANUP(free) uint8_t *is = calloc(1, size * 2 + 100001);
	uint64_t ino = hold(w, path);
	size_t end = size;
	const struct {
		size_t off, len;
	} edits[] = {{size / 2, size / 10 + 1}, {0, 1}, {size, 10}, {size + 50000, 3000}, {1, 2}};

	fill(want, size, seed);
	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		uint8_t *at = want + edits[i].off;

		fill(at, edits[i].len, seed + 100 + (unsigned int)i);
		cr_assert_eq(fs_write(w->fs, ino, at, edits[i].len, (off_t)edits[i].off, 0),
			     (ssize_t)edits[i].len);
		end = edits[i].off + edits[i].len > end ? edits[i].off + edits[i].len : end;
		cr_assert_eq(fs_read(w->fs, ino, is, end + 1, 0), (ssize_t)end);
		cr_assert(memcmp(want, is, end) == 0, "%s: edit %zu", path, i);
	}
	drop(w, ino);
	cr_assert_eq(stat_of(w, path).size, end);
	world_assert_lasting(w);
	ino = hold(w, path);
	cr_assert_eq(fs_read(w->fs, ino, is, end + 1, 0), (ssize_t)end);
	cr_assert(memcmp(want, is, end) == 0, "%s after re-opening", path);
	drop(w, ino);
}

Test(files, edits_of_lower_files_leave_the_layer_alone)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) char *before = NULL;
	CLEANUP(free) char *after = NULL;

	world_init(&w, 1);
	put_bytes("l0/empty", 0, 0);
	put_bytes("l0/tiny", 10, 1);
	put_bytes("l0/small", 4000, 2);
	put_bytes("l0/middle", 100000, 3);
	put_bytes("l0/big", BIG, 4);
	before = plain_dump("l0");
	world_open(&w);
	edit_and_compare(&w, "empty", 0, 0);
	edit_and_compare(&w, "tiny", 10, 1);
	edit_and_compare(&w, "small", 4000, 2);
	edit_and_compare(&w, "middle", 100000, 3);
	edit_and_compare(&w, "big", BIG, 4);
	after = plain_dump("l0");
	cr_assert_str_eq(before, after);
}

Test(files, edits_of_new_files)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = malloc(BIG);
	static const size_t sizes[] = {1, 100, 4096, 4097, 200000};

	world_init(&w, 1);
	world_open(&w);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char name[8] = {'f', (char)('0' + i)};

		fill(bytes, sizes[i], (unsigned int)i);
		ok(t_create(&w, name, 0644));
		ok(t_pwrite(&w, name, bytes, sizes[i], 0));
		edit_and_compare(&w, name, sizes[i], (unsigned int)i);
	}
}

Test(files, one_byte_of_a_big_lower_file_costs_a_chunk)
{
	CLEANUP(world) struct world w;
	uint64_t before;

	world_init(&w, 1);
	put_bytes("l0/big", 32 << 20, 1);
	put_bytes("l0/append", 32 << 20, 2);
	world_open(&w);
	ok(t_chmod(&w, "big", 0600));
	ok(t_chmod(&w, "append", 0600));
	before = disk_bytes("upper/.plyfs/data");
	ok(t_pwrite(&w, "big", "x", 1, 5 << 20));
	ok(t_pwrite(&w, "append", "x", 1, 32 << 20));
	ok(fs_syncfs(w.fs));
	cr_assert_lt(disk_bytes("upper/.plyfs/data") - before, 3 << 20);
	cr_assert_eq(stat_of(&w, "append").size, (32 << 20) + 1);
	world_assert_lasting(&w);
}

Test(files, truncate)
{
	static const size_t sizes[] = {10, 4000, 100000, BIG};
	CLEANUP(world) struct world w;
	char path[16], zeros[4096] = {0}, is[4096];

	world_init(&w, 1);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "l0/f%zu", i);
		put_bytes(path, sizes[i], (unsigned int)i);
	}
	world_open(&w);
	for (size_t i = 0; i < 4; i++) {
		uint64_t ino;

		snprintf(path, sizeof(path), "f%zu", i);
		ok(t_truncate(&w, path, sizes[i] / 2));
		assert_bytes(&w, path, sizes[i] / 2, (unsigned int)i);
		cr_assert_eq(stat_of(&w, path).size, sizes[i] / 2);
		/* What was cut off does not come back. */
		ok(t_truncate(&w, path, sizes[i]));
		ino = hold(&w, path);
		cr_assert_gt(fs_read(w.fs, ino, is, sizeof(is), (off_t)sizes[i] / 2), 0);
		cr_assert_eq(memcmp(is, zeros, sizes[i] / 2 < 4096 ? sizes[i] / 2 : 4096), 0);
		drop(&w, ino);
		world_assert_lasting(&w);
		ok(t_truncate(&w, path, 0));
		assert_text(&w, path, "");
		ok(t_pwrite(&w, path, "end", 3, 0));
		assert_text(&w, path, "end");
	}
	world_assert_lasting(&w);
	cr_assert_eq(count_files("upper/.plyfs/data"), 0);
}

Test(files, bad_ranges)
{
	CLEANUP(world) struct world w;
	uint64_t ino;
	char c;

	world_init(&w, 1);
	put_file("l0/f", "text");
	put_dir("l0/d");
	world_open(&w);
	ino = hold(&w, "f");
	cr_assert_eq(fs_read(w.fs, ino, &c, 1, 4), 0);
	cr_assert_eq(fs_read(w.fs, ino, &c, 1, 1 << 30), 0);
	cr_assert_eq(fs_write(w.fs, ino, "", 0, 2, 0), 0);
	fails(EFBIG, fs_write(w.fs, ino, "x", 1, INT64_MAX, 0));
	fails(EFBIG, fs_write(w.fs, ino, "x", 1, -1, 0));
	fails(EINVAL, fs_fallocate(w.fs, ino, 0, 0, 0));
	fails(EINVAL, fs_fallocate(w.fs, ino, 0, -1, 1));
	fails(EOPNOTSUPP, fs_fallocate(w.fs, ino, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
	fails(EISDIR, fs_read(w.fs, hold(&w, "d"), &c, 1, 0));
	fails(EISDIR, fs_write(w.fs, hold(&w, "d"), &c, 1, 0, 0));
	fails(EISDIR, fs_fallocate(w.fs, hold(&w, "d"), 0, 0, 1));
	fails(EISDIR, fs_lseek(w.fs, hold(&w, "d"), 0, SEEK_DATA));
	fails(EINVAL, fs_lseek(w.fs, ino, 0, SEEK_END));
	assert_text(&w, "f", "text");
	world_assert_lasting(&w);
}

Test(files, fallocate)
{
	static const size_t sizes[] = {10, 4000, 100000, BIG};
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *want = malloc(BIG + 10000);
	CLEANUP(free) uint8_t *is = malloc(BIG + 10000);

	world_init(&w, 1);
	for (unsigned int i = 0; i < 4; i++) {
		char path[16];

		snprintf(path, sizeof(path), "l0/f%u", i);
		put_bytes(path, sizes[i], i);
	}
	world_open(&w);
	for (unsigned int i = 0; i < 4; i++) {
		size_t size = sizes[i], third = size / 3;
		char path[16];
		uint64_t ino;

		snprintf(path, sizeof(path), "f%u", i);
		ino = hold(&w, path);
		memset(want, 0, BIG + 10000);
		fill(want, size, i);
		ok(fs_fallocate(w.fs, ino, FALLOC_FL_KEEP_SIZE, 0, (off_t)size + 9000));
		cr_assert_eq(stat_of(&w, path).size, size);
		ok(fs_fallocate(w.fs, ino, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)third,
				(off_t)third));
		memset(want + third, 0, third);
		ok(fs_fallocate(w.fs, ino, 0, 0, (off_t)size + 100));
		cr_assert_eq(stat_of(&w, path).size, size + 100);
		ok(fs_fallocate(w.fs, ino, FALLOC_FL_ZERO_RANGE, 0, 3));
		memset(want, 0, 3);
		ok(fs_fallocate(w.fs, ino, FALLOC_FL_ZERO_RANGE, (off_t)size + 90, 110));
		cr_assert_eq(fs_read(w.fs, ino, is, BIG + 10000, 0), (ssize_t)size + 200);
		cr_assert_eq(memcmp(want, is, size + 200), 0, "%s", path);
		drop(&w, ino);
	}
	world_assert_lasting(&w);
}

Test(files, copy_range)
{
	CLEANUP(world) struct world w;
	uint64_t from, to;

	world_init(&w, 1);
	put_bytes("l0/from", 1000000, 1);
	world_open(&w);
	ok(t_create(&w, "to", 0644));
	from = hold(&w, "from");
	to = hold(&w, "to");
	cr_assert_eq(fs_copy_range(w.fs, from, 0, to, 0, 2000000, 0), 1000000);
	assert_bytes(&w, "to", 1000000, 1);
	cr_assert_eq(fs_copy_range(w.fs, from, 1000000, to, 0, 5, 0), 0);
	cr_assert_eq(fs_copy_range(w.fs, to, 0, from, 1000000, 10, 0), 10);
	cr_assert_eq(stat_of(&w, "from").size, 1000010);
	world_assert_lasting(&w);
}

/* Who waits for the answer cannot be killed meanwhile, and the answer has 32 bits for the length. */
Test(files, copy_range_of_much_is_short)
{
	CLEANUP(world) struct world w;
	uint64_t from, to;
	ssize_t n;

	world_init(&w, 1);
	put_file("l0/from", "");
	cr_assert_eq(truncate("l0/from", 40 << 20), 0);
	world_open(&w);
	ok(t_create(&w, "to", 0644));
	from = hold(&w, "from");
	to = hold(&w, "to");
	n = fs_copy_range(w.fs, from, 0, to, 0, SIZE_MAX >> 1, 0);
	cr_assert(n > 0 && n <= 16 << 20, "%zd", n);
	cr_assert_eq(stat_of(&w, "to").size, (uint64_t)n);
}

Test(files, seeking)
{
	CLEANUP(world) struct world w;
	uint64_t ino;
	int fd;

	world_init(&w, 1);
	put_file("l0/sparse", "");
	fd = open("l0/sparse", O_RDWR | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, "x", 1, 8 << 20), 1);
	cr_assert_eq(ftruncate(fd, 16 << 20), 0);
	close(fd);
	put_file("l0/text", "text");
	world_open(&w);
	ino = hold(&w, "sparse");
	for (int i = 0; i < 3; i++) {
		off_t data = fs_lseek(w.fs, ino, 0, SEEK_DATA);

		cr_assert(data > 0 && data <= 8 << 20, "%ld", (long)data);
		cr_assert_eq(fs_lseek(w.fs, ino, 0, SEEK_HOLE), 0);
		cr_assert_gt(fs_lseek(w.fs, ino, data, SEEK_HOLE), 8 << 20);
		fails(ENXIO, fs_lseek(w.fs, ino, 16 << 20, SEEK_DATA));
		/* As a lower file, with a record, in chunks. */
		ok(i == 0 ? t_chmod(&w, "sparse", 0600)
			  : t_pwrite(&w, "sparse", "y", 1, (8 << 20) + 1));
	}
	drop(&w, ino);
	ino = hold(&w, "text");
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(fs_lseek(w.fs, ino, 0, SEEK_DATA), 0);
		cr_assert_eq(fs_lseek(w.fs, ino, 0, SEEK_HOLE), 4);
		fails(ENXIO, fs_lseek(w.fs, ino, 4, SEEK_DATA));
		ok(i == 0 ? t_chmod(&w, "text", 0600) : t_pwrite(&w, "text", "T", 1, 0));
	}
}

Test(files, syncing)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/lower", "x");
	world_open(&w);
	ok(t_write(&w, "f", "x"));
	ok(t_mkdir(&w, "d", 0755));
	ok(fs_fsync(w.fs, hold(&w, "lower"), false));
	ok(fs_fsync(w.fs, hold(&w, "f"), false));
	ok(fs_fsync(w.fs, hold(&w, "f"), true));
	ok(fs_fsync(w.fs, hold(&w, "d"), false));
	ok(fs_fsync(w.fs, FS_ROOT_INO, false));
	ok(fs_syncfs(w.fs));
	world_close(&w);
	w.o.no_sync = true;
	world_open(&w);
	ok(t_write(&w, "g", "x"));
	ok(fs_fsync(w.fs, hold(&w, "g"), false));
	ok(fs_syncfs(w.fs));
	world_assert_lasting(&w);
}

/* What was opened before copy-up sees what is written after it. */
Test(files, a_holder_sees_changes_by_others)
{
	CLEANUP(world) struct world w;
	uint64_t ino;
	char c[4];

	world_init(&w, 1);
	put_bytes("l0/f", 300000, 1);
	world_open(&w);
	ino = hold(&w, "f");
	cr_assert_eq(fs_read(w.fs, ino, c, 3, 200000), 3);
	ok(t_pwrite(&w, "f", "abc", 3, 200000));
	cr_assert_eq(fs_read(w.fs, ino, c, 3, 200000), 3);
	cr_assert_eq(memcmp(c, "abc", 3), 0);
	ok(t_truncate(&w, "f", 200001));
	cr_assert_eq(fs_read(w.fs, ino, c, 3, 200000), 1);
}
