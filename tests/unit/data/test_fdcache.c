/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: few of them for many files, and none closed under its user. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/fdcache.h"
#include "data/path.h"
#include "support/synctrace.h"
#include "unit/data/fixture.h"

static char dir[256];
static int dirfd_;

static void setup(void)
{
	alarm(120);
	make_temp_dir(dir, sizeof(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(dirfd_, 0);
}

static void done(void)
{
	close(dirfd_);
	remove_tree(dir);
}

TestSuite(fdcache, .init = setup, .fini = done);

static struct fdref *must_create(struct fdcache *c, uint64_t ino)
{
	struct fdref *ref = NULL;

	cr_assert_eq(fdcache_create(c, ino, &ref), 0);
	return ref;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

Test(fdcache, oldest_idle_is_closed)
{
	CLEANUP(fdcache) struct fdcache *c = NULL;
	struct fdcache_counts n;
	struct fdref *ref;
	uint64_t ino;

	cr_assert_eq(fdcache_new(dirfd_, false, 3, &c), 0);
	for (ino = 1; ino <= 4; ino++) {
		fdcache_put(must_create(c, ino));
		/* Keeps 1 young. */
		ref = fdcache_peek(c, 1);
		cr_assert_not_null(ref);
		fdcache_put(ref);
	}
	fdcache_count(c, &n);
	cr_assert_eq(n.open, 3);
	cr_assert_null(fdcache_peek(c, 2));
	ref = fdcache_peek(c, 3);
	cr_assert_not_null(ref);
	fdcache_put(ref);
	cr_assert_eq(fdcache_get(c, 77, &ref), -ENOENT);
}

Test(fdcache, used_ones_stay_open)
{
	CLEANUP(fdcache) struct fdcache *c = NULL;
	struct fdcache_counts n;
	struct fdref *refs[10];
	unsigned int i;

	cr_assert_eq(fdcache_new(dirfd_, false, 2, &c), 0);
	for (i = 0; i < 10; i++)
		refs[i] = must_create(c, i);
	for (i = 0; i < 10; i++)
		cr_assert(is_open(refs[i]->fd));
	for (i = 0; i < 10; i++)
		fdcache_put(refs[i]);
	fdcache_count(c, &n);
	cr_assert_eq(n.open, 2);
}

Test(fdcache, a_deleted_file_stays_readable)
{
	CLEANUP(fdcache) struct fdcache *c = NULL;
	struct fdref *old, *new;
	char have[3] = "";
	int fd;

	cr_assert_eq(fdcache_new(dirfd_, false, 8, &c), 0);
	old = must_create(c, 5);
	fd = old->fd;
	cr_assert_eq(pwrite(fd, "old", 3, 0), 3);
	cr_assert_eq(data_path_remove(dirfd_, 5), 0);
	fdcache_drop(c, 5);
	fdcache_drop(c, 5);
	new = must_create(c, 5);
	cr_assert_neq(new->fd, fd);
	cr_assert_eq(pread(fd, have, 3, 0), 3);
	cr_assert_eq(memcmp(have, "old", 3), 0);
	cr_assert_eq(pread(new->fd, have, 3, 0), 0);
	fdcache_put(new);
	fdcache_put(old);
	cr_assert(!is_open(fd));
}

/* As a thread does that flushes what it finds in a set. */
static void open_and_close(void *cache)
{
	struct fdref *ref;

	cr_assert_eq(fdcache_get(cache, 5, &ref), 0);
	fdcache_put(ref);
}

/* A write whose commit failed has left a file, and is made again. */
Test(fdcache, a_file_made_anew_while_another_thread_opens_the_old_one)
{
	CLEANUP(fdcache) struct fdcache *c = NULL;
	char path[DATA_PATH_SIZE];
	struct stat named, held;
	struct fdref *ref;

	cr_assert_eq(fdcache_new(dirfd_, false, 8, &c), 0);
	data_path(5, path);
	/* At the last moment at which there is an old one; once with a descriptor in the cache, once without. */
	for (int i = 0; i < 2; i++) {
		fdcache_put(must_create(c, 5));
		if (i == 1)
			fdcache_drop(c, 5);
		synctrace_start(NULL);
		synctrace_before("unlinkat", path, open_and_close, c);
		ref = must_create(c, 5);
		cr_assert_eq(synctrace_count("unlinkat", path), 1);
		cr_assert_eq(fstatat(dirfd_, path, &named, 0), 0);
		cr_assert_eq(fstat(ref->fd, &held), 0);
		cr_assert_eq(held.st_ino, named.st_ino, "round %d: the old file", i);
		fdcache_put(ref);
		/* Nor does anybody else get it. */
		cr_assert_eq(fdcache_get(c, 5, &ref), 0);
		cr_assert_eq(fstat(ref->fd, &held), 0);
		cr_assert_eq(held.st_ino, named.st_ino);
		fdcache_put(ref);
		cr_assert_eq(data_path_remove(dirfd_, 5), 0);
		fdcache_drop(c, 5);
	}
}

/* One thread opens a file again and again while it is deleted: what is gone must not come back. */
struct opener {
	struct fdcache *c;
	atomic_bool stop;
	atomic_ulong opened;
};

static void *open_thread(void *arg)
{
	struct opener *t = arg;

	while (!atomic_load(&t->stop)) {
		struct fdref *ref;

		if (fdcache_get(t->c, 5, &ref) == 0) {
			atomic_fetch_add(&t->opened, 1);
			fdcache_put(ref);
		}
	}
	return NULL;
}

Test(fdcache, opening_races_with_deleting)
{
	struct opener t = {0};
	struct fdref *ref;
	pthread_t thread;
	int i, n, fd;

	cr_assert_eq(fdcache_new(dirfd_, false, 8, &t.c), 0);
	cr_assert_eq(pthread_create(&thread, NULL, open_thread, &t), 0);
	for (i = 0; i < 1000; i++) {
		/* Behind the cache's back, so that the other thread finds it only by opening it. */
		cr_assert_eq(data_path_create(dirfd_, 5, &fd), 0);
		close(fd);
		for (n = 0; n < i % 64; n++)
			atomic_thread_fence(memory_order_seq_cst);
		cr_assert_eq(data_path_remove(dirfd_, 5), 0);
		fdcache_drop(t.c, 5);
		/* Time for the other thread to come with what it opened before. */
		for (n = 0; n < 4; n++)
			sched_yield();
		cr_assert_eq(fdcache_get(t.c, 5, &ref), -ENOENT, "round %d", i);
	}
	atomic_store(&t.stop, true);
	pthread_join(thread, NULL);
	cr_assert_gt(t.opened, 0);
	fdcache_free(t.c);
}

/* Four threads on a thousand files with 64 descriptors in all. */
#define FILES 1000

struct crowd {
	struct fixture store;
	struct file files[FILES];
	pthread_rwlock_t locks[FILES]; /* the inodes' data locks */
	atomic_int failures;
};

/* Every file holds its number, repeated, and nothing else. */
static bool visit(struct crowd *t, unsigned int n, uint64_t what)
{
	struct file *f = &t->files[n];
	CLEANUP(batch) struct batch b = {0};
	uint32_t words[64], i;
	bool changed;
	ssize_t len;
	int r = 0;

	for (i = 0; i < 64; i++)
		words[i] = n;
	if (what % 4 == 0) {
		pthread_rwlock_rdlock(&t->locks[n]);
		r = data_write(t->store.data, &f->rec, NULL, words, sizeof(words),
			       (off_t)(what / 4 % 64 * sizeof(words)), &b, &changed);
		pthread_rwlock_unlock(&t->locks[n]);
		return r == 0 && !changed;
	}
	if (what % 64 == 1) {
		pthread_rwlock_wrlock(&t->locks[n]);
		r = data_delete(t->store.data, f->rec.attr.ino);
		if (r == 0)
			r = data_truncate(t->store.data, &f->rec, NULL, 0, &b, &changed);
		pthread_rwlock_unlock(&t->locks[n]);
		return r == 0;
	}
	if (what % 64 == 2) {
		pthread_rwlock_rdlock(&t->locks[n]);
		r = data_sync(t->store.data, &f->rec, true);
		pthread_rwlock_unlock(&t->locks[n]);
		return r == 0;
	}
	pthread_rwlock_rdlock(&t->locks[n]);
	len = data_read(t->store.data, &f->rec, NULL, words, sizeof(words),
			(off_t)(what / 4 % 64 * sizeof(words)));
	pthread_rwlock_unlock(&t->locks[n]);
	for (i = 0; len > 0 && i < (size_t)len / sizeof(words[0]); i++)
		if (words[i] != n && words[i] != 0)
			return false;
	return len >= 0;
}

static void *crowd_thread(void *arg)
{
	struct crowd *t = arg;
	uint64_t random = (uint64_t)(uintptr_t)&random;
	unsigned int i;

	for (i = 0; i < 2000; i++) {
		/* Half of the visits are to few files, so that threads meet. */
		uint64_t n = random_below(&random, random_below(&random, 2) == 0 ? FILES : 8);

		if (!visit(t, (unsigned int)n, random_next(&random)))
			atomic_fetch_add(&t->failures, 1);
	}
	return NULL;
}

/* The two descriptors of the sandbox and those of the catalog leave about forty. */
Test(fdcache, a_thousand_files_and_four_threads)
{
	static struct crowd t;
	static uint8_t bytes[DATA_INLINE_MAX + 256];
	struct rlimit limit = {64, 64};
	pthread_t threads[4];
	unsigned int i;

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fixture_open(&t.store, NULL, &(struct data_options){.max_fds = 16});
	for (i = 0; i < FILES; i++) {
		pthread_rwlock_init(&t.locks[i], NULL);
		file_make(&t.files[i], &t.store, NULL);
		cr_assert_eq(file_write(&t.files[i], bytes, sizeof(bytes), 0), 0);
	}
	for (i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, crowd_thread, &t), 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(t.failures, 0);
	cr_assert_leq(fixture_counter(&t.store, " of at most"), 16);
	cr_assert_eq(data_sync_all(t.store.data), 0);
	for (i = 0; i < FILES; i++)
		file_done(&t.files[i]);
	fixture_close(&t.store);
}

/* More descriptors allowed than the process has: the cache gives way. */
Test(fdcache, gives_way_when_there_are_no_descriptors)
{
	CLEANUP(fdcache) struct fdcache *c = NULL;
	struct rlimit limit = {32, 32};
	struct fdcache_counts n;
	uint64_t ino;

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(fdcache_new(dirfd_, false, 1000, &c), 0);
	for (ino = 0; ino < 200; ino++)
		fdcache_put(must_create(c, ino));
	fdcache_count(c, &n);
	cr_assert_gt(n.open, 1);
	cr_assert_lt(n.open, 32);
}

/* Threads append to one file under the shared lock, each at places of its own. */
#define BLOCKS 200

struct appenders {
	struct file *f;
	unsigned int first;
	int failed;
};

static void *append_thread(void *arg)
{
	struct appenders *t = arg;
	uint8_t block[512];
	struct batch b = {0};
	bool changed;
	unsigned int i;

	memset(block, (int)t->first + 1, sizeof(block));
	for (i = t->first; i < BLOCKS; i += 4)
		if (data_write(t->f->store->data, &t->f->rec, NULL, block, sizeof(block),
			       (off_t)(i * sizeof(block)), &b, &changed) < 0)
			t->failed++;
	return NULL;
}

Test(fdcache, growing_in_parallel)
{
	struct appenders t[4];
	pthread_t threads[4];
	static uint8_t want[BLOCKS * 512];
	struct fixture s;
	struct file f;
	unsigned int i;

	fixture_open(&s, NULL, &(struct data_options){0});
	file_make(&f, &s, NULL);
	cr_assert_eq(file_write(&f, want, 5000, 0), 0);
	for (i = 0; i < 4; i++) {
		t[i] = (struct appenders){.f = &f, .first = i};
		cr_assert_eq(pthread_create(&threads[i], NULL, append_thread, &t[i]), 0);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		cr_assert_eq(t[i].failed, 0);
	}
	for (i = 0; i < BLOCKS; i++)
		memset(want + i * 512, (int)(i % 4) + 1, 512);
	file_expect(&f, want, sizeof(want));
	file_done(&f);
	fixture_close(&s);
}
