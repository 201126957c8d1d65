/* SPDX-License-Identifier: Apache-2.0 */
/* unlink and rmdir: what is gone, what stays for those who hold it, what is left on the disk. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "unit/fs/support.h"

Test(remove, wrong_types)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/f", "x");
	put_file("l0/d/x", "x");
	world_open(&w);
	for (int i = 0; i < 2; i++) {
		fails(EISDIR, t_unlink(&w, "d"));
		fails(ENOTDIR, t_rmdir(&w, "f"));
		fails(ENOTEMPTY, t_rmdir(&w, "d"));
		fails(ENOENT, t_unlink(&w, "no"));
		fails(ENOENT, t_rmdir(&w, "no"));
		fails(ENOTDIR, t_unlink(&w, "f/x"));
		ok(t_chmod(&w, "f", 0600));
		ok(t_chmod(&w, "d", 0700));
	}
	fails(EINVAL, fs_rmdir(w.fs, 1, "."));
	fails(EINVAL, fs_unlink(w.fs, 1, ".."));
	world_assert_lasting(&w);
}

Test(remove, a_lower_file_copies_nothing)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_bytes("l0/big", 1 << 20, 1);
	world_open(&w);
	ok(t_unlink(&w, "big"));
	cr_assert_not(exists(&w, "big"));
	fails(ENOENT, t_unlink(&w, "big"));
	world_assert_lasting(&w);
	assert_names(&w, "", "");
	cr_assert_eq(count_files("upper/.plyfs/data"), 0);
}

Test(remove, a_lower_file_stays_for_its_holder)
{
	CLEANUP(world) struct world w;
	struct attr a;
	uint64_t ino;

	world_init(&w, 1);
	put_file("l0/d/f", "lower");
	world_open(&w);
	ino = hold(&w, "d/f");
	ok(fs_getattr(w.fs, ino, &a));
	cr_assert_eq(a.nlink, 1);
	ok(t_unlink(&w, "d/f"));
	ok(fs_getattr(w.fs, ino, &a));
	cr_assert_eq(a.nlink, 0);
	assert_ino_text(&w, ino, "lower");
	/* It can still be changed, and nobody sees it. */
	cr_assert_eq(fs_write(w.fs, ino, "LOW", 3, 0, 0), 3);
	assert_ino_text(&w, ino, "LOWer");
	ok(fs_getattr(w.fs, ino, &a));
	cr_assert_eq(a.nlink, 0);
	ok(fs_setattr(w.fs, ino, FS_SET_MODE, &(struct attr){.mode = 0600}, &a));
	cr_assert_eq(a.nlink, 0);
	cr_assert_eq(a.mode, S_IFREG | 0600);
	assert_names(&w, "d", "");
	drop(&w, ino);
	fails(ESTALE, fs_getattr(w.fs, ino, &a));
	world_assert_lasting(&w);
	cr_assert_eq(count_files("upper/.plyfs/data"), 0);
}

Test(remove, a_changed_lower_file_that_is_gone_leaves_nothing)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	world_init(&w, 1);
	put_bytes("l0/f", 300000, 1);
	world_open(&w);
	ino = hold(&w, "f");
	ok(t_unlink(&w, "f"));
	cr_assert_eq(fs_write(w.fs, ino, "X", 1, 299999, 0), 1);
	cr_assert_eq(count_files("upper/.plyfs/data"), 1);
	drop(&w, ino);
	/* Once no power cut can bring it back. */
	ok(fs_syncfs(w.fs));
	wait_for_files("upper/.plyfs/data", 0);
	world_assert_lasting(&w);
}

Test(remove, an_upper_file_stays_for_its_holder)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = malloc(100000);
	struct attr a;
	uint64_t ino;
	char c;

	fill(bytes, 100000, 3);
	world_init(&w, 1);
	world_open(&w);
	ok(t_create(&w, "f", 0644));
	ok(t_pwrite(&w, "f", bytes, 100000, 0));
	ino = hold(&w, "f");
	cr_assert_eq(count_files("upper/.plyfs/data"), 1);
	ok(t_unlink(&w, "f"));
	ok(fs_getattr(w.fs, ino, &a));
	cr_assert_eq(a.nlink, 0);
	cr_assert_eq(a.size, 100000);
	cr_assert_eq(fs_read(w.fs, ino, &c, 1, 99999), 1);
	cr_assert_eq((uint8_t)c, bytes[99999]);
	/* A new file of that name is another one. */
	ok(t_write(&w, "f", "new"));
	cr_assert_neq(ino_of(&w, "f"), ino);
	cr_assert_eq(count_files("upper/.plyfs/data"), 1);
	drop(&w, ino);
	cr_assert_eq(count_files("upper/.plyfs/data"), 0);
	assert_text(&w, "f", "new");
	world_assert_lasting(&w);
}

Test(remove, held_until_the_end_is_cleaned_at_the_next_open)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = malloc(100000);
	uint64_t ino;

	fill(bytes, 100000, 3);
	world_init(&w, 1);
	world_open(&w);
	ok(t_create(&w, "f", 0644));
	ok(t_pwrite(&w, "f", bytes, 100000, 0));
	ino = hold(&w, "f");
	ok(t_unlink(&w, "f"));
	/* As at umount: nobody forgets. */
	fs_close(w.fs);
	w.fs = NULL;
	w.n_held = 0;
	world_open(&w);
	cr_assert_eq(count_files("upper/.plyfs/data"), 0);
	fails(ESTALE, fs_getattr(w.fs, ino, &(struct attr){0}));
	world_assert_lasting(&w);
}

Test(remove, merged_directories)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_file("l0/d/a", "0");
	put_file("l1/d/b", "1");
	put_dir("l1/d/sub");
	put_whiteout("l0/d/hidden");
	put_file("l1/d/hidden", "1");
	world_open(&w);
	fails(ENOTEMPTY, t_rmdir(&w, "d"));
	ok(t_unlink(&w, "d/a"));
	ok(t_unlink(&w, "d/b"));
	fails(ENOTEMPTY, t_rmdir(&w, "d"));
	ok(t_rmdir(&w, "d/sub"));
	assert_names(&w, "d", "");
	world_assert_lasting(&w);
	ok(t_rmdir(&w, "d"));
	assert_names(&w, "", "");
	world_assert_lasting(&w);
	/* What comes in its place shows nothing of it. */
	ok(t_mkdir(&w, "d", 0755));
	assert_names(&w, "d", "");
	cr_assert_not(exists(&w, "d/b"));
	ok(t_create(&w, "d/b", 0644));
	assert_text(&w, "d/b", "");
	world_assert_lasting(&w);
	ok(t_unlink(&w, "d/b"));
	ok(t_rmdir(&w, "d"));
	assert_names(&w, "", "");
	world_assert_lasting(&w);
}

Test(remove, a_directory_that_only_hides)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_whiteout("l0/d/a");
	put_file("l1/d/a", "1");
	world_open(&w);
	assert_names(&w, "d", "");
	ok(t_rmdir(&w, "d"));
	assert_names(&w, "", "");
	world_assert_lasting(&w);
}

/* Nothing shows in it, and nothing can be made in it. */
static void assert_dead(struct world *w, uint64_t ino)
{
	struct fs_entry e;
	struct attr a;

	ok(fs_getattr(w->fs, ino, &a));
	cr_assert_eq(a.nlink, 0);
	fails(ENOENT, fs_lookup(w->fs, ino, "a", &e));
	fails(ENOENT, fs_lookup(w->fs, ino, "b", &e));
	fails(ENOENT, fs_mkdir(w->fs, &w->who, ino, "a", 0755, &e));
	fails(ENOENT, fs_mknod(w->fs, &w->who, ino, "a", S_IFREG, 0, 0, &e));
	fails(ENOENT, fs_symlink(w->fs, &w->who, ino, "a", "x", &e));
	fails(ENOENT, fs_tmpfile(w->fs, &w->who, ino, 0600, &e));
	fails(ENOENT, fs_unlink(w->fs, ino, "a"));
	fails(ENOENT, fs_rmdir(w->fs, ino, "a"));
	fails(ENOENT, fs_rename(w->fs, &w->who, ino, "a", 1, "stolen", 0, NULL));
	fails(ENOENT, fs_rename(w->fs, &w->who, 1, "keep", ino, "a", 0, NULL));
	fails(ENOENT, t_stat(w, "stolen", &a));
}

static bool only_dots(void *arg, const struct fs_dirent *entries, size_t n)
{
	(void)arg;
	cr_assert_eq(n, 1);
	cr_assert(entries->len <= 2 && entries->name[0] == '.', "%s", entries->name);
	return true;
}

Test(remove, a_removed_directory_that_is_held_is_dead)
{
	CLEANUP(world) struct world w;
	uint64_t untouched, changed, upper;
	struct attr a;

	world_init(&w, 1);
	put_file("l0/keep", "x");
	put_dir("l0/untouched");
	put_file("l0/changed/a", "x");
	put_dir("l0/changed/b");
	world_open(&w);
	ok(t_mkdir(&w, "upper", 0755));
	untouched = hold(&w, "untouched");
	changed = hold(&w, "changed");
	upper = hold(&w, "upper");
	ok(t_unlink(&w, "changed/a"));
	ok(t_rmdir(&w, "changed/b"));
	ok(t_rmdir(&w, "changed"));
	ok(t_rmdir(&w, "untouched"));
	ok(t_rmdir(&w, "upper"));
	assert_dead(&w, upper);
	assert_dead(&w, untouched);
	assert_dead(&w, changed);
	ok(fs_readdir(w.fs, upper, 0, only_dots, NULL));
	ok(fs_readdir(w.fs, untouched, 0, only_dots, NULL));
	ok(fs_readdir(w.fs, changed, 0, only_dots, NULL));
	ok(fs_setattr(w.fs, untouched, FS_SET_MODE, &(struct attr){.mode = 0700}, &a));
	cr_assert_eq(a.nlink, 0);
	assert_dead(&w, untouched);
	world_assert_lasting(&w);
	assert_names(&w, "", "keep");
}

Test(remove, link_counts_of_directories)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_dir("l0/d/one");
	put_dir("l0/d/two");
	world_open(&w);
	cr_assert_eq(nlink_of(&w, "d"), 4);
	cr_assert_eq(nlink_of(&w, ""), 3);
	ok(t_rmdir(&w, "d/one"));
	cr_assert_eq(nlink_of(&w, "d"), 3);
	ok(t_mkdir(&w, "d/three", 0755));
	ok(t_mkdir(&w, "d/four", 0755));
	cr_assert_eq(nlink_of(&w, "d"), 5);
	ok(t_rmdir(&w, "d/three"));
	ok(t_rmdir(&w, "d/two"));
	ok(t_rmdir(&w, "d/four"));
	cr_assert_eq(nlink_of(&w, "d"), 2);
	ok(t_rmdir(&w, "d"));
	cr_assert_eq(nlink_of(&w, ""), 2);
	world_assert_lasting(&w);
}

Test(remove, a_lower_file_that_vanishes_can_be_removed)
{
	CLEANUP(world) struct world w;
	uint64_t ino;
	char c;

	world_init(&w, 1);
	put_file("l0/f", "x");
	put_file("l0/g", "x");
	world_open(&w);
	ok(t_chmod(&w, "g", 0600));
	ino = hold(&w, "g");
	cr_assert_eq(remove("l0/f"), 0);
	cr_assert_eq(remove("l0/g"), 0);
	fails(ENOENT, t_stat(&w, "f", &(struct attr){0}));
	fails(ENOENT, t_unlink(&w, "f"));
	cr_assert_eq(mode_of(&w, "g"), 0600);
	cr_assert_lt(fs_read(w.fs, ino, &c, 1, 0), 0);
	ok(t_truncate(&w, "g", 0));
	ok(t_write(&w, "g", "new"));
	assert_text(&w, "g", "new");
	world_reopen(&w);
	assert_text(&w, "g", "new");
	ok(t_unlink(&w, "g"));
	assert_names(&w, "", "");
}
