/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog's files: journals, the checksum, damage, owners; and how a check ends. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "catalog/store.h"
#include "support/sample.h"

struct files {
	struct made_upper u;
	int dir; /* owned; .plyfs */
	char *text;
};

static void files_done(struct files *f)
{
	close(f->dir);
	free(f->text);
	made_upper_done(&f->u);
}
DEFINE_CLEANUP(struct files, files, files_done)

static void make(struct files *f)
{
	*f = (struct files){0};
	sample_make(&f->u);
	f->dir = openat(f->u.tmp.fd, ".plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int check(struct files *f, bool repair)
{
	free(f->text);
	return sample_fsck(&f->u, repair, &f->text);
}

static void copy(const struct files *f, const char *from, const char *to)
{
	CLEANUP(fd) int in = openat(f->dir, from, O_RDONLY | O_CLOEXEC);
	CLEANUP(fd) int out = openat(f->dir, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t bytes[4096];
	ssize_t n;

	cr_assert(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		cr_assert_eq(write(out, bytes, (size_t)n), n);
}

/* As a daemon that was killed leaves it: everything is in the journals. */
static void make_killed(struct files *f)
{
	static const char *const names[] = {"catalog.mdb", "journal", "journal2"};
	char kept[32];

	make(f);
	for (size_t i = 0; i < 3; i++) {
		snprintf(kept, sizeof(kept), "kept.%s", names[i]);
		copy(f, names[i], kept);
	}
	made_upper_close(&f->u);
	for (size_t i = 0; i < 3; i++) {
		snprintf(kept, sizeof(kept), "kept.%s", names[i]);
		copy(f, kept, names[i]);
		unlinkat(f->dir, kept, 0);
	}
	unlinkat(f->dir, "catalog.sum", 0);
}

static void flip(const struct files *f, const char *name, off_t at)
{
	CLEANUP(fd) int fd = openat(f->dir, name, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	if (at < 0)
		at += lseek(fd, 0, SEEK_END);
	cr_assert_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 4;
	cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
}

static bool says(const struct files *f, const char *text)
{
	return strstr(f->text, text) != NULL;
}

Test(fsck_files, no_upper)
{
	CLEANUP(files) struct files f;

	make(&f);
	made_upper_close(&f.u);
	cr_assert_eq(renameat(f.u.tmp.fd, ".plyfs", f.u.tmp.fd, "other"), 0);
	cr_assert_eq(check(&f, false), FSCK_FAILED);
	cr_assert(says(&f, "is not an upper layer of plyfs"), "%s", f.text);
}

Test(fsck_files, no_catalog)
{
	CLEANUP(files) struct files f;

	make(&f);
	made_upper_close(&f.u);
	unlinkat(f.dir, "catalog.mdb", 0);
	cr_assert_eq(check(&f, false), FSCK_FAILED);
	cr_assert(says(&f, "has no catalog"), "%s", f.text);
	cr_assert_eq(check(&f, true), FSCK_FAILED);
	cr_assert_eq(faccessat(f.dir, "catalog.mdb", F_OK, 0), -1, "none is made");
}

Test(fsck_files, catalog_lost_but_journal)
{
	CLEANUP(files) struct files f;

	make_killed(&f);
	unlinkat(f.dir, "catalog.mdb", 0);
	cr_assert_eq(check(&f, false), FSCK_ERRORS_LEFT);
	cr_assert(says(&f, "it is missing, but there are changes to it; cannot be mended"), "%s",
		  f.text);
}

Test(fsck_files, in_use)
{
	CLEANUP(files) struct files f;
	char who[64];

	make(&f);
	snprintf(who, sizeof(who), "in use by process %d on ", getpid());
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
	cr_assert(says(&f, who), "%s", f.text);
	cr_assert_eq(check(&f, true), FSCK_FAILED);
	cr_assert(says(&f, who), "%s", f.text);
	cr_assert(says(&f, "unmount it first"), "%s", f.text);
}

static int reopen(struct files *f)
{
	struct catalog_options o = {.mode = CATALOG_WRITE, .no_sync = true, .no_threads = true};

	return catalog_open(f->dir, &o, &f->u.catalog, NULL);
}

/* The owner changes it meanwhile: what was read of it, one page after the other, says nothing. */
Test(fsck_files, tables_in_use_are_not_judged_as_they_are)
{
	CLEANUP(files) struct files f;

	make(&f);
	made_upper_close(&f.u);
	cr_assert_eq(reopen(&f), 0);
	/* The free space of the last page: the checksum alone tells. */
	flip(&f, "catalog.mdb", -2000);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
}

Test(fsck_files, broken_pages_in_use)
{
	CLEANUP(files) struct files f;
	CLEANUP(fd) int fd = -1;

	make(&f);
	made_upper_close(&f.u);
	cr_assert_eq(reopen(&f), 0);
	copy(&f, "catalog.mdb", "kept");
	fd = openat(f.dir, "catalog.mdb", O_RDWR | O_CLOEXEC);
	for (off_t at = 2 * 4096; at < lseek(fd, 0, SEEK_END); at += 4096)
		cr_assert_eq(pwrite(fd, "xxxx", 4, at + 12), 4);
	cr_assert_eq(check(&f, false), FSCK_ERRORS_LEFT, "%s", f.text);
	cr_assert(says(&f, "catalog.mdb is damaged"), "%s", f.text);
	/* For its owner, who closes it. */
	copy(&f, "kept", "catalog.mdb");
}

Test(fsck_files, data_file_lost_while_in_use)
{
	CLEANUP(files) struct files f;

	make(&f);
	sample_no_data(&f.u, 13);
	cr_assert_eq(check(&f, false), FSCK_ERRORS_LEFT, "%s", f.text);
	cr_assert(says(&f, "content: /d/g: its bytes are lost"), "%s", f.text);
}

/* A journal that was not applied yet is no error. */
Test(fsck_files, killed)
{
	CLEANUP(files) struct files f;

	make_killed(&f);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
	cr_assert(says(&f, "files: note: the journal has "), "%s", f.text);
	cr_assert(says(&f, "changes that the next mount puts into the tables"), "%s", f.text);
	cr_assert_eq(check(&f, true), FSCK_CLEAN, "%s", f.text);
	cr_assert(says(&f, "now they are"), "%s", f.text);
	cr_assert_eq(check(&f, false), FSCK_CLEAN);
	cr_assert_str_eq(f.text, "");
}

/* Half a record at the end was never acknowledged. */
Test(fsck_files, torn_journal)
{
	CLEANUP(files) struct files f;
	CLEANUP(fd) int fd = -1;

	make_killed(&f);
	fd = openat(f.dir, "journal", O_RDWR | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, "PLYR torn", 9, lseek(fd, 0, SEEK_END)), 9);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
}

Test(fsck_files, damaged_journal)
{
	CLEANUP(files) struct files f;

	make_killed(&f);
	flip(&f, "journal", -600);
	cr_assert_eq(check(&f, false) & FSCK_ERRORS_LEFT, FSCK_ERRORS_LEFT, "%s", f.text);
	cr_assert(says(&f, ".plyfs/journal: it is damaged, or a power cut took a part of it; "
			   "changes behind that are lost; put it aside\n"),
		  "%s", f.text);
	cr_assert_eq(check(&f, true), FSCK_CORRECTED, "%s", f.text);
	cr_assert_eq(faccessat(f.dir, "journal.bad-1", F_OK, 0), 0);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
	cr_assert(says(&f, "1 damaged journals were put aside earlier"), "%s", f.text);
	/* What a later crash leaves is what a crash leaves. */
	sample_data(&f.u, 900, "half a file");
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
	cr_assert(says(&f, "1 data files that a crash left"), "%s", f.text);
}

/* Bytes whose record was in the part that is lost are not thrown away as what a crash leaves. */
Test(fsck_files, data_files_after_a_damaged_journal)
{
	CLEANUP(files) struct files f;
	struct stat st;

	make_killed(&f);
	sample_data(&f.u, 700, "written, acknowledged, lost");
	flip(&f, "journal", -600);
	cr_assert_eq(check(&f, true), FSCK_CORRECTED, "%s", f.text);
	cr_assert(says(&f, "content: inode 700: there are bytes of it, but its record is lost"),
		  "%s", f.text);
	cr_assert_eq(fstatat(f.dir, "data/bc/00000000000002bc", &st, 0), 0);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
}

Test(fsck_files, journal_header)
{
	CLEANUP(files) struct files f;

	make_killed(&f);
	flip(&f, "journal", 17);
	cr_assert_eq(check(&f, false), FSCK_ERRORS_LEFT);
	cr_assert(says(&f, "files: .plyfs/journal: its header is damaged; nothing else is; put it "
			   "aside\n"),
		  "%s", f.text);
	cr_assert_eq(check(&f, true), FSCK_CORRECTED, "%s", f.text);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
}

Test(fsck_files, checksum)
{
	CLEANUP(files) struct files f;

	make(&f);
	made_upper_close(&f.u);
	/* The free space of the last page: nothing else can see it. */
	flip(&f, "catalog.mdb", -2000);
	cr_assert_eq(check(&f, false), FSCK_ERRORS_LEFT, "%s", f.text);
	cr_assert(says(&f, "files: .plyfs/catalog.sum: catalog.mdb is not as it was"), "%s",
		  f.text);
	cr_assert_eq(check(&f, true), FSCK_CORRECTED, "%s", f.text);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
	cr_assert_str_eq(f.text, "");
}

Test(fsck_files, broken_pages)
{
	CLEANUP(files) struct files f;
	CLEANUP(fd) int fd = -1;

	make(&f);
	made_upper_close(&f.u);
	fd = openat(f.dir, "catalog.mdb", O_RDWR | O_CLOEXEC);
	for (off_t at = 2 * 4096; at < lseek(fd, 0, SEEK_END); at += 4096)
		cr_assert_eq(pwrite(fd, "xxxx", 4, at + 12), 4);
	for (int repair = 0; repair < 2; repair++) {
		cr_assert_eq(check(&f, repair), FSCK_ERRORS_LEFT, "%s", f.text);
		cr_assert(says(&f, "files: .plyfs/catalog.mdb: "), "%s", f.text);
		cr_assert(says(&f, "; cannot be mended\n"), "%s", f.text);
		cr_assert(says(&f, "--salvage"), "%s", f.text);
	}
}

Test(fsck_files, newer_format)
{
	CLEANUP(files) struct files f;
	CLEANUP(batch) struct batch b = {0};
	uint32_t version = 99;

	make(&f);
	batch_begin(&b, f.u.catalog);
	batch_put_super(&b, "catalog.format", &version, sizeof(version));
	sample_commit(&f.u, &b);
	made_upper_close(&f.u);
	cr_assert_eq(check(&f, true), FSCK_FAILED);
	cr_assert(says(&f, "newer plyfs"), "%s", f.text);
}

/* Nothing is lost by it, but nobody wrote it. */
Test(fsck_files, next_number)
{
	static const char *const wrong[] = {"", "12345678", "too long for it"};
	CLEANUP(files) struct files f;

	make(&f);
	made_upper_close(&f.u);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct store_options o = {.no_sync = true, .map_size = 1 << 28};
		struct store s;
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/fd/%d/catalog.mdb", f.dir);
		cr_assert_eq(store_open(&s, path, &o), 0);
		cr_assert_eq(store_put_super(&s, SUPER_NEXT, wrong[i], strlen(wrong[i])), 0);
		store_close(&s);
		cr_assert_eq(check(&f, false), FSCK_ERRORS_LEFT, "%s", f.text);
		cr_assert(says(&f, "inodes: the catalog: the number for its next inode makes no "
				   "sense; go on behind the highest that there is\n"),
			  "%s", f.text);
		cr_assert_eq(check(&f, true), FSCK_CORRECTED, "%s", f.text);
		cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
		cr_assert_str_eq(f.text, "");
	}
}

Test(fsck_files, stray_data)
{
	CLEANUP(files) struct files f;

	make(&f);
	made_upper_close(&f.u);
	cr_assert_eq(mkdirat(f.dir, "data/0d/sub", 0700), 0);
	cr_assert_eq(mkdirat(f.dir, "data/nonsense", 0700), 0);
	cr_assert_eq(symlinkat("/etc/passwd", f.dir, "data/0c/000000000000000c"), -1);
	cr_assert_eq(check(&f, true), FSCK_CLEAN, "%s", f.text);
	cr_assert(says(&f, "data/0d/sub: not made by plyfs; left alone"), "%s", f.text);
	cr_assert(says(&f, "data/nonsense: not made by plyfs; left alone"), "%s", f.text);
}

static int run(const struct files *f, bool repair, const volatile sig_atomic_t *cancelled,
	       FILE *progress, char **ret_text)
{
	size_t size;
	FILE *out = open_memstream(ret_text, &size);
	struct fsck_options o = {
		.upper = f->u.tmp.path,
		.repair = repair,
		.out = out,
		.cancelled = cancelled,
		.progress = progress,
	};
	int status = fsck_run(&o, NULL);

	fclose(out);
	return status;
}

Test(fsck_files, cancelled)
{
	CLEANUP(files) struct files f;
	volatile sig_atomic_t cancelled = 1;

	make(&f);
	made_upper_close(&f.u);
	cr_assert_eq(run(&f, false, &cancelled, NULL, &f.text), FSCK_CANCELLED);
	cr_assert_str_eq(f.text, "");
}

Test(fsck_files, progress)
{
	CLEANUP(files) struct files f;
	CLEANUP(free) char *shown = NULL;
	CLEANUP(batch) struct batch b = {0};
	size_t size;
	FILE *progress = open_memstream(&shown, &size);

	make(&f);
	batch_begin(&b, f.u.catalog);
	for (uint64_t i = 0; i < 1500; i++) {
		struct inode_rec rec = {.attr = {.ino = 1000 + i, .mode = S_IFREG, .nlink = 1}};
		char name[16];

		snprintf(name, sizeof(name), "n%d", (int)i);
		batch_put_inode(&b, &rec);
		batch_put_entry(&b, 1, name, strlen(name), rec.attr.ino, DT_REG);
	}
	sample_commit(&f.u, &b);
	made_upper_close(&f.u);
	cr_assert_eq(run(&f, false, NULL, progress, &f.text), FSCK_CLEAN, "%s", f.text);
	fclose(progress);
	cr_assert_not_null(strstr(shown, "\rinodes: 1024\033[K"), "%s", shown);
	cr_assert_not_null(strstr(shown, "\r\033[K"), "it is wiped in the end");
}

/* ---- what a power cut takes: see make_killed(), whose records are all in the journal ---- */

Test(fsck_files, data_file_cut_off)
{
	CLEANUP(files) struct files f;
	struct stat st;

	make_killed(&f);
	sample_no_data(&f.u, 13);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
	cr_assert(says(&f, "content: note: 1 files whose last bytes had not reached the disk"),
		  "%s", f.text);
	cr_assert_eq(check(&f, true), FSCK_CLEAN, "%s", f.text);
	cr_assert_eq(fstatat(f.dir, "data/0d/000000000000000d", &st, 0), -1);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
	cr_assert_str_eq(f.text, "");
}

/* That the file lost nothing that was promised is to be seen in the journal only. */
Test(fsck_files, cut_off_and_cancelled)
{
	CLEANUP(files) struct files f;
	volatile sig_atomic_t cancelled = 1;

	make_killed(&f);
	sample_no_data(&f.u, 13);
	sample_no_data(&f.u, M(7));
	cr_assert_eq(run(&f, true, &cancelled, NULL, &f.text), FSCK_CANCELLED);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
}

Test(fsck_files, chunks_cut_off)
{
	CLEANUP(files) struct files f;
	CLEANUP(free) char *dump = NULL;

	make_killed(&f);
	sample_no_data(&f.u, M(7));
	cr_assert_eq(check(&f, true), FSCK_CLEAN, "%s", f.text);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
	cr_assert_str_eq(f.text, "");
	dump = sample_dump(&f.u);
	/* Where it says that its bytes are, and no size of chunks. */
	cr_assert_not_null(strstr(dump, "02000100a086010000000000"), "%s", dump);
}

/* ---- checksums ---- */

static void put_sum(const struct files *f, uint64_t ino, const char *path)
{
	CLEANUP(batch) struct batch b = {0};
	CLEANUP(free) uint8_t *bytes = malloc(SAMPLE_G_SIZE);
	CLEANUP(fd) int fd = openat(f->dir, path, O_RDONLY | O_CLOEXEC);
	struct sum_rec sum;
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(read(fd, bytes, SAMPLE_G_SIZE), st.st_size);
	sum.size = (uint64_t)st.st_size;
	sum.mtime = st.st_mtim;
	sum.hash = hash128(bytes, (size_t)st.st_size);
	batch_begin(&b, f->u.catalog);
	batch_put_sum(&b, ino, &sum);
	sample_commit(&f->u, &b);
}

static void change_data(const struct files *f, const char *path, bool keep_mtime)
{
	CLEANUP(fd) int fd = openat(f->dir, path, O_RDWR | O_CLOEXEC);
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(pwrite(fd, "X", 1, 5000), 1);
	times[1] = st.st_mtim;
	if (!keep_mtime)
		times[1].tv_sec -= 100;
	cr_assert_eq(futimens(fd, times), 0);
}

#define G_PATH "data/0d/000000000000000d"

Test(fsck_sums, right)
{
	CLEANUP(files) struct files f;

	make(&f);
	put_sum(&f, 13, G_PATH);
	made_upper_close(&f.u);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
	cr_assert_str_eq(f.text, "checksums: note: 1 files have the bytes that were written\n");
}

Test(fsck_sums, wrong)
{
	CLEANUP(files) struct files f;

	make(&f);
	put_sum(&f, 13, G_PATH);
	made_upper_close(&f.u);
	change_data(&f, G_PATH, true);
	for (int repair = 0; repair < 2; repair++) {
		cr_assert_eq(check(&f, repair), FSCK_ERRORS_LEFT, "%s", f.text);
		cr_assert_str_eq(f.text,
				 "checksums: /d/g: its bytes are not those that were written: "
				 "restore it from a copy; cannot be mended\n");
	}
}

Test(fsck_sums, stale)
{
	CLEANUP(files) struct files f;

	make(&f);
	put_sum(&f, 13, G_PATH);
	made_upper_close(&f.u);
	change_data(&f, G_PATH, false);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
	cr_assert(says(&f, "1 files were changed since"), "%s", f.text);
}

Test(fsck_sums, without_a_file)
{
	CLEANUP(files) struct files f;

	make(&f);
	put_sum(&f, 12, G_PATH);
	put_sum(&f, 999, G_PATH);
	made_upper_close(&f.u);
	cr_assert_eq(check(&f, false), FSCK_ERRORS_LEFT);
	cr_assert_str_eq(f.text,
			 "attached: /d/s/f: sum: there is no data file for this checksum; "
			 "remove it\n"
			 "attached: inode 999: sum: the inode of these rows does not exist; "
			 "remove them\n");
	cr_assert_eq(check(&f, true), FSCK_CORRECTED, "%s", f.text);
	cr_assert_eq(check(&f, false), FSCK_CLEAN, "%s", f.text);
}
