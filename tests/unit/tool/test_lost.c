/* SPDX-License-Identifier: Apache-2.0 */
/* Data files whose records are lost: fsck tells of them, gives them names, and salvage copies them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "support/sample.h"

struct lost {
	struct made_upper u;
	int dir; /* owned; .plyfs */
	char *text;
};

static void lost_done(struct lost *l)
{
	close(l->dir);
	free(l->text);
	made_upper_done(&l->u);
}
DEFINE_CLEANUP(struct lost, lost, lost_done)

/* A sample, closed. */
static void make(struct lost *l)
{
	*l = (struct lost){0};
	sample_make(&l->u);
	l->dir = openat(l->u.tmp.fd, ".plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	made_upper_close(&l->u);
}

/* As a mount after damage leaves it. */
static void put_lost(const struct lost *l, const char *name, const char *text)
{
	CLEANUP(fd) int dir = -1;
	CLEANUP(fd) int fd = -1;

	(void)mkdirat(l->dir, "lost", 0700);
	dir = openat(l->dir, "lost", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(sys_pwrite_full(fd, text, strlen(text), 0), 0);
}

static int check(struct lost *l, bool repair)
{
	free(l->text);
	return sample_fsck(&l->u, repair, &l->text);
}

static bool says(const struct lost *l, const char *text)
{
	return strstr(l->text, text) != NULL;
}

static bool is_there(const struct lost *l, const char *name)
{
	return faccessat(l->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Copies the tree out, and compares files of it; NULL at the end. */
static int salvage(struct lost *l, const char *const *files)
{
	CLEANUP(fd) int out = -1;
	char to[300];
	int status;

	snprintf(to, sizeof(to), "%s/out", l->u.tmp.path);
	free(l->text);
	status = sample_salvage(&l->u, to, &l->text);
	out = openat(l->u.tmp.fd, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (; *files != NULL; files += 2) {
		CLEANUP(fd) int fd = openat(out, files[0], O_RDONLY | O_CLOEXEC);
		char bytes[64] = "";

		cr_assert_geq(fd, 0, "%s: %s: %s", files[0], strerror(errno), l->text);
		cr_assert_geq(read(fd, bytes, sizeof(bytes) - 1), 0);
		cr_assert_str_eq(bytes, files[1], "%s", files[0]);
	}
	return status;
}

static const char *const three[] = {
	"lost+found/#700",
	"no record",
	"lost+found/#13",
	"of another inode 13",
	"lost+found/#281474976710665",
	"of a lower file",
	"d/g",
	"gggg",
	"d/s/f",
	"hello",
	NULL,
};

static void put_three(const struct lost *l)
{
	char name[32];

	put_lost(l, "00000000000002bc", "no record");
	put_lost(l, "000000000000000d-2", "of another inode 13");
	snprintf(name, sizeof(name), "%016llx", (unsigned long long)M(9));
	put_lost(l, name, "of a lower file");
}

/* The tree is in order: that there is something to be had is no error. */
Test(fsck_lost, told_of)
{
	CLEANUP(lost) struct lost l;

	make(&l);
	put_three(&l);
	cr_assert_eq(check(&l, false), FSCK_CLEAN, "%s", l.text);
	cr_assert(says(&l, "content: note: 3 data files, 43 bytes, that a mount has put into "
			   ".plyfs/lost, for their records are lost; --repair gives them names in "
			   "lost+found"),
		  "%s", l.text);
	cr_assert(is_there(&l, "lost/00000000000002bc"));
}

Test(fsck_lost, given_names)
{
	CLEANUP(lost) struct lost l;

	make(&l);
	put_three(&l);
	cr_assert_eq(check(&l, true), FSCK_CORRECTED, "%s", l.text);
	cr_assert(says(&l,
		       "content: inode 700: there are bytes of it, but its record is lost; give "
		       "them a name in lost+found: done"),
		  "%s", l.text);
	cr_assert_not(is_there(&l, "lost"), "nothing is left in it");
	cr_assert_eq(check(&l, false), FSCK_CLEAN, "%s", l.text);
	cr_assert_str_eq(l.text, "");
	cr_assert_eq(salvage(&l, three), FSCK_CLEAN, "%s", l.text);
}

Test(fsck_lost, names_that_are_not_ours_stay)
{
	CLEANUP(lost) struct lost l;

	make(&l);
	put_lost(&l, "00000000000002bc", "no record");
	put_lost(&l, "notes", "somebody's");
	cr_assert_eq(check(&l, true), FSCK_CORRECTED, "%s", l.text);
	cr_assert(is_there(&l, "lost/notes"));
	cr_assert_not(is_there(&l, "lost/00000000000002bc"));
	cr_assert_eq(check(&l, false), FSCK_CLEAN, "%s", l.text);
	cr_assert_str_eq(l.text, "");
}

Test(fsck_lost, salvaged)
{
	CLEANUP(lost) struct lost l;

	make(&l);
	put_three(&l);
	cr_assert_eq(salvage(&l, three), FSCK_ERRORS_LEFT, "%s", l.text);
	cr_assert(is_there(&l, "lost/00000000000002bc"), "the upper is as it was");
}

static void flip(const struct lost *l, const char *name, off_t at)
{
	CLEANUP(fd) int fd = openat(l->dir, name, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	at += lseek(fd, 0, SEEK_END);
	cr_assert_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 4;
	cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
}

/* What would be left over of a crash, but something in the tables is not as it was. */
static void make_suspect(struct lost *l)
{
	make(l);
	flip(l, "catalog.mdb", -2000);
	sample_data(&l->u, 12, "bytes beside those in the catalog");
	sample_data(&l->u, 900, "of no record");
	sample_data(&l->u, M(9), "of a lower file");
}

static const char *const strays[] = {
	"lost+found/#12",
	"bytes beside those in the catalog",
	"lost+found/#900",
	"of no record",
	"lost+found/#281474976710665",
	"of a lower file",
	"d/s/f",
	"hello",
	NULL,
};

Test(fsck_lost, strays_where_records_may_be_lost)
{
	CLEANUP(lost) struct lost l;

	make_suspect(&l);
	cr_assert_eq(check(&l, false), FSCK_ERRORS_LEFT, "%s", l.text);
	cr_assert(says(&l, "content: /d/s/f: there are bytes that its record does not need, and "
			   "changes are lost; give them a name in lost+found\n"),
		  "%s", l.text);
	cr_assert(says(&l,
		       "content: inode 900: there are bytes of it, but its record is lost; give "
		       "them a name in lost+found\n"),
		  "%s", l.text);
	cr_assert_eq(check(&l, true), FSCK_CORRECTED, "%s", l.text);
	cr_assert_eq(check(&l, false), FSCK_CLEAN, "%s", l.text);
	cr_assert_str_eq(l.text, "");
	cr_assert_eq(salvage(&l, strays), FSCK_CLEAN, "%s", l.text);
}

/* Without a name, in use, and not deleted yet. */
static void put_orphan(struct lost *l, uint64_t ino, enum bytes_where where)
{
	CLEANUP(batch) struct batch b = {0};
	struct inode_rec rec = {.attr = {.ino = ino, .mode = S_IFREG, .size = 4}, .where = where};

	batch_begin(&b, l->u.catalog);
	batch_put_inode(&b, &rec);
	batch_put_orphan(&b, ino);
	if (where == BYTES_INLINE)
		batch_put_inline(&b, ino, "temp", 4);
	sample_commit(&l->u, &b);
}

/* Pages are lost, so records may be, and names of files that have none. */
Test(fsck_lost, strays_are_salvaged)
{
	static const char *const files[] = {
		"lost+found/#900",
		"of no record",
		"lost+found/#281474976710665",
		"of a lower file",
		"d/s/f",
		"hello",
		"lost+found/#40",
		"temp",
		"lost+found/#41",
		"also",
		NULL,
	};
	CLEANUP(lost) struct lost l = {0};
	CLEANUP(fd) int fd = -1;
	uint8_t zeros[4096] = {0};

	sample_make(&l.u);
	l.dir = openat(l.u.tmp.fd, ".plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_orphan(&l, 40, BYTES_INLINE);
	put_orphan(&l, 41, BYTES_FILE);
	made_upper_close(&l.u);
	sample_data(&l.u, 41, "also");
	sample_data(&l.u, 900, "of no record");
	sample_data(&l.u, M(9), "of a lower file");
	fd = openat(l.dir, "catalog.mdb", O_RDWR | O_CLOEXEC);
	for (off_t at = 0; at < 2 * 4096; at += 4096)
		cr_assert_eq(pwrite(fd, zeros, sizeof(zeros), at), 4096);
	cr_assert_eq(salvage(&l, files), FSCK_ERRORS_LEFT, "%s", l.text);
	cr_assert(is_there(&l, "data/84/0000000000000384"), "the upper is as it was");
}
