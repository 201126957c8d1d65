/* SPDX-License-Identifier: Apache-2.0 */
/* Times of files whose bytes come from the cache of a kernel that keeps the times itself. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attr/attr.h"
#include "fs/private.h"
#include "unit/fs/support.h"

#define LARGE 100000

/* In the catalog; moved to a data file, or in one already; small, whole, and by chunks from a lower file. */
static const char *const paths[] = {"empty", "inline", "moves", "file", "lower", "whole", "chunks"};
#define N (sizeof(paths) / sizeof(*paths))

/* What comes out of the cache: a byte, or so many that the catalog cannot keep them. */
static size_t size_of(size_t i)
{
	return strcmp(paths[i], "moves") == 0 ? LARGE : 1;
}

static void write_back(struct world *w, const char *path, size_t size, off_t off)
{
	CLEANUP(free) uint8_t *bytes = calloc(1, size);
	uint64_t ino = hold(w, path);

	cr_assert_eq(fs_write(w->fs, ino, bytes, size, off, FS_WRITE_BACK), (ssize_t)size, "%s",
		     path);
}

static void fill_world(struct world *w)
{
	CLEANUP(free) uint8_t *bytes = calloc(1, LARGE);

	world_init(w, 1);
	put_file("l0/lower", "lower");
	put_bytes("l0/whole", LARGE, 1);
	put_bytes("l0/chunks", 1 << 20, 1);
	world_open(w);
	ok(t_create(w, "empty", 0644));
	ok(t_write(w, "inline", "inline"));
	ok(t_create(w, "moves", 0644));
	ok(t_create(w, "file", 0644));
	ok(t_pwrite(w, "file", bytes, LARGE, 0));
	/* Behind the tick of all that. */
	usleep(12000);
}

static void assert_times(struct world *w, const char *path, const struct attr *was)
{
	struct attr is = stat_of(w, path);

	cr_assert_eq(timespec_cmp(&is.mtime, &was->mtime), 0, "mtime of %s", path);
	cr_assert_eq(timespec_cmp(&is.ctime, &was->ctime), 0, "ctime of %s", path);
}

static void set_times(struct world *w, const char *path, struct timespec mtime,
		      struct timespec ctime)
{
	struct attr a = {.mtime = mtime, .ctime = ctime}, out;

	ok(fs_setattr(w->fs, hold(w, path), FS_SET_MTIME | FS_SET_CTIME, &a, &out));
	cr_assert_eq(timespec_cmp(&out.mtime, &mtime), 0, "%s", path);
	cr_assert_eq(timespec_cmp(&out.ctime, &ctime), 0, "%s", path);
	assert_times(w, path, &a);
}

Test(times, bytes_from_the_cache_leave_them)
{
	CLEANUP(world) struct world w;
	struct attr was[N];

	fill_world(&w);
	for (size_t i = 0; i < N; i++) {
		was[i] = stat_of(&w, paths[i]);
		write_back(&w, paths[i], size_of(i), 0);
		assert_times(&w, paths[i], &was[i]);
		usleep(12000);
		write_back(&w, paths[i], 1, 0);
		assert_times(&w, paths[i], &was[i]);
	}
	world_assert_lasting(&w);
	for (size_t i = 0; i < N; i++)
		assert_times(&w, paths[i], &was[i]);
}

/* Of the data file itself. */
static void assert_file_mtime(uint64_t ino, const struct timespec *mtime)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "upper/.plyfs/data/%02llx/%016llx",
		 (unsigned long long)ino & 0xff, (unsigned long long)ino);
	cr_assert_eq(stat(path, &st), 0, "%s", path);
	cr_assert_eq(timespec_cmp(&st.st_mtim, mtime), 0);
}

/* The kernel lets go of the inode, and looks it up again. */
Test(times, are_settled_when_an_inode_is_forgotten)
{
	CLEANUP(world) struct world w;
	struct attr was;
	uint64_t ino;

	fill_world(&w);
	was = stat_of(&w, "file");
	ino = hold(&w, "file");
	write_back(&w, "file", 1, 0);
	cr_assert(data_keeps_mtime(w.fs->data, ino));
	drop(&w, ino);
	cr_assert(data_keeps_mtime(w.fs->data, ino));
	drop(&w, ino);
	cr_assert_not(data_keeps_mtime(w.fs->data, ino));
	assert_times(&w, "file", &was);
	assert_file_mtime(ino, &was.mtime);
	world_assert_lasting(&w);
	assert_times(&w, "file", &was);
}

Test(times, fsync_gives_them_to_the_file)
{
	CLEANUP(world) struct world w;
	struct attr was;
	uint64_t ino;

	fill_world(&w);
	was = stat_of(&w, "file");
	ino = hold(&w, "file");
	write_back(&w, "file", 1, 0);
	ok(fs_fsync(w.fs, ino, false));
	assert_file_mtime(ino, &was.mtime);
	usleep(12000);
	write_back(&w, "file", 1, 0);
	assert_times(&w, "file", &was);
	world_assert_lasting(&w);
	assert_times(&w, "file", &was);
}

/* What else changes bytes changes the times, and what sets them counts. */
Test(times, others_move_them)
{
	CLEANUP(world) struct world w;

	fill_world(&w);
	for (size_t i = 0; i < N; i++) {
		const struct timespec when = {1000000000, 5 + (long)i};
		struct attr was = stat_of(&w, paths[i]), is;

		write_back(&w, paths[i], size_of(i), 0);
		ok(t_pwrite(&w, paths[i], "d", 1, 0));
		is = stat_of(&w, paths[i]);
		cr_assert_gt(timespec_cmp(&is.mtime, &was.mtime), 0, "%s", paths[i]);
		cr_assert_gt(timespec_cmp(&is.ctime, &was.ctime), 0, "%s", paths[i]);
		usleep(12000);
		write_back(&w, paths[i], 1, 0);
		assert_times(&w, paths[i], &is);
		ok(t_truncate(&w, paths[i], size_of(i)));
		was = stat_of(&w, paths[i]);
		cr_assert_gt(timespec_cmp(&was.mtime, &is.mtime), 0, "%s", paths[i]);
		write_back(&w, paths[i], 1, 0);
		set_times(&w, paths[i], when, is.ctime);
		set_times(&w, paths[i], is.mtime, is.mtime);
	}
	world_assert_lasting(&w);
}

/* Of what came after the kill the kernel's word about the times is one: new bytes must not look old. */
static void die_early(struct world *w)
{
	for (size_t i = 0; i < N; i++)
		write_back(w, paths[i], size_of(i), 0);
}

Test(times, a_kill_leaves_no_new_bytes_under_an_old_time)
{
	CLEANUP(world) struct world w;
	const struct timespec old = {1000000000, 5};

	fill_world(&w);
	for (size_t i = 0; i < N; i++)
		set_times(&w, paths[i], old, old);
	world_close(&w);
	world_die(&w, die_early);
	world_open(&w);
	for (size_t i = 0; i < N; i++) {
		struct attr is = stat_of(&w, paths[i]);

		cr_assert_gt(is.mtime.tv_sec, old.tv_sec, "%s", paths[i]);
		cr_assert_gt(is.ctime.tv_sec, old.tv_sec, "%s", paths[i]);
	}
	world_assert_lasting(&w);
}

/* The kernel's word, as it sends it inside unlink(2); returns how many commits it took. */
static uint64_t say_times(struct world *w, uint64_t ino, uint32_t nlink)
{
	uint64_t before = catalog_committed(w->fs->catalog);
	struct attr a = {0}, out;

	clock_gettime(CLOCK_REALTIME, &a.ctime);
	a.mtime = a.ctime;
	a.mtime.tv_sec--;
	ok(fs_setattr(w->fs, ino, FS_SET_MTIME | FS_SET_CTIME, &a, &out));
	cr_assert_eq(timespec_cmp(&out.mtime, &a.mtime), 0);
	cr_assert_eq(timespec_cmp(&out.ctime, &a.ctime), 0);
	cr_assert_eq(out.nlink, nlink);
	cr_assert_eq(out.ino, ino);
	return catalog_committed(w->fs->catalog) - before;
}

Test(times, of_the_deleted_need_no_record)
{
	CLEANUP(world) struct world w;
	uint64_t ino, before;

	fill_world(&w);
	for (size_t i = 0; i < N; i++) {
		bool lower = strcmp(paths[i], "lower") == 0 || strcmp(paths[i], "whole") == 0 ||
			     strcmp(paths[i], "chunks") == 0;

		ino = hold(&w, paths[i]);
		before = catalog_committed(w.fs->catalog);
		if (i % 2 == 0) {
			ok(t_unlink(&w, paths[i]));
		} else {
			ok(t_create(&w, "other", 0644));
			before++;
			ok(t_rename(&w, "other", paths[i], 0));
		}
		cr_assert_eq(say_times(&w, ino, 0), 0, "%s", paths[i]);
		drop(&w, ino);
		/* What was in the catalog is deleted there. */
		cr_assert_eq(catalog_committed(w.fs->catalog) - before, lower ? 1 : 2, "%s",
			     paths[i]);
	}
	world_assert_lasting(&w);
}

/* 3000 of a layer, as rm(1) does it. */
Test(times, many_lower_files_are_deleted_by_one_commit_each)
{
	CLEANUP(world) struct world w;
	const int n = 3000;
	char path[32];
	uint64_t before, ino;

	world_init(&w, 1);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "l0/%d", i);
		put_file(path, "lower");
	}
	world_open(&w);
	/* The directory has a record from now on. */
	ok(t_create(&w, "f", 0644));
	before = catalog_committed(w.fs->catalog);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%d", i);
		ino = hold(&w, path);
		ok(t_unlink(&w, path));
		(void)say_times(&w, ino, 0);
		drop(&w, ino);
	}
	cr_assert_eq(catalog_committed(w.fs->catalog) - before, n, "%llu commits",
		     (unsigned long long)(catalog_committed(w.fs->catalog) - before));
	world_assert_lasting(&w);
}

/* Whose times are asked for again, when the kernel has forgotten them. */
Test(times, of_what_has_a_name_are_kept)
{
	CLEANUP(world) struct world w;
	struct attr is, a = {.mtime = {1000000000, 5}, .ctime = {1000000000, 6}}, out;
	struct fs_entry e;
	uint64_t ino;

	world_init(&w, 1);
	put_file("l0/one", "lower");
	put_link("l0/one", "l0/two");
	put_dir("l0/d");
	world_open(&w);
	ino = hold(&w, "one");
	ok(t_unlink(&w, "one"));
	cr_assert_gt(say_times(&w, ino, 1), 0);
	set_times(&w, "two", a.mtime, a.ctime);
	/* A file that never had a name can get one. */
	ok(fs_tmpfile(w.fs, &w.who, 1, 0600, &e));
	held_add(&w, e.ino);
	cr_assert_gt(say_times(&w, e.ino, 0), 0);
	ok(fs_setattr(w.fs, e.ino, FS_SET_MTIME | FS_SET_CTIME, &a, &out));
	ok(fs_getattr(w.fs, e.ino, &is));
	cr_assert_eq(timespec_cmp(&is.mtime, &a.mtime), 0);
	ok(fs_link(w.fs, e.ino, 1, "tmp", &e));
	held_add(&w, e.ino);
	set_times(&w, "tmp", a.mtime, a.ctime);
	/* The kernel refuses to link what is deleted, but for a link that races with the unlink. */
	ok(t_unlink(&w, "two"));
	ok(fs_link(w.fs, ino, 1, "again", &e));
	held_add(&w, e.ino);
	set_times(&w, "again", a.mtime, a.ctime);
	/* Others than these two, and what is no regular file. */
	ok(t_unlink(&w, "again"));
	a.mtime.tv_sec++;
	ok(fs_setattr(w.fs, ino, FS_SET_MTIME, &a, &out));
	ok(fs_getattr(w.fs, ino, &is));
	cr_assert_eq(timespec_cmp(&is.mtime, &a.mtime), 0);
	ino = hold(&w, "d");
	ok(t_rmdir(&w, "d"));
	ok(fs_setattr(w.fs, ino, FS_SET_MTIME | FS_SET_CTIME, &a, &out));
	ok(fs_getattr(w.fs, ino, &is));
	cr_assert_eq(timespec_cmp(&is.mtime, &a.mtime), 0);
	world_assert_lasting(&w);
}

/* After a rename in the tick of the kernel's clock, say. */
Test(times, that_the_record_has_are_not_written_again)
{
	CLEANUP(world) struct world w;
	struct attr a, out;
	uint64_t ino, before;

	fill_world(&w);
	ok(t_chmod(&w, "lower", 0600));
	for (size_t i = 0; i < 5; i++) {
		ino = hold(&w, paths[i]);
		a = stat_of(&w, paths[i]);
		before = catalog_committed(w.fs->catalog);
		ok(fs_setattr(w.fs, ino, FS_SET_MTIME | FS_SET_CTIME, &a, &out));
		cr_assert_eq(catalog_committed(w.fs->catalog), before, "%s", paths[i]);
		assert_times(&w, paths[i], &a);
		a.ctime.tv_sec++;
		set_times(&w, paths[i], a.mtime, a.ctime);
		a.mtime.tv_sec++;
		set_times(&w, paths[i], a.mtime, a.ctime);
	}
	world_assert_lasting(&w);
}

static void cut(struct world *w, const char *path, uint32_t set, uint64_t size)
{
	struct attr a = {.size = size}, out;

	ok(fs_setattr(w->fs, hold(w, path), FS_SET_SIZE | set, &a, &out));
	cr_assert_eq(out.size, size, "%s", path);
}

/* truncate(2) to the length that there is, of a kernel that keeps the times. */
Test(times, of_the_same_length_stay)
{
	CLEANUP(world) struct world w;
	uint64_t before;

	fill_world(&w);
	for (size_t i = 0; i < N; i++) {
		struct attr was = stat_of(&w, paths[i]), is;

		before = catalog_committed(w.fs->catalog);
		cut(&w, paths[i], FS_SET_KEEP_TIMES, was.size);
		cut(&w, paths[i], FS_SET_KEEP_TIMES | FS_SET_KILL_SUIDGID, was.size);
		cr_assert_eq(catalog_committed(w.fs->catalog), before, "%s", paths[i]);
		assert_times(&w, paths[i], &was);
		ok(t_chmod(&w, paths[i], 04755));
		was = stat_of(&w, paths[i]);
		usleep(12000);
		cut(&w, paths[i], FS_SET_KEEP_TIMES | FS_SET_KILL_SUIDGID, was.size);
		cr_assert_eq(mode_of(&w, paths[i]) & 07777, 0755, "%s", paths[i]);
		assert_times(&w, paths[i], &was);
		/* It has cached bytes that are not here yet; and without the writeback cache it is the daemon who moves them. */
		cut(&w, paths[i], FS_SET_KEEP_TIMES, was.size + 1);
		is = stat_of(&w, paths[i]);
		cr_assert_gt(timespec_cmp(&is.mtime, &was.mtime), 0, "%s", paths[i]);
		usleep(12000);
		cut(&w, paths[i], 0, is.size);
		was = stat_of(&w, paths[i]);
		cr_assert_gt(timespec_cmp(&was.mtime, &is.mtime), 0, "%s", paths[i]);
		cr_assert_gt(timespec_cmp(&was.ctime, &is.ctime), 0, "%s", paths[i]);
	}
	world_assert_lasting(&w);
}

/* As each change of the bytes takes them away. */
Test(times, of_the_same_length_move_with_capabilities)
{
	CLEANUP(world) struct world w;

	fill_world(&w);
	for (size_t i = 0; i < N; i++) {
		uint64_t ino = hold(&w, paths[i]);

		ok(fs_setxattr(w.fs, ino, "security.capability", "1", 1, 0, false));
		cut(&w, paths[i], FS_SET_KEEP_TIMES, stat_of(&w, paths[i]).size);
		fails(ENODATA, fs_getxattr(w.fs, ino, "security.capability", NULL, 0));
	}
	world_assert_lasting(&w);
}

/* What the kernel says after it has written back: no record, so that fsync(2) is one flush. */
Test(times, of_a_data_file_need_no_record)
{
	CLEANUP(world) struct world w;
	struct attr was, a, out;
	uint64_t ino, before;

	fill_world(&w);
	ino = hold(&w, "file");
	was = stat_of(&w, "file");
	before = catalog_committed(w.fs->catalog);
	for (int i = 1; i < 4; i++) {
		write_back(&w, "file", 1, 0);
		a = was;
		a.mtime.tv_sec += i;
		a.ctime = a.mtime;
		ok(fs_setattr(w.fs, ino, FS_SET_MTIME | FS_SET_CTIME, &a, &out));
		assert_times(&w, "file", &a);
	}
	cr_assert_eq(catalog_committed(w.fs->catalog), before);
	/* A ctime of its own does: the mtime of the data file cannot tell it. */
	a.ctime.tv_sec++;
	ok(fs_setattr(w.fs, ino, FS_SET_MTIME | FS_SET_CTIME, &a, &out));
	cr_assert_gt(catalog_committed(w.fs->catalog), before);
	assert_times(&w, "file", &a);
	/* And so does a time to come, which no ctime follows. */
	a.mtime.tv_sec += 1000000;
	ok(fs_setattr(w.fs, ino, FS_SET_MTIME | FS_SET_CTIME, &a, &out));
	assert_times(&w, "file", &a);
	world_assert_lasting(&w);
	assert_times(&w, "file", &a);
}

#define THREADS 4

static struct world *shared;
static uint64_t shared_ino;
static atomic_uint n_failed;

static void *write_piece(void *arg)
{
	off_t off = *(int *)arg * 4096;
	char bytes[4096] = {1};

	for (int i = 0; i < 200; i++)
		if (fs_write(shared->fs, shared_ino, bytes, sizeof(bytes), off, FS_WRITE_BACK) !=
		    sizeof(bytes))
			atomic_fetch_add(&n_failed, 1);
	return NULL;
}

/* Several requests at once: none takes the time of another for that of the file. */
Test(times, many_at_once)
{
	CLEANUP(world) struct world w;
	pthread_t threads[THREADS];
	int numbers[THREADS];
	struct attr was;

	fill_world(&w);
	shared = &w;
	for (int round = 0; round < 20; round++) {
		shared_ino = hold(&w, "file");
		was = stat_of(&w, "file");
		for (int i = 0; i < THREADS; i++) {
			numbers[i] = i;
			cr_assert_eq(pthread_create(&threads[i], NULL, write_piece, &numbers[i]),
				     0);
		}
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		assert_times(&w, "file", &was);
		drop(&w, shared_ino);
		cr_assert_not(data_keeps_mtime(w.fs->data, shared_ino));
		assert_times(&w, "file", &was);
	}
	cr_assert_eq(n_failed, 0);
}

/* The number of the file may be another's by then: nothing is left of what was kept. */
Test(times, go_with_the_file)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	fill_world(&w);
	ino = hold(&w, "file");
	write_back(&w, "file", 1, 0);
	ok(t_unlink(&w, "file"));
	drop(&w, ino);
	drop(&w, ino);
	cr_assert_not(data_keeps_mtime(w.fs->data, ino));
	world_assert_lasting(&w);
}
