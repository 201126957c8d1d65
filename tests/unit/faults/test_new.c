/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new upper is being made, and the process is killed, at each call in turn; another one goes on, and has a file flushed.
 * Then the power is cut: what was flushed is there, whoever made the directories that lead to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "support/tmpdir.h"
#include "unit/faults/workload.h"

#define MANY_CALLS 300

struct killed {
	unsigned long at;
	unsigned int seed;
	struct {
		bool fired;
		unsigned long syncs; /* of an open that nobody disturbs */
	} * result;		     /* shared */
};

static void check_mode(const struct work *w, enum cut_mode mode, unsigned int seed)
{
	struct work cut = {.upper = "cut"};
	char why[300] = "";

	remove_all(AT_FDCWD, "cut");
	faults_cut(faults_recorded(), mode, seed, "cut");
	work_open(&cut);
	if (!shadow_same(w->s, cut.s, 0, NULL, why, sizeof(why)))
		wrong("after the cut: %s", why);
	if (!work_probe(&cut))
		wrong("nothing can be changed after the cut");
	work_close(&cut);
}

/* No call from number AT on does anything: as a kill before it leaves the upper. */
static void open_and_die(struct work *w, const struct killed *k)
{
	struct fault_plan plan = {.at = k->at, .code = EIO, .for_good = true};
	CLEANUP(err) struct err err = {0};

	faults_begin(&plan);
	if (drive_open(&w->d, w->upper, 0, &err) == 0)
		work_kill(w);
	k->result->fired = faults_fired() > 0;
	if (!k->result->fired)
		k->result->syncs = faults_seen(CALL_SYNC);
	faults_begin(NULL);
}

static void killed_at(void *arg)
{
	static const struct shadow_op ops[] = {
		{SHADOW_CREATE, .path = "made", .mode = 0644},
		{SHADOW_WRITE, .path = "made", .len = 9000, .seed = 1},
		{SHADOW_FSYNC, .path = "made"},
	};
	static struct work w; /* what a kill leaves stays */
	const struct killed *k = arg;
	char dir[64];

	work_init(&w, dir);
	faults_watch("upper", true);
	open_and_die(&w, k);
	work_open(&w);
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		if (work_step(&w, &ops[i]) != 0)
			wrong("operation %zu fails", i);
	faults_end();
	check_mode(&w, CUT_DURABLE, k->seed);
	check_mode(&w, CUT_RANDOM, k->seed);
	work_done(&w, dir);
}

Test(new_upper, killed_while_it_is_made)
{
	unsigned long only = number_of("PLYFS_FAULT_AT", 0);
	struct killed k = {
		.seed = (unsigned int)number_of("PLYFS_SEED", (unsigned long)time(NULL) % 100000),
		.result = shared(sizeof(*k.result)),
	};
	unsigned int bad = 0;
	char why[1200];

	cr_log_info("killed in a new upper, PLYFS_SEED=%u", k.seed);
	k.result->fired = true;
	for (k.at = only != 0 ? only : 1; k.result->fired && k.at < MANY_CALLS; k.at++) {
		if (in_child(killed_at, &k, why, sizeof(why)) < 0) {
			bad++;
			fprintf(stderr, "PLYFS_FAULT_AT=%lu PLYFS_SEED=%u: %s\n", k.at, k.seed,
				why);
		}
		if (only != 0)
			break;
	}
	cr_assert_eq(bad, 0, "%u kills went wrong (PLYFS_SEED=%u)", bad, k.seed);
	cr_assert(only != 0 || k.at > 10, "there are %lu calls only", k.at);
	/* The catalog's file, its names and those beside it, and the name of .plyfs. */
	cr_expect(only != 0 || k.result->syncs == 3, "%lu flushes", k.result->syncs);
}
