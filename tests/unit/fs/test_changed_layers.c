/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that were copied, exchanged or changed since the upper was made: what is in the upper stays. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "unit/fs/support.h"

/* The layer, at ROOT: every time that it is made its inodes have other numbers. */
static void put_layer(const char *root)
{
	static const char *const files[] = {
		"etc/passwd",	   "etc/group",		"etc/gone",	    "etc/sub/deep/f",
		"etc/sub/deep/g",  "etc/sub/deep/gone", "etc/moved/in",	    "etc/moved/out",
		"etc/moved/low/y", "etc/moved/low/z",	"etc/replaced/old", "etc/other/a",
		"etc/other/b",	   "etc/low/lower/p",	"etc/low/lower/q",  "usr/f",
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", root, files[i]);
		put_file(path, files[i]);
	}
}

/* Everything that a directory of the catalog can be: changed, deep, opaque, renamed, renamed into a renamed one. */
static void change_layer(struct world *w)
{
	ok(t_write(w, "etc/new", "new"));
	ok(t_unlink(w, "etc/gone"));
	ok(t_write(w, "etc/sub/deep/new", "deep"));
	ok(t_unlink(w, "etc/sub/deep/gone"));
	ok(t_unlink(w, "etc/replaced/old"));
	ok(t_rmdir(w, "etc/replaced"));
	ok(t_mkdir(w, "etc/replaced", 0755));
	ok(t_write(w, "etc/replaced/new", "opaque"));
	ok(t_rename(w, "etc/moved", "there", 0));
	ok(t_write(w, "there/new", "redirected"));
	ok(t_rename(w, "etc/other", "there/inside", 0));
	ok(t_unlink(w, "there/inside/b"));
}

static void assert_changes(struct world *w, const char *beside)
{
	char names[128];

	snprintf(names, sizeof(names), "%sgroup low new passwd replaced sub", beside);
	assert_names(w, "", "etc there usr");
	assert_names(w, "etc", names);
	assert_names(w, "etc/low", "lower");
	assert_names(w, "etc/low/lower", "p q");
	assert_names(w, "etc/sub", "deep");
	assert_names(w, "etc/sub/deep", "f g new");
	assert_names(w, "etc/replaced", "new");
	assert_names(w, "there", "in inside low new out");
	assert_names(w, "there/inside", "a");
	assert_names(w, "there/low", "y z");
	assert_text(w, "etc/new", "new");
	assert_text(w, "etc/sub/deep/new", "deep");
	assert_text(w, "etc/replaced/new", "opaque");
	assert_text(w, "there/new", "redirected");
	assert_text(w, "there/low/z", "etc/moved/low/z");
	assert_text(w, "etc/passwd", "etc/passwd");
}

/* Copies up what is below every directory that the catalog has. */
static void copy_up_more(struct world *w)
{
	ok(t_chmod(w, "etc/passwd", 0600));
	ok(t_chmod(w, "etc/sub/deep/f", 0600));
	ok(t_chmod(w, "there/in", 0600));
	ok(t_chmod(w, "there/low/y", 0600));
	ok(t_chmod(w, "there/inside/a", 0600));
	ok(t_chmod(w, "etc/low/lower/p", 0600));
}

static void assert_copied_up(struct world *w)
{
	static const char *const paths[] = {"etc/passwd",  "etc/sub/deep/f", "there/in",
					    "there/low/y", "there/inside/a", "etc/low/lower/p"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		cr_assert_eq(mode_of(w, paths[i]), 0600, "%s", paths[i]);
}

/* What was looked at before, and what is, whatever the layers are by now. */
static void go_on(struct world *w, const char *beside)
{
	assert_changes(w, beside);
	world_audit(w);
	copy_up_more(w);
	world_assert_lasting(w);
	assert_changes(w, beside);
	assert_copied_up(w);
}

static void put_changed(struct world *w)
{
	world_init(w, 1);
	put_layer("l0");
	world_open(w);
	change_layer(w);
	assert_changes(w, "");
	world_close(w);
}

Test(changed_layers, a_copy_that_was_accepted)
{
	CLEANUP(world) struct world w;

	put_changed(&w);
	put_layer("copy");
	world_set_lowers(&w, "copy");
	w.o.any_lower = true;
	world_open(&w);
	go_on(&w, "");
}

Test(changed_layers, a_copy_of_what_is_in_a_layer)
{
	CLEANUP(world) struct world w;

	put_changed(&w);
	put_layer("copy");
	cr_assert_eq(rename("l0/etc", "old"), 0);
	cr_assert_eq(rename("copy/etc", "l0/etc"), 0);
	world_open(&w);
	go_on(&w, "");
}

Test(changed_layers, something_beside_the_catalog_comes_and_goes)
{
	CLEANUP(world) struct world w;

	put_changed(&w);
	put_file("upper/etc/foo", "foo");
	put_dir("upper/etc/sub/deep");
	put_dir("upper/etc/moved/low");
	put_dir("upper/etc/low/lower");
	world_open(&w);
	go_on(&w, "foo ");
	ok(t_chmod(&w, "etc/foo", 0600));
	ok(t_write(&w, "etc/low/lower/q", "written"));
	world_close(&w);
	remove_tree("upper/etc");
	world_open(&w);
	assert_text(&w, "etc/low/lower/q", "written");
	ok(t_chmod(&w, "etc/group", 0640));
	ok(t_chmod(&w, "etc/sub/deep/g", 0640));
	ok(t_chmod(&w, "there/low/z", 0640));
	world_reopen(&w);
	cr_assert_eq(mode_of(&w, "etc/sub/deep/g"), 0640);
	cr_assert_eq(mode_of(&w, "there/low/z"), 0640);
	assert_names(&w, "etc/sub/deep", "f g new");
	assert_names(&w, "there", "in inside low new out");
	assert_names(&w, "there/low", "y z");
	assert_text(&w, "etc/new", "new");
}

/* Its directories are in memory as parts of the paths of others, and not as themselves. */
Test(changed_layers, a_file_that_is_held_alone)
{
	CLEANUP(world) struct world w;
	uint64_t deep, in;
	struct attr a = {.mode = 0600};

	put_changed(&w);
	put_layer("copy");
	world_set_lowers(&w, "copy");
	w.o.any_lower = true;
	world_open(&w);
	in = hold(&w, "there/in");
	deep = hold(&w, "etc/low/lower/p");
	ok(t_unlink(&w, "etc/group"));
	ok(fs_setattr(w.fs, deep, FS_SET_MODE, &a, &a));
	a.mode = 0600;
	ok(fs_setattr(w.fs, in, FS_SET_MODE, &a, &a));
	world_reopen(&w);
	assert_names(&w, "etc", "low new passwd replaced sub");
	assert_names(&w, "there", "in inside low new out");
	cr_assert_eq(mode_of(&w, "etc/low/lower/p"), 0600);
	cr_assert_eq(mode_of(&w, "there/in"), 0600);
}

/* The layers' directory is found as the one above a renamed one before it is looked up itself. */
Test(changed_layers, a_directory_is_in_memory_before_its_record)
{
	CLEANUP(world) struct world w;

	put_changed(&w);
	put_layer("copy");
	world_set_lowers(&w, "copy");
	w.o.any_lower = true;
	world_open(&w);
	hold(&w, "there");
	hold(&w, "there/inside");
	ok(t_chmod(&w, "etc/low/lower/p", 0600));
	ok(t_chmod(&w, "there/low/y", 0600));
	ok(t_rename(&w, "etc/low", "there/low2", 0));
	world_assert_lasting(&w);
	assert_names(&w, "etc", "group new passwd replaced sub");
	assert_names(&w, "there", "in inside low low2 new out");
	assert_names(&w, "there/low2/lower", "p q");
}

static bool emit_dotdot(void *arg, const struct fs_dirent *entries, size_t n)
{
	if (n == 1 && strcmp(entries->name, "..") == 0)
		*(uint64_t *)arg = entries->ino;
	return true;
}

Test(changed_layers, the_number_above)
{
	CLEANUP(world) struct world w;
	uint64_t above = 0;

	put_changed(&w);
	put_file("upper/etc/foo", "foo");
	world_open(&w);
	ok(fs_readdir(w.fs, hold(&w, "etc/low"), 0, emit_dotdot, &above));
	cr_assert_eq(above, ino_of(&w, "etc"));
}

/* The file of two names that was copied up has moved: another one has the names, and it has others. */
static void exchange_links(struct world *w, const char *layer)
{
	char to[64];

	world_close(w);
	snprintf(to, sizeof(to), "%s/b", layer);
	cr_assert_eq(rename("l0/a", to), 0);
	snprintf(to, sizeof(to), "%s/b2", layer);
	cr_assert_eq(rename("l0/a2", to), 0);
	snprintf(to, sizeof(to), "%s/a", layer);
	put_file(to, "another");
	world_open(w);
}

static void put_two(struct world *w)
{
	world_init(w, 1);
	put_file("l0/a", "a lower file");
	put_link("l0/a", "l0/a2");
	world_open(w);
}

/* Better no bytes than those of another file, which would also be written to. */
Test(changed_layers, a_link_with_the_number_of_another_file)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_two(&w);
	ok(t_chmod(&w, "a", 0600));
	exchange_links(&w, "l0");
	fails(ESTALE, t_stat(&w, "b", &a));
	fails(ESTALE, t_pwrite(&w, "b2", "x", 1, 0));
	cr_assert_eq(mode_of(&w, "a"), 0600);
	ok(t_write(&w, "c", "c"));
}

Test(changed_layers, a_link_of_an_accepted_layer)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_two(&w);
	ok(t_pwrite(&w, "a2", "A", 1, 0));
	ok(t_chmod(&w, "a", 0600));
	put_dir("other");
	world_set_lowers(&w, "other");
	w.o.any_lower = true;
	w.o.read_only = true;
	exchange_links(&w, "other");
	fails(ESTALE, t_stat(&w, "b", &a));
	w.o.read_only = false;
	world_reopen(&w);
	fails(ESTALE, t_stat(&w, "b", &a));
	assert_text(&w, "a2", "A lower file");
	w.o.any_lower = false;
	world_reopen(&w);
	fails(ESTALE, t_pwrite(&w, "b2", "x", 1, 0));
	assert_names(&w, "", "a a2 b b2");
	assert_text(&w, "a", "another");
}

/* Layers that come on top leave those below their numbers. */
Test(changed_layers, a_link_below_an_accepted_layer)
{
	CLEANUP(world) struct world w;

	put_two(&w);
	ok(t_pwrite(&w, "a2", "A", 1, 0));
	world_close(&w);
	put_file("top/new", "new");
	world_set_lowers(&w, "top:l0");
	w.o.any_lower = true;
	world_open(&w);
	assert_names(&w, "", "a a2 new");
	assert_text(&w, "a", "A lower file");
	ok(t_pwrite(&w, "a", "T", 1, 2));
	assert_text(&w, "a2", "A Tower file");
	world_assert_lasting(&w);
	/* Away again: another one could take its place. */
	world_close(&w);
	world_set_lowers(&w, "l0");
	world_open(&w);
	fails(ESTALE, t_stat(&w, "a", &(struct attr){0}));
	assert_text(&w, "a2", "A Tower file");
}

/* A tmpfs numbers from the start: what is made in the same order has the same numbers. */
Test(changed_layers, a_link_with_the_number_of_another_type)
{
	CLEANUP(world) struct world w;
	struct stat before, after;
	struct attr a;

	world_init(&w, 1);
	if (!put_mount("l0", 0, "size=8m"))
		cr_skip_test("mounting is not allowed");
	put_file("l0/a", "a lower file");
	put_link("l0/a", "l0/a2");
	cr_assert_eq(lstat("l0/a", &before), 0);
	world_open(&w);
	ok(t_write(&w, "a", "all of it written"));
	world_close(&w);
	cr_assert_eq(umount("l0"), 0);
	cr_assert_eq(mount("tmpfs", "l0", "tmpfs", 0, "size=8m"), 0);
	put_symlink("target", "l0/s");
	put_link("l0/s", "l0/s2");
	cr_assert_eq(lstat("l0/s", &after), 0);
	cr_assert_eq(before.st_ino, after.st_ino);
	w.o.any_lower = true;
	world_open(&w);
	assert_text(&w, "a", "all of it written");
	fails(ESTALE, t_stat(&w, "s", &a));
	fails(ESTALE, t_stat(&w, "s2", &a));
	world_close(&w);
	umount("l0");
}

/* The other names still lead to the record when the one that its origin names has gone elsewhere. */
Test(changed_layers, links_of_layers_that_are_the_same)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_file("l1/d/one", "linked");
	put_link("l1/d/one", "l1/e/two");
	put_link("l1/d/one", "l1/three");
	put_symlink("target", "l1/s");
	put_link("l1/s", "l1/e/s2");
	put_file("l0/d/x", "x");
	world_open(&w);
	ok(t_chmod(&w, "d/one", 0600));
	ok(t_chown(&w, "s", 1, 1));
	ok(t_rename(&w, "d/one", "e/moved", 0));
	ok(t_rename(&w, "d", "f", 0));
	world_reopen(&w);
	cr_assert_eq(mode_of(&w, "three"), 0600);
	cr_assert_eq(ino_of(&w, "e/two"), ino_of(&w, "e/moved"));
	cr_assert_eq(stat_of(&w, "e/s2").uid, 1);
	ok(t_pwrite(&w, "e/two", "L", 1, 0));
	assert_text(&w, "three", "Linked");
	ok(t_write(&w, "three", "whole"));
	ok(t_unlink(&w, "e/moved"));
	world_reopen(&w);
	assert_text(&w, "e/two", "whole");
	world_assert_lasting(&w);
}

Test(changed_layers, another_stack_is_taken_when_asked)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_file("l1/a", "1");
	put_file("other/a", "2");
	world_open(&w);
	ok(t_write(&w, "b", "x"));
	world_close(&w);
	world_set_lowers(&w, "l0:other");
	w.o.any_lower = true;
	world_open(&w);
	assert_text(&w, "a", "2");
	assert_text(&w, "b", "x");
	w.o.any_lower = false;
	world_reopen(&w);
	assert_text(&w, "a", "2");
}

/* A layer under another name is the same layer. */
Test(changed_layers, a_moved_layer_is_the_same)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/a", "1");
	world_open(&w);
	ok(t_write(&w, "b", "x"));
	world_close(&w);
	cr_assert_eq(rename("l0", "moved"), 0);
	world_set_lowers(&w, "moved");
	world_open(&w);
	assert_names(&w, "", "a b");
}

/* Two records of one lower directory: a change to what is shown in one of them never goes into the other. */
Test(changed_layers, a_directory_that_two_records_have)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/etc/a", "a");
	put_file("l0/etc/b", "b");
	put_file("without/f", "f");
	put_file("again/etc/a", "a");
	put_file("again/etc/b", "b");
	world_open(&w);
	ok(t_rename(&w, "etc", "x", 0));
	world_close(&w);
	w.o.any_lower = true;
	world_set_lowers(&w, "without");
	world_open(&w);
	ok(t_mkdir(&w, "etc", 0755));
	ok(t_rmdir(&w, "etc")); /* and nothing is left that says that it was moved away */
	world_close(&w);
	world_set_lowers(&w, "again");
	world_open(&w);
	ok(t_write(&w, "etc/a", "new a"));
	world_reopen(&w);
	assert_text(&w, "etc/a", "new a");
	assert_names(&w, "x", "");
	ok(t_write(&w, "etc/b", "new b"));
	world_reopen(&w);
	assert_text(&w, "etc/a", "new a");
	assert_text(&w, "etc/b", "new b");
	assert_names(&w, "etc", "a b");
}
