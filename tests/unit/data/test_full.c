/* SPDX-License-Identifier: Apache-2.0 */
/* A full disk: nothing half done, and all is well when there is room again. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/synctrace.h"
#include "unit/data/fixture.h"

#define CHUNK 65536

/* The data files are on a tmpfs of 1 MiB, the catalog is not. */
static char dir[256], data_dir[300], filler[320];
static struct fixture s;
static uint8_t bytes[2 << 20];

static void setup(void)
{
	make_temp_dir(dir, sizeof(dir));
	snprintf(data_dir, sizeof(data_dir), "%s/data", dir);
	snprintf(filler, sizeof(filler), "%s/filler", data_dir);
	cr_assert_eq(mkdir(data_dir, 0700), 0);
	cr_assert_eq(unshare(CLONE_NEWNS), 0, "this test needs root");
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("tmpfs", data_dir, "tmpfs", 0, "size=1m"), 0, "mount tmpfs: %s",
		     strerror(errno));
	fixture_open(&s, dir, &(struct data_options){.chunk_shift = 16, .whole_max = 4 * CHUNK});
	memset(bytes, 'b', sizeof(bytes));
}

static void done(void)
{
	fixture_close(&s);
	umount2(data_dir, MNT_DETACH);
	remove_tree(dir);
}

TestSuite(full, .init = setup, .fini = done);

/* Leaves ROOM bytes free. */
static void fill(size_t room)
{
	CLEANUP(fd) int fd = open(filler, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct stat st;

	cr_assert_geq(fd, 0);
	while (write(fd, bytes, 4096) == 4096)
		;
	cr_assert_eq(errno, ENOSPC);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(ftruncate(fd, st.st_size - (off_t)room), 0);
}

static void make_room(void)
{
	cr_assert_eq(unlink(filler), 0);
}

Test(full, append)
{
	struct file f;

	file_make(&f, &s, NULL);
	cr_assert_eq(file_write(&f, bytes, 100000, 0), 0);
	fill(65536);
	/* A part of it fits; none of it may stay. */
	cr_assert_eq(file_write(&f, bytes, 400000, 100000), -ENOSPC);
	file_expect(&f, bytes, 100000);
	cr_assert_eq(file_write(&f, bytes, 100, 100000), 0, "the room was given back");
	file_expect(&f, bytes, 100100);
	make_room();
	cr_assert_eq(file_write(&f, bytes, 400000, 100100), 0);
	file_expect(&f, bytes, 500100);
	file_done(&f);
}

Test(full, out_of_the_catalog)
{
	struct file f;

	file_make(&f, &s, NULL);
	cr_assert_eq(file_write(&f, "small", 5, 0), 0);
	fill(65536);
	cr_assert_eq(file_write(&f, bytes, 400000, 5), -ENOSPC);
	cr_assert_eq(f.rec.where, BYTES_INLINE);
	file_expect(&f, (const uint8_t *)"small", 5);
	file_reload(&f);
	file_expect(&f, (const uint8_t *)"small", 5);
	make_room();
	memcpy(bytes, "small", 5);
	cr_assert_eq(file_write(&f, bytes + 5, 400000, 5), 0);
	file_expect(&f, bytes, 400005);
	file_done(&f);
}

static void move_lower(uint64_t size, bool with_fd, size_t len, enum bytes_where after)
{
	struct lower lower;
	struct file f;
	uint64_t random = 1;

	lower_make(&lower, size, 0, with_fd ? dir : NULL, &random);
	file_make(&f, &s, &lower);
	fill(65536);
	cr_assert_eq(file_write(&f, bytes, len, 1000), -ENOSPC);
	cr_assert_eq(f.rec.where, BYTES_LOWER);
	file_expect(&f, lower.bytes, size);
	make_room();
	memcpy(lower.bytes + 1000, bytes, len);
	cr_assert_eq(file_write(&f, bytes, len, 1000), 0);
	cr_assert_eq(f.rec.where, after);
	file_expect(&f, lower.bytes, size);
	file_done(&f);
	lower_done(&lower);
}

Test(full, whole_lower_file)
{
	move_lower(4 * CHUNK, true, 5, BYTES_FILE);
}

Test(full, whole_lower_file_without_descriptor)
{
	move_lower(4 * CHUNK, false, 5, BYTES_FILE);
}

Test(full, first_chunks)
{
	move_lower(8 * CHUNK, true, 3 * CHUNK, BYTES_CHUNKS);
}

Test(full, another_chunk)
{
	struct lower lower;
	struct file f;
	uint64_t random = 1;

	lower_make(&lower, 8 * CHUNK, 0, NULL, &random);
	file_make(&f, &s, &lower);
	cr_assert_eq(file_write(&f, "A", 1, 0), 0);
	lower.bytes[0] = 'A';
	fill(CHUNK / 2);
	cr_assert_eq(file_write(&f, "B", 1, CHUNK), -ENOSPC);
	cr_assert_eq(file_write(&f, bytes, 2 * CHUNK, 8 * CHUNK), -ENOSPC);
	file_expect(&f, lower.bytes, lower.size);
	/* Reading, shortening and deleting need no room. */
	cr_assert_eq(file_truncate(&f, 5 * CHUNK), 0);
	file_expect(&f, lower.bytes, 5 * CHUNK);
	make_room();
	cr_assert_eq(file_write(&f, "B", 1, CHUNK), 0);
	lower.bytes[CHUNK] = 'B';
	file_expect(&f, lower.bytes, 5 * CHUNK);
	cr_assert_eq(data_delete(s.data, f.rec.attr.ino), 0);
	file_done(&f);
	lower_done(&lower);
}

Test(full, allocate)
{
	struct file f;

	file_make(&f, &s, NULL);
	cr_assert_eq(file_write(&f, bytes, 100000, 0), 0);
	fill(65536);
	cr_assert_eq(file_fallocate(&f, 0, 0, 1 << 20), -ENOSPC);
	file_expect(&f, bytes, 100000);
	/* A tmpfs has no FALLOC_FL_ZERO_RANGE: these zeros are written. */
	cr_assert_eq(file_fallocate(&f, FALLOC_FL_ZERO_RANGE, 50000, 1 << 20), -ENOSPC);
	cr_assert_eq(file_length(&f), 100000);
	make_room();
	memset(bytes + 50000, 0, sizeof(bytes) - 50000);
	cr_assert_eq(file_fallocate(&f, FALLOC_FL_ZERO_RANGE, 50000, 100000), 0);
	file_expect(&f, bytes, 150000);
	cr_assert_eq(file_fallocate(&f, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 140000, 50000),
		     0);
	file_expect(&f, bytes, 150000);
	file_done(&f);
}

/* xfs and btrfs may have no room for what says that there is a hole. Zeros read the same. */
Test(full, a_hole_without_room_for_it)
{
	struct file f;

	file_make(&f, &s, NULL);
	cr_assert_eq(file_write(&f, bytes, 100000, 0), 0);
	cr_assert_eq(file_truncate(&f, 300000), 0);
	cr_assert_eq(file_write(&f, bytes, 1000, 299000), 0);
	synctrace_start(NULL);
	synctrace_fail("fallocate", "/data/", ENOSPC, 2);
	cr_assert_eq(file_fallocate(&f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 6923, 292578),
		     0);
	memset(bytes + 6923, 0, sizeof(bytes) - 6923);
	memset(bytes + 299501, 'b', 499);
	file_expect(&f, bytes, 300000);
	/* Past the end there is nothing to do. */
	cr_assert_eq(file_fallocate(&f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 400000, 9), 0);
	file_expect(&f, bytes, 300000);
	cr_assert_eq(synctrace_count("fallocate", "/data/"), 2);
	file_done(&f);
}
