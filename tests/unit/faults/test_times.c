/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process is killed, at each call in turn, while the mtime of a file is set whose bytes are in a data file, or while one is
 * written whose mtime was set. The times are those of before, or those of after: not one of each.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "unit/faults/workload.h"

#define MANY_CALLS 100
#define N_BYTES	   20000

struct killed {
	const char *path;
	int (*change)(struct fs *fs, uint64_t ino);
	bool was_set;	  /* an mtime, before */
	unsigned int how; /* drive_open() */
	unsigned long at;
	bool *fired; /* shared */
};

static const struct timespec once = {.tv_sec = 1227518501, .tv_nsec = 755825063};
static const struct timespec later = {.tv_sec = 1329518502, .tv_nsec = 123456789};

static uint64_t find(struct work *w, const char *path)
{
	if (drive_hold(&w->d, path) < 0)
		wrong("no %s", path);
	return w->d.held[w->d.n_held - 1];
}

static struct attr attr_of(struct fs *fs, uint64_t ino)
{
	struct attr a;

	if (fs_getattr(fs, ino, &a) < 0)
		wrong("no attributes");
	return a;
}

static int set_mtime(struct fs *fs, uint64_t ino, struct timespec mtime)
{
	struct attr a = {.mtime = mtime}, now;

	return fs_setattr(fs, ino, FS_SET_MTIME, &a, &now);
}

static int set_later(struct fs *fs, uint64_t ino)
{
	return set_mtime(fs, ino, later);
}

static int set_and_cut(struct fs *fs, uint64_t ino)
{
	struct attr a = {.mtime = later, .size = 100}, now;

	return fs_setattr(fs, ino, FS_SET_MTIME | FS_SET_SIZE, &a, &now);
}

static int overwrite(struct fs *fs, uint64_t ino)
{
	ssize_t n = fs_write(fs, ino, "other", 5, 0, 0);

	return n < 0 ? (int)n : 0;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return timespec_cmp(a, b) == 0;
}

static void check(struct work *w, const struct killed *k, const struct attr *before)
{
	uint64_t ino = find(w, k->path);
	struct attr now = attr_of(w->d.fs, ino);
	char bytes[6] = "";
	bool changed;

	if (fs_read(w->d.fs, ino, bytes, 5, 0) < 0)
		wrong("it cannot be read");
	/* Bytes may be there before their time is. */
	if (k->change != set_later && (now.size != before->size || strcmp(bytes, "other") == 0))
		return;
	changed = k->change == set_later && same_time(&now.mtime, &later);
	if (!changed && !same_time(&now.mtime, &before->mtime))
		wrong("mtime %lld.%09ld", (long long)now.mtime.tv_sec, now.mtime.tv_nsec);
	if (changed == same_time(&now.ctime, &before->ctime))
		wrong("the mtime is %s, the ctime is not", changed ? "new" : "old");
}

/* The clock of ctimes moves. */
static void tick(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* Open, with a file whose mtime was set. */
static struct attr prepare(struct work *w, const struct killed *k, char dir[64], uint64_t *ret_ino)
{
	struct shadow_op write = {SHADOW_WRITE, .len = N_BYTES, .seed = 1};
	uint64_t ino;

	work_init(w, dir);
	w->how = k->how;
	work_open(w);
	snprintf(write.path, sizeof(write.path), "%s", k->path);
	if (strchr(k->path, '/') == NULL)
		work_step(w, &(struct shadow_op){SHADOW_CREATE, .path = "file", .mode = 0644});
	if (work_step(w, &write) != 0)
		wrong("it cannot be written");
	*ret_ino = ino = find(w, k->path);
	tick();
	write.len = 100;
	if (set_mtime(w->d.fs, ino, once) < 0 || (!k->was_set && work_step(w, &write) != 0))
		wrong("it cannot be changed");
	tick();
	return attr_of(w->d.fs, ino);
}

static void killed_at(void *arg)
{
	static struct work w; /* what a kill leaves stays */
	const struct killed *k = arg;
	struct fault_plan plan = {.at = k->at,
				  .code = EIO,
				  .for_good = true,
				  .calls = CALLS_ALL | CALLS_OF(CALL_TIMES)};
	struct attr before;
	uint64_t ino;
	char dir[64];
	int r;

	before = prepare(&w, k, dir, &ino);
	faults_watch("upper", false);
	faults_begin(&plan);
	r = k->change(w.d.fs, ino);
	*k->fired = faults_fired() > 0;
	if (r < 0 && !*k->fired)
		wrong("it fails by itself: %s", strerror(-r));
	work_kill(&w);
	faults_begin(NULL);
	work_open(&w);
	check(&w, k, &before);
	work_done(&w, dir);
}

static void kill_at_each_call(struct killed k)
{
	unsigned int bad = 0;
	char why[1200];

	k.fired = shared(sizeof(*k.fired));
	*k.fired = true;
	for (k.at = 1; *k.fired && k.at < MANY_CALLS; k.at++) {
		if (in_child(killed_at, &k, why, sizeof(why)) == 0)
			continue;
		bad++;
		fprintf(stderr, "%s, killed at call %lu: %s\n", k.path, k.at, why);
	}
	cr_expect_eq(bad, 0, "%u kills went wrong", bad);
	cr_expect_gt(k.at, 2, "there are no calls to be killed at");
}

Test(killed_times, mtime_is_set)
{
	kill_at_each_call((struct killed){.path = "file", .change = set_later});
	kill_at_each_call((struct killed){.path = "file", .change = set_later, .was_set = true});
}

Test(killed_times, mtime_of_chunks_is_set)
{
	kill_at_each_call((struct killed){.path = "d/big", .change = set_later});
	kill_at_each_call((struct killed){.path = "d/big", .change = set_later, .was_set = true});
}

Test(killed_times, written_after_mtime_was_set)
{
	kill_at_each_call((struct killed){.path = "file", .change = overwrite, .was_set = true});
	kill_at_each_call((struct killed){.path = "d/big", .change = overwrite, .was_set = true});
}

/* No record: on a full disk there might be no room for it, and bytes that are there can always be overwritten. */
Test(killed_times, overwriting_needs_no_record)
{
	static struct work w;
	const struct killed k = {.path = "file", .was_set = true};
	struct attr before, now;
	uint64_t ino;
	char dir[64];

	before = prepare(&w, &k, dir, &ino);
	faults_watch("upper", false);
	faults_begin(NULL);
	cr_expect_eq(overwrite(w.d.fs, ino), 0);
	faults_end();
	cr_expect_eq(faults_seen(CALL_WRITE), 1, "%lu writes", faults_seen(CALL_WRITE));
	now = attr_of(w.d.fs, ino);
	cr_expect_gt(timespec_cmp(&now.mtime, &before.mtime), 0, "the mtime is that of the write");
	cr_expect_eq(timespec_cmp(&now.mtime, &now.ctime), 0);
	work_done(&w, dir);
}

/* The kernel's cache has written later than the program did: the time that is shown is in the file when that was synced. */
Test(killed_times, synced_without_a_flush)
{
	static struct work w;
	const struct killed k = {.path = "file", .was_set = true, .how = DRIVE_NO_SYNC};
	struct attr before, now;
	uint64_t ino;
	char dir[64];

	prepare(&w, &k, dir, &ino);
	cr_assert_eq(fs_write(w.d.fs, ino, "other", 5, 0, FS_WRITE_BACK), 5);
	before = attr_of(w.d.fs, ino);
	cr_assert_eq(fs_fsync(w.d.fs, ino, false), 0);
	work_kill(&w);
	work_open(&w);
	now = attr_of(w.d.fs, find(&w, k.path));
	cr_expect_eq(timespec_cmp(&now.mtime, &before.mtime), 0);
	work_done(&w, dir);
}

Test(killed_times, cut_with_an_mtime)
{
	kill_at_each_call((struct killed){.path = "file", .change = set_and_cut, .was_set = true});
	kill_at_each_call((struct killed){.path = "d/big", .change = set_and_cut, .was_set = true});
}
