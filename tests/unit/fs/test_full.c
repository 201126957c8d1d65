/* SPDX-License-Identifier: Apache-2.0 */
/* Things that run out: space for the upper, descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/private.h"
#include "unit/fs/support.h"

/* An upper on a file system of SIZE bytes; false where mounting is not allowed. */
static bool small_upper(const char *size)
{
	char options[64];

	snprintf(options, sizeof(options), "size=%s", size);
	return put_mount("upper", 0, options);
}

/* Makes files of SIZE bytes until there is no space; returns how many there are. */
static int fill_up(struct world *w, const char *name, size_t size)
{
	CLEANUP(free) uint8_t *bytes = malloc(size);
	char path[32];

	for (int i = 0; i < 100000; i++) {
		int r;

		fill(bytes, size, (unsigned int)i);
		snprintf(path, sizeof(path), "full/%s%d", name, i);
		r = t_create(w, path, 0644);
		if (r == 0)
			r = t_pwrite(w, path, bytes, size, 0);
		if (r < 0) {
			cr_assert_eq(r, -ENOSPC, "%s", strerror(-r));
			return i;
		}
	}
	cr_assert_fail("no end of space");
	return 0;
}

/* Fills the upper with files of SIZE bytes; returns how many there are, all of them whole. */
static int put_full(struct world *w, size_t size)
{
	char path[32];
	int n;

	world_init(w, 1);
	put_file("l0/lower", "lower");
	if (!small_upper("6m"))
		cr_skip_test("mounting is not allowed");
	world_open(w);
	ok(t_mkdir(w, "full", 0755));
	n = fill_up(w, "f", size);
	cr_assert_gt(n, 10);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "full/f%d", i);
		assert_bytes(w, path, size, (unsigned int)i);
	}
	assert_text(w, "lower", "lower");
	return n;
}

static void remove_files(struct world *w, int n)
{
	char path[32];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "full/f%d", i);
		ok(t_unlink(w, path));
	}
}

Test(full, of_data_files)
{
	CLEANUP(world) struct world w;
	int n = put_full(&w, 100000);

	world_assert_lasting(&w);
	remove_files(&w, n);
	world_assert_lasting(&w);
	/* There is space again. */
	ok(t_write(&w, "full/again", "again"));
	ok(t_write(&w, "lower", "changed"));
	world_assert_lasting(&w);
	assert_text(&w, "full/again", "again");
	world_close(&w);
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

/* The catalog itself is what fills it: a reserve is there for deletions. */
Test(full, of_small_files)
{
	CLEANUP(world) struct world w;

	put_full(&w, 3000);
	remove_files(&w, 50);
	world_audit(&w);
	world_assert_lasting(&w);
	cr_assert_not(exists(&w, "full/f49"));
	assert_bytes(&w, "full/f50", 3000, 50);
	world_close(&w);
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

/* And none is needed for what the kernel says of the times of what was deleted, inside unlink(2). */
Test(full, of_small_files_the_deleted_need_no_record)
{
	static const char *const paths[] = {"lower", "full/f0", "full/f1"};
	CLEANUP(world) struct world w;
	struct attr a, out;
	uint64_t ino, before;

	put_full(&w, 3000);
	fill_up(&w, "tiny", 10);
	for (size_t i = 0; i < 3; i++) {
		a = stat_of(&w, paths[i]);
		ino = hold(&w, paths[i]);
		ok(t_unlink(&w, paths[i]));
		a.mtime.tv_sec++;
		before = catalog_committed(w.fs->catalog);
		ok(fs_setattr(w.fs, ino, FS_SET_MTIME | FS_SET_CTIME, &a, &out));
		cr_assert_eq(catalog_committed(w.fs->catalog), before, "%s", paths[i]);
		drop(&w, ino);
	}
	world_assert_lasting(&w);
	world_close(&w);
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

Test(full, copy_up_leaves_the_old_bytes)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = calloc(1, 3 << 20);

	world_init(&w, 1);
	put_bytes("l0/big", 3 << 20, 1);
	put_bytes("l0/small", 60000, 2);
	if (!small_upper("2m"))
		cr_skip_test("mounting is not allowed");
	world_open(&w);
	fails(ENOSPC, t_pwrite(&w, "big", bytes, 3 << 20, 0));
	ok(t_chmod(&w, "big", 0600));
	ok(t_mkdir(&w, "full", 0755));
	fill_up(&w, "large", 100000);
	fill_up(&w, "small", 10);
	fails(ENOSPC, t_pwrite(&w, "small", "x", 1, 0));
	assert_bytes(&w, "small", 60000, 2);
	world_assert_lasting(&w);
	assert_bytes(&w, "small", 60000, 2);
	cr_assert_eq(stat_of(&w, "big").size, 3 << 20);
	world_close(&w);
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

/*
 * The kernel keeps what it has cached of a file when fallocate(2) fails, and so must the file. There is no
 * room for a record here, but none is needed: a data file's bytes and times are its own.
 */
Test(full, a_punch_is_done_or_not_done)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = calloc(1, 60000);
	CLEANUP(free) uint8_t *is = malloc(60001);
	uint64_t ino;

	world_init(&w, 1);
	put_file("l0/lower", "lower");
	if (!small_upper("6m"))
		cr_skip_test("mounting is not allowed");
	world_open(&w);
	ok(t_mkdir(&w, "full", 0755));
	ok(t_create(&w, "kept", 0644));
	fill(bytes, 60000, 7);
	ok(t_pwrite(&w, "kept", bytes, 60000, 0));
	fill_up(&w, "large", 100000);
	fill_up(&w, "small", 10);
	fails(ENOSPC, t_chmod(&w, "kept", 0600));
	ino = hold(&w, "kept");
	ok(fs_fallocate(w.fs, ino, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 6923, 950));
	memset(bytes + 6923, 0, 950);
	cr_assert_eq(fs_read(w.fs, ino, is, 60001, 0), 60000);
	cr_assert_eq(memcmp(bytes, is, 60000), 0);
	world_assert_lasting(&w);
	world_close(&w);
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

/* One that needs a record changes nothing without it, not in chunks that were the file's own before either. */
Test(full, a_punch_that_needs_a_record_is_done_or_not_done)
{
	const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	const size_t size = 1 << 20, chunk = 128 << 10;
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = malloc(size);
	CLEANUP(free) uint8_t *is = malloc(size);
	uint64_t ino;
	int n;

	world_init(&w, 1);
	put_bytes("l0/big", size, 7);
	fill(bytes, size, 7);
	if (!small_upper("6m"))
		cr_skip_test("mounting is not allowed");
	world_open(&w);
	ok(t_mkdir(&w, "full", 0755));
	ok(t_pwrite(&w, "big", "own", 3, 10));
	memcpy(bytes + 10, "own", 3);
	n = fill_up(&w, "f", 100000);
	fill_up(&w, "small", 10);
	ino = hold(&w, "big");
	fails(ENOSPC, fs_fallocate(w.fs, ino, mode, (off_t)chunk - 100, (off_t)chunk + 100));
	cr_assert_eq(fs_read(w.fs, ino, is, size, 0), (ssize_t)size);
	cr_assert_eq(memcmp(bytes, is, size), 0);
	remove_files(&w, n);
	ok(fs_fallocate(w.fs, ino, mode, (off_t)chunk - 100, (off_t)chunk + 100));
	memset(bytes + chunk - 100, 0, chunk + 100);
	cr_assert_eq(fs_read(w.fs, ino, is, size, 0), (ssize_t)size);
	cr_assert_eq(memcmp(bytes, is, size), 0);
	world_assert_lasting(&w);
	world_close(&w);
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

/*
 * A write is done and acknowledged, or has not changed a byte. To take privileges away needs a record, so that comes first; a chunk that
 * is there needs none.
 */
Test(full, a_write_is_done_or_not_done)
{
	static const char cap[20] = {0, 0, 0, 2, 1};
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = malloc(60000);
	uint64_t capable, setid, big;
	char c;

	world_init(&w, 1);
	put_bytes("l0/big", 1 << 20, 7);
	if (!small_upper("6m"))
		cr_skip_test("mounting is not allowed");
	world_open(&w);
	ok(t_mkdir(&w, "full", 0755));
	fill(bytes, 60000, 7);
	ok(t_create(&w, "capable", 0755));
	ok(t_pwrite(&w, "capable", bytes, 60000, 0));
	ok(t_create(&w, "setid", 0755));
	ok(t_pwrite(&w, "setid", bytes, 60000, 0));
	ok(t_chmod(&w, "setid", 04755));
	ok(t_pwrite(&w, "big", "own", 3, 10));
	capable = hold(&w, "capable");
	setid = hold(&w, "setid");
	big = hold(&w, "big");
	ok(fs_setxattr(w.fs, capable, "security.capability", cap, sizeof(cap), 0, false));
	fill_up(&w, "large", 100000);
	fill_up(&w, "small", 10);
	fails(ENOSPC, t_chmod(&w, "big", 0600));
	fails(ENOSPC, fs_write(w.fs, capable, "XYZ", 3, 5, 0));
	cr_assert_eq(fs_read(w.fs, capable, &c, 1, 5), 1);
	cr_assert_eq((uint8_t)c, bytes[5], "changed, and the capability is still there");
	fails(ENOSPC, fs_write(w.fs, setid, "XYZ", 3, 5, FS_WRITE_KILL));
	cr_assert_eq(fs_read(w.fs, setid, &c, 1, 5), 1);
	cr_assert_eq((uint8_t)c, bytes[5], "changed, and set-id is still there");
	cr_assert_eq(stat_of(&w, "setid").mode & 07777, 04755);
	cr_assert_eq(fs_write(w.fs, big, "OWN", 3, 10, 0), 3);
	cr_assert_eq(fs_write(w.fs, big, "WON", 3, 20, FS_WRITE_KILL), 3);
	cr_assert_eq(fs_read(w.fs, big, &c, 1, 10), 1);
	cr_assert_eq(c, 'O');
	world_assert_lasting(&w);
	world_close(&w);
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

/* What was deleted and waits for a flush is room for whoever asks. */
static void asks_for_room(int (*ask)(struct world *w))
{
	CLEANUP(world) struct world w;
	int n = put_full(&w, 100000);

	ok(t_setxattr(&w, "full/f0", "user.gone", "1"));
	fill_up(&w, "small", 10);
	ok(fs_syncfs(w.fs));
	/* The last page of the journal may have room for one more record, if it is a small one. */
	for (int i = 0; t_chmod(&w, "full/f0", i % 2 == 0 ? 0600 : 0644) == 0; i++)
		cr_assert_lt(i, 100000);
	fails(ENOSPC, ask(&w));
	for (int i = 1; i < n; i++) {
		char path[32];

		snprintf(path, sizeof(path), "full/f%d", i);
		ok(t_unlink(&w, path));
	}
	ok(ask(&w));
	world_assert_lasting(&w);
	world_close(&w);
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

static int ask_link(struct world *w)
{
	return t_link(w, "full/f0", "full/l");
}

static int ask_setxattr(struct world *w)
{
	return t_setxattr(w, "full/f0", "user.new", "value");
}

static int ask_removexattr(struct world *w)
{
	return fs_removexattr(w->fs, hold(w, "full/f0"), "user.gone");
}

static int ask_tmpfile(struct world *w)
{
	struct fs_entry e;
	int r = fs_tmpfile(w->fs, &w->who, hold(w, "full"), 0600, &e);

	if (r == 0)
		fs_forget(w->fs, e.ino, 1);
	return r;
}

Test(full, a_link_finds_room)
{
	asks_for_room(ask_link);
}

Test(full, an_xattr_finds_room)
{
	asks_for_room(ask_setxattr);
}

Test(full, removing_an_xattr_finds_room)
{
	asks_for_room(ask_removexattr);
}

Test(full, a_tmpfile_finds_room)
{
	asks_for_room(ask_tmpfile);
}

/* A journal that is at the end of its reserve takes no more of it than it needs. */
Test(full, what_comes_free_is_for_who_freed_it)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = calloc(1, 800000);
	char path[32];

	put_full(&w, 100000);
	ok(t_write(&w, "lower", "a record that is there before"));
	fill_up(&w, "small", 10);
	for (int i = 0; i < 12; i++) {
		snprintf(path, sizeof(path), "full/f%d", i);
		ok(t_unlink(&w, path));
	}
	/* From now on there is room. */
	ok(fs_syncfs(w.fs));
	ok(t_chmod(&w, "full", 0700));
	ok(t_pwrite(&w, "lower", bytes, 800000, 0));
	world_assert_lasting(&w);
	world_close(&w);
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

struct forgetter {
	struct world *w;
	uint64_t inos[10];
	atomic_bool go;
};

/* As a thread does that has read the message and is slow. */
static void *forget_later(void *arg)
{
	struct forgetter *f = arg;

	while (!atomic_load(&f->go))
		sched_yield();
	usleep(50000);
	for (int i = 0; i < 10; i++)
		fs_forget(f->w->fs, f->inos[i], 1);
	return NULL;
}

/* unlink(2) has returned, but what the kernel says of the inode after that has not been heard yet. */
Test(full, a_write_waits_for_what_was_unlinked)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = calloc(1, 500000);
	struct forgetter f = {.w = &w};
	pthread_t thread;
	char path[32];
	uint64_t dir;

	put_full(&w, 100000);
	dir = hold(&w, "full");
	ok(t_write(&w, "lower", "a record that is there before"));
	fill_up(&w, "small", 10);
	for (int i = 0; i < 10; i++) {
		struct fs_entry e;

		snprintf(path, sizeof(path), "f%d", i);
		ok(fs_lookup(w.fs, dir, path, &e));
		f.inos[i] = e.ino;
		ok(fs_unlink(w.fs, dir, path));
	}
	fs_room_wait_ms = 50;
	cr_assert_eq(pthread_create(&thread, NULL, forget_later, &f), 0);
	atomic_store(&f.go, true);
	ok(t_pwrite(&w, "lower", bytes, 500000, 0));
	pthread_join(thread, NULL);
	world_assert_lasting(&w);
	world_close(&w);
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

/* The kernel may hold as many inodes as it likes. */
Test(full, descriptors)
{
	CLEANUP(world) struct world w;
	struct rlimit few = {100, 100};
	char path[48];
	char c;

	world_init(&w, 3);
	for (int i = 0; i < 400; i++) {
		for (int k = 0; k < 3; k++) {
			snprintf(path, sizeof(path), "l%d/d%d/f%d", k, i, k);
			put_file(path, path);
		}
	}
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	world_open(&w);
	for (int i = 0; i < 400; i++) {
		snprintf(path, sizeof(path), "d%d", i);
		hold(&w, path);
		for (int k = 0; k < 3; k++) {
			uint64_t ino;

			snprintf(path, sizeof(path), "d%d/f%d", i, k);
			ino = hold(&w, path);
			cr_assert_eq(fs_read(w.fs, ino, &c, 1, 1), 1);
			cr_assert_eq(c, '0' + k);
		}
		snprintf(path, sizeof(path), "d%d/new", i);
		ok(t_write(&w, path, path));
	}
	world_audit(&w);
	world_reopen(&w);
	world_audit(&w);
}
