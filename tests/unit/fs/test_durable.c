/* SPDX-License-Identifier: Apache-2.0 */
/* What is flushed when, what waits for it, what an error of it does. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/path.h"
#include "data/private.h"
#include "fs/private.h"
#include "support/synctrace.h"
#include "unit/fs/support.h"

#define DATA_FILES "upper/.plyfs/data"

static uint8_t bytes[200000];

static int fsync_path(struct world *w, const char *path)
{
	uint64_t ino = hold(w, path);
	int r = fs_fsync(w->fs, ino, true);

	drop(w, ino);
	return r;
}

static void make_large(struct world *w, const char *path, unsigned int seed)
{
	fill(bytes, sizeof(bytes), seed);
	ok(t_create(w, path, 0644));
	ok(t_pwrite(w, path, bytes, sizeof(bytes), 0));
}

/* An open world in which nothing is due to be flushed. */
static void setup(struct world *w)
{
	world_init(w, 1);
	put_bytes("l0/lower", 100000, 1);
	put_bytes("l0/chunky", 1000000, 1);
	world_open(w);
	make_large(w, "large", 1);
	ok(t_write(w, "small", "small"));
	ok(fs_syncfs(w->fs));
	synctrace_start(NULL);
}

Test(durable, fsync_of_bytes_is_one_flush)
{
	CLEANUP(world) struct world w;

	setup(&w);
	ok(t_pwrite(&w, "large", "overwritten", 11, 1000));
	ok(fsync_path(&w, "large"));
	cr_assert_eq(synctrace_count("fdatasync", "/data/"), 1);
	ok(t_pwrite(&w, "large", "grown", 5, 200000));
	ok(fsync_path(&w, "large"));
	cr_assert_eq(synctrace_count("fdatasync", "/data/"), 2);
	cr_assert_eq(synctrace_count(NULL, NULL), 2, "and nothing else");
	/* Small files are in the journal. */
	ok(t_pwrite(&w, "small", "SMALL", 5, 0));
	ok(fsync_path(&w, "small"));
	cr_assert_eq(synctrace_count("fdatasync", "/journal"), 1);
	cr_assert_eq(synctrace_count(NULL, NULL), 3);
}

#define THREADS 8

struct syncer {
	pthread_t thread;
	struct world *w;
	uint64_t ino;
	int result;
};

static void *sync_it(void *arg)
{
	struct syncer *s = arg;

	s->result = fs_fsync(s->w->fs, s->ino, false);
	return NULL;
}

Test(durable, fsyncs_share_the_flush_of_the_journal)
{
	CLEANUP(world) struct world w;
	struct syncer syncers[THREADS];
	char path[16];

	setup(&w);
	for (int i = 0; i < THREADS; i++) {
		snprintf(path, sizeof(path), "f%d", i);
		ok(t_write(&w, path, "x"));
		syncers[i] = (struct syncer){.w = &w, .ino = hold(&w, path)};
	}
	synctrace_start(NULL);
	synctrace_slow("fdatasync", "/journal", 50);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&syncers[i].thread, NULL, sync_it, &syncers[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(syncers[i].thread, NULL);
		ok(syncers[i].result);
	}
	cr_assert_leq(synctrace_count("fdatasync", "/journal"), 2);
}

Test(durable, new_files_wait_for_nothing)
{
	CLEANUP(world) struct world w;
	char path[16];

	setup(&w);
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "f%d", i);
		make_large(&w, path, 1);
		ok(t_chmod(&w, path, 0600));
	}
	cr_assert_eq(synctrace_count("fdatasync", "/data/"), 0);
	/* Each has its bytes before any record of it is on the disk. */
	ok(fsync_path(&w, "small"));
	cr_assert_eq(synctrace_count("fsync", "/data/"), 40);
	cr_assert_eq(synctrace_count("fdatasync", "/journal"), 1);
}

Test(durable, lower_bytes_are_on_the_disk_before_they_are_replaced)
{
	CLEANUP(world) struct world w;

	setup(&w);
	ok(t_pwrite(&w, "lower", "x", 1, 0));
	cr_assert_eq(synctrace_count("fdatasync", "/data/"), 1);
	ok(t_pwrite(&w, "lower", "x", 1, 90000));
	cr_assert_eq(synctrace_count("fdatasync", "/data/"), 1);
	ok(t_pwrite(&w, "chunky", "x", 1, 0));
	cr_assert_eq(synctrace_count("fdatasync", "/data/"), 2);
	ok(t_truncate(&w, "chunky", 500000));
	cr_assert_eq(synctrace_count("fdatasync", "/data/"), 3);
	ok(t_pwrite(&w, "small", bytes, 5000, 5));
	cr_assert_eq(synctrace_count("fdatasync", "/data/"), 4);
}

Test(durable, not_in_a_volatile_mount)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_bytes("l0/lower", 100000, 1);
	w.o.no_sync = true;
	synctrace_start(NULL);
	world_open(&w);
	make_large(&w, "large", 1);
	ok(t_pwrite(&w, "lower", "x", 1, 0));
	ok(fsync_path(&w, "lower"));
	ok(fs_syncfs(w.fs));
	ok(t_unlink(&w, "large"));
	cr_assert_eq(count_files(DATA_FILES), 1);
	world_close(&w);
	cr_assert_eq(synctrace_count("fdatasync", NULL), 0);
	cr_assert_eq(synctrace_count("fsync", NULL), 0);
	cr_assert_eq(synctrace_count("syncfs", NULL), 0);
}

/* Written anew, renamed over the old one, nothing synced. */
Test(durable, a_name_that_is_replaced_never_shows_less_than_all)
{
	CLEANUP(world) struct world w;

	setup(&w);
	make_large(&w, "new", 2);
	ok(fs_syncfs(w.fs));
	ok(t_pwrite(&w, "new", "more", 4, 200000));
	synctrace_start(NULL);
	ok(t_rename(&w, "new", "large", 0));
	cr_assert_eq(synctrace_count("sync_file_range", "/data/"), 1, "begun at once");
	cr_assert_eq(synctrace_count(NULL, NULL), 1);
	ok(fsync_path(&w, "small"));
	cr_assert_eq(synctrace_count("fsync", "/data/"), 1);
	/* A new name has nothing to replace. */
	ok(t_pwrite(&w, "large", "more", 4, 200004));
	synctrace_start(NULL);
	ok(t_rename(&w, "large", "other", 0));
	ok(fsync_path(&w, "small"));
	cr_assert_eq(synctrace_count("fsync", "/data/"), 0);
	cr_assert_eq(synctrace_count("sync_file_range", "/data/"), 0);
}

static struct world *renamer;
static struct {
	const char *from, *to;
	unsigned int flags;
} rename_during;
static struct catalog_hooks real;

/* As another thread does while the flush is at work. */
static int rename_after(void *arg)
{
	static bool done;
	int r = real.before_flush(arg);

	if (!done) {
		done = true;
		ok(t_rename(renamer, rename_during.from, rename_during.to, rename_during.flags));
	}
	return r;
}

static void assert_synced(void *ino)
{
	cr_assert_not(unsynced_has(renamer->fs->data, *(uint64_t *)ino),
		      "the rename becomes durable, and its bytes are not");
}

/* The flush takes the record of the rename along, so it must not go without the bytes. */
static void a_rename_during_a_flush(const char *from, const char *to, unsigned int flags)
{
	CLEANUP(world) struct world w;
	struct catalog_hooks hooks;
	uint64_t ino;

	setup(&w);
	make_large(&w, "new", 2);
	ok(fs_syncfs(w.fs));
	ok(t_pwrite(&w, "new", bytes, 100000, 200000));
	ino = ino_of(&w, "new");
	ok(t_chmod(&w, "large", 0600));
	renamer = &w;
	rename_during.from = from;
	rename_during.to = to;
	rename_during.flags = flags;
	real = hooks = data_hooks(w.fs->data);
	hooks.before_flush = rename_after;
	catalog_set_hooks(w.fs->catalog, &hooks);
	synctrace_start(NULL);
	synctrace_before("fdatasync", "/journal", assert_synced, &ino);
	ok(catalog_sync(w.fs->catalog));
	catalog_set_hooks(w.fs->catalog, &real);
	cr_assert_eq(ino_of(&w, "large"), ino);
	cr_assert_eq(synctrace_count("fdatasync", "/journal"), 1);
	world_assert_lasting(&w);
}

Test(durable, a_rename_during_a_flush_waits_for_the_bytes)
{
	a_rename_during_a_flush("new", "large", 0);
}

Test(durable, an_exchange_during_a_flush_waits_for_the_bytes)
{
	a_rename_during_a_flush("new", "large", RENAME_EXCHANGE);
}

Test(durable, an_exchange_the_other_way_does_too)
{
	a_rename_during_a_flush("large", "new", RENAME_EXCHANGE);
}

static int make_and_rename(void *arg)
{
	static bool done;
	int r = real.before_flush(arg);

	if (!done) {
		done = true;
		make_large(renamer, "new", 2);
		ok(t_rename(renamer, "new", "large", 0));
	}
	return r;
}

/* What a flush has taken along is on the disk, so its bytes go after the deletion of the name is there, too. */
Test(durable, what_a_flush_took_along_is_deleted_by_the_next)
{
	CLEANUP(world) struct world w;
	struct catalog_hooks hooks;
	struct stat st;
	uint64_t ino;

	setup(&w);
	ok(t_chmod(&w, "large", 0600));
	renamer = &w;
	real = hooks = data_hooks(w.fs->data);
	hooks.before_flush = make_and_rename;
	catalog_set_hooks(w.fs->catalog, &hooks);
	ok(catalog_sync(w.fs->catalog));
	catalog_set_hooks(w.fs->catalog, &real);
	ino = ino_of(&w, "large");
	ok(t_unlink(&w, "large"));
	cr_assert_eq(data_path_stat(w.fs->data->dirfd, ino, &st), 0);
	ok(fs_syncfs(w.fs));
	wait_for_files(DATA_FILES, 0);
}

Test(durable, bytes_go_after_their_name)
{
	CLEANUP(world) struct world w;
	struct statvfs before, after;

	setup(&w);
	ok(fs_statfs(w.fs, &before));
	ok(t_unlink(&w, "large"));
	cr_assert_eq(count_files(DATA_FILES), 1);
	ok(fs_statfs(w.fs, &after));
	/* Others use the disk, too. */
	cr_assert_gt(after.f_bfree + 16384, before.f_bfree);
	ok(fs_syncfs(w.fs));
	wait_for_files(DATA_FILES, 0);
	/* What nobody has synced goes at once. */
	make_large(&w, "temporary", 1);
	cr_assert_eq(count_files(DATA_FILES), 1);
	ok(t_unlink(&w, "temporary"));
	cr_assert_eq(count_files(DATA_FILES), 0);
}

Test(durable, closing_deletes_what_is_left)
{
	CLEANUP(world) struct world w;

	setup(&w);
	ok(t_unlink(&w, "large"));
	cr_assert_eq(count_files(DATA_FILES), 1);
	world_close(&w);
	cr_assert_eq(count_files(DATA_FILES), 0);
	world_open(&w);
	assert_names(&w, "", "chunky lower small");
}

Test(durable, so_does_the_next_open_after_a_crash)
{
	CLEANUP(world) struct world w;
	int status;
	pid_t pid;

	world_init(&w, 1);
	pid = fork();
	if (pid == 0) {
		world_open(&w);
		make_large(&w, "large", 1);
		ok(fs_syncfs(w.fs));
		ok(t_unlink(&w, "large"));
		raise(SIGKILL);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status));
	cr_assert_eq(count_files(DATA_FILES), 1);
	world_open(&w);
	assert_names(&w, "", "");
	cr_assert_eq(count_files(DATA_FILES), 0);
}

/* Room that was given back is there, although its files wait for a flush. */
Test(durable, a_full_disk)
{
	CLEANUP(world) struct world w;
	char path[32];
	int n, again;

	world_init(&w, 1);
	if (!put_mount("upper", 0, "size=8m"))
		cr_skip_test("mounting is not allowed");
	world_open(&w);
	fill(bytes, sizeof(bytes), 1);
	for (n = 0;; n++) {
		snprintf(path, sizeof(path), "f%d", n);
		ok(t_create(&w, path, 0644));
		if (t_pwrite(&w, path, bytes, sizeof(bytes), 0) < 0)
			break;
	}
	ok(fs_syncfs(w.fs));
	for (again = 0; again < 5; again++) {
		/* No flush comes by by itself that soon. */
		for (int i = 0; i <= n; i++) {
			snprintf(path, sizeof(path), "f%d", i);
			ok(t_unlink(&w, path));
		}
		for (int i = 0; i <= n; i++) {
			snprintf(path, sizeof(path), "f%d", i);
			ok(t_create(&w, path, 0644));
			if (i < n)
				ok(t_pwrite(&w, path, bytes, sizeof(bytes), 0));
		}
		ok(fs_syncfs(w.fs));
	}
	world_audit(&w);
	world_close(&w);
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

Test(durable, an_error_is_told_to_who_asks_for_the_file)
{
	CLEANUP(world) struct world w;

	setup(&w);
	make_large(&w, "new", 1);
	ok(t_pwrite(&w, "large", "x", 1, 0));
	/* The new one fails: by a flush that nobody asked for it. */
	synctrace_fail("fsync", "/data/", EIO, 1);
	ok(fsync_path(&w, "small"));
	ok(fsync_path(&w, "large"));
	fails(EIO, fsync_path(&w, "new"));
	fails(EIO, fsync_path(&w, "new"));
	fails(EIO, fs_syncfs(w.fs));
	ok(fs_syncfs(w.fs));
	fails(EIO, fsync_path(&w, "new"));
	ok(t_truncate(&w, "new", 0));
	ok(fsync_path(&w, "new"));
}
