/* SPDX-License-Identifier: Apache-2.0 */
/* Several threads at once, in directories of their own and in shared ones. */
#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/fs/support.h"

#define THREADS 4
#define STEPS	1500
#define STRIPE	30000
#define ROUNDS	12

struct worker {
	struct world *w;
	pthread_t thread;
	unsigned int number;
	uint64_t state;
	bool shared;
};

/* An error that no race of names explains; asserted by the main thread. */
static atomic_int unexpected;

static unsigned int random_of(struct worker *k, unsigned int n)
{
	k->state = k->state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(k->state >> 33) % n;
}

static void note(long r)
{
	switch ((int)-r) {
	case ENOENT:
	case EEXIST:
	case ENOTEMPTY:
	case EISDIR:
	case ENOTDIR:
	case EINVAL:
	case EPERM:
	case ESTALE:
	case EUCLEAN: /* a name and its record, read in two steps (doc/locking.md) */
		return;
	default:
		if (r < 0)
			atomic_store(&unexpected, (int)-r);
	}
}

/* Directories keep to the top, so that none is moved into itself. */
static void pick(struct worker *k, char *path, size_t size, bool dir)
{
	unsigned int where = k->shared ? THREADS : k->number;

	if (dir)
		snprintf(path, size, "t%u/d%u", where, random_of(k, 4));
	else
		snprintf(path, size, "t%u/d%u/f%u", where, random_of(k, 4), random_of(k, 6));
}

static bool count_entries(void *arg, const struct fs_dirent *entries, size_t n)
{
	(void)entries;
	return (*(unsigned int *)arg += (unsigned int)n) < 1000;
}

static void look_around(struct worker *k, const char *path)
{
	struct fs_entry top, e;
	unsigned int n = 0;
	char bytes[512], above[16];

	snprintf(above, sizeof(above), "%.2s", path);
	if (fs_lookup(k->w->fs, FS_ROOT_INO, above, &top) < 0)
		return;
	if (fs_lookup(k->w->fs, top.ino, path + 3, &e) == 0) {
		note(fs_readdir(k->w->fs, e.ino, 0, count_entries, &n));
		note(fs_read(k->w->fs, e.ino, bytes, sizeof(bytes), 0));
		note(fs_getattr(k->w->fs, e.ino, &e.attr));
		note(fs_listxattr(k->w->fs, e.ino, bytes, sizeof(bytes)));
		fs_forget(k->w->fs, e.ino, 1);
	}
	fs_forget(k->w->fs, top.ino, 1);
}

static void step(struct worker *k)
{
	static const unsigned int flags[] = {0, 0, RENAME_EXCHANGE, RENAME_NOREPLACE};
	struct world *w = k->w;
	char bytes[6000], a[32], b[32], d[32], e[32];
	struct attr attr;

	memset(bytes, (int)k->number, sizeof(bytes));
	pick(k, a, sizeof(a), false);
	pick(k, b, sizeof(b), false);
	pick(k, d, sizeof(d), true);
	pick(k, e, sizeof(e), true);
	switch (random_of(k, 16)) {
	case 0:
		note(t_create(w, a, 0644));
		break;
	case 1:
		note(t_mkdir(w, d, 0755));
		break;
	case 2:
		note(t_unlink(w, a));
		break;
	case 3:
		note(t_rmdir(w, d));
		break;
	case 4:
		note(t_rename(w, a, b, flags[random_of(k, 4)]));
		break;
	case 5:
		note(t_rename(w, d, e, flags[random_of(k, 4)]));
		break;
	case 6:
		note(t_link(w, a, b));
		break;
	case 7:
		note(t_chmod(w, a, 0600 + random_of(k, 0100)));
		break;
	case 8:
		note(t_truncate(w, a, random_of(k, 20000)));
		break;
	case 9:
		note(t_setxattr(w, a, "user.x", "value"));
		break;
	case 10:
		note(t_symlink(w, "x", a));
		break;
	case 11:
		look_around(k, d);
		break;
	case 12:
		note(t_stat(w, b, &attr));
		break;
	default:
		note(t_pwrite(w, a, bytes, random_of(k, sizeof(bytes)), random_of(k, 9000)));
	}
}

static void *work(void *arg)
{
	struct worker *k = arg;

	for (int i = 0; i < STEPS; i++)
		step(k);
	return NULL;
}

static void run_all(struct world *w, void *(*fn)(void *arg), bool shared)
{
	struct worker workers[THREADS];

	alarm(300);
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.w = w, .number = i, .state = i + 1, .shared = shared};
		cr_assert_eq(pthread_create(&workers[i].thread, NULL, fn, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	cr_assert_eq(unexpected, 0, "%s", strerror(unexpected));
}

static void put_layers(struct world *w)
{
	char path[64];

	world_init(w, 2);
	for (int i = 0; i < 120; i++) {
		snprintf(path, sizeof(path), "l%d/t%d/d%d/f%d", i % 2, i % (THREADS + 1), i / 5 % 4,
			 i / 20);
		put_bytes(path, (size_t)(i * 200), (unsigned int)i);
	}
	world_open(w);
}

Test(threads, each_in_its_own_directory)
{
	CLEANUP(world) struct world w;

	put_layers(&w);
	run_all(&w, work, false);
	world_assert_lasting(&w);
}

Test(threads, all_in_one_directory)
{
	CLEANUP(world) struct world w;

	put_layers(&w);
	run_all(&w, work, true);
	world_assert_lasting(&w);
}

static uint64_t big_ino;

/* Every thread has every fourth stripe of one lower file, and reads what it has written. */
static void *write_stripes(void *arg)
{
	struct worker *k = arg;
	CLEANUP(free) uint8_t *bytes = malloc(STRIPE);
	CLEANUP(free) uint8_t *is = malloc(STRIPE);

	for (unsigned int i = 0; i < ROUNDS; i++) {
		off_t off = (off_t)(i * THREADS + k->number) * STRIPE;

		fill(bytes, STRIPE, i * 100 + k->number);
		if (fs_write(k->w->fs, big_ino, bytes, STRIPE, off, 0) != STRIPE ||
		    fs_read(k->w->fs, big_ino, is, STRIPE, off) != STRIPE ||
		    memcmp(bytes, is, STRIPE) != 0)
			atomic_store(&unexpected, EIO);
		note(fs_fsync(k->w->fs, big_ino, false));
	}
	return NULL;
}

Test(threads, one_big_file)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = malloc(STRIPE);
	CLEANUP(free) uint8_t *is = malloc(STRIPE);

	world_init(&w, 1);
	put_bytes("l0/big", ROUNDS * THREADS * STRIPE + 100000, 1);
	world_open(&w);
	big_ino = hold(&w, "big");
	run_all(&w, write_stripes, true);
	world_reopen(&w);
	big_ino = hold(&w, "big");
	for (unsigned int i = 0; i < ROUNDS * THREADS; i++) {
		fill(bytes, STRIPE, i / THREADS * 100 + i % THREADS);
		cr_assert_eq(fs_read(w.fs, big_ino, is, STRIPE, (off_t)i * STRIPE), STRIPE);
		cr_assert_eq(memcmp(bytes, is, STRIPE), 0, "stripe %u", i);
	}
}

/* Syncing, checkpoints and statistics while others change things. */
static void *sync_all(void *arg)
{
	struct worker *k = arg;

	if (k->number > 1)
		return work(arg);
	for (int i = 0; i < 60; i++) {
		CLEANUP(buf) struct buf text = {0};

		note(fs_syncfs(k->w->fs));
		note(fs_fsync(k->w->fs, FS_ROOT_INO, false));
		fs_to_text(k->w->fs, &text);
	}
	return NULL;
}

Test(threads, syncing_meanwhile)
{
	CLEANUP(world) struct world w;

	put_layers(&w);
	run_all(&w, sync_all, true);
	world_assert_lasting(&w);
}
