/* SPDX-License-Identifier: Apache-2.0 */
/* An upper that has become a layer: podman's diff, containerd's snapshots. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "unit/fs/support.h"

/* l0 has been changed in every way; the upper is then "first", and a layer over l0. */
static void put_first(struct world *w)
{
	world_init(w, 1);
	put_file("l0/d/keep", "keep");
	put_file("l0/d/gone", "gone");
	put_file("l0/moved/deep/f", "deep");
	put_file("l0/chmod", "chmod");
	put_xattr("l0/chmod", "user.x", "1", 1);
	put_bytes("l0/big", 3 << 20, 1);
	put_file("l0/replaced/old", "old");
	put_file("l0/one", "linked");
	put_link("l0/one", "l0/two");
	put_file("l0/grown", "grown");
	world_open(w);
	ok(t_unlink(w, "d/gone"));
	ok(t_rename(w, "moved", "there", 0));
	ok(t_chmod(w, "chmod", 0600));
	ok(t_pwrite(w, "big", "chunk", 5, 2 << 20));
	ok(t_unlink(w, "replaced/old"));
	ok(t_rmdir(w, "replaced"));
	ok(t_mkdir(w, "replaced", 0755));
	ok(t_write(w, "replaced/new", "new"));
	ok(t_chmod(w, "two", 0640));
	ok(t_write(w, "a", "both"));
	ok(t_link(w, "a", "b"));
	ok(t_symlink(w, "to", "s"));
	ok(t_mknod(w, "c", S_IFCHR | 0600, 0, 0));
	ok(t_truncate(w, "grown", 100000));
	ok(t_rename(w, "d/keep", "kept", 0));
	ok(t_mkdir(w, "d/sub", 0711));
}

/* Everything but numbers and link counts of directories, which a merge does not count. */
static char *shape(struct world *w)
{
	CLEANUP(free) char *dump = world_dump(w);
	CLEANUP(buf) struct buf out = {0};
	char *rest = dump, *line;

	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		char path[128], owner[32], rdev[32], mtime[40], ctime[40];
		unsigned int mode, nlink;
		unsigned long ino;
		int used = 0;

		cr_assert_geq(sscanf(line, "%127s %lx %o %31s %u %31s %39s %39s%n", path, &ino,
				     &mode, owner, &nlink, rdev, mtime, ctime, &used),
			      *line == '/' ? 8 : 0, "%s", line);
		if (*line == '/')
			buf_printf(&out, "%s %o %s %u %s %s%s\n", path, mode, owner,
				   S_ISDIR(mode) ? 0 : nlink, rdev, mtime, line + used);
	}
	cr_assert_not_null(buf_cstr(&out));
	return (char *)steal_ptr(&out.data);
}

static void use_as_layer(struct world *w)
{
	world_close(w);
	cr_assert_eq(rename("upper", "first"), 0);
	put_dir("upper");
	world_set_lowers(w, "first:l0");
	world_open(w);
}

Test(upper_as_lower, shows_what_it_was)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) char *before = NULL;
	CLEANUP(free) char *after = NULL;

	put_first(&w);
	before = shape(&w);
	use_as_layer(&w);
	world_audit(&w);
	after = shape(&w);
	cr_assert_str_eq(before, after, "before:\n%s\nafter:\n%s", before, after);
	cr_assert_eq(ino_of(&w, "one"), ino_of(&w, "two"));
	cr_assert_eq(ino_of(&w, "a"), ino_of(&w, "b"));
	cr_assert_eq(stat_of(&w, "c").mode, S_IFCHR | 0600);
}

Test(upper_as_lower, can_be_changed_again)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) char *layer = NULL;
	CLEANUP(free) char *after = NULL;

	put_first(&w);
	use_as_layer(&w);
	layer = plain_dump("first");
	ok(t_rename(&w, "there", "elsewhere", 0));
	assert_text(&w, "elsewhere/deep/f", "deep");
	ok(t_chmod(&w, "one", 0604));
	cr_assert_eq(mode_of(&w, "two"), 0604);
	cr_assert_eq(nlink_of(&w, "two"), 2);
	ok(t_pwrite(&w, "a", "B", 1, 0));
	assert_text(&w, "b", "Both");
	ok(t_pwrite(&w, "big", "more", 4, 1 << 20));
	ok(t_unlink(&w, "replaced/new"));
	ok(t_rmdir(&w, "replaced"));
	ok(t_mkdir(&w, "replaced", 0755));
	assert_names(&w, "replaced", "");
	ok(t_create(&w, "d/gone", 0644));
	ok(t_unlink(&w, "d/gone"));
	cr_assert_not(exists(&w, "d/gone"));
	ok(t_unlink(&w, "c"));
	ok(t_write(&w, "grown", "short"));
	ok(t_chmod(&w, "chmod", 0601));
	assert_xattr(&w, "chmod", "user.x", "1");
	world_assert_lasting(&w);
	after = plain_dump("first");
	cr_assert_str_eq(layer, after);
}

Test(upper_as_lower, three_high)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) char *before = NULL;
	CLEANUP(free) char *after = NULL;

	put_first(&w);
	use_as_layer(&w);
	ok(t_rename(&w, "there", "elsewhere", 0));
	ok(t_pwrite(&w, "big", "more", 4, 1 << 20));
	ok(t_chmod(&w, "one", 0604));
	ok(t_rename(&w, "one", "d/one", 0));
	ok(t_unlink(&w, "b"));
	ok(t_unlink(&w, "s"));
	before = shape(&w);
	world_close(&w);
	cr_assert_eq(rename("upper", "second"), 0);
	put_dir("upper");
	world_set_lowers(&w, "second:first:l0");
	world_open(&w);
	world_audit(&w);
	after = shape(&w);
	cr_assert_str_eq(before, after, "before:\n%s\nafter:\n%s", before, after);
	ok(t_rename(&w, "elsewhere/deep", "deep", 0));
	assert_text(&w, "deep/f", "deep");
	ok(t_pwrite(&w, "big", "x", 1, 0));
	world_assert_lasting(&w);
}

/*
 * The file PATH of l0 becomes AS in `copy`, with the bytes that l0 has there: as in a layer that was restored, names have
 * their bytes, and inode numbers that other names had.
 */
static void restore(const char *path, const char *as)
{
	char from[64], to[64];

	snprintf(from, sizeof(from), "l0/%s", path);
	snprintf(to, sizeof(to), "copy/%s", as);
	cr_assert_eq(rename(from, to), 0);
	put_file(to, as);
}

/* `first` has changed a and m, and has all of what is l0's no more. */
static void put_restored(struct world *w)
{
	world_init(w, 1);
	put_file("l0/a", "a");
	put_file("l0/b", "b");
	put_file("l0/m", "m");
	put_file("l0/n", "n");
	put_file("l0/c", "c");
	put_link("l0/c", "l0/c2");
	put_file("l0/d/in", "in");
	put_file("l0/e/in", "in");
	put_dir("copy");
	world_open(w);
	ok(t_write(w, "a", "changed"));
	ok(t_chmod(w, "m", 0600));
	ok(t_chmod(w, "c", 0600));
	ok(t_chmod(w, "d", 0700));
	ok(t_write(w, "new", "new"));
}

static void restore_all(void)
{
	restore("b", "a");
	restore("a", "b");
	restore("n", "m");
	restore("m", "n");
	cr_assert_eq(rename("l0/e", "copy/d"), 0);
	cr_assert_eq(rename("l0/d", "copy/e"), 0);
	put_file("copy/c", "c");
	put_link("copy/c", "copy/c2");
}

static void assert_restored(struct world *w)
{
	assert_text(w, "b", "b");
	assert_text(w, "n", "n");
	assert_text(w, "a", "changed");
	assert_text(w, "m", "m");
	cr_assert_eq(mode_of(w, "m"), 0600);
	cr_assert_eq(mode_of(w, "n"), 0644);
	cr_assert_eq(mode_of(w, "c"), 0600);
	cr_assert_eq(mode_of(w, "d"), 0700);
	cr_assert_eq(mode_of(w, "e"), 0755);
	assert_text(w, "new", "new");
	cr_assert_neq(ino_of(w, "a"), ino_of(w, "b"));
	cr_assert_neq(ino_of(w, "m"), ino_of(w, "n"));
	cr_assert_neq(ino_of(w, "d"), ino_of(w, "e"));
}

static void become_first(struct world *w, const char *lowers)
{
	world_close(w);
	cr_assert_eq(rename("upper", "first"), 0);
	put_dir("upper");
	world_set_lowers(w, lowers);
}

/* Each file has the inode number that another one had when `first` was made. */
static void go_on_restored(struct world *w)
{
	w->o.read_only = true;
	world_open(w);
	assert_restored(w);
	world_audit(w);
	world_close(w);
	w->o.read_only = false;
	world_open(w);
	/* In the other order: who is looked up first must not decide. */
	assert_text(w, "a", "changed");
	assert_text(w, "m", "m");
	assert_restored(w);
	world_audit(w);
	ok(t_pwrite(w, "b", "B", 1, 0));
	ok(t_pwrite(w, "n", "N", 1, 0));
	assert_text(w, "a", "changed");
	assert_text(w, "m", "m");
	ok(t_pwrite(w, "m", "M", 1, 0));
	world_assert_lasting(w);
	assert_text(w, "n", "N");
	assert_text(w, "m", "M");
	assert_text(w, "b", "B");
	assert_text(w, "a", "changed");
}

Test(upper_as_lower, over_a_copy_of_its_layers)
{
	CLEANUP(world) struct world w;

	put_restored(&w);
	become_first(&w, "first:copy");
	restore_all();
	go_on_restored(&w);
}

Test(upper_as_lower, two_over_a_copy_of_their_layers)
{
	CLEANUP(world) struct world w;

	put_restored(&w);
	become_first(&w, "first:l0");
	world_open(&w);
	ok(t_chmod(&w, "e/in", 0600));
	world_close(&w);
	cr_assert_eq(rename("upper", "second"), 0);
	put_dir("upper");
	restore_all();
	world_set_lowers(&w, "second:first:copy");
	world_open(&w);
	cr_assert_eq(mode_of(&w, "d/in"), 0644);
	cr_assert_eq(mode_of(&w, "e/in"), 0600);
	world_close(&w);
	go_on_restored(&w);
}

/* Accepted over the copy, it is one that was made over it; but the numbers that it had stay. */
Test(upper_as_lower, taken_over_a_copy_of_its_layers)
{
	CLEANUP(world) struct world w;

	put_restored(&w);
	world_close(&w);
	restore_all();
	world_set_lowers(&w, "copy");
	w.o.any_lower = true;
	world_open(&w);
	ok(t_write(&w, "later", "later"));
	w.o.any_lower = false;
	become_first(&w, "first:copy");
	go_on_restored(&w);
}

Test(upper_as_lower, keeps_numbers_over_its_layers)
{
	static const char *const paths[] = {"a", "b", "c", "c2", "m", "n", "d", "e", "new"};
	CLEANUP(world) struct world w;
	uint64_t inos[9];

	put_restored(&w);
	for (size_t i = 0; i < 8; i++)
		inos[i] = ino_of(&w, paths[i]);
	become_first(&w, "first:l0");
	world_open(&w);
	for (size_t i = 0; i < 8; i++)
		cr_assert_eq(ino_of(&w, paths[i]), inos[i], "%s", paths[i]);
	cr_assert_eq(mode_of(&w, "c2"), 0600);
	world_audit(&w);
	world_close(&w);
	/* Another layer on top of those leaves them where they were. */
	put_file("between/x", "x");
	remove_tree("upper");
	put_dir("upper");
	world_set_lowers(&w, "first:between:l0");
	world_open(&w);
	for (size_t i = 0; i < 8; i++)
		cr_assert_eq(ino_of(&w, paths[i]), inos[i], "%s", paths[i]);
	cr_assert_eq(mode_of(&w, "c2"), 0600);
	assert_text(&w, "x", "x");
	world_audit(&w);
	world_assert_lasting(&w);
}

/* Without the layer that it was made over, as podman looks at one layer alone. */
Test(upper_as_lower, alone)
{
	CLEANUP(world) struct world w;

	put_first(&w);
	world_close(&w);
	cr_assert_eq(rename("upper", "first"), 0);
	put_dir("upper");
	world_set_lowers(&w, "first");
	world_open(&w);
	assert_text(&w, "a", "both");
	assert_text(&w, "replaced/new", "new");
	assert_target(&w, "s", "to");
	cr_assert_eq(mode_of(&w, "d/sub"), 0711);
	cr_assert_not(exists(&w, "d/gone"));
}

Test(upper_as_lower, with_something_beside_its_catalog)
{
	CLEANUP(world) struct world w;

	put_first(&w);
	world_close(&w);
	put_file("upper/beside", "beside");
	cr_assert_eq(rename("upper", "first"), 0);
	put_dir("upper");
	world_set_lowers(&w, "first:l0");
	world_open(&w);
	assert_text(&w, "beside", "beside");
	assert_text(&w, "a", "both");
	cr_assert_not(exists(&w, "d/gone"));
	cr_assert_not(exists(&w, ".plyfs"));
	ok(t_unlink(&w, "beside"));
	world_assert_lasting(&w);
}
