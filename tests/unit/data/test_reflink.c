/* SPDX-License-Identifier: Apache-2.0 */
/* On a file system that can share blocks no byte is copied. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/path.h"
#include "unit/data/fixture.h"

#define IMAGE_SIZE ((off_t)320 << 20) /* sparse: mkfs.xfs refuses less than 300 MiB */
#define SIZE	   (4u << 20)

static char dir[256], top[300];
static struct fixture s;
static struct lower lower;

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
	char command[900];
	va_list args;
	int r;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	r = system(command);
	cr_assert_eq(r, 0,
		     "`%s` failed (%d): this test needs root, a loop device, and btrfs-progs or "
		     "xfsprogs",
		     command, r);
}

/* The mount is in a namespace of the test's own and vanishes with it, and its loop device too. */
static void setup(void)
{
	char image[300];
	uint64_t random = 1;
	int fd;

	alarm(120);
	make_temp_dir(dir, sizeof(dir));
	snprintf(top, sizeof(top), "%s/top", dir);
	snprintf(image, sizeof(image), "%s/image", dir);
	cr_assert_eq(mkdir(top, 0700), 0);
	fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, IMAGE_SIZE), 0);
	close(fd);
	cr_assert_eq(unshare(CLONE_NEWNS), 0, "this test needs root");
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	run("PATH=$PATH:/usr/sbin:/sbin; fs=btrfs; command -v mkfs.btrfs >/dev/null || fs=xfs; "
	    "mkfs.$fs -q -f %s >%s.log 2>&1 || { cat %s.log >&2; exit 1; }",
	    image, image, image);
	run("PATH=$PATH:/usr/sbin:/sbin; mount -o loop %s %s", image, top);
	fixture_open(&s, top, &(struct data_options){0});
	lower_make(&lower, SIZE, 0, top, &random);
}

static void done(void)
{
	lower_done(&lower);
	fixture_close(&s);
	umount2(top, 0);
	remove_tree(dir);
}

TestSuite(reflink, .init = setup, .fini = done);

/* How many bytes of the file are shared with another one. */
static uint64_t shared_bytes(int fd)
{
	CLEANUP(free)
	struct fiemap *map = calloc(1, sizeof(*map) + 256 * sizeof(map->fm_extents[0]));
	uint64_t n = 0;
	uint32_t i;

	map->fm_length = FIEMAP_MAX_OFFSET;
	map->fm_flags = FIEMAP_FLAG_SYNC;
	map->fm_extent_count = 256;
	cr_assert_eq(ioctl(fd, FS_IOC_FIEMAP, map), 0, "FIEMAP: %s", strerror(errno));
	for (i = 0; i < map->fm_mapped_extents; i++)
		if (map->fm_extents[i].fe_flags & FIEMAP_EXTENT_SHARED)
			n += map->fm_extents[i].fe_length;
	return n;
}

static uint64_t shared_bytes_of(struct file *f)
{
	char path[DATA_PATH_SIZE + 8] = "data/";
	int fd;
	uint64_t n;

	data_path(f->rec.attr.ino, path + 5);
	fd = openat(s.dirfd, path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	n = shared_bytes(fd);
	close(fd);
	return n;
}

Test(reflink, a_large_lower_file_moves_whole_and_shared)
{
	struct file f;

	file_make(&f, &s, &lower);
	cr_assert_eq(file_write(&f, "x", 1, 100), 0);
	lower.bytes[100] = 'x';
	cr_assert_eq(f.rec.where, BYTES_FILE);
	cr_assert_eq(fixture_counter(&s, " reflinks"), 1);
	cr_assert_eq(fixture_counter(&s, " bytes copied"), 0);
	cr_assert_geq(shared_bytes_of(&f), SIZE - 65536);
	file_expect(&f, lower.bytes, SIZE);
	file_done(&f);
}

Test(reflink, only_the_valid_part_of_a_lower_file)
{
	CLEANUP(free) uint8_t *want = calloc(1, SIZE);
	struct file f;

	file_make(&f, &s, &lower);
	cr_assert_eq(file_truncate(&f, SIZE / 2 + 77), 0);
	cr_assert_eq(file_truncate(&f, SIZE - 1), 0);
	cr_assert_eq(file_write(&f, "x", 1, SIZE - 2), 0);
	memcpy(want, lower.bytes, SIZE / 2 + 77);
	want[SIZE - 2] = 'x';
	cr_assert_eq(fixture_counter(&s, " bytes copied"), 0);
	cr_assert_geq(shared_bytes_of(&f), SIZE / 2 - 65536);
	file_expect(&f, want, SIZE - 1);
	file_done(&f);
}

Test(reflink, ranges)
{
	CLEANUP(fd) int to = open(top, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	CLEANUP(free) uint8_t *have = malloc(SIZE);

	cr_assert_geq(to, 0);
	cr_assert_eq(data_copy_range(lower.src.fd, 8192, to, 4096, SIZE - 8192), 0);
	cr_assert_geq(shared_bytes(to), SIZE - 65536);
	cr_assert_eq(pread(to, have, SIZE, 4096), (ssize_t)SIZE - 8192);
	cr_assert_eq(memcmp(have, lower.bytes + 8192, SIZE - 8192), 0);
	/* Parts of blocks cannot be shared. */
	cr_assert_eq(data_copy_range(lower.src.fd, 0, to, 0, 10001), 0);
	cr_assert_eq(pread(to, have, 10001, 0), 10001);
	cr_assert_eq(memcmp(have, lower.bytes, 10001), 0);
}

/* The same through copies of only one file system: to a store on another one. */
Test(reflink, not_across_file_systems)
{
	struct fixture other;
	struct file f;

	fixture_open(&other, NULL, &(struct data_options){0});
	file_make(&f, &other, &lower);
	cr_assert_eq(file_write(&f, "x", 1, 100), 0);
	lower.bytes[100] = 'x';
	cr_assert_eq(f.rec.where, BYTES_CHUNKS);
	cr_assert_eq(fixture_counter(&other, " reflinks"), 0);
	file_expect(&f, lower.bytes, SIZE);
	file_done(&f);
	fixture_close(&other);
}
