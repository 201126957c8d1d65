/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of threads: commits, reads, flushes and checkpoints at once. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "catalog/internal.h"
#include "unit/catalog/helper.h"

enum { THREADS = 4, ROUNDS = 2000 };

struct worker {
	struct catalog *c;
	uint64_t number;
	int failed; /* the line of the first thing that went wrong */
};

#define EXPECT(w, ok)                                                                              \
	do {                                                                                       \
		if (!(ok) && (w)->failed == 0)                                                     \
			(w)->failed = __LINE__;                                                    \
	} while (0)

/* One batch of two names that must never be seen one without the other. */
static void put_pair(struct worker *w, uint64_t round)
{
	CLEANUP(batch) struct batch b = {0};
	struct inode_rec rec = {.attr = {.ino = catalog_new_ino(w->c), .mode = S_IFREG}};
	char name[32];
	size_t len = (size_t)snprintf(name, sizeof(name), "%llu", (unsigned long long)round);

	batch_begin(&b, w->c);
	batch_put_inode(&b, &rec);
	batch_put_entry(&b, 100 + w->number, name, len, rec.attr.ino, DT_REG);
	batch_put_entry(&b, 200 + w->number, name, len, rec.attr.ino, DT_REG);
	EXPECT(w, catalog_commit(w->c, &b) == 0);
}

static void look_at(struct worker *w, uint64_t number, uint64_t round)
{
	struct entry_rec one, two;
	char name[32];
	size_t len = (size_t)snprintf(name, sizeof(name), "%llu", (unsigned long long)round);

	/* The second is there whenever the first is. */
	if (catalog_entry(w->c, 100 + number, name, len, &one) == 0) {
		CLEANUP(inode_rec) struct inode_rec rec = {0};

		EXPECT(w, catalog_entry(w->c, 200 + number, name, len, &two) == 0);
		EXPECT(w, one.ino == two.ino);
		EXPECT(w, catalog_inode(w->c, one.ino, &rec) == 0);
	} else {
		EXPECT(w, number != w->number || round == 0);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	CLEANUP(catalog_names) struct catalog_names l = {0};

	for (uint64_t round = 1; round <= ROUNDS; round++) {
		put_pair(w, round);
		look_at(w, w->number, round);
		look_at(w, round % THREADS, round / 2);
		if (round % 200 == 0)
			EXPECT(w, catalog_list(w->c, 100 + round % THREADS, 0, 50, &l) == 0);
		if (round % 100 == w->number)
			EXPECT(w, catalog_sync(w->c) == 0);
		if (round % 500 == w->number * 100)
			EXPECT(w, catalog_checkpoint(w->c) == 0);
	}
	return NULL;
}

static void run_workers(struct catalog *c)
{
	struct worker workers[THREADS] = {0};
	pthread_t threads[THREADS];

	for (uint64_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.c = c, .number = i};
		cr_assert_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		cr_assert_eq(workers[i].failed, 0, "line %d", workers[i].failed);
	}
}

Test(threads, commit_and_read)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog_options options = {.mode = CATALOG_WRITE, .create = true};
	CLEANUP(catalog) struct catalog *c = NULL;
	CLEANUP(catalog_names) struct catalog_names l = {0};

	cr_assert_eq(catalog_open(d.fd, &options, &c, NULL), 0);
	run_workers(c);
	cr_assert_eq(catalog_new_ino(c), 2 + THREADS * ROUNDS, "no number twice");
	catalog_close(c);
	c = open_quick(&d);
	cr_assert_not_null(c);
	for (uint64_t i = 0; i < THREADS; i++) {
		cr_assert_eq(catalog_list(c, 200 + i, 0, SIZE_MAX, &l), 0);
		cr_assert_eq(l.n, ROUNDS);
	}
}

Test(threads, snapshots_meanwhile)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog_options options = {.mode = CATALOG_WRITE, .create = true, .no_sync = true};
	CLEANUP(catalog) struct catalog *c = NULL;
	struct worker w = {0};
	pthread_t thread;

	cr_assert_eq(catalog_open(d.fd, &options, &c, NULL), 0);
	w.c = c;
	cr_assert_eq(pthread_create(&thread, NULL, work, &w), 0);
	for (int i = 0; i < 20; i++) {
		CLEANUP(catalog) struct catalog *s = open_snapshot(&d);
		CLEANUP(catalog_names) struct catalog_names a = {0}, b = {0};

		cr_assert_not_null(s);
		cr_assert_eq(catalog_list(s, 100, 0, SIZE_MAX, &a), 0);
		cr_assert_eq(catalog_list(s, 200, 0, SIZE_MAX, &b), 0);
		cr_assert_eq(a.n, b.n);
	}
	pthread_join(thread, NULL);
	cr_assert_eq(w.failed, 0, "line %d", w.failed);
}

/* Nobody asks for it, and still it is on the disk after a few seconds. */
Test(threads, flushes_by_itself)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog_options options = {.mode = CATALOG_WRITE, .create = true};
	CLEANUP(catalog) struct catalog *c = NULL;
	uint64_t synced = 0;

	cr_assert_eq(catalog_open(d.fd, &options, &c, NULL), 0);
	cr_assert_eq(commit_numbered(c, 1), 0);
	cr_assert_eq(commit_numbered(c, 2), 0);
	for (int i = 0; i < 150 && synced < 2; i++) {
		usleep(100000);
		pthread_mutex_lock(&c->lock);
		synced = c->synced_seq;
		pthread_mutex_unlock(&c->lock);
	}
	cr_assert_eq(synced, 2);
	cr_assert_eq(c->stats.syncs, 1);
}

static void *sync_once(void *arg)
{
	return (void *)(intptr_t)catalog_sync(arg);
}

/* Twenty who wait at once do not make twenty flushes. */
Test(threads, flushes_are_shared)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .create = true, .no_threads = true};
	CLEANUP(catalog) struct catalog *c = NULL;
	uint64_t flushes = 0;

	cr_assert_eq(catalog_open(d.fd, &options, &c, NULL), 0);
	for (uint64_t n = 1; n <= 20; n++) {
		pthread_t threads[20];

		cr_assert_eq(commit_numbered(c, n), 0);
		for (int i = 0; i < 20; i++)
			cr_assert_eq(pthread_create(&threads[i], NULL, sync_once, c), 0);
		for (int i = 0; i < 20; i++) {
			void *rc;

			pthread_join(threads[i], &rc);
			cr_assert_null(rc);
		}
		flushes = c->stats.syncs;
		cr_assert_eq(c->synced_seq, n);
	}
	cr_assert_eq(flushes, 20);
}
