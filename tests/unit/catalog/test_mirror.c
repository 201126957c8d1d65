/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of mirrors, against plain LMDB environments: what the remote file is, at any moment. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "catalog/check.h"
#include "catalog/mirror.h"
#include "catalog/private.h"
#include "unit/catalog/helper.h"
#include "unit/catalog/mirror_disk.h"

#define NAME	   "catalog.mdb"
#define STATES_MAX 4096

/* An environment with two tables, as LMDB sees it through a path. */
struct env {
	MDB_env *env;
	MDB_dbi dbi[2];
};

static const char *const tables[] = {"a", "b"};

static void env_open(struct env *e, const char *path)
{
	MDB_txn *txn;

	cr_assert_eq(mdb_env_create(&e->env), 0);
	cr_assert_eq(mdb_env_set_mapsize(e->env, (size_t)256 << 20), 0);
	cr_assert_eq(mdb_env_set_maxdbs(e->env, 2), 0);
	cr_assert_eq(mdb_env_open(e->env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_NOSYNC,
				  0600),
		     0, "%s", path);
	cr_assert_eq(mdb_txn_begin(e->env, NULL, 0, &txn), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(mdb_dbi_open(txn, tables[i], MDB_CREATE, &e->dbi[i]), 0);
	cr_assert_eq(mdb_txn_commit(txn), 0);
}

/* Some random changes. STOP: the transaction is given up. */
static void env_change(struct env *e, struct rng *r, uint64_t n, bool stop)
{
	/* Long values have pages of their own. */
	static uint8_t bytes[20000];
	MDB_txn *txn;
	MDB_val value = {.mv_size = sizeof(n), .mv_data = &n};

	cr_assert_eq(mdb_txn_begin(e->env, NULL, 0, &txn), 0);
	cr_assert_eq(mdb_put(txn, e->dbi[0], &(MDB_val){1, (void *)(uintptr_t) "n"}, &value, 0), 0);
	for (uint64_t i = rng_below(r, 40); i > 0; i--) {
		uint64_t number = rng_below(r, 300);
		MDB_val key = {.mv_size = sizeof(number), .mv_data = &number};
		MDB_dbi dbi = e->dbi[rng_below(r, 2)];
		int rc;

		memset(bytes, (int)rng_below(r, 256), sizeof(bytes));
		value.mv_size = rng_below(r, rng_below(r, 8) == 0 ? sizeof(bytes) : 400);
		value.mv_data = bytes;
		rc = rng_below(r, 3) == 0 ? mdb_del(txn, dbi, &key, NULL)
					  : mdb_put(txn, dbi, &key, &value, 0);
		cr_assert(rc == 0 || rc == MDB_NOTFOUND);
	}
	if (stop)
		mdb_txn_abort(txn);
	else
		cr_assert_eq(mdb_txn_commit(txn), 0);
}

/* A sum of everything in it. */
static uint64_t env_sum(struct env *e)
{
	uint64_t sum = 1;
	MDB_txn *txn;

	cr_assert_eq(mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn), 0);
	for (int i = 0; i < 2; i++) {
		MDB_cursor *cursor;
		MDB_val key, value;

		cr_assert_eq(mdb_cursor_open(txn, e->dbi[i], &cursor), 0);
		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
			sum = hash64(value.mv_data, value.mv_size,
				     hash64(key.mv_data, key.mv_size, sum + (uint64_t)i));
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return sum;
}

/* The sum of the environment in a file of these bytes, which must be whole. */
static uint64_t sum_of_bytes(const uint8_t *bytes, size_t len)
{
	struct check_info info;
	const char *why = "";
	struct env e;
	uint64_t sum;
	char path[PRIVATE_PATH_MAX];
	int fd = private_file();

	cr_assert_geq(fd, 0);
	cr_assert_eq(pwrite(fd, bytes, len, 0), (ssize_t)len);
	cr_assert_eq(check_tree(fd, &info, &why), 0, "the file is damaged: %s", why);
	private_path(fd, path);
	env_open(&e, path);
	sum = env_sum(&e);
	mdb_env_close(e.env);
	close(fd);
	return sum;
}

/* The remote file and the local copy hold the same bytes. */
static void assert_same(const struct dir *d, const struct mirror *m)
{
	size_t len;
	CLEANUP(free) uint8_t *remote = file_read(d, NAME, &len);
	CLEANUP(free) uint8_t *local = malloc(len + 1);

	cr_assert_eq(pread(mirror_fd(m), local, len + 1, 0), (ssize_t)len, "%zu %zd", len,
		     pread(mirror_fd(m), local, len + 1, 0));
	cr_assert_eq(memcmp(local, remote, len), 0);
}

/* What is tested, where the watcher finds it. */
static struct {
	struct dir dir;
	struct mirror *mirror;
	struct env env;
	uint64_t states[STATES_MAX]; /* sums: of the last one that was published, and later ones */
	size_t n_states;
	uint64_t cuts;
	unsigned int every;
} test;

static struct rng *rng;

static void add_state(void)
{
	cr_assert_lt(test.n_states, (size_t)STATES_MAX);
	test.states[test.n_states++] = env_sum(&test.env);
}

/* A power cut now leaves the state that was published, or a later one. */
static void cut(bool worst)
{
	size_t len = 0;
	CLEANUP(free) uint8_t *bytes = disk_after_cut(worst, &len);
	uint64_t sum;

	test.cuts++;
	if (bytes == NULL) {
		cr_assert_eq(test.states[0], 0, "the file is gone");
		return;
	}
	sum = sum_of_bytes(bytes, len);
	for (size_t i = 0; i < test.n_states; i++)
		if (test.states[i] == sum)
			return;
	cr_assert_fail("cut %llu: neither the old nor the new state",
		       (unsigned long long)test.cuts);
}

static void cut_now(void)
{
	if (rng_below(rng, test.every) == 0)
		cut(rng_below(rng, 8) == 0);
}

/* Publishes; after a success nothing else may be there. */
static int publish(void)
{
	int rc = mirror_publish(test.mirror);

	if (rc < 0)
		return rc;
	test.states[0] = test.states[test.n_states - 1];
	test.n_states = 1;
	cut(true);
	assert_same(&test.dir, test.mirror);
	cr_assert(mirror_is_published(test.mirror));
	return 0;
}

static void begin(struct rng *r, unsigned int every)
{
	rng = r;
	test.dir = dir_make();
	test.every = every;
	disk_install(r, &test.dir, NAME);
	cr_assert_eq(mirror_create(test.dir.fd, NAME, false, &test.mirror), 0);
	cr_assert_not(mirror_is_published(test.mirror));
	test.states[0] = 0; /* no file */
	test.n_states = 1;
	env_open(&test.env, mirror_path(test.mirror));
	add_state();
	disk_watch = cut_now;
	cr_assert_eq(publish(), 0);
}

static void end(void)
{
	disk_watch = NULL;
	disk_remove();
	mdb_env_close(test.env.env);
	mirror_close(test.mirror);
	dir_remove(&test.dir);
}

/* The machine goes down; what the disk then holds is opened again. */
static void crash(void)
{
	size_t len = 0;
	CLEANUP(free) uint8_t *bytes = disk_after_cut(false, &len);

	mdb_env_close(test.env.env);
	mirror_close(test.mirror);
	disk_remove();
	file_write(&test.dir, NAME, bytes, len);
	disk_install(rng, &test.dir, NAME);
	cr_assert_eq(mirror_open(test.dir.fd, NAME, false, &test.mirror), 0);
	cr_assert(mirror_is_published(test.mirror));
	assert_same(&test.dir, test.mirror);
	env_open(&test.env, mirror_path(test.mirror));
	test.n_states = 0;
	add_state();
}

/* A compacted copy takes the place of all. */
static int compact(void)
{
	char path[PRIVATE_PATH_MAX], before[PRIVATE_PATH_MAX];
	int fd = private_file(), rc;

	cr_assert_geq(fd, 0);
	private_path(fd, path);
	cr_assert_eq(mdb_env_copyfd2(test.env.env, fd, MDB_CP_COMPACT), 0);
	snprintf(before, sizeof(before), "%s", mirror_path(test.mirror));
	rc = mirror_replace(test.mirror, fd);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	cr_assert_str_eq(before, mirror_path(test.mirror));
	mdb_env_close(test.env.env);
	env_open(&test.env, mirror_path(test.mirror));
	return publish();
}

Test(mirror, publishes_what_was_committed)
{
	struct rng r = rng_seeded("mirror");

	begin(&r, UINT32_MAX);
	for (uint64_t n = 1; n <= 200; n++) {
		uint64_t before = disk_calls;

		env_change(&test.env, &r, n, false);
		cr_assert_not(mirror_is_published(test.mirror));
		add_state();
		cr_assert_eq(publish(), 0);
		cr_assert_gt(disk_calls, before);
		before = disk_calls;
		cr_assert_eq(mirror_publish(test.mirror), 0);
		cr_assert_eq(disk_calls, before, "nothing was left to do");
	}
	cr_assert_eq(file_size(&test.dir, NAME ".new"), -1);
	end();
}

/* Only what changed is written: a small change to a large file is a few pages. */
static uint64_t written;

static int count_pwrite(int fd, const void *bytes, size_t len, off_t off)
{
	written += len;
	return pwrite(fd, bytes, len, off) == (ssize_t)len ? 0 : -EIO;
}

Test(mirror, writes_only_what_changed)
{
	struct dir d = dir_make();
	struct rng r = rng_seeded("mirror");
	struct mirror *m;
	struct env e;
	uint64_t first;

	mirror_calls.pwrite = count_pwrite;
	cr_assert_eq(mirror_create(d.fd, NAME, false, &m), 0);
	env_open(&e, mirror_path(m));
	for (uint64_t n = 0; n < 100; n++)
		env_change(&e, &r, n, false);
	cr_assert_eq(mirror_publish(m), 0);
	first = written;
	cr_assert_eq((off_t)first, file_size(&d, NAME));
	cr_assert_gt(first, 100 * 4096u);
	mdb_env_close(e.env);
	mirror_close(m);
	cr_assert_eq(mirror_open(d.fd, NAME, false, &m), 0);
	env_open(&e, mirror_path(m));
	for (uint64_t n = 0; n < 10; n++) {
		MDB_txn *txn;
		MDB_val key = {1, (void *)(uintptr_t) "n"}, value = {sizeof(n), &n};

		written = 0;
		cr_assert_eq(mdb_txn_begin(e.env, NULL, 0, &txn), 0);
		cr_assert_eq(mdb_put(txn, e.dbi[0], &key, &value, 0), 0);
		cr_assert_eq(mdb_txn_commit(txn), 0);
		cr_assert_eq(mirror_publish(m), 0);
		cr_assert_leq(written, 16 * 4096u);
		assert_same(&d, m);
	}
	mdb_env_close(e.env);
	mirror_close(m);
	dir_remove(&d);
}

/*
 * The heart: power cuts between any two calls, failing calls, transactions that are given up or not
 * published, compactions, and openings of what a cut left.
 */
static void run_random(struct rng *r, unsigned int every, uint64_t steps)
{
	uint64_t failed = 0, crashes = 0, compactions = 0;

	begin(r, every);
	for (uint64_t n = 1; n <= steps; n++) {
		disk_fail(0, 0);
		if (rng_below(r, 4) == 0)
			env_change(&test.env, r, n, true);
		for (uint64_t i = rng_below(r, 8) == 0 ? rng_below(r, 4) : 1; i > 0; i--) {
			env_change(&test.env, r, n * 10 + i, false);
			add_state();
		}
		if (rng_below(r, 3) == 0)
			disk_fail(rng_below(r, 2) == 0 ? EIO : ENOSPC, (unsigned)rng_below(r, 8));
		if (rng_below(r, 10) == 0) {
			failed += compact() < 0;
			compactions++;
		} else if (rng_below(r, 10) != 0) {
			int rc = publish();

			cr_assert(rc == 0 || disk_has_failed(), "%d", rc);
			failed += rc < 0;
		}
		if (rng_below(r, 20) == 0) {
			crash();
			crashes++;
		}
	}
	disk_fail(0, 0);
	cr_assert_eq(publish(), 0, "what failed is made up for");
	fprintf(stderr, "mirror: %llu cuts, %llu failed, %llu crashes, %llu compactions\n",
		(unsigned long long)test.cuts, (unsigned long long)failed,
		(unsigned long long)crashes, (unsigned long long)compactions);
	if (steps > 200)
		cr_assert(test.cuts > steps && failed > 0 && crashes > 0 && compactions > 0);
	end();
}

Test(mirror, power_cuts_leave_the_old_or_the_new_state)
{
	struct rng r = rng_seeded("mirror");

	run_random(&r, 4, 600);
}

/* A call that fails, each in turn; then the disk recovers. */
Test(mirror, each_call_fails_once)
{
	struct rng r = rng_seeded("mirror");

	for (unsigned int enough = 0; enough < 12; enough++) {
		begin(&r, 1);
		for (uint64_t n = 1; n < 12; n++) {
			env_change(&test.env, &r, n, false);
			add_state();
			if (n == 6)
				disk_fail(EIO, enough);
			if (publish() < 0) {
				cr_assert(disk_has_failed());
				cr_assert_not(mirror_is_published(test.mirror));
				cr_assert_eq(publish(), 0, "a second attempt");
			}
		}
		end();
	}
}

/* Two commits that were not published would let the third write to pages of the state there. */
Test(mirror, many_commits_are_published_as_a_new_file)
{
	struct rng r = rng_seeded("mirror");
	struct stat before, after;

	begin(&r, 1);
	for (unsigned int commits = 1; commits <= 4; commits++) {
		cr_assert_eq(fstatat(test.dir.fd, NAME, &before, 0), 0);
		for (unsigned int i = 0; i < commits; i++) {
			env_change(&test.env, &r, i, false);
			add_state();
		}
		cr_assert_eq(publish(), 0);
		cr_assert_eq(fstatat(test.dir.fd, NAME, &after, 0), 0);
		cr_assert_eq(before.st_ino == after.st_ino, commits <= 2);
	}
	end();
}

/* Somebody has given the name to another file: what is published then is found under it all the same. */
Test(mirror, a_name_that_leads_elsewhere)
{
	struct rng r = rng_seeded("mirror");

	begin(&r, UINT32_MAX);
	for (uint64_t n = 1; n <= 40; n++) {
		if (n % 2 == 0)
			file_write(&test.dir, NAME, "another", 7);
		cr_assert_eq(mirror_is_published(test.mirror), n % 2 == 1);
		if (n % 3 != 0) {
			env_change(&test.env, &r, n, false);
			add_state();
		}
		cr_assert_eq(publish(), 0);
	}
	end();
}

/* Who removes it, and the directory next, does not find it again. */
Test(mirror, a_name_that_was_removed)
{
	struct rng r = rng_seeded("mirror");

	begin(&r, UINT32_MAX);
	cr_assert_eq(unlinkat(test.dir.fd, NAME, 0), 0);
	env_change(&test.env, &r, 1, false);
	cr_assert_eq(mirror_publish(test.mirror), 0);
	cr_assert_eq(file_size(&test.dir, NAME), -1);
	end();
}

/* A full disk may have taken a part of LMDB's last page, which nothing uses. */
Test(mirror, a_last_page_that_is_cut_short)
{
	struct rng r = rng_seeded("mirror");
	static const uint8_t part[100] = "part of a page";
	size_t len;

	begin(&r, 1);
	for (uint64_t n = 0; n < 20; n++) {
		CLEANUP(free) uint8_t *bytes = NULL;

		mdb_env_close(test.env.env);
		mirror_close(test.mirror);
		bytes = file_read(&test.dir, NAME, &len);
		bytes = realloc(bytes, len + sizeof(part));
		cr_assert_not_null(bytes);
		memcpy(bytes + len, part, sizeof(part));
		file_write(&test.dir, NAME, bytes, len + sizeof(part));
		disk_install(&r, &test.dir, NAME);
		cr_assert_eq(mirror_open(test.dir.fd, NAME, false, &test.mirror), 0);
		assert_same(&test.dir, test.mirror);
		env_open(&test.env, mirror_path(test.mirror));
		env_change(&test.env, &r, n, false);
		add_state();
		cr_assert_eq(publish(), 0);
	}
	end();
}

Test(mirror, errors_of_opening)
{
	struct dir d = dir_make();
	struct mirror *m = NULL;
	struct check_info info;
	const char *why;

	cr_assert_eq(mirror_open(d.fd, NAME, true, &m), -ENOENT);
	cr_assert_eq(symlinkat("/etc/passwd", d.fd, NAME), 0);
	cr_assert_eq(mirror_open(d.fd, NAME, true, &m), -ELOOP);
	cr_assert_eq(unlinkat(d.fd, NAME, 0), 0);
	file_write(&d, NAME, "something else", 14);
	cr_assert_eq(mirror_open(d.fd, NAME, true, &m), 0, "is copied all the same");
	cr_assert_eq(check_tree(mirror_fd(m), &info, &why), -EUCLEAN);
	cr_assert_eq(mirror_publish(m), -EUCLEAN);
	mirror_close(m);
	cr_assert_eq(file_size(&d, NAME), 14);
	dir_remove(&d);
}

static int never_sync(int fd)
{
	(void)fd;
	cr_assert_fail("waits for a disk");
	return 0;
}

Test(mirror, without_waiting_for_disks)
{
	struct dir d = dir_make();
	struct rng r = rng_seeded("mirror");
	struct mirror *m;
	struct env e;

	mirror_calls.sync = mirror_calls.sync_dir = never_sync;
	cr_assert_eq(mirror_create(d.fd, NAME, true, &m), 0);
	env_open(&e, mirror_path(m));
	for (uint64_t n = 0; n < 3; n++) {
		env_change(&e, &r, n, false);
		cr_assert_eq(mirror_publish(m), 0);
		assert_same(&d, m);
	}
	mdb_env_close(e.env);
	mirror_close(m);
	dir_remove(&d);
}

/* Where files may be mapped, as far as this machine has them. */
Test(mirror, local_file_systems_need_none)
{
	struct dir d = dir_make();
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert_not(mirror_wanted(d.fd));
	cr_assert_not(private_is_remote(fd));
	close(fd);
	dir_remove(&d);
}
