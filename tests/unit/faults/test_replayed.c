/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A power cut has left records in the journal and taken their data files, and the disk fails or is full as the next mount, or
 * a repair, opens the upper: at each call in turn. Files that were new are empty, those of a lower layer as they are there;
 * none is one whose bytes cannot be read, then or later.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "data/walk.h"
#include "support/sample.h"
#include "unit/faults/workload.h"

#define KEPT_SIZE 20000

static const struct shadow_op ops[] = {
	{SHADOW_CREATE, .path = "kept", .mode = 0644},
	{SHADOW_WRITE, .path = "kept", .len = KEPT_SIZE, .seed = 1},
	{SHADOW_CREATE, .path = "new", .mode = 0600},
	{SHADOW_WRITE, .path = "new", .len = 9000, .seed = 2},
	{SHADOW_CHMOD, .path = "new", .mode = 0640},
	{SHADOW_CREATE, .path = "newer", .mode = 0600},
	{SHADOW_WRITE, .path = "newer", .len = 100, .seed = 3},
	{SHADOW_WRITE, .path = "newer", .off = 100, .len = 9000, .seed = 4},
	/* By chunks. */
	{SHADOW_WRITE, .path = "d/big", .off = 1000, .len = 100, .seed = 5},
	{SHADOW_WRITE, .path = "d/big", .off = 300000, .len = 100, .seed = 6},
};

static const struct shadow_op after[] = {
	{SHADOW_TRUNCATE, .path = "new"},
	{SHADOW_TRUNCATE, .path = "newer"},
};

static int take(void *arg, const struct data_file *file)
{
	const int *dir = arg;

	return file->size == KEPT_SIZE ? 0 : unlinkat(*dir, file->path, 0);
}

/* The upper as the cut leaves it; W's shadow is what must be shown. */
static void make_upper(struct work *w)
{
	struct shadow *lower;
	CLEANUP(fd) int data = -1;

	work_open(w);
	lower = w->s;
	w->s = shadow_copy(lower);
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		cr_assert_eq(work_step(w, &ops[i]), 0);
	work_kill(w);
	data = open("upper/.plyfs/data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(data_walk(data, take, &data), 0);
	shadow_free(w->s);
	w->s = lower;
	/* What was written into d/big is gone. */
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		if (strcmp(ops[i].path, "d/big") != 0)
			cr_assert_eq(shadow_apply(w->s, &ops[i]), 0);
	for (size_t i = 0; i < sizeof(after) / sizeof(*after); i++)
		cr_assert_eq(shadow_apply(w->s, &after[i]), 0);
}

static void compare(struct drive *d, const struct shadow *want, const char *when)
{
	char why[300];
	struct shadow *is = shadow_load(&drive_view, d, why, sizeof(why));

	if (is == NULL || !shadow_same(want, is, 0, NULL, why, sizeof(why)))
		wrong("%s: %s", when, why);
	shadow_free(is);
}

static void open_and_compare(const char *upper, const struct shadow *want, const char *when)
{
	CLEANUP(err) struct err err = {0};
	struct drive d;

	if (drive_open(&d, upper, 0, &err) < 0)
		wrong("%s: %s", when, err_text(&err));
	compare(&d, want, when);
	drive_close(&d);
}

struct attempt {
	unsigned long at;
	int code;
	bool for_good;
	bool *fired; /* shared */
	const struct shadow *want;
};

static void try_mount(void *arg)
{
	const struct attempt *a = arg;
	struct fault_plan plan = {.at = a->at, .code = a->code, .for_good = a->for_good};
	CLEANUP(err) struct err err = {0};
	struct drive d;

	remove_all(AT_FDCWD, "try");
	faults_cut(0, CUT_ALL, 0, "try");
	faults_watch("try", false);
	faults_begin(&plan);
	if (drive_open(&d, "try", 0, &err) == 0) {
		if (fs_read_only(d.fs))
			wrong("read-only");
		compare(&d, a->want, "while the disk fails");
		drive_close(&d);
	}
	*a->fired = faults_fired() > 0;
	faults_end();
	open_and_compare("try", a->want, "when the disk works again");
	open_and_compare("try", a->want, "once more");
}

static void at_every_call(int code, bool for_good)
{
	static struct work w; /* what a kill leaves stays */
	struct attempt a = {.code = code, .for_good = for_good};
	unsigned int bad = 0;
	char dir[64], why[1200];

	a.fired = shared(sizeof(*a.fired));
	work_init(&w, dir);
	make_upper(&w);
	a.want = w.s;
	faults_watch("upper", true);
	*a.fired = true;
	for (a.at = 1; *a.fired; a.at++) {
		if (in_child(try_mount, &a, why, sizeof(why)) == 0)
			continue;
		fprintf(stderr, "%s at call %lu: %s\n", strerror(code), a.at, why);
		bad++;
	}
	cr_assert_eq(bad, 0, "%u of %lu went wrong", bad, a.at);
	cr_assert_gt(a.at, 10);
	work_done(&w, dir);
}

Test(replayed, disk_fails_once)
{
	at_every_call(EIO, false);
}

Test(replayed, disk_fails)
{
	at_every_call(EIO, true);
}

Test(replayed, disk_is_full_once)
{
	at_every_call(ENOSPC, false);
}

Test(replayed, disk_is_full)
{
	at_every_call(ENOSPC, true);
}

struct cut {
	size_t point;
	enum cut_mode mode;
	uint64_t seed;
	const struct shadow *want;
};

static void check_cut(void *arg)
{
	const struct cut *c = arg;
	struct made_upper u = {.tmp = {.fd = -1, .path = "cut"}};
	CLEANUP(free) char *text = NULL;
	int status;

	remove_all(AT_FDCWD, "cut");
	faults_cut(c->point, c->mode, c->seed, "cut");
	status = sample_fsck(&u, false, &text);
	if (status != FSCK_CLEAN)
		wrong("status %d: %s", status, text);
	open_and_compare("cut", c->want, "after the cut");
}

/* Half of a repair: nobody may take what it has not come to for damage. */
Test(replayed, repair_is_cut_off)
{
	static struct work w; /* what a kill leaves stays */
	struct made_upper u = {.tmp = {.fd = -1, .path = "upper"}};
	CLEANUP(free) char *text = NULL;
	char dir[64], why[1200];
	unsigned int bad = 0;
	struct cut c = {.seed = number_of("PLYFS_SEED", (unsigned long)time(NULL) % 100000)};

	work_init(&w, dir);
	make_upper(&w);
	c.want = w.s;
	faults_watch("upper", true);
	faults_begin(NULL);
	cr_assert_eq(sample_fsck(&u, true, &text), FSCK_CLEAN, "%s", text);
	cr_assert_not_null(strstr(text, "content: note: 3 files whose last bytes had not reached"),
			   "%s", text);
	faults_end();
	for (c.point = 0; c.point <= faults_recorded(); c.point++) {
		for (int mode = CUT_DURABLE; mode <= CUT_ALL; mode++) {
			c.mode = (enum cut_mode)mode;
			if (in_child(check_cut, &c, why, sizeof(why)) == 0)
				continue;
			fprintf(stderr, "mode %d after call %zu, PLYFS_SEED=%lu: %s\n", mode,
				c.point, (unsigned long)c.seed, why);
			bad++;
		}
	}
	cr_assert_eq(bad, 0, "%u of the cuts in %zu calls went wrong", bad, faults_recorded());
	work_done(&w, dir);
}

static void damage_header(const char *name)
{
	CLEANUP(fd) int fd = open(name, O_RDWR | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(pwrite(fd, "X", 1, 17), 1);
}

/* The one that takes the place of a damaged journal has its name before it promises anything. */
Test(replayed, new_journal_after_a_damaged_one)
{
	static const struct shadow_op later[] = {
		{SHADOW_CREATE, .path = "later", .mode = 0644},
		{SHADOW_WRITE, .path = "later", .len = 100, .seed = 1},
		{SHADOW_FSYNC, .path = "later"},
	};
	static struct work w, again; /* what a kill leaves stays */
	CLEANUP(err) struct err err = {0};
	struct drive d;
	char dir[64];

	work_init(&w, dir);
	work_open(&w);
	work_close(&w);
	damage_header("upper/.plyfs/journal");
	damage_header("upper/.plyfs/journal2");
	faults_watch("upper", true);
	faults_begin(NULL);
	again.upper = "upper";
	work_open(&again);
	for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++)
		cr_assert_eq(work_step(&again, &later[i]), 0);
	faults_end();
	faults_cut(faults_recorded(), CUT_DURABLE, 0, "cut");
	cr_assert_eq(drive_open(&d, "cut", 0, &err), 0, "%s", err_text(&err));
	compare(&d, again.s, "after the cut");
	drive_close(&d);
	work_close(&again);
	shadow_free(again.s);
	work_done(&w, dir);
}
