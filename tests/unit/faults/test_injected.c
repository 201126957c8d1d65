/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call on a file of the upper fails, at every place in turn, or all from one on. Whatever happens: no
 * crash and no hang; an operation that returned 0 is there, in this process, after a kill and after a
 * clean end; one that failed is not; when the fault is over the file system works again.
 *
 * The quick run takes a sample, whose seed it prints (PLYFS_SEED). PLYFS_FAULTS=all: every call.
 * PLYFS_FAULT_AT=N: only that one.
 */
#include <criterion/logging.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "data/walk.h"
#include "unit/faults/workload.h"

/* Runs of a test in the quick run. */
#define QUICK_RUNS 40

struct one {
	struct fault_plan plan;
	unsigned int n_random, seed;
	bool threads;
	/* Written by the child. */
	unsigned long *calls, *fired, *refused;
	bool *works;
};

static void check_one(void *arg)
{
	struct one *o = arg;
	struct work w;
	char dir[64];

	work_init(&w, dir);
	w.how = o->threads ? DRIVE_THREADS : 0;
	/* The shadow is made from what is there before anything fails. */
	work_open(&w);
	work_close(&w);
	w.code = o->plan.code;
	w.can_delete = o->plan.space;
	snprintf(w.where, sizeof(w.where), "call %lu", o->plan.at);
	faults_watch("upper", false);
	faults_begin(&o->plan);
	work_open(&w);
	work_run(&w, o->n_random, o->seed);
	/* Reading goes on while it still fails. */
	work_compare(&w, "at the end");
	*o->calls = faults_end();
	*o->fired = faults_fired();
	*o->refused = w.refused;
	work_compare_copy(&w, "copy");
	*o->works = work_probe(&w);
	work_compare(&w, "after the fault");
	work_close(&w);
	work_open(&w);
	work_compare(&w, "opened again at the end");
	if (!work_probe(&w))
		wrong("%s: opened again, nothing can be changed", w.where);
	work_done(&w, dir);
}

/* Shared memory for what a child counts. */
struct counts {
	unsigned long calls, fired, refused;
	bool works;
};

static void setup_counts(struct one *o, struct counts *c)
{
	o->calls = &c->calls;
	o->fired = &c->fired;
	o->refused = &c->refused;
	o->works = &c->works;
}

struct totals {
	unsigned long runs, reached, fired, stuck, bad;
};

static void run_one(struct one *o, unsigned long at, struct counts *c, struct totals *t)
{
	char why[600];

	memset(c, 0, sizeof(*c));
	o->plan.at = at;
	t->runs++;
	if (in_child(check_one, o, why, sizeof(why)) < 0) {
		t->bad++;
		fprintf(stderr, "PLYFS_FAULT_AT=%lu PLYFS_SEED=%u: %s\n", at, o->seed, why);
	}
	/* The catalog's thread flushes by the clock, so not every run has a call of that number. */
	if (c->calls >= at) {
		t->reached++;
		if (c->fired == 0) {
			t->bad++;
			fprintf(stderr,
				"PLYFS_FAULT_AT=%lu PLYFS_SEED=%u: that call did not fail\n", at,
				o->seed);
		}
	}
	t->fired += c->fired > 0;
	t->stuck += c->fired > 0 && !c->works;
	if (o->plan.space && !c->works) {
		t->bad++;
		fprintf(stderr,
			"PLYFS_FAULT_AT=%lu PLYFS_SEED=%u: space is free again, but not usable\n",
			at, o->seed);
	}
}

/* How many calls there are without faults, however slow one of the runs may be. */
static unsigned long count_calls(struct one *o, struct counts *c)
{
	unsigned long least = ULONG_MAX;
	char why[600];

	o->plan.at = 0;
	for (int i = 0; i < (o->threads ? 3 : 1); i++) {
		cr_assert(in_child(check_one, o, why, sizeof(why)) == 0, "without faults: %s", why);
		if (c->calls < least)
			least = c->calls;
	}
	return least;
}

static void run_all(const char *test, struct one *o)
{
	struct counts *c = shared(sizeof(*c));
	unsigned long only = number_of("PLYFS_FAULT_AT", 0), n, step;
	unsigned long seed = number_of("PLYFS_SEED", (unsigned long)time(NULL) % 100000);
	const char *all = getenv("PLYFS_FAULTS");
	struct totals t = {0};

	setup_counts(o, c);
	o->seed = (unsigned int)seed;
	n = count_calls(o, c);
	cr_assert_gt(n, 20);
	step = all != NULL && strcmp(all, "all") == 0 ? 1 : n / QUICK_RUNS + 1;
	cr_log_info("%s: %lu calls, every %lu., PLYFS_SEED=%lu", test, n, step, seed);
	if (only != 0)
		run_one(o, only, c, &t);
	else
		for (unsigned long at = 1 + seed % step; at <= n; at += step)
			run_one(o, at, c, &t);
	cr_log_info("%s: %lu runs, in %lu a call failed, in %lu changes were refused after it",
		    test, t.runs, t.fired, t.stuck);
	cr_assert_eq(t.bad, 0, "%lu of %lu runs went wrong (PLYFS_SEED=%lu)", t.bad, t.runs, seed);
	cr_assert(only != 0 || t.reached * 2 > t.runs,
		  "only %lu of %lu runs had the call that fails", t.reached, t.runs);
}

Test(injected, io_error)
{
	struct one o = {.plan = {.code = EIO}, .n_random = 20};

	run_all("EIO", &o);
}

Test(injected, no_space)
{
	struct one o = {.plan = {.code = ENOSPC}, .n_random = 20};

	run_all("ENOSPC", &o);
}

Test(injected, quota)
{
	struct one o = {.plan = {.code = EDQUOT}, .n_random = 20};

	run_all("EDQUOT", &o);
}

Test(injected, short_write)
{
	struct one o = {.plan = {.code = ENOSPC, .partial = true, .calls = CALLS_OF(CALL_WRITE)},
			.n_random = 20};

	run_all("short writes", &o);
}

Test(injected, io_error_for_good)
{
	struct one o = {.plan = {.code = EIO, .for_good = true}, .n_random = 20};

	run_all("EIO for good", &o);
}

/* As on a full disk, where only what takes space fails. */
Test(injected, no_space_for_good)
{
	struct one o = {.plan = {.code = ENOSPC,
				 .for_good = true,
				 .space = true,
				 .calls = CALLS_OF(CALL_WRITE) | CALLS_OF(CALL_ALLOCATE) |
					  CALLS_OF(CALL_CREATE) | CALLS_OF(CALL_COPY)},
			.n_random = 20};

	run_all("ENOSPC for good", &o);
}

Test(injected, failing_flush)
{
	struct one o = {.plan = {.code = EIO, .calls = CALLS_OF(CALL_SYNC)}, .n_random = 40};

	run_all("failing flushes", &o);
}

Test(injected, with_threads)
{
	struct one o = {.plan = {.code = EIO}, .n_random = 20, .threads = true};

	run_all("EIO with threads", &o);
}

/* A change that gives a file its first data file, and the disk is full from some call on. */
struct first {
	struct shadow_op op;
	struct fault_plan plan;
	bool *fired, *refused; /* shared */
};

static int add_one(void *arg, const struct data_file *file)
{
	(void)file;
	++*(unsigned int *)arg;
	return 0;
}

static unsigned int count_data_files(void)
{
	CLEANUP(fd) int dir = open("upper/.plyfs/data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned int n = 0;

	if (data_walk(dir, add_one, &n) < 0)
		wrong("the data files cannot be counted");
	return n;
}

static void check_first(void *arg)
{
	const struct shadow_op create = {SHADOW_CREATE, .path = "t", .mode = 0644};
	const struct shadow_op write = {SHADOW_WRITE, .path = "t", .len = 10, .seed = 1};
	const struct first *o = arg;
	struct work w;
	char dir[64];
	int r;

	work_init(&w, dir);
	work_open(&w);
	if (work_step(&w, &create) < 0 || work_step(&w, &write) < 0)
		wrong("cannot begin");
	w.code = o->plan.code;
	snprintf(w.where, sizeof(w.where), "call %lu", o->plan.at);
	faults_watch("upper", false);
	faults_begin(&o->plan);
	r = work_step(&w, &o->op);
	*o->fired = faults_fired() > 0;
	*o->refused = r < 0;
	faults_end();
	if (count_data_files() != (r == 0))
		wrong("%s: %d, and %u data files", w.where, r, count_data_files());
	work_compare(&w, "after the fault");
	work_done(&w, dir);
}

static void try_first(const struct shadow_op *op, int code)
{
	struct first o = {.op = *op,
			  .plan = {.code = code,
				   .for_good = true,
				   .calls = CALLS_OF(CALL_WRITE) | CALLS_OF(CALL_ALLOCATE)}};
	unsigned int refused = 0;
	char why[600], text[500];

	o.fired = shared(sizeof(*o.fired));
	o.refused = shared(sizeof(*o.refused));
	shadow_op_text(op, text, sizeof(text));
	do {
		o.plan.at++;
		*o.fired = *o.refused = false;
		cr_assert_eq(in_child(check_first, &o, why, sizeof(why)), 0, "%s: %s", text, why);
		refused += *o.refused;
	} while (*o.fired);
	cr_assert_gt(refused, 0, "%s: nothing failed", text);
}

/* Its record finds no room: then there must be no file either, for nobody would ever delete it. */
Test(injected, no_data_file_without_a_record)
{
	static const struct shadow_op ops[] = {
		{SHADOW_WRITE, .path = "d/mid", .off = 5, .len = 5, .seed = 2},
		{SHADOW_WRITE, .path = "d/big", .off = 200000, .len = 100, .seed = 3},
		{SHADOW_WRITE, .path = "t", .off = 10, .len = 6000, .seed = 4},
		{SHADOW_TRUNCATE, .path = "t", .off = 50000},
	};

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		try_first(&ops[i], ENOSPC);
		try_first(&ops[i], EDQUOT);
	}
}

/* The tests mean nothing when calls are not seen: LMDB's own, and ours of each kind. */
Test(injected, calls_are_seen)
{
	struct work w;
	char dir[64];

	work_init(&w, dir);
	faults_watch("upper", true);
	faults_begin(NULL);
	work_open(&w);
	work_run(&w, 0, 1);
	work_close(&w);
	faults_end();
	cr_expect_gt(faults_seen(CALL_WRITE), 50);
	cr_expect_gt(faults_seen(CALL_SYNC), 10);
	cr_expect_gt(faults_seen(CALL_CREATE), 5);
	cr_expect_gt(faults_seen(CALL_REMOVE), 2);
	cr_expect_gt(faults_seen(CALL_RENAME), 0);
	cr_expect_gt(faults_seen(CALL_ALLOCATE), 0);
	cr_expect_gt(faults_seen(CALL_TRUNCATE), 0);
	/* What was seen is all that there is: the record gives the same tree. */
	faults_cut(faults_recorded(), CUT_ALL, 0, "again");
	w.upper = "again";
	work_open(&w);
	work_compare(&w, "from the record");
	work_done(&w, dir);
}
