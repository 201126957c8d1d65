/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of snapshots: of a busy owner, of a dead one, of a directory that cannot be written. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "catalog/internal.h"
#include "unit/catalog/helper.h"

static int64_t count_snapshot(const struct dir *d)
{
	CLEANUP(catalog) struct catalog *c = open_snapshot(d);

	return c == NULL ? -2 : count_numbered(c);
}

Test(snapshot, is_a_copy)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);
	CLEANUP(catalog) struct catalog *s = NULL;
	CLEANUP(batch) struct batch b = {0};

	for (uint64_t n = 1; n <= 40; n++) {
		cr_assert_eq(commit_numbered(c, n), 0);
		if (n == 20)
			cr_assert_eq(catalog_checkpoint(c), 0);
	}
	s = open_snapshot(&d);
	cr_assert_not_null(s);
	cr_assert_eq(catalog_seed(s), catalog_seed(c));
	for (uint64_t n = 41; n <= 60; n++)
		cr_assert_eq(commit_numbered(c, n), 0);
	cr_assert_eq(catalog_checkpoint(c), 0);
	cr_assert_eq(count_numbered(s), 40);
	cr_assert_eq(count_numbered(c), 60);
	cr_assert_eq(commit_numbered(s, 41), -EROFS);
	batch_begin(&b, s);
	cr_assert_eq(catalog_commit(s, &b), -EROFS);
	cr_assert_eq(catalog_sync(s), 0);
	cr_assert_eq(catalog_checkpoint(s), 0);
	cr_assert_eq(count_snapshot(&d), 60, "two at once");
	cr_assert_eq(count_numbered(s), 40);
}

static int die_with_journal(void *arg)
{
	struct catalog *c = open_quick(arg);

	for (uint64_t n = 1; n <= 33; n++) {
		if (commit_numbered(c, n) < 0 || (n == 11 && catalog_checkpoint(c) < 0))
			return 1;
	}
	return 0;
}

/* Everything in the directory, by name, size and time. */
static uint64_t fingerprint(const struct dir *d)
{
	const char *names[] = {CATALOG_FILE, JOURNAL_FILE, JOURNAL_FILE_2,
			       LOCK_FILE,    SUM_FILE,	   "."};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct stat st;

		if (fstatat(d->fd, names[i], &st, 0) == 0)
			sum = sum * 31 + (uint64_t)st.st_size * 7 + (uint64_t)st.st_mtim.tv_nsec +
			      (uint64_t)st.st_ctim.tv_nsec;
	}
	return sum;
}

Test(snapshot, of_a_dead_owner)
{
	CLEANUP(dir) struct dir d = dir_make();
	uint64_t before;

	cr_assert_eq(in_child(die_with_journal, &d), 0);
	before = fingerprint(&d);
	cr_assert_eq(count_snapshot(&d), 33);
	cr_assert_eq(fingerprint(&d), before, "nothing in the directory changes");
	{
		CLEANUP(catalog) struct catalog *c = open_quick(&d);

		cr_assert_eq(count_numbered(c), 33);
	}
	cr_assert_eq(count_snapshot(&d), 33);
	cr_assert_eq(unlinkat(d.fd, LOCK_FILE, 0), 0);
	cr_assert_eq(unlinkat(d.fd, JOURNAL_FILE, 0), 0);
	cr_assert_eq(count_snapshot(&d), 33, "without a lock file and a journal");
	cr_assert_eq(file_size(&d, LOCK_FILE), -1);
}

static int snapshot_read_only(void *arg)
{
	struct dir *d = arg;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(d->path, d->path, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, d->path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return 1;
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY);
	if (d->fd < 0 || unlinkat(d->fd, LOCK_FILE, 0) == 0)
		return 2;
	if (open_error(d, CATALOG_WRITE, NULL) != -EROFS)
		return 3;
	return count_snapshot(d) == 33 ? 0 : 4;
}

Test(snapshot, of_a_read_only_directory)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct dir copy = d;

	cr_assert_eq(in_child(die_with_journal, &d), 0);
	cr_assert_eq(in_child(snapshot_read_only, &copy), 0);
}

static void commit_for_ever(const struct dir *d)
{
	struct catalog_options options = {.mode = CATALOG_WRITE,
					  .create = true,
					  .no_sync = true,
					  .no_threads = NO_THREADS_IN_CHILDREN};
	struct catalog *c = NULL;

	die_with_parent();
	if (catalog_open(d->fd, &options, &c, NULL) < 0)
		_exit(1);
	for (uint64_t n = 1;; n++) {
		/* Checkpoints are what a snapshot could collide with. */
		if (commit_numbered(c, n) < 0 || (n % 7 == 0 && checkpoint(c, true) < 0))
			_exit(2);
		usleep(200);
	}
}

static void snapshots_of_busy_owner(bool without_locks, int count)
{
	CLEANUP(dir) struct dir d = dir_make();
	int64_t last = 0, first = -1;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0)
		commit_for_ever(&d);
	while (file_size(&d, JOURNAL_FILE) <= 0) {
		cr_assert_eq(waitpid(pid, NULL, WNOHANG), 0);
		usleep(1000);
	}
	lock_without_locks = without_locks;
	/* Counting takes longer and longer: five thousand commits are enough on a slow machine. */
	for (int i = 0; i < count && last < 5000; i++) {
		int64_t n = count_snapshot(&d);

		/* Without locks there may be no moment without a checkpoint: that is said, not hidden. */
		if (without_locks && n == -2)
			continue;
		cr_assert_geq(n, last, "snapshot %d: %lld after %lld", i, (long long)n,
			      (long long)last);
		first = first < 0 ? n : first;
		last = n;
	}
	lock_without_locks = false;
	cr_assert_gt(last, first, "the owner was at work meanwhile");
	cr_assert_eq(waitpid(pid, NULL, WNOHANG), 0, "and still is");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_assert_geq(count_snapshot(&d), last);
}

Test(snapshot, of_a_busy_owner)
{
	snapshots_of_busy_owner(false, 100);
}

Test(snapshot, of_a_busy_owner_without_locks)
{
	be_quiet();
	snapshots_of_busy_owner(true, 40);
}

Test(snapshot, of_a_torn_journal)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(free) uint8_t *journal = NULL;
	size_t len;

	cr_assert_eq(in_child(die_with_journal, &d), 0);
	journal = file_read(&d, JOURNAL_FILE_2, &len);
	file_write(&d, JOURNAL_FILE_2, journal, len - 1);
	cr_assert_eq(count_snapshot(&d), 32);
	cr_assert_eq(file_size(&d, JOURNAL_FILE_2), (off_t)len - 1);
	journal[len / 2] ^= 1;
	file_write(&d, JOURNAL_FILE_2, journal, len);
	cr_assert_geq(count_snapshot(&d), 11);
	cr_assert_eq(file_size(&d, "journal.bad-1"), -1);
}

static int snapshot_without_tmp(void *arg)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/tmp", "proc", 0, NULL) < 0 ||
	    mount("proc", "/var/tmp", "proc", 0, NULL) < 0)
		return 1;
	unsetenv("TMPDIR");
	return count_snapshot(arg) == 33 ? 0 : 2;
}

/* No place for a temporary file: the copy is made in memory. */
Test(snapshot, without_a_temporary_directory)
{
	CLEANUP(dir) struct dir d = dir_make();

	cr_assert_eq(in_child(die_with_journal, &d), 0);
	cr_assert_eq(in_child(snapshot_without_tmp, &d), 0);
}
