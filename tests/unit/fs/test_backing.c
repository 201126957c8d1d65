/* SPDX-License-Identifier: Apache-2.0 */
/* The plain file behind an inode: it has exactly the inode's bytes, or there is none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/fs/support.h"

static uint64_t inode_at;
static struct fs *fs_at;

/* Compares all that can be read in both ways. */
static int same_bytes(void *arg, int fd)
{
	static char here[1 << 20], there[1 << 20];
	off_t off = 0;

	for (;;) {
		ssize_t n = pread(fd, here, sizeof(here), off);
		ssize_t m = fs_read(fs_at, inode_at, there, sizeof(there), off);

		cr_assert_eq(n, m, "%zd and %zd bytes at %ld", n, m, (long)off);
		cr_assert_eq(memcmp(here, there, (size_t)n), 0, "at %ld", (long)off);
		if (n == 0)
			break;
		off += n;
	}
	++*(int *)arg;
	return 0;
}

/* 0 when it has a plain file, which then is what is read; or -errno. */
static int look(struct world *w, const char *path)
{
	int used = 0, r;

	fs_at = w->fs;
	inode_at = hold(w, path);
	r = fs_with_file(w->fs, inode_at, same_bytes, &used);
	cr_assert_eq(used, r == 0);
	return r;
}

static void reopen_read_only(struct world *w)
{
	world_close(w);
	w->o.read_only = true;
	world_open(w);
}

static void put_layers(struct world *w)
{
	world_init(w, 2);
	put_file("l0/small", "small");
	put_file("l0/empty", "");
	put_bytes("l1/large", 3 << 20, 1);
	put_bytes("l1/cut", 3 << 20, 2);
	put_bytes("l1/grown", 300000, 3);
	put_bytes("l1/chunked", 3 << 20, 4);
	put_bytes("l1/chmod", 300000, 5);
	put_dir("l0/dir");
	put_symlink("small", "l0/link");
}

Test(backing, nothing_while_it_can_be_written)
{
	CLEANUP(world) struct world w;

	put_layers(&w);
	world_open(&w);
	fails(EOPNOTSUPP, look(&w, "small"));
	ok(t_write(&w, "own", "own"));
	fails(EOPNOTSUPP, look(&w, "own"));
}

Test(backing, files_of_directories)
{
	CLEANUP(world) struct world w;

	put_layers(&w);
	world_open(&w);
	reopen_read_only(&w);
	ok(look(&w, "small"));
	ok(look(&w, "empty"));
	ok(look(&w, "large"));
	fails(EOPNOTSUPP, look(&w, "dir"));
	fails(EOPNOTSUPP, look(&w, "link"));
	fails(ESTALE, fs_with_file(w.fs, UINT64_C(1) << 47, same_bytes, NULL));
}

static void change(struct world *w)
{
	uint8_t bytes[100000];

	fill(bytes, sizeof(bytes), 9);
	ok(t_write(w, "inline", "inline"));
	ok(t_create(w, "file", 0644));
	ok(t_pwrite(w, "file", bytes, sizeof(bytes), 0));
	ok(t_truncate(w, "cut", 1 << 20));
	ok(t_truncate(w, "grown", 400000));
	ok(t_pwrite(w, "chunked", "x", 1, 1 << 20));
	ok(t_chmod(w, "chmod", 0600));
}

/* Each place that bytes can have, in an upper mounted read-only and in one that is a layer. */
static void expect_changed(struct world *w)
{
	ok(look(w, "large"));
	fails(EOPNOTSUPP, look(w, "inline"));
	ok(look(w, "file"));
	fails(EOPNOTSUPP, look(w, "cut"));
	fails(EOPNOTSUPP, look(w, "grown"));
	ok(look(w, "chmod"));
	/* Moved as a whole where the file system shares blocks. */
	if (look(w, "chunked") != 0)
		fails(EOPNOTSUPP, look(w, "chunked"));
}

Test(backing, files_of_an_upper)
{
	CLEANUP(world) struct world w;

	put_layers(&w);
	world_open(&w);
	change(&w);
	reopen_read_only(&w);
	expect_changed(&w);
}

Test(backing, files_of_an_upper_that_is_a_layer)
{
	CLEANUP(world) struct world w;

	put_layers(&w);
	world_open(&w);
	change(&w);
	world_close(&w);
	cr_assert_eq(rename("upper", "first"), 0);
	put_dir("upper");
	world_set_lowers(&w, "first:l0:l1");
	world_open(&w);
	reopen_read_only(&w);
	expect_changed(&w);
	/* The descriptor is kept by the open file: ask again. */
	expect_changed(&w);
}

/* --- one range, by fs_read_file(): also while the file can be written --- */

struct got {
	size_t size;
	uint8_t bytes[1 << 18];
};

static int get_range(void *arg, int fd, size_t size, off_t off)
{
	struct got *g = arg;

	cr_assert(size > 0 && size <= sizeof(g->bytes));
	g->size = size;
	cr_assert_eq(pread(fd, g->bytes, size, off), (ssize_t)size, "at %ld", (long)off);
	return 0;
}

/* What the range has in the one way it has in the other, if there is one. Whether there was. */
static bool range_is_same(struct world *w, const char *path, size_t size, off_t off)
{
	static uint8_t expected[sizeof(((struct got *)0)->bytes)];
	static struct got g;
	struct fs_reader reader = {get_range, &g};
	uint64_t ino = hold(w, path);
	ssize_t n = fs_read(w->fs, ino, expected, size, off);
	int r = fs_read_file(w->fs, ino, size, off, &reader);

	if (r == -EOPNOTSUPP)
		return false;
	ok(r);
	cr_assert_eq(g.size, (size_t)n, "%s: %zu and %zd bytes at %ld", path, g.size, n, (long)off);
	cr_assert_eq(memcmp(g.bytes, expected, g.size), 0, "%s: at %ld", path, (long)off);
	return true;
}

Test(backing, ranges)
{
	static const char *const paths[] = {"small", "large",  "cut",	  "grown",
					    "chmod", "inline", "chunked", "file"};
	CLEANUP(world) struct world w;
	unsigned int seed = (unsigned int)getpid(), state = seed;

	put_layers(&w);
	world_open(&w);
	change(&w);
	printf("seed %u\n", seed);
	for (int i = 0; i < 4000; i++) {
		const char *path = paths[(unsigned int)rand_r(&state) % 8];
		size_t size = 1 + (size_t)rand_r(&state) % sizeof(((struct got *)0)->bytes);
		off_t off = rand_r(&state) % (4 << 20);

		range_is_same(&w, path, size, rand_r(&state) % 2 ? off : off % 410000);
	}
}

Test(backing, ranges_at_edges)
{
	CLEANUP(world) struct world w;

	put_layers(&w);
	world_open(&w);
	change(&w);
	cr_expect(range_is_same(&w, "large", 131072, 0));
	cr_expect(range_is_same(&w, "large", 131072, (3 << 20) - 1));
	cr_expect_not(range_is_same(&w, "large", 131072, 3 << 20));
	cr_expect(range_is_same(&w, "chmod", 131072, 262144));
	cr_expect(range_is_same(&w, "file", 131072, 65536));
	cr_expect_not(range_is_same(&w, "inline", 131072, 0));
	/* Behind the new end the lower file goes on. */
	cr_expect(range_is_same(&w, "cut", 131072, (1 << 20) - 4096));
	cr_expect_not(range_is_same(&w, "cut", 131072, 1 << 20));
	/* Where the lower file has ended zeros follow, which are in no file. */
	cr_expect(range_is_same(&w, "grown", 131072, 300000 - 131072));
	cr_expect_not(range_is_same(&w, "grown", 131072, 300001 - 131072));
	cr_expect_not(range_is_same(&w, "grown", 1, 300000));
}

Test(backing, ranges_of_what_is_no_file)
{
	CLEANUP(world) struct world w;
	struct fs_reader reader = {get_range, NULL};

	put_layers(&w);
	world_open(&w);
	fails(EISDIR, fs_read_file(w.fs, hold(&w, "dir"), 1, 0, &reader));
	fails(EINVAL, fs_read_file(w.fs, hold(&w, "link"), 1, 0, &reader));
	fails(ESTALE, fs_read_file(w.fs, UINT64_C(1) << 47, 1, 0, &reader));
	fails(EOPNOTSUPP, fs_read_file(w.fs, hold(&w, "large"), 1, -1, &reader));
}
