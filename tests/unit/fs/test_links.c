/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links: made, kept through copy-up, taken apart. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "data/private.h"
#include "fs/private.h"
#include "unit/fs/support.h"

Test(links, made_of_lower_and_upper_files)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	world_init(&w, 1);
	put_file("l0/d/f", "lower");
	put_symlink("t", "l0/s");
	world_open(&w);
	ok(t_write(&w, "u", "upper"));
	ino = ino_of(&w, "d/f");
	ok(t_link(&w, "d/f", "f2"));
	ok(t_link(&w, "u", "d/u2"));
	ok(t_link(&w, "s", "s2"));
	cr_assert_eq(ino_of(&w, "f2"), ino);
	cr_assert_eq(nlink_of(&w, "d/f"), 2);
	cr_assert_eq(nlink_of(&w, "d/u2"), 2);
	assert_target(&w, "s2", "t");
	ok(t_pwrite(&w, "f2", "L", 1, 0));
	assert_text(&w, "d/f", "Lower");
	world_assert_lasting(&w);
	cr_assert_eq(ino_of(&w, "d/f"), ino);
	ok(t_unlink(&w, "d/f"));
	cr_assert_eq(nlink_of(&w, "f2"), 1);
	assert_text(&w, "f2", "Lower");
	ok(t_unlink(&w, "f2"));
	world_assert_lasting(&w);
	assert_names(&w, "", "d s s2 u");
	assert_names(&w, "d", "u2");
}

/* The kernel counts a name that went by itself, so that its count is not to be trusted for a while. */
Test(links, unsettled_after_one_name_of_several_went)
{
	CLEANUP(world) struct world w;
	struct fs_entry lower, made, one;

	world_init(&w, 1);
	put_file("l0/f", "lower");
	put_file("l0/one", "with one name");
	world_open(&w);
	ok(t_write(&w, "u", "upper"));
	ok(fs_lookup(w.fs, FS_ROOT_INO, "f", &lower));
	ok(fs_lookup(w.fs, FS_ROOT_INO, "u", &made));
	ok(fs_lookup(w.fs, FS_ROOT_INO, "one", &one));
	ok(t_link(&w, "f", "f2"));
	ok(t_link(&w, "u", "u2"));
	ok(t_unlink(&w, "one"));
	cr_assert_not(fs_unsettled(w.fs, lower.ino));
	cr_assert_not(fs_unsettled(w.fs, one.ino), "it has no name that could be looked up");
	ok(t_unlink(&w, "f2"));
	cr_assert(fs_unsettled(w.fs, lower.ino));
	cr_assert_not(fs_unsettled(w.fs, made.ino));
	ok(t_rename(&w, "f", "u", 0));
	cr_assert(fs_unsettled(w.fs, made.ino), "a rename over a name takes it, too");
	fs_forget(w.fs, lower.ino, 1);
	fs_forget(w.fs, made.ino, 1);
	fs_forget(w.fs, one.ino, 1);
}

Test(links, refused)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/f", "x");
	put_dir("l0/d");
	world_open(&w);
	fails(EPERM, t_link(&w, "d", "e"));
	fails(EEXIST, t_link(&w, "f", "d"));
	fails(EEXIST, t_link(&w, "f", "f"));
	fails(ENOENT, t_link(&w, "no", "e"));
	fails(ENOTDIR, t_link(&w, "f", "f/x"));
	assert_names(&w, "", "d f");
	world_assert_lasting(&w);
}

/* One inode under three names, in two directories. */
static void put_three(struct world *w)
{
	world_init(w, 2);
	put_file("l1/a/one", "text");
	put_link("l1/a/one", "l1/a/two");
	put_link("l1/a/one", "l1/b/three");
	put_file("l0/a/other", "x");
	world_open(w);
	cr_assert_eq(nlink_of(w, "a/one"), 3);
	cr_assert_eq(ino_of(w, "a/one"), ino_of(w, "b/three"));
}

Test(links, a_change_by_one_name_is_seen_by_all)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	put_three(&w);
	ino = ino_of(&w, "a/one");
	ok(t_chmod(&w, "b/three", 0600));
	cr_assert_eq(mode_of(&w, "a/one"), 0600);
	cr_assert_eq(mode_of(&w, "a/two"), 0600);
	cr_assert_eq(ino_of(&w, "a/two"), ino);
	cr_assert_eq(ino_of(&w, "b/three"), ino);
	world_assert_lasting(&w);
	cr_assert_eq(mode_of(&w, "a/two"), 0600);
	ok(t_pwrite(&w, "a/two", "T", 1, 0));
	assert_text(&w, "a/one", "Text");
	assert_text(&w, "b/three", "Text");
	world_assert_lasting(&w);
	assert_text(&w, "a/one", "Text");
	cr_assert_eq(nlink_of(&w, "b/three"), 3);
	cr_assert_eq(ino_of(&w, "b/three"), ino);
}

Test(links, a_change_while_held_by_another_name)
{
	CLEANUP(world) struct world w;
	uint64_t one, three;
	struct attr a;

	put_three(&w);
	one = hold(&w, "a/one");
	three = hold(&w, "b/three");
	cr_assert_eq(one, three);
	ok(t_unlink(&w, "a/one"));
	ok(fs_getattr(w.fs, three, &a));
	cr_assert_eq(a.nlink, 2);
	cr_assert_eq(fs_write(w.fs, one, "T", 1, 0, 0), 1);
	assert_text(&w, "b/three", "Text");
	assert_names(&w, "a", "other two");
	world_assert_lasting(&w);
	assert_text(&w, "a/two", "Text");
}

Test(links, unlinked_one_by_one)
{
	CLEANUP(world) struct world w;
	struct attr a;
	uint64_t ino;

	put_three(&w);
	ok(t_unlink(&w, "a/two"));
	cr_assert_eq(nlink_of(&w, "a/one"), 2);
	cr_assert_eq(nlink_of(&w, "b/three"), 2);
	assert_names(&w, "a", "one other");
	world_assert_lasting(&w);
	cr_assert_eq(nlink_of(&w, "b/three"), 2);
	ok(t_unlink(&w, "a/one"));
	world_assert_lasting(&w);
	cr_assert_eq(nlink_of(&w, "b/three"), 1);
	assert_text(&w, "b/three", "text");
	ino = hold(&w, "b/three");
	ok(t_unlink(&w, "b/three"));
	ok(fs_getattr(w.fs, ino, &a));
	cr_assert_eq(a.nlink, 0);
	assert_ino_text(&w, ino, "text");
	world_assert_lasting(&w);
	assert_names(&w, "a", "other");
	assert_names(&w, "b", "");
}

Test(links, renamed_and_overwritten)
{
	CLEANUP(world) struct world w;

	put_three(&w);
	ok(t_rename(&w, "a/one", "moved", 0));
	cr_assert_eq(nlink_of(&w, "moved"), 3);
	cr_assert_eq(ino_of(&w, "moved"), ino_of(&w, "b/three"));
	ok(t_rename(&w, "a/other", "a/two", 0));
	cr_assert_eq(nlink_of(&w, "moved"), 2);
	assert_text(&w, "a/two", "x");
	assert_names(&w, "a", "two");
	world_assert_lasting(&w);
	ok(t_rename(&w, "b/three", "moved", 0));
	assert_names(&w, "b", "three");
	ok(t_unlink(&w, "moved"));
	cr_assert_eq(nlink_of(&w, "b/three"), 1);
	world_assert_lasting(&w);
}

Test(links, in_a_renamed_directory)
{
	CLEANUP(world) struct world w;

	put_three(&w);
	ok(t_rename(&w, "a", "c", 0));
	cr_assert_eq(ino_of(&w, "c/one"), ino_of(&w, "b/three"));
	ok(t_chmod(&w, "c/one", 0601));
	cr_assert_eq(mode_of(&w, "b/three"), 0601);
	world_reopen(&w);
	ok(t_unlink(&w, "b/three"));
	cr_assert_eq(nlink_of(&w, "c/two"), 2);
	cr_assert_eq(mode_of(&w, "c/two"), 0601);
	world_assert_lasting(&w);
}

/* A link to a lower file that has no name any more gives it one. */
Test(links, of_what_was_unlinked)
{
	CLEANUP(world) struct world w;
	struct fs_entry e;
	uint64_t ino;

	world_init(&w, 1);
	put_file("l0/f", "lower");
	world_open(&w);
	ino = hold(&w, "f");
	ok(t_unlink(&w, "f"));
	ok(fs_link(w.fs, ino, FS_ROOT_INO, "back", &e));
	held_add(&w, e.ino);
	cr_assert_eq(e.attr.nlink, 1);
	assert_names(&w, "", "back");
	world_assert_lasting(&w);
	assert_text(&w, "back", "lower");
	ok(t_unlink(&w, "back"));
	world_assert_lasting(&w);
	assert_names(&w, "", "");
}

Test(links, temporary_files)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = malloc(50000);
	struct fs_entry e, linked;
	struct attr a;

	fill(bytes, 50000, 9);
	world_init(&w, 1);
	put_dir("l0/d");
	put_file("l0/f", "x");
	world_open(&w);
	ok(fs_tmpfile(w.fs, &w.who, FS_ROOT_INO, 0666, &e));
	held_add(&w, e.ino);
	cr_assert_eq(e.attr.nlink, 0);
	cr_assert_eq(e.attr.mode, S_IFREG | 0644);
	cr_assert_eq(fs_write(w.fs, e.ino, bytes, 50000, 0, 0), 50000);
	assert_names(&w, "", "d f");
	ok(fs_link(w.fs, e.ino, hold(&w, "d"), "named", &linked));
	held_add(&w, linked.ino);
	cr_assert_eq(linked.ino, e.ino);
	cr_assert_eq(linked.attr.nlink, 1);
	cr_assert_eq(linked.attr.size, 50000);
	world_assert_lasting(&w);
	assert_bytes(&w, "d/named", 50000, 9);

	ok(fs_tmpfile(w.fs, &w.who, hold(&w, "d"), 0600, &e));
	cr_assert_eq(fs_write(w.fs, e.ino, bytes, 50000, 0, 0), 50000);
	ok(fs_getattr(w.fs, e.ino, &a));
	cr_assert_eq(a.nlink, 0);
	cr_assert_eq(count_files("upper/.plyfs/data"), 2);
	fs_forget(w.fs, e.ino, 1);
	cr_assert_eq(count_files("upper/.plyfs/data"), 1);
	fails(ENOTDIR, fs_tmpfile(w.fs, &w.who, hold(&w, "f"), 0600, &e));
	world_assert_lasting(&w);
}

/* The file is damaged: it has lost its bytes. */
Test(links, one_that_fails_has_made_no_name)
{
	CLEANUP(world) struct world w;
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	uint8_t bytes[9000] = {1};
	uint64_t ino;

	world_init(&w, 1);
	world_open(&w);
	ok(t_create(&w, "f", 0644));
	ok(t_pwrite(&w, "f", bytes, sizeof(bytes), 0));
	ino = hold(&w, "f");
	fdcache_drop(w.fs->data->fds, ino);
	remove_tree("upper/.plyfs/data");
	fails(EIO, fs_link(w.fs, ino, FS_ROOT_INO, "l", &(struct fs_entry){0}));
	cr_assert_not(exists(&w, "l"));
	ok(record_load(w.fs, ino, &rec));
	cr_assert_eq(rec.attr.nlink, 1);
}
