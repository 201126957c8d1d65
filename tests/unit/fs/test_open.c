/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: what is accepted, what is refused and with which words, what is there afterwards. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/fs/support.h"

/* Opening fails with CODE and a sentence that has TEXT in it. */
static void assert_refused(struct world *w, int code, const char *text)
{
	CLEANUP(err) struct err err = {0};
	int r = world_try_open(w, &err);

	cr_assert(r == -code, "%d (%s) instead of %s", r, strerror(-r), strerror(code));
	cr_assert_null(w->fs);
	cr_assert_not_null(err.text);
	cr_assert(strstr(err.text, text) != NULL, "\"%s\" says nothing of \"%s\"", err.text, text);
	cr_assert_null(strchr(err.text, '\n'));
}

Test(open, an_empty_tree_is_a_root)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	world_open(&w);
	assert_names(&w, "", "");
	cr_assert_eq(ino_of(&w, ""), FS_ROOT_INO);
	cr_assert(S_ISDIR(stat_of(&w, "").mode));
	cr_assert_eq(nlink_of(&w, ""), 2);
	cr_assert_not(fs_read_only(w.fs));
	cr_assert_not(fs_is_snapshot(w.fs));
	world_assert_lasting(&w);
}

Test(open, no_lower_layer_is_refused)
{
	CLEANUP(world) struct world w;

	world_init(&w, 0);
	assert_refused(&w, EINVAL, "lower");
}

Test(open, a_missing_lower_is_named)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	world_set_lowers(&w, "l0:not/there");
	assert_refused(&w, ENOENT, "not/there");
}

Test(open, a_lower_that_is_a_file_is_named)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("file", "x");
	world_set_lowers(&w, "file:l0");
	assert_refused(&w, ENOTDIR, "file");
}

Test(open, a_missing_upper_is_named)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	cr_assert_eq(rmdir("upper"), 0);
	assert_refused(&w, ENOENT, "upper");
}

Test(open, one_directory_twice_is_refused)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_symlink("l1", "again");
	world_set_lowers(&w, "l1:l0:again");
	assert_refused(&w, ELOOP, "again");
}

/* Looks for "deep/inside", the upper, and "deep/work" in each way that finds a name. */
static void assert_trapped(struct world *w)
{
	struct attr a;

	fails(ELOOP, t_stat(w, "deep/inside", &a));
	fails(ELOOP, t_stat(w, "deep/inside/.plyfs", &a));
	fails(ELOOP, t_stat(w, "deep/work", &a));
	fails(ELOOP, t_rmdir(w, "deep/inside"));
	fails(ELOOP, t_rename(w, "deep/inside", "out", 0));
	fails(ENOTEMPTY, t_rmdir(w, "deep"));
}

/* Without that a walk would see what it has just written. */
Test(open, an_upper_in_a_lower_is_listed_and_not_found)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_dir("l1/deep/inside");
	put_dir("l1/deep/work");
	put_file("l1/deep/other", "x");
	put_file("l0/deep/above", "x");
	free(w.o.upper);
	w.o.upper = strdup("l1/deep/inside");
	w.o.work = strdup("l1/deep/work");
	world_open(&w);
	assert_names(&w, "", "deep");
	assert_names(&w, "deep", "above inside other work");
	assert_trapped(&w);
	/* By now it has been listed, and is written to. */
	ok(t_write(&w, "deep/new", "y"));
	assert_names(&w, "deep", "above inside new other work");
	assert_trapped(&w);
	ok(t_rename(&w, "deep", "moved", 0));
	ok(t_rename(&w, "moved", "deep", 0));
	assert_trapped(&w);
	world_reopen(&w);
	assert_text(&w, "deep/new", "y");
	assert_text(&w, "deep/other", "x");
	assert_trapped(&w);
}

/* Whatever lies above it hides it as anything else. */
Test(open, an_upper_in_a_lower_can_be_hidden)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_dir("l1/deep/inside");
	put_whiteout("l0/deep/inside");
	free(w.o.upper);
	w.o.upper = strdup("l1/deep/inside");
	world_open(&w);
	assert_names(&w, "deep", "");
	ok(t_write(&w, "deep/inside", "file"));
	world_assert_lasting(&w);
}

Test(open, a_lower_below_the_upper_is_refused)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_dir("upper/x");
	world_set_lowers(&w, "upper/x");
	assert_refused(&w, ELOOP, "upper/x");
}

/* The directories that the first layers lie in are known by then. */
Test(open, a_lower_below_the_upper_is_found_among_others)
{
	CLEANUP(world) struct world w;

	world_init(&w, 3);
	put_dir("upper/x");
	put_dir("upper/x/y");
	world_set_lowers(&w, "l0:l1:l2:upper/x/y");
	assert_refused(&w, ELOOP, "upper/x/y");
	world_set_lowers(&w, "l0:l1:l2:upper");
	assert_refused(&w, ELOOP, "upper");
}

Test(open, the_upper_as_its_own_lower_is_refused)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	world_set_lowers(&w, "l0:upper");
	assert_refused(&w, ELOOP, "upper");
}

Test(open, nothing_is_left_open_by_a_refusal)
{
	CLEANUP(world) struct world w;
	int before, after;

	world_init(&w, 1);
	world_set_lowers(&w, "l0:not/there");
	before = dup(0);
	close(before);
	for (int i = 0; i < 20; i++)
		assert_refused(&w, ENOENT, "not/there");
	after = dup(0);
	close(after);
	cr_assert_eq(before, after);
}

Test(open, nothing_is_left_open_by_a_close)
{
	CLEANUP(world) struct world w;
	int before, after;

	world_init(&w, 2);
	put_file("l1/a/b/c", "x");
	before = dup(0);
	close(before);
	world_open(&w);
	assert_text(&w, "a/b/c", "x");
	ok(t_write(&w, "a/b/d", "y"));
	world_close(&w);
	after = dup(0);
	close(after);
	cr_assert_eq(before, after);
}

Test(open, a_read_only_file_system_is_named)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	if (!put_mount("upper", MS_RDONLY, ""))
		cr_skip_test("mounting is not allowed");
	{
		CLEANUP(err) struct err err = {0};
		int r = world_try_open(&w, &err);

		cr_assert_eq(r, -EROFS);
		cr_assert(strstr(err_text(&err), "upper") != NULL);
	}
	cr_assert_eq(umount2("upper", MNT_DETACH), 0);
}

Test(open, without_an_upper_nothing_changes)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_file("l0/a", "top");
	put_file("l1/a", "bottom");
	put_file("l1/b", "bottom");
	free(w.o.upper);
	w.o.upper = NULL;
	world_open(&w);
	cr_assert(fs_read_only(w.fs));
	cr_assert_not(fs_is_snapshot(w.fs));
	assert_text(&w, "a", "top");
	assert_text(&w, "b", "bottom");
	assert_names(&w, "", "a b");
	fails(EROFS, t_create(&w, "c", 0644));
	fails(EROFS, t_mkdir(&w, "d", 0755));
	fails(EROFS, t_symlink(&w, "x", "s"));
	fails(EROFS, t_link(&w, "a", "l"));
	fails(EROFS, t_unlink(&w, "a"));
	fails(EROFS, t_rename(&w, "a", "z", 0));
	fails(EROFS, t_chmod(&w, "a", 0600));
	fails(EROFS, t_truncate(&w, "a", 0));
	fails(EROFS, t_pwrite(&w, "a", "x", 1, 0));
	fails(EROFS, t_setxattr(&w, "a", "user.x", "1"));
	ok(fs_syncfs(w.fs));
	world_assert_lasting(&w);
}

Test(open, an_upper_can_be_opened_read_only)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/a", "lower");
	world_open(&w);
	ok(t_write(&w, "b", "upper"));
	ok(t_unlink(&w, "a"));
	world_close(&w);
	w.o.read_only = true;
	world_open(&w);
	cr_assert(fs_read_only(w.fs));
	assert_names(&w, "", "b");
	assert_text(&w, "b", "upper");
	fails(EROFS, t_write(&w, "c", "x"));
	fails(EROFS, t_unlink(&w, "b"));
	world_audit(&w);
}

Test(open, a_fresh_upper_can_be_opened_read_only)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/a", "lower");
	put_file("upper/b", "rest");
	w.o.read_only = true;
	world_open(&w);
	assert_names(&w, "", "a b");
	fails(EROFS, t_unlink(&w, "b"));
	cr_assert_neq(access("upper/.plyfs", F_OK), 0);
}

Test(open, the_second_is_a_snapshot)
{
	CLEANUP(world) struct world w;
	struct fs *second = NULL;
	CLEANUP(err) struct err err = {0};
	struct fs *first;

	world_init(&w, 1);
	put_file("l0/a", "lower");
	world_open(&w);
	ok(t_write(&w, "b", "before"));
	ok(t_chmod(&w, "a", 0600));
	/* One process asks for its own lock twice without being refused by some kinds of lock. */
	cr_assert_eq(fs_open(&w.o, &second, &err), 0, "%s", err_text(&err));
	cr_assert(fs_is_snapshot(second));
	cr_assert(fs_read_only(second));
	ok(t_write(&w, "c", "after"));
	ok(t_unlink(&w, "b"));
	first = w.fs;
	w.fs = second;
	assert_names(&w, "", "a b");
	assert_text(&w, "b", "before");
	cr_assert_eq(mode_of(&w, "a"), 0600);
	fails(EROFS, t_create(&w, "d", 0644));
	fails(EROFS, t_unlink(&w, "a"));
	w.fs = first;
	fs_close(second);
	assert_names(&w, "", "a c");
	world_assert_lasting(&w);
}

/* Which has its data file under the number that the first one's next file would get. */
Test(open, a_snapshot_shows_no_other_files_bytes)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = malloc(20000);
	struct fs *second = NULL, *first;
	uint64_t ino;

	world_init(&w, 1);
	fill(bytes, 20000, 1);
	world_open(&w);
	ok(t_create(&w, "pub", 0644));
	ok(t_pwrite(&w, "pub", bytes, 20000, 0));
	ino = ino_of(&w, "pub");
	ok(fs_open(&w.o, &second, NULL));
	cr_assert(fs_is_snapshot(second));
	ok(t_unlink(&w, "pub"));
	world_reopen(&w);
	ok(t_create(&w, "secret", 0600));
	ok(t_pwrite(&w, "secret", bytes, 20000, 0));
	cr_assert_gt(ino_of(&w, "secret"), ino);
	first = w.fs;
	w.fs = second;
	fails(EIO, fs_lookup(second, FS_ROOT_INO, "pub", &(struct fs_entry){0}));
	w.fs = first;
	fs_close(second);
}

Test(open, the_second_process_is_a_snapshot)
{
	CLEANUP(world) struct world w;
	int status;
	pid_t pid;

	world_init(&w, 1);
	world_open(&w);
	ok(t_write(&w, "b", "before"));
	pid = fork();
	if (pid == 0) {
		struct fs *second = NULL;
		struct fs_entry e;

		if (fs_open(&w.o, &second, NULL) < 0)
			_exit(2);
		if (!fs_is_snapshot(second) || fs_lookup(second, 1, "b", &e) < 0)
			_exit(3);
		fs_close(second);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
	ok(t_write(&w, "c", "after"));
	world_assert_lasting(&w);
}

Test(open, another_stack_is_refused_with_the_name_of_the_layer)
{
	CLEANUP(world) struct world w;

	world_init(&w, 3);
	put_file("l1/a", "1");
	put_file("other/a", "2");
	world_open(&w);
	ok(t_write(&w, "b", "x"));
	world_close(&w);
	world_set_lowers(&w, "l0:other:l2");
	assert_refused(&w, ESTALE, "other");
	world_set_lowers(&w, "l0:l1");
	assert_refused(&w, ESTALE, "l2");
	world_set_lowers(&w, "l0:l1:l2:other");
	assert_refused(&w, ESTALE, "other");
	world_set_lowers(&w, "l1:l0:l2");
	assert_refused(&w, ESTALE, "l1");
	world_set_lowers(&w, "l0:l1:l2");
	world_open(&w);
	assert_names(&w, "", "a b");
}

Test(open, the_root_is_the_uppers)
{
	CLEANUP(world) struct world w;
	struct attr a;

	world_init(&w, 1);
	cr_assert_eq(chmod("upper", 0711), 0);
	cr_assert_eq(chown("upper", 12, 34), 0);
	put_xattr("upper", "user.root", "yes", 3);
	world_open(&w);
	a = stat_of(&w, "");
	cr_assert_eq(a.mode, S_IFDIR | 0711);
	cr_assert_eq(a.uid, 12);
	cr_assert_eq(a.gid, 34);
	assert_xattr(&w, "", "user.root", "yes");
	world_assert_lasting(&w);
	ok(t_chmod(&w, "", 0750));
	cr_assert_eq(mode_of(&w, ""), 0750);
	world_assert_lasting(&w);
}

/* Left by another union file system, or unpacked by a tool. */
Test(open, the_rest_of_the_upper_is_a_layer)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/a", "lower");
	put_file("l0/gone", "lower");
	put_file("l0/d/x", "lower");
	put_file("upper/a", "rest");
	put_file("upper/only", "rest");
	put_whiteout("upper/gone");
	put_opaque("upper/d");
	put_file("upper/d/y", "rest");
	world_open(&w);
	assert_names(&w, "", "a d only");
	assert_names(&w, "d", "y");
	assert_text(&w, "a", "rest");
	ok(t_write(&w, "a", "changed"));
	ok(t_unlink(&w, "only"));
	ok(t_rename(&w, "d", "e", 0));
	assert_names(&w, "", "a e");
	world_assert_lasting(&w);
	assert_text(&w, "a", "changed");
	assert_text(&w, "e/y", "rest");
}

Test(open, five_hundred_layers)
{
	CLEANUP(world) struct world w;
	char path[64];

	world_init(&w, 500);
	for (int i = 0; i < 500; i++) {
		snprintf(path, sizeof(path), "l%d/d/f%03d", i, i);
		put_file(path, path);
		snprintf(path, sizeof(path), "l%d/same", i);
		put_file(path, path);
	}
	world_open(&w);
	assert_text(&w, "same", "l0/same");
	assert_text(&w, "d/f000", "l0/d/f000");
	assert_text(&w, "d/f499", "l499/d/f499");
	ok(t_rename(&w, "d", "e", 0));
	assert_text(&w, "e/f250", "l250/d/f250");
	world_assert_lasting(&w);
}

static size_t count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	size_t n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* A thread would not live through the fork that makes the daemon, and its locks would. */
Test(open, threads_are_started_by_start)
{
	CLEANUP(world) struct world w;
	size_t before = count_threads();

	world_init(&w, 1);
	/* The second time there is an orphan to be cleaned, and another stack to be noted. */
	for (int i = 0; i < 2; i++) {
		ok(fs_open(&w.o, &w.fs, NULL));
		cr_assert_eq(count_threads(), before);
		ok(fs_start(w.fs));
		ok(t_write(&w, "f", "x"));
		hold(&w, "f");
		ok(t_unlink(&w, "f"));
		fs_close(w.fs);
		w.fs = NULL;
		w.n_held = 0;
		cr_assert_eq(count_threads(), before);
		world_set_lowers(&w, "l0:other");
		put_dir("other");
		w.o.any_lower = true;
	}
}

/* The one that serves: says on TO that it has started, ends when FROM is closed. */
static void serve(struct world *w, int to, int from)
{
	char c = 0;

	ok(fs_start(w->fs));
	ok(t_write(w, "served", "by the child"));
	cr_assert_eq(write(to, &c, 1), 1);
	cr_assert_eq(read(from, &c, 1), 0);
	ok(t_write(w, "last", "by the child"));
	world_close(w);
	_exit(0);
}

/* As a daemon is born: one process opens, its child serves, and the first one is gone. */
static void open_and_leave(struct world *w, int to, int from, int other_end)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		close(other_end);
		ok(fs_open(&w->o, &w->fs, NULL));
		if (fork() == 0)
			serve(w, to, from);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}

Test(open, a_child_serves_what_its_parent_has_opened)
{
	CLEANUP(world) struct world w;
	int started[2], stop[2];
	bool busy = true;
	char c;

	world_init(&w, 1);
	put_file("l0/f", "lower");
	cr_assert_eq(pipe2(started, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(stop, O_CLOEXEC), 0);
	open_and_leave(&w, started[1], stop[0], stop[1]);
	cr_assert_eq(read(started[0], &c, 1), 1);
	/* The upper is in use by the child, not by the parent that took the lock. */
	world_open(&w);
	cr_assert(fs_is_snapshot(w.fs));
	assert_names(&w, "", "f served");
	world_close(&w);
	close(stop[1]);
	for (int i = 0; i < 500 && busy; i++) {
		usleep(10000);
		world_open(&w);
		busy = fs_is_snapshot(w.fs);
		if (busy)
			world_close(&w);
	}
	cr_assert_not(busy);
	assert_names(&w, "", "f last served");
	assert_text(&w, "last", "by the child");
	world_assert_lasting(&w);
}
