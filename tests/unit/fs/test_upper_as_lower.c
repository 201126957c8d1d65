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
