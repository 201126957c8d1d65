/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repair is killed, or the power cut, after every call on a file of the upper in turn. Bytes whose records are lost
 * are there after the next repair, whether or not there is a mount before it. PLYFS_SEED: what a power cut takes.
 */
#include <criterion/logging.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "data/walk.h"
#include "support/sample.h"
#include "unit/faults/workload.h"

/* What would be left over of a crash, if nothing were wrong with the tables. */
static const struct stray {
	uint64_t ino;
	const char *text;
} strays[] = {
	{12, "bytes beside those in the catalog"},
	{900, "of no record"},
	{M(9), "of a lower file"},
};
#define N_STRAYS (sizeof(strays) / sizeof(*strays))

/* The catalog is not as it was closed. */
static void flip(const struct made_upper *u)
{
	CLEANUP(fd) int fd = openat(u->tmp.fd, ".plyfs/catalog.mdb", O_RDWR | O_CLOEXEC);
	off_t at = lseek(fd, -2000, SEEK_END);
	uint8_t byte;

	cr_assert_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 4;
	cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
}

struct found {
	int dir;
	bool is[N_STRAYS];
};

static int look(void *arg, const struct data_file *file)
{
	struct found *found = arg;
	CLEANUP(fd) int fd = openat(found->dir, file->path, O_RDONLY | O_CLOEXEC);
	char text[100] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		wrong("%s cannot be read", file->path);
	for (size_t i = 0; i < N_STRAYS; i++)
		found->is[i] |= strcmp(text, strays[i].text) == 0;
	return 0;
}

static void repair(const struct made_upper *u)
{
	CLEANUP(free) char *text = NULL, *again = NULL;
	int status = sample_fsck(u, true, &text);

	if (status & ~FSCK_CORRECTED)
		wrong("repaired: status %d: %s", status, text);
	status = sample_fsck(u, false, &again);
	/* A journal that the cut has torn is kept for people. */
	if (status != FSCK_CLEAN || (again[0] != '\0' && strstr(again, "journal.bad") == NULL))
		wrong("looked at after a repair: status %d: %s; %s", status, again, text);
}

static void mount_it(const char *upper, bool may_refuse)
{
	CLEANUP(err) struct err err = {0};
	struct drive d;
	int r = drive_open(&d, upper, 0, &err);

	if (r == 0)
		drive_close(&d);
	else if (r != -EUCLEAN || !may_refuse)
		wrong("mounted: %s", err_text(&err));
}

struct cut {
	size_t point;
	enum cut_mode mode;
	uint64_t seed;
	bool mounted;	 /* before the next repair */
	bool may_refuse; /* the mount, for the catalog is not as it was closed */
};

static void check_cut(void *arg)
{
	const struct cut *c = arg;
	struct made_upper u = {.tmp = {.fd = -1, .path = "cut"}};
	struct found found = {0};

	remove_all(AT_FDCWD, "cut");
	faults_cut(c->point, c->mode, c->seed, "cut");
	if (c->mounted)
		mount_it("cut", c->may_refuse);
	repair(&u);
	found.dir = open("cut/.plyfs/data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (data_walk(found.dir, look, &found) < 0)
		wrong("the data files cannot be listed");
	for (size_t i = 0; i < N_STRAYS; i++)
		if (!found.is[i])
			wrong("\"%s\" is gone", strays[i].text);
	if (access("cut/.plyfs/lost", F_OK) == 0)
		wrong("there is something in .plyfs/lost");
}

static unsigned int cut_at(size_t point, bool mounted, bool may_refuse)
{
	static const char *const modes[] = {"power cut", "power cut, some of the rest", "killed"};
	unsigned int bad = 0;

	for (int mode = CUT_DURABLE; mode <= CUT_ALL; mode++) {
		struct cut c = {
			.point = point,
			.mode = (enum cut_mode)mode,
			.seed = number_of("PLYFS_SEED", (unsigned long)time(NULL) % 100000),
			.mounted = mounted,
			.may_refuse = may_refuse,
		};
		char why[1200];

		if (in_child(check_cut, &c, why, sizeof(why)) == 0)
			continue;
		fprintf(stderr, "%s after call %zu%s, PLYFS_SEED=%lu: %s\n", modes[mode], point,
			mounted ? ", then mounted" : "", (unsigned long)c.seed, why);
		bad++;
	}
	return bad;
}

static void cut_repair(struct made_upper *u, bool may_refuse)
{
	CLEANUP(free) char *text = NULL;
	CLEANUP(tmpdir) struct tmpdir tmp;
	unsigned int bad = 0;

	made_upper_close(u);
	for (size_t i = 0; i < N_STRAYS; i++)
		sample_data(u, strays[i].ino, strays[i].text);
	tmpdir_make(&tmp);
	cr_assert_eq(fchdir(tmp.fd), 0);
	cr_assert_eq(mkdir("l0", 0755), 0);
	faults_watch(u->tmp.path, true);
	faults_begin(NULL);
	cr_assert_eq(sample_fsck(u, true, &text), FSCK_CORRECTED, "%s", text);
	faults_end();
	cr_assert_gt(faults_recorded(), 10);
	for (size_t point = 0; point <= faults_recorded(); point++) {
		bad += cut_at(point, false, may_refuse);
		bad += cut_at(point, true, may_refuse);
	}
	cr_assert_eq(bad, 0, "%u of the cuts in %zu calls went wrong", bad, faults_recorded());
	faults_unwatch();
	cr_assert_eq(chdir("/"), 0);
}

Test(repair, a_name_without_a_record)
{
	CLEANUP(made_upper) struct made_upper u;

	sample_make(&u);
	sample_name(&u, 1, "gone", 901, DT_REG);
	cut_repair(&u, false);
}

Test(repair, a_catalog_that_has_changed)
{
	CLEANUP(made_upper) struct made_upper u;

	sample_make(&u);
	made_upper_close(&u);
	flip(&u);
	cut_repair(&u, true);
}
