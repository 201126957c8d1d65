/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of whole catalogs whose LMDB file is not mapped: whatever stops them, nothing is lost. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/internal.h"
#include "catalog/mirror.h"
#include "unit/catalog/helper.h"
#include "unit/catalog/mirror_disk.h"

static struct catalog *open_as(const struct dir *d, enum catalog_map map)
{
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .create = true, .no_threads = true, .map = map};
	CLEANUP(err) struct err err = {0};
	struct catalog *c = NULL;

	if (catalog_open(d->fd, &options, &c, &err) < 0)
		fprintf(stderr, "open: %s\n", err_text(&err));
	return c;
}

static struct catalog *open_mirrored(const struct dir *d)
{
	return open_as(d, CATALOG_MAP_NO);
}

static struct catalog *open_mapped(const struct dir *d)
{
	return open_as(d, CATALOG_MAP_YES);
}

/* True when this process has a file of that name mapped. */
static bool is_mapped(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	cr_assert_not_null(maps);
	while (fgets(line, sizeof(line), maps) != NULL)
		found |= strstr(line, name) != NULL;
	fclose(maps);
	return found;
}

Test(mirrored, is_not_mapped)
{
	struct dir d = dir_make();
	struct catalog *c = open_mirrored(&d);

	cr_assert_not_null(c);
	cr_assert_eq(commit_numbered(c, 1), 0);
	cr_assert_eq(catalog_checkpoint(c), 0);
	cr_assert_not(is_mapped(CATALOG_FILE));
	catalog_close(c);
	c = open_mirrored(&d);
	cr_assert_eq(count_numbered(c), 1);
	cr_assert_not(is_mapped(CATALOG_FILE));
	catalog_close(c);
	c = open_mapped(&d);
	cr_assert_eq(count_numbered(c), 1);
	cr_assert(is_mapped(CATALOG_FILE), "so the test can tell");
	catalog_close(c);
	dir_remove(&d);
}

/* The file is the same whoever wrote it, the checksum of a clean close included. */
Test(mirrored, takes_turns_with_mapped)
{
	struct dir d = dir_make();

	for (uint64_t n = 1; n <= 40; n++) {
		struct catalog *c = n % 2 ? open_mirrored(&d) : open_mapped(&d);

		cr_assert_not_null(c);
		cr_assert_eq(count_numbered(c), (int64_t)n - 1);
		cr_assert_eq(c->has_sum, n > 1);
		cr_assert_eq(commit_numbered(c, n), 0);
		catalog_close(c);
		cr_assert(has_sum(&d));
	}
	dir_remove(&d);
}

static struct {
	struct dir dir;
	struct rng *rng;
	struct catalog *catalog;
	uint64_t n; /* committed */
	uint64_t looks;
	uint64_t every; /* one in so many moments is looked at */
	bool looking;
} test;

static void copy_others(const struct dir *to)
{
	DIR *dir = fdopendir(openat(test.dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *de;

	cr_assert_not_null(dir);
	while ((de = readdir(dir)) != NULL) {
		CLEANUP(free) uint8_t *bytes = NULL;
		size_t len;

		if (de->d_type != DT_REG || strcmp(de->d_name, CATALOG_FILE) == 0 ||
		    strcmp(de->d_name, LOCK_FILE) == 0)
			continue;
		bytes = file_read(&test.dir, de->d_name, &len);
		file_write(to, de->d_name, bytes, len);
	}
	closedir(dir);
}

/* What a kill (the files as they are) or a power cut (what the disk has) leaves now is complete. */
static void look(void)
{
	struct dir d;
	struct catalog *c;
	CLEANUP(free) uint8_t *bytes = NULL;
	size_t len = 0;
	uint64_t how = rng_below(test.rng, 8);

	if (test.looking || rng_below(test.rng, test.every) != 0)
		return;
	test.looking = true;
	test.looks++;
	bytes = how < 3 ? file_read(&test.dir, CATALOG_FILE, &len) : disk_after_cut(how < 5, &len);
	cr_assert_not_null(bytes);
	d = dir_make();
	copy_others(&d);
	file_write(&d, CATALOG_FILE, bytes, len);
	c = open_mapped(&d);
	cr_assert_not_null(c);
	cr_assert_eq(count_numbered(c), (int64_t)test.n);
	catalog_close(c);
	dir_remove(&d);
	test.looking = false;
}

static void reopen(void)
{
	catalog_close(test.catalog);
	disk_install(test.rng, &test.dir, CATALOG_FILE);
	test.catalog = open_mirrored(&test.dir);
	cr_assert_not_null(test.catalog);
	cr_assert_eq(count_numbered(test.catalog), (int64_t)test.n);
}

static void run(struct rng *r, uint64_t steps)
{
	uint64_t failed = 0;

	test.dir = dir_make();
	test.rng = r;
	test.every = 8;
	catalog_close(open_mirrored(&test.dir));
	reopen();
	disk_watch = look;
	while (test.n < steps) {
		disk_fail(0, 0);
		/* After a failed flush of the journal alone there is nothing that this disk knows of. */
		for (uint64_t i = rng_below(r, 30); i > 0; i--)
			cr_assert_eq(commit_numbered(test.catalog, ++test.n), 0);
		if (rng_below(r, 3) == 0)
			disk_fail(rng_below(r, 2) == 0 ? EIO : ENOSPC, (unsigned)rng_below(r, 6));
		if (rng_below(r, 8) != 0) {
			int rc = catalog_checkpoint(test.catalog);

			cr_assert(rc == 0 || disk_has_failed(), "%d", rc);
			failed += rc < 0;
			cr_assert_eq(count_numbered(test.catalog), (int64_t)test.n);
		} else {
			reopen();
		}
	}
	disk_fail(0, 0);
	reopen();
	fprintf(stderr, "mirrored: %llu looks, %llu failed\n", (unsigned long long)test.looks,
		(unsigned long long)failed);
	cr_assert(test.looks > 50 && failed > 10);
	disk_watch = NULL;
	catalog_close(test.catalog);
	disk_remove();
	dir_remove(&test.dir);
}

Test(mirrored, kills_and_power_cuts_lose_nothing)
{
	struct rng r = rng_seeded("mirrored");

	be_quiet();
	run(&r, 3000);
}

/* A remote disk without room for the pages: commits go on, and all gets there when there is room. */
Test(mirrored, full_disk)
{
	static const uint8_t filler[4096];
	struct dir d = dir_make();
	struct catalog *c;
	uint64_t n = 0;
	int fd;

	be_quiet();
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("tmpfs", d.path, "tmpfs", 0, "size=8m"), 0);
	close(d.fd);
	d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	c = open_mirrored(&d);
	cr_assert_not_null(c);
	while (n < 2000)
		cr_assert_eq(commit_numbered(c, ++n), 0);
	fd = openat(d.fd, "filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, filler, sizeof(filler)) > 0)
		;
	for (int i = 0; i < 5; i++) {
		int rc = catalog_checkpoint(c);

		cr_assert_eq(rc, -ENOSPC, "%d", rc);
		cr_assert_eq(count_numbered(c), (int64_t)n);
	}
	catalog_close(c);
	c = open_mirrored(&d);
	cr_assert_not_null(c, "opens on the full disk");
	cr_assert_eq(count_numbered(c), (int64_t)n);
	close(fd);
	cr_assert_eq(unlinkat(d.fd, "filler", 0), 0);
	cr_assert_eq(commit_numbered(c, ++n), 0);
	cr_assert_eq(catalog_checkpoint(c), 0);
	catalog_close(c);
	c = open_mirrored(&d);
	cr_assert_eq(count_numbered(c), (int64_t)n);
	catalog_close(c);
	close(d.fd);
	cr_assert_eq(umount2(d.path, MNT_DETACH), 0);
	rmdir(d.path);
}

static int commit_large(struct catalog *c, uint64_t ino, bool there)
{
	CLEANUP(batch) struct batch b = {0};
	static uint8_t bytes[INLINE_SIZE_MAX];

	memset(bytes, (int)ino, sizeof(bytes));
	batch_begin(&b, c);
	if (there)
		batch_put_inline(&b, ino, bytes, sizeof(bytes));
	else
		batch_del_inode(&b, ino);
	return catalog_commit(c, &b);
}

/* The file becomes smaller with the local copy, and a power cut on the way does no harm. */
Test(mirrored, is_compacted)
{
	struct rng r = rng_seeded("mirrored");
	off_t size;

	test.dir = dir_make();
	test.rng = &r;
	catalog_close(open_mirrored(&test.dir));
	reopen();
	while (test.n < 100)
		cr_assert_eq(commit_numbered(test.catalog, ++test.n), 0);
	for (int round = 0; round < 2; round++) {
		for (uint64_t ino = 0; ino < 300; ino++)
			cr_assert_eq(commit_large(test.catalog, 100000 + ino, true), 0);
		cr_assert_eq(catalog_checkpoint(test.catalog), 0);
		size = file_size(&test.dir, CATALOG_FILE);
		cr_assert_gt(size, 300 * (off_t)INLINE_SIZE_MAX);
		for (uint64_t ino = 0; ino < 300; ino++)
			cr_assert_eq(commit_large(test.catalog, 100000 + ino, false), 0);
		test.every = 1;
		disk_watch = look;
		cr_assert_eq(catalog_checkpoint(test.catalog), 0);
		disk_watch = NULL;
		cr_assert_eq(test.catalog->stats.compactions, 1);
		cr_assert_lt(file_size(&test.dir, CATALOG_FILE), size / 10);
		cr_assert_eq(file_size(&test.dir, CATALOG_FILE_NEW), -1);
		cr_assert_eq(commit_numbered(test.catalog, ++test.n), 0);
		cr_assert_eq(catalog_checkpoint(test.catalog), 0);
		reopen();
	}
	catalog_close(test.catalog);
	disk_remove();
	dir_remove(&test.dir);
}

/* So many renames are made, but the server's answer is lost; or they fail, when their target was moved away already. */
static unsigned int lies;
static bool moved_away;

static int lying_rename(int dirfd, const char *from, const char *to)
{
	if (lies == 0)
		return renameat(dirfd, from, dirfd, to) < 0 ? -errno : 0;
	lies--;
	if (!moved_away)
		cr_assert_eq(renameat(dirfd, from, dirfd, to), 0);
	else if (unlinkat(dirfd, to, 0) < 0)
		cr_assert_eq(errno, ENOENT);
	return -EIO;
}

/* A compaction that fails so, and MORE commits before the catalog is closed. */
static void compact_with_lies(unsigned int n_lies, bool moves, uint64_t more)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct mirror_calls real = mirror_calls;
	struct catalog *c = open_mirrored(&d);
	struct store fresh;
	uint64_t n = 0;

	cr_assert_not_null(c);
	while (n < 500)
		cr_assert_eq(commit_numbered(c, ++n), 0);
	cr_assert_eq(catalog_checkpoint(c), 0);
	lies = n_lies;
	moved_away = moves;
	mirror_calls.rename = lying_rename;
	pthread_mutex_lock(&c->checkpoint_lock);
	cr_assert_eq(mirrored_compact(c, &fresh), -EIO);
	pthread_mutex_unlock(&c->checkpoint_lock);
	cr_assert_eq(lies, 0);
	while (n < 500 + more)
		cr_assert_eq(commit_numbered(c, ++n), 0);
	if (more > 0)
		cr_assert_eq(catalog_checkpoint(c), 0);
	catalog_close(c);
	mirror_calls = real;
	c = open_mirrored(&d);
	cr_assert_not_null(c, "%u lies, %d, %llu more", n_lies, moves, (unsigned long long)more);
	cr_assert_eq(count_numbered(c), (int64_t)n);
	catalog_close(c);
}

Test(mirrored, rename_that_says_it_failed)
{
	be_quiet();
	compact_with_lies(1, false, 0);
	compact_with_lies(1, false, 500);
	compact_with_lies(2, false, 0);
	compact_with_lies(2, false, 500);
}

Test(mirrored, rename_that_failed_and_lost_its_target)
{
	be_quiet();
	compact_with_lies(1, true, 0);
	compact_with_lies(1, true, 500);
	compact_with_lies(2, true, 0);
	compact_with_lies(2, true, 500);
}

/* A second mount copies the remote file, too, while the owner publishes. */
Test(mirrored, snapshots)
{
	struct dir d = dir_make();
	struct catalog *c = open_mirrored(&d), *snapshot;

	for (uint64_t n = 1; n <= 20; n++) {
		cr_assert_eq(commit_numbered(c, n), 0);
		if (n % 3 == 0)
			cr_assert_eq(catalog_checkpoint(c), 0);
		snapshot = open_snapshot(&d);
		cr_assert_not_null(snapshot);
		cr_assert_eq(count_numbered(snapshot), (int64_t)n);
		catalog_close(snapshot);
	}
	catalog_close(c);
	dir_remove(&d);
}
