/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an acknowledged change of the catalog costs, and how long the longest one waits while
 * checkpoints go on: `catalog DIR [CHANGES]`. Run by scripts/bench-durability.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "catalog/catalog.h"

#define BUCKETS 64

/* Latencies: the bucket is the logarithm of the nanoseconds to the base of the square root of 2. */
struct latencies {
	uint64_t n, sum, max, count[BUCKETS * 2];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void note(struct latencies *l, uint64_t ns)
{
	unsigned int log = ns == 0 ? 0 : 63u - (unsigned int)__builtin_clzll(ns);
	unsigned int half = log > 0 && (ns >> (log - 1) & 1);

	l->n++;
	l->sum += ns;
	l->count[log * 2 + half]++;
	if (ns > l->max)
		l->max = ns;
}

/* Upper end of the bucket below which PART of all lie. */
static uint64_t quantile(const struct latencies *l, double part)
{
	uint64_t seen = 0;

	for (unsigned int i = 0; i < BUCKETS * 2; i++) {
		seen += l->count[i];
		if ((double)seen >= part * (double)l->n)
			return (i & 1) ? UINT64_C(2) << (i / 2) : UINT64_C(3) << (i / 2) >> 1;
	}
	return l->max;
}

static void print(const char *what, const struct latencies *l)
{
	if (l->n == 0)
		return;
	printf("%-28s %9llu  mean %7.2f us  p99 %8.1f us  p99.9 %8.1f us  longest %8.2f ms\n", what,
	       (unsigned long long)l->n, (double)l->sum / (double)l->n / 1e3,
	       (double)quantile(l, 0.99) / 1e3, (double)quantile(l, 0.999) / 1e3,
	       (double)l->max / 1e6);
}

static int fail(const char *what, int rc)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static struct inode_rec record_of(uint64_t ino, uint32_t mode)
{
	return (struct inode_rec){
		.attr = {.ino = ino, .mode = mode, .nlink = 1, .mtime = {.tv_sec = 1}},
		.parent = S_ISDIR(mode) ? CATALOG_ROOT_INO : 0,
	};
}

static void make(struct catalog *c, uint64_t i)
{
	CLEANUP(batch) struct batch b = {0};
	struct inode_rec file = record_of(1000000 + i, S_IFREG | 0644);
	struct inode_rec dir = record_of(2 + i / 500, S_IFDIR | 0755);
	char name[32];
	int len = snprintf(name, sizeof(name), "file-%llu", (unsigned long long)i), rc;

	batch_begin(&b, c);
	batch_put_entry(&b, dir.attr.ino, name, (size_t)len, file.attr.ino, DT_REG);
	batch_put_inode(&b, &file);
	batch_put_inode(&b, &dir);
	rc = catalog_commit(c, &b);
	if (rc < 0)
		fail("commit", rc);
}

static void remove_one(struct catalog *c, uint64_t i)
{
	CLEANUP(batch) struct batch b = {0};
	struct inode_rec dir = record_of(2 + i / 500, S_IFDIR | 0755);
	char name[32];
	int len = snprintf(name, sizeof(name), "file-%llu", (unsigned long long)i), rc;

	batch_begin(&b, c);
	batch_del_entry(&b, dir.attr.ino, name, (size_t)len);
	batch_del_inode(&b, 1000000 + i);
	batch_put_inode(&b, &dir);
	rc = catalog_commit(c, &b);
	if (rc < 0)
		fail("commit", rc);
}

/* Somebody who looks names up all the time. */
struct looker {
	struct catalog *c;
	atomic_bool stop;
	struct latencies l;
};

static void *read_on(void *arg)
{
	struct looker *r = arg;
	const struct timespec pause = {.tv_nsec = 50000};
	struct inode_rec rec;

	while (!r->stop) {
		uint64_t start = now_ns();

		if (catalog_inode(r->c, 2, &rec) == 0)
			inode_rec_done(&rec);
		note(&r->l, now_ns() - start);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void run(struct catalog *c, const char *what, uint64_t n,
		void (*change)(struct catalog *c, uint64_t i))
{
	struct latencies l = {0};

	for (uint64_t i = 0; i < n; i++) {
		uint64_t start = now_ns();

		change(c, i);
		note(&l, now_ns() - start);
	}
	print(what, &l);
}

static void syncs(struct catalog *c, uint64_t first, uint64_t n)
{
	struct latencies l = {0};

	for (uint64_t i = 0; i < n; i++) {
		uint64_t start = now_ns();
		int rc;

		make(c, first + i);
		rc = catalog_sync(c);
		if (rc < 0)
			fail("sync", rc);
		note(&l, now_ns() - start);
	}
	print("change and sync", &l);
}

static long long file_bytes(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, 0) < 0 ? 0 : (long long)st.st_blocks * 512;
}

static void sizes(int dirfd, const char *when)
{
	printf("%-28s catalog.mdb %.1f MB, journals %.1f MB\n", when,
	       (double)file_bytes(dirfd, "catalog.mdb") / 1e6,
	       (double)(file_bytes(dirfd, "journal") + file_bytes(dirfd, "journal2")) / 1e6);
}

int main(int argc, char **argv)
{
	struct catalog_options options = {.mode = CATALOG_WRITE, .create = true};
	struct looker reader = {0};
	struct err err = {0};
	struct catalog *c;
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000, start;
	pthread_t thread;
	int dirfd;

	if (argc < 2)
		return 2;
	dirfd = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (dirfd < 0 || catalog_open(dirfd, &options, &c, &err) < 0) {
		fprintf(stderr, "bench: %s: %s\n", argv[1],
			dirfd < 0 ? strerror(errno) : err_text(&err));
		return 1;
	}
	reader.c = c;
	pthread_create(&thread, NULL, read_on, &reader);
	run(c, "create", n, make);
	sizes(dirfd, "after creating");
	run(c, "delete", n / 10 * 9, remove_one);
	sizes(dirfd, "after deleting nine tenths");
	syncs(c, 2 * n, 200);
	reader.stop = true;
	pthread_join(thread, NULL);
	print("look-up meanwhile", &reader.l);
	start = now_ns();
	catalog_close(c);
	printf("%-28s %.0f ms\n", "close", (double)(now_ns() - start) / 1e6);
	sizes(dirfd, "after closing");
	close(dirfd);
	return 0;
}
