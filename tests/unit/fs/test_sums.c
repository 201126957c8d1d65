/* SPDX-License-Identifier: Apache-2.0 */
/* The option `integrity`: which files have a checksum when, and that none is ever wrong. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "data/data.h"
#include "data/sums.h"
#include "fs/private.h"
#include "support/timed.h"
#include "unit/fs/support.h"

#define LARGE 200000

static void put_large(struct world *w, const char *path, unsigned int seed)
{
	CLEANUP(free) uint8_t *bytes = malloc(LARGE);
	int r = t_create(w, path, 0644);

	cr_assert(r == 0 || r == -EEXIST);
	fill(bytes, LARGE, seed);
	ok(t_pwrite(w, path, bytes, LARGE, 0));
}

/* An upper that nobody has open, or somebody else, as fsck sees it. */
struct view {
	struct catalog *catalog;
	struct data *data;
};

static void view_open(struct view *v)
{
	CLEANUP(fd) int dir = open("upper/.plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd) int data = openat(dir, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct catalog_options co = {.mode = CATALOG_SNAPSHOT};
	struct data_options o = {.read_only = true};
	CLEANUP(err) struct err err = {0};

	cr_assert_eq(catalog_open(dir, &co, &v->catalog, &err), 0, "%s", err_text(&err));
	cr_assert_eq(data_open(data, v->catalog, &o, &v->data, &err), 0, "%s", err_text(&err));
}

static void view_close(struct view *v)
{
	data_close(v->data);
	catalog_close(v->catalog);
}

static const char *state_in(struct view *v, uint64_t ino)
{
	enum data_sum_state state = DATA_SUM_NONE;
	int r = data_sum_check(v->data, ino, &state);

	if (r == -ENOENT)
		return "no file";
	cr_assert_eq(r, 0, "%s", strerror(-r));
	return state == DATA_SUM_OK	 ? "ok"
	       : state == DATA_SUM_STALE ? "stale"
	       : state == DATA_SUM_NONE	 ? "none"
					 : "mismatch";
}

static const char *state(uint64_t ino)
{
	const char *text;
	struct view v;

	view_open(&v);
	text = state_in(&v, ino);
	view_close(&v);
	return text;
}

static void assert_state(uint64_t ino, const char *want)
{
	const char *is = state(ino);

	cr_assert_str_eq(is, want, "inode %lu: %s instead of %s", (unsigned long)ino, is, want);
}

static void begin(struct world *w)
{
	world_init(w, 1);
	put_bytes("l0/big", 2000000, 1);
	put_bytes("l0/other", 2000000, 2);
	w->o.integrity = true;
}

Test(sums, taken_at_the_unmount)
{
	CLEANUP(world) struct world w;
	uint64_t large, chunks, small, other;

	begin(&w);
	world_open(&w);
	put_large(&w, "large", 5);
	ok(t_write(&w, "small", "small"));
	ok(t_pwrite(&w, "big", "x", 1, 1000000));
	ok(t_chmod(&w, "other", 0600));
	large = ino_of(&w, "large");
	chunks = ino_of(&w, "big");
	small = ino_of(&w, "small");
	other = ino_of(&w, "other");
	assert_state(large, "none");
	world_close(&w);
	assert_state(large, "ok");
	assert_state(chunks, "ok");
	assert_state(small, "no file");
	assert_state(other, "no file");
}

Test(sums, names_and_attributes_do_not_matter)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	begin(&w);
	world_open(&w);
	put_large(&w, "large", 5);
	ino = ino_of(&w, "large");
	world_reopen(&w);
	ok(t_rename(&w, "large", "renamed", 0));
	ok(t_link(&w, "renamed", "link"));
	ok(t_unlink(&w, "renamed"));
	ok(t_chmod(&w, "link", 0400));
	ok(t_setxattr(&w, "link", "user.x", "1"));
	assert_bytes(&w, "link", LARGE, 5);
	assert_state(ino, "ok");
	world_close(&w);
	assert_state(ino, "ok");
}

Test(sums, go_with_the_file)
{
	CLEANUP(world) struct world w;
	CLEANUP(buf) struct buf text = {0};

	begin(&w);
	world_open(&w);
	put_large(&w, "large", 5);
	ok(t_pwrite(&w, "big", "x", 1, 1000000));
	world_reopen(&w);
	fs_to_text(w.fs, &text);
	cr_assert_not_null(strstr(buf_cstr(&text), "table sum: 2 records"), "%s", buf_cstr(&text));
	buf_clear(&text);
	ok(t_unlink(&w, "large"));
	ok(t_unlink(&w, "big"));
	world_reopen(&w);
	fs_to_text(w.fs, &text);
	cr_assert_not_null(strstr(buf_cstr(&text), "table sum: 0 records"), "%s", buf_cstr(&text));
}

Test(sums, only_when_asked_for)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	begin(&w);
	w.o.integrity = false;
	world_open(&w);
	put_large(&w, "large", 5);
	ino = ino_of(&w, "large");
	world_close(&w);
	assert_state(ino, "none");
}

/* Waits for what a thread does in the background. */
static void wait_for(uint64_t ino, const char *want)
{
	for (int i = 0; i < 500 && strcmp(state(ino), want) != 0; i++)
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	assert_state(ino, want);
}

TIMED_TEST(sums, taken_in_the_background, 60)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	begin(&w);
	sum_keeper_period_ms = 50;
	world_open(&w);
	put_large(&w, "large", 5);
	ino = ino_of(&w, "large");
	wait_for(ino, "ok");
	put_large(&w, "large", 6);
	wait_for(ino, "ok");
}

static void overwrite(struct world *w)
{
	put_large(w, "large", 6);
}

/* After a mount without the option, and after one that was killed. */
TIMED_TEST(sums, missing_ones_are_made_up_for, 60)
{
	CLEANUP(world) struct world w;
	uint64_t large, second;

	begin(&w);
	sum_keeper_period_ms = 50;
	w.o.integrity = false;
	world_open(&w);
	put_large(&w, "large", 5);
	put_large(&w, "second", 5);
	large = ino_of(&w, "large");
	second = ino_of(&w, "second");
	world_close(&w);
	w.o.integrity = true;
	world_open(&w);
	wait_for(second, "ok");
	wait_for(large, "ok");
	world_close(&w);
	w.o.integrity = false;
	world_die(&w, overwrite);
	assert_state(second, "ok");
	assert_state(large, "none");
	w.o.integrity = true;
	world_open(&w);
	wait_for(large, "ok");
}

static int set_mtime(struct world *w, uint64_t ino, const struct timespec *mtime)
{
	struct attr out;

	return fs_setattr(w->fs, ino, FS_SET_MTIME, &(struct attr){.mtime = *mtime}, &out);
}

/* As rsync and cp -p do. */
Test(sums, new_bytes_with_the_old_mtime)
{
	CLEANUP(world) struct world w;
	struct timespec mtime;
	uint64_t ino;

	begin(&w);
	world_open(&w);
	put_large(&w, "large", 5);
	ino = ino_of(&w, "large");
	mtime = stat_of(&w, "large").mtime;
	for (int with = 0; with < 2; with++) {
		world_close(&w);
		assert_state(ino, "ok");
		w.o.integrity = with;
		world_open(&w);
		put_large(&w, "large", 6 + (unsigned int)with);
		hold(&w, "large");
		ok(set_mtime(&w, ino, &mtime));
		assert_state(ino, "none");
		w.o.integrity = true;
		world_reopen(&w);
		wait_for(ino, with ? "ok" : "none");
		put_large(&w, "large", 9);
		hold(&w, "large");
		ok(set_mtime(&w, ino, &mtime));
	}
}

static uint64_t rng;

static void write_somewhere(struct world *w, uint8_t *bytes, uint64_t times)
{
	for (uint64_t i = 0; i < times; i++) {
		char path[8];

		rng = rng * 6364136223846793005u + 1442695040888963407u;
		snprintf(path, sizeof(path), "f%u", (unsigned int)(rng >> 33) % 8);
		fill(bytes, 5000, (unsigned int)i);
		ok(t_pwrite(w, path, bytes, 1 + (rng >> 40) % 5000, (off_t)(rng >> 20 & 0x1ffff)));
	}
}

static unsigned long count_taken(struct world *w)
{
	CLEANUP(buf) struct buf text = {0};
	unsigned long n = 0;
	const char *at;

	fs_to_text(w->fs, &text);
	at = strstr(buf_cstr(&text), "\nsums: ");
	cr_assert_not_null(at);
	cr_assert_eq(sscanf(at, "\nsums: %lu taken", &n), 1);
	return n;
}

static void use_and_die(struct world *w)
{
	CLEANUP(free) uint8_t *bytes = malloc(LARGE);
	unsigned long before;

	rng *= 0x9e3779b97f4a7c15u;
	for (int i = 0; i < 6; i++) {
		write_somewhere(w, bytes, 50);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	/* Until some have their sums, of what they have now; and a moment more. */
	before = count_taken(w);
	for (int i = 0; i < 100 && count_taken(w) < before + 1 + rng % 8; i++)
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	write_somewhere(w, bytes, rng % 4);
}

TIMED_TEST(sums, never_wrong_after_a_kill, 200)
{
	CLEANUP(world) struct world w;
	const char *seed = getenv("PLYFS_TEST_SEED");
	uint64_t inos[8];
	size_t n_ok = 0;

	begin(&w);
	sum_keeper_period_ms = 1;
	/* Waiting for disks would only make it rarer. */
	w.o.no_sync = true;
	world_open(&w);
	for (int i = 0; i < 8; i++) {
		char path[8];

		snprintf(path, sizeof(path), "f%d", i);
		put_large(&w, path, (unsigned int)i);
		inos[i] = ino_of(&w, path);
	}
	world_close(&w);
	rng = seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	fprintf(stderr, "never_wrong_after_a_kill: PLYFS_TEST_SEED=%llu\n",
		(unsigned long long)rng);
	/* A slow machine may need more rounds to take any. */
	for (int round = 0; round < 10 || (n_ok == 0 && round < 400); round++, rng++) {
		world_die(&w, use_and_die);
		for (int i = 0; i < 8; i++) {
			const char *is = state(inos[i]);

			cr_assert_str_neq(is, "mismatch", "round %d, file %d", round, i);
			n_ok += strcmp(is, "ok") == 0;
		}
	}
	cr_assert_gt(n_ok, 0, "nothing was tested");
}

struct writer {
	struct world *w;
	uint64_t ino;
	unsigned int seed;
	atomic_bool *stop;
};

/* Writes, cuts and sets times as fast as it can, with a rest now and then. */
static void *write_on(void *arg)
{
	struct writer *me = arg;
	struct fs *fs = me->w->fs;
	uint8_t bytes[3000];
	struct attr out;

	for (unsigned int i = 0; !atomic_load(me->stop); i++) {
		unsigned int x = (me->seed = me->seed * 1103515245 + 12345) >> 8;

		memset(bytes, (int)x, sizeof(bytes));
		if (x % 64 == 0)
			fs_setattr(fs, me->ino, FS_SET_SIZE,
				   &(struct attr){.size = LARGE - x % 5000}, &out);
		else
			fs_write(fs, me->ino, bytes, sizeof(bytes), x % LARGE, 0);
		if (x % 64 == 1)
			set_mtime(me->w, me->ino, &(struct timespec){.tv_sec = 1000});
		if (i % 100 == 0)
			nanosleep(&(struct timespec){.tv_nsec = 4000000}, NULL);
	}
	return NULL;
}

TIMED_TEST(sums, never_wrong_while_files_are_written, 60)
{
	CLEANUP(world) struct world w;
	struct writer writers[4];
	pthread_t threads[4];
	atomic_bool stop = false;

	begin(&w);
	sum_keeper_period_ms = 1;
	world_open(&w);
	put_large(&w, "a", 1);
	put_large(&w, "b", 2);
	for (unsigned int i = 0; i < 4; i++) {
		writers[i] = (struct writer){&w, hold(&w, i % 2 ? "a" : "b"), i + 1, &stop};
		cr_assert_eq(pthread_create(&threads[i], NULL, write_on, &writers[i]), 0);
	}
	nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_assert_str_neq(state(writers[0].ino), "mismatch");
	cr_assert_str_neq(state(writers[1].ino), "mismatch");
	world_close(&w);
	assert_state(writers[0].ino, "ok");
	assert_state(writers[1].ino, "ok");
}
