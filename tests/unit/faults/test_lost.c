/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records are lost, and the disk fails or is full while a mount looks for their data files and moves them to .plyfs/lost: at
 * each call in turn. The mount is refused with a sentence, and what could not be moved yet is there, and moved
 * by the next.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "data/lost.h"
#include "data/walk.h"
#include "support/tmpdir.h"
#include "unit/faults/workload.h"

#define N_FILES	  4
#define FILE_SIZE 20000
/* From here on they are those of 256 directories, one like the other. */
#define MANY_CALLS 30

static void make_files(struct work *w)
{
	work_open(w);
	for (unsigned int i = 0; i < N_FILES; i++) {
		struct shadow_op op = {SHADOW_CREATE, .mode = 0644, .len = FILE_SIZE, .seed = i};

		snprintf(op.path, sizeof(op.path), "file%u", i);
		cr_assert_eq(work_step(w, &op), 0);
		op.kind = SHADOW_WRITE;
		cr_assert_eq(work_step(w, &op), 0);
	}
	work_kill(w);
}

/* The first record of the journal that has some. */
static void damage(const char *name)
{
	CLEANUP(fd) int fd = open(name, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	cr_assert_geq(fd, 0);
	if (pread(fd, &byte, 1, 32 + 24) != 1)
		return;
	byte ^= 1;
	cr_assert_eq(pwrite(fd, &byte, 1, 32 + 24), 1);
}

static int add_one(void *arg, const struct data_file *file)
{
	*(unsigned int *)arg += file->size == FILE_SIZE;
	return 0;
}

/* How many of the files are in `data`, and in `lost`. */
static void count(unsigned int *ret_data, unsigned int *ret_lost)
{
	CLEANUP(fd) int dir = open("try/.plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd) int data = openat(dir, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret_data = *ret_lost = 0;
	if (data_walk(data, add_one, ret_data) < 0 || lost_walk(dir, add_one, ret_lost) < 0)
		wrong("the files cannot be counted");
}

struct attempt {
	unsigned long at;
	int code;
	unsigned int calls;
	bool once;
	bool *fired;	       /* shared */
	unsigned int *refused; /* shared; with the sentence in question */
};

static void check_sentence(const struct attempt *a, const char *text)
{
	const char *way_out = a->code == EIO	  ? "see to the disk"
			      : a->code == EMFILE ? "raise the limit"
						  : "make room";

	if (text[0] == '\0' || strchr(text, '\n') != NULL || strstr(text, "upper try: ") != text)
		wrong("no sentence: %s", text);
	if (strstr(text, "data files whose records are lost cannot be ") == NULL)
		return;
	if (strstr(text, strerror(a->code)) == NULL || strstr(text, way_out) == NULL ||
	    strstr(text, "-o ro") == NULL)
		wrong("neither why nor what to do: %s", text);
	++*a->refused;
}

/* As the sentence says. */
static void mount_read_only(void)
{
	CLEANUP(err) struct err err = {0};
	struct fs_options o;
	struct fs *fs = NULL;

	fs_options_init(&o);
	o.lower = calloc(1, sizeof(*o.lower));
	o.lower[o.n_lower++] = strdup("l0");
	o.upper = strdup("try");
	o.read_only = true;
	if (fs_open(&o, &fs, &err) < 0)
		wrong("read-only: %s", err_text(&err));
	fs_close(fs);
	fs_options_done(&o);
}

static void try_it(void *arg)
{
	const struct attempt *a = arg;
	struct fault_plan plan = {
		.at = a->at, .code = a->code, .for_good = !a->once, .calls = a->calls};
	CLEANUP(err) struct err err = {0};
	unsigned int in_data, in_lost;
	struct drive d;
	int r;

	remove_all(AT_FDCWD, "try");
	faults_cut(0, CUT_ALL, 0, "try");
	faults_watch("try", false);
	faults_begin(&plan);
	r = drive_open(&d, "try", 0, &err);
	*a->fired = faults_fired() > 0;
	if (r == 0)
		drive_close(&d);
	faults_end();
	count(&in_data, &in_lost);
	if (in_data + in_lost != N_FILES)
		wrong("%u and %u files are left", in_data, in_lost);
	if (r < 0) {
		check_sentence(a, err_text(&err));
		mount_read_only();
		err_done(&err);
		if (drive_open(&d, "try", 0, &err) < 0)
			wrong("when the disk works again: %s", err_text(&err));
		drive_close(&d);
		count(&in_data, &in_lost);
	}
	if (in_data != 0 || in_lost != N_FILES)
		wrong("%u files are in data, %u in lost", in_data, in_lost);
}

/* The journal's first records. */
static void lose_changes(struct work *w)
{
	make_files(w);
	damage("upper/.plyfs/journal");
	damage("upper/.plyfs/journal2");
}

/* A repair has begun, and was killed when the records were gone. */
static void lose_records(struct work *w)
{
	int fd;

	work_open(w);
	work_close(w);
	for (unsigned int i = 0; i < N_FILES; i++) {
		char name[64];

		snprintf(name, sizeof(name), "upper/.plyfs/data/%02x", 0x70 + i);
		cr_assert(mkdir(name, 0700) == 0 || errno == EEXIST);
		snprintf(name, sizeof(name), "upper/.plyfs/data/%02x/%016x", 0x70 + i, 0x70 + i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		cr_assert_geq(fd, 0);
		cr_assert_eq(ftruncate(fd, FILE_SIZE), 0);
		close(fd);
	}
	fd = open("upper/.plyfs/" REPAIR_MARK, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
}

static void at_every_call(struct attempt a, void (*lose)(struct work *w), void (*body)(void *arg),
			  unsigned int least)
{
	static struct work w; /* what a kill leaves stays */
	char dir[64], why[1200];
	unsigned int bad = 0;

	a.fired = shared(sizeof(*a.fired));
	a.refused = shared(sizeof(*a.refused));
	work_init(&w, dir);
	lose(&w);
	faults_watch("upper", true);
	*a.fired = true;
	for (a.at = 1; *a.fired; a.at += a.at < MANY_CALLS ? 1 : 7) {
		if (in_child(body, &a, why, sizeof(why)) == 0)
			continue;
		fprintf(stderr, "%s at call %lu: %s\n", strerror(a.code), a.at, why);
		bad++;
	}
	cr_assert_eq(bad, 0, "%u of %lu went wrong", bad, a.at);
	cr_assert_geq(*a.refused, least, "%u", *a.refused);
	work_done(&w, dir);
}

static void fail_everywhere(int code)
{
	at_every_call((struct attempt){.code = code}, lose_changes, try_it, N_FILES + 1);
}

Test(lost, disk_fails)
{
	fail_everywhere(EIO);
}

Test(lost, disk_is_full)
{
	fail_everywhere(ENOSPC);
}

Test(lost, quota_is_used_up)
{
	fail_everywhere(EDQUOT);
}

/* They are not found, and their numbers are those of the next new files. */
static void cannot_be_looked_for(int code)
{
	at_every_call((struct attempt){.code = code, .calls = CALLS_OF(CALL_OPEN), .once = true},
		      lose_records, try_it, N_FILES);
}

Test(lost, disk_cannot_be_read)
{
	cannot_be_looked_for(EIO);
}

Test(lost, too_many_open_files)
{
	cannot_be_looked_for(EMFILE);
}

/* Those that were moved before the failure stay where they are now, too. */
static void try_again_and_cut(void *arg)
{
	const struct attempt *a = arg;
	struct fault_plan plan = {.at = a->at, .code = a->code, .calls = a->calls};
	CLEANUP(err) struct err err = {0};
	unsigned int in_data, in_lost;
	struct drive d;

	remove_all(AT_FDCWD, "try");
	remove_all(AT_FDCWD, "cut");
	faults_cut(0, CUT_ALL, 0, "try");
	faults_watch("try", true);
	faults_begin(&plan);
	if (drive_open(&d, "try", 0, &err) < 0)
		++*a->refused;
	*a->fired = faults_fired() > 0;
	faults_begin(NULL);
	if (d.fs == NULL && drive_open(&d, "try", 0, &err) < 0)
		wrong("when the disk works again: %s", err_text(&err));
	faults_cut(faults_recorded(), CUT_DURABLE, 0, "cut");
	faults_unwatch();
	drive_close(&d);
	if (drive_open(&d, "cut", 0, &err) < 0)
		wrong("after the power cut: %s", err_text(&err));
	drive_close(&d);
	remove_all(AT_FDCWD, "try");
	if (rename("cut", "try") < 0)
		wrong("%s", strerror(errno));
	count(&in_data, &in_lost);
	if (in_data != 0 || in_lost != N_FILES)
		wrong("after the power cut %u files are in data, %u in lost", in_data, in_lost);
}

Test(lost, flush_fails_before_a_power_cut)
{
	at_every_call((struct attempt){.code = EIO, .calls = CALLS_OF(CALL_SYNC)}, lose_changes,
		      try_again_and_cut, 2);
}
