/* SPDX-License-Identifier: Apache-2.0 */
/* The load: threads that do random operations on the mount and say so in the record. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crash/power/model.h"

struct load {
	int record_fd;
	int root_fd;
	const char *files; /* the directory with the files behind the mount */
	uint64_t seed;
	double seconds;
	atomic_bool stop;
	atomic_int failed;
};

struct worker {
	struct load *load;
	struct model model;
	uint64_t rng;
	pthread_t thread;
};

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Says what is about to happen, does it, says that it has happened. */
static int do_op(struct load *l, struct model *m, const struct op *op)
{
	struct rec start = {.kind = REC_START, .len = sizeof(*op), .thread = op->thread};
	struct rec done = {.kind = REC_DONE, .thread = op->thread, .seq = op->seq};
	int r;

	start.seq = op->seq;
	record_append(l->record_fd, &start, op);
	r = op_run(l->root_fd, op);
	if (r < 0) {
		fprintf(stderr, "FAIL: %s: ", strerror(-r));
		op_print(op, stderr);
		return r;
	}
	record_append(l->record_fd, &done, NULL);
	model_apply(m, op);
	return 0;
}

/* How a program saves a file: a new one, perhaps synced, renamed over the old one. */
static int replace_file(struct worker *w, bool sync)
{
	const struct model *m = &w->model;
	struct op ops[4];
	size_t i, n = 0;

	memset(ops, 0, sizeof(ops));
	for (i = 0; i < 4; i++)
		ops[i].thread = m->thread;
	ops[n++].kind = OP_CREATE;
	ops[n++].kind = OP_WRITE;
	if (sync)
		ops[n++].kind = OP_FSYNC;
	ops[n++].kind = OP_RENAME;
	for (i = 0; i < n; i++) {
		ops[i].seq = m->seq + 1;
		ops[i].mode = 0644;
		snprintf(ops[i].path, PATH_SIZE, "t%u/new", m->thread);
		if (ops[i].kind == OP_WRITE)
			ops[i].len = 1 + rnd_below(&w->rng, rnd_below(&w->rng, 2) ? 3000 : 40000);
		if (ops[i].kind == OP_RENAME)
			snprintf(ops[i].path2, PATH_SIZE, "t%u/saved%u", m->thread,
				 rnd_below(&w->rng, 4));
		if (do_op(w->load, &w->model, &ops[i]) < 0)
			return -1;
	}
	return 0;
}

/* A second each: many syncs, few, none (then the catalog's own flushes are all there is). */
static uint32_t sync_rate(struct worker *w, double at)
{
	static const uint32_t rates[] = {0, 3, 30, 200, 0};
	uint64_t state = w->load->seed + (uint64_t)at / 2 * 7919;

	return rates[rnd_below(&state, sizeof(rates) / sizeof(rates[0]))];
}

static void *work(void *arg)
{
	struct worker *w = arg;
	double begin = now_seconds(), at = 0;
	int r = 0;

	while (r == 0 && !w->load->failed && (at = now_seconds() - begin) < w->load->seconds) {
		uint32_t rate = sync_rate(w, at);
		struct op op;

		if (rnd_below(&w->rng, 60) == 0) {
			r = replace_file(w, rate > 0 && rnd_below(&w->rng, 2) == 0);
		} else {
			gen_op(&w->model, &w->rng, rate, &op);
			r = do_op(w->load, &w->model, &op);
		}
		usleep(rnd_below(&w->rng, 1500));
	}
	if (r < 0)
		w->load->failed = 1;
	return NULL;
}

/* ---- the kernel's write-back, at moments of our own choice ------------------------------ */

/* A random file below the directory FD (consumed), or -1. */
static int random_file(int fd, uint64_t *rng)
{
	DIR *dir = fdopendir(fd);
	struct dirent *d;
	char name[256] = "";
	uint32_t n = 0;
	int found;

	if (dir == NULL)
		return -1;
	while ((d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.' && rnd_below(rng, ++n) == 0)
			snprintf(name, sizeof(name), "%s", d->d_name);
	found = name[0] == '\0' ? -1 : openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (found >= 0)
		found = random_file(found, rng);
	else if (name[0] != '\0')
		found = openat(dirfd(dir), name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	closedir(dir);
	return found;
}

/* Writes out a part of a file, without a flush: what the kernel may do at any time by itself. */
static void *write_back(void *arg)
{
	struct load *l = arg;
	uint64_t rng = l->seed ^ 0x5bd1e995;

	while (!l->stop) {
		int fd = open(l->files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		off_t off = 0, len = 0;

		fd = fd < 0 ? -1 : random_file(fd, &rng);
		if (rnd_below(&rng, 3) == 0) {
			off = (off_t)rnd_below(&rng, 200) * 4096;
			len = (off_t)(1 + rnd_below(&rng, 20)) * 4096;
		}
		if (fd >= 0) {
			sync_file_range(fd, off, len, SYNC_FILE_RANGE_WRITE);
			close(fd);
		}
		usleep(rnd_below(&rng, rnd_below(&rng, 4) == 0 ? 200000 : 20000));
	}
	return NULL;
}

/* ---- programs ------------------------------------------------------------------------- */

/* lower DIR: makes the lower tree of all threads. */
int lower_main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	uint32_t t, n;
	struct op op;

	if (fd < 0)
		return 2;
	for (t = 0; t < THREADS; t++)
		for (n = 1; lower_op(t, n, &op); n++)
			if (op_run(fd, &op) < 0) {
				perror(op.path);
				return 1;
			}
	return 0;
}

/* The models go on where the record's last load has ended. */
static int replay_models(struct worker *workers, const char *path)
{
	struct record record;
	size_t i;

	for (i = 0; i < THREADS; i++)
		model_init(&workers[i].model, (uint32_t)i);
	if (record_load(path, &record) < 0)
		return -1;
	for (i = 0; i < record.n; i++)
		if (record.recs[i]->kind == REC_START)
			model_apply(&workers[record.recs[i]->thread].model,
				    rec_payload(record.recs[i]));
	return 0;
}

/* load RECORD ROOT FILES SEED SECONDS */
int load_main(int argc, char **argv)
{
	static struct worker workers[THREADS];
	static struct load l;
	pthread_t writer;
	size_t i;

	if (argc != 6 || replay_models(workers, argv[1]) < 0)
		return 2;
	l.record_fd = record_open(argv[1]);
	l.root_fd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	l.files = argv[3];
	l.seed = strtoull(argv[4], NULL, 0);
	l.seconds = strtod(argv[5], NULL);
	if (l.record_fd < 0 || l.root_fd < 0)
		return 2;
	pthread_create(&writer, NULL, write_back, &l);
	for (i = 0; i < THREADS; i++) {
		workers[i].load = &l;
		workers[i].rng = l.seed * THREADS + i;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	l.stop = true;
	pthread_join(writer, NULL);
	for (i = 0; i < THREADS; i++)
		printf("t%zu: %u operations, %zu inodes\n", i, workers[i].model.seq,
		       workers[i].model.n_inodes);
	return l.failed ? 1 : 0;
}
