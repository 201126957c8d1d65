/* SPDX-License-Identifier: Apache-2.0 */
/* The process dies without a word: what it had acknowledged is there at the next open. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/fs/support.h"

static void everything(struct world *w)
{
	CLEANUP(free) uint8_t *bytes = malloc(200000);

	fill(bytes, 200000, 5);
	ok(t_mkdir(w, "new", 0700));
	ok(t_write(w, "new/small", "small"));
	ok(t_create(w, "new/large", 0644));
	ok(t_pwrite(w, "new/large", bytes, 200000, 0));
	ok(t_rename(w, "d", "moved", 0));
	ok(t_chmod(w, "moved/f", 0600));
	ok(t_pwrite(w, "moved/big", "X", 1, 1000000));
	ok(t_unlink(w, "gone"));
	ok(t_link(w, "moved/f", "link"));
	ok(t_setxattr(w, "link", "user.x", "1"));
	ok(t_truncate(w, "cut", 3));
	ok(t_symlink(w, "to", "s"));
}

static void put_layers(struct world *w)
{
	world_init(w, 1);
	put_file("l0/d/f", "lower");
	put_bytes("l0/d/big", 2000000, 1);
	put_file("l0/gone", "x");
	put_file("l0/cut", "cut off");
}

Test(crash, nothing_acknowledged_is_lost)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) char *layer = NULL;
	CLEANUP(free) char *after = NULL;
	char c = 0;

	put_layers(&w);
	layer = plain_dump("l0");
	world_die(&w, everything);
	world_open(&w);
	cr_assert_not(fs_is_snapshot(w.fs));
	assert_names(&w, "", "cut link moved new s");
	assert_text(&w, "new/small", "small");
	assert_bytes(&w, "new/large", 200000, 5);
	cr_assert_eq(mode_of(&w, "new"), 0700);
	assert_text(&w, "link", "lower");
	cr_assert_eq(nlink_of(&w, "moved/f"), 2);
	cr_assert_eq(mode_of(&w, "moved/f"), 0600);
	assert_xattr(&w, "moved/f", "user.x", "1");
	cr_assert_eq(fs_read(w.fs, hold(&w, "moved/big"), &c, 1, 1000000), 1);
	cr_assert_eq(c, 'X');
	assert_text(&w, "cut", "cut");
	assert_target(&w, "s", "to");
	world_assert_lasting(&w);
	after = plain_dump("l0");
	cr_assert_str_eq(layer, after);
}

static void more(struct world *w)
{
	assert_names(w, "", "cut link moved new s");
	ok(t_rename(w, "moved", "again", 0));
	ok(t_unlink(w, "new/large"));
}

Test(crash, twice)
{
	CLEANUP(world) struct world w;

	put_layers(&w);
	world_die(&w, everything);
	world_die(&w, more);
	world_open(&w);
	assert_names(&w, "", "again cut link new s");
	assert_names(&w, "new", "small");
	assert_text(&w, "again/f", "lower");
	world_assert_lasting(&w);
}

static void orphans(struct world *w)
{
	CLEANUP(free) uint8_t *bytes = malloc(200000);
	struct fs_entry e;

	fill(bytes, 200000, 5);
	ok(t_create(w, "f", 0644));
	ok(t_pwrite(w, "f", bytes, 200000, 0));
	hold(w, "f");
	ok(t_unlink(w, "f"));
	hold(w, "d/big");
	ok(t_pwrite(w, "d/big", "X", 1, 1000000));
	ok(t_unlink(w, "d/big"));
	ok(fs_tmpfile(w->fs, &w->who, FS_ROOT_INO, 0600, &e));
	cr_assert_eq(fs_write(w->fs, e.ino, bytes, 200000, 0, 0), 200000);
	ok(t_mkdir(w, "dir", 0755));
	hold(w, "dir");
	ok(t_rmdir(w, "dir"));
	cr_assert_eq(count_files("upper/.plyfs/data"), 3);
}

Test(crash, orphans_are_given_back)
{
	CLEANUP(world) struct world w;

	put_layers(&w);
	world_die(&w, orphans);
	cr_assert_eq(count_files("upper/.plyfs/data"), 3);
	world_open(&w);
	cr_assert_eq(count_files("upper/.plyfs/data"), 0);
	assert_names(&w, "", "cut d gone");
	assert_names(&w, "d", "f");
	world_assert_lasting(&w);
}

/* One after the other, each by a process of its own that dies. */
static int step;

static void one_step(struct world *w)
{
	char path[32];

	snprintf(path, sizeof(path), "f%d", step);
	ok(t_write(w, path, path));
	if (step > 0) {
		snprintf(path, sizeof(path), "f%d", step - 1);
		ok(t_rename(w, path, "last", 0));
	}
}

Test(crash, many_times)
{
	CLEANUP(world) struct world w;

	put_layers(&w);
	for (step = 0; step < 12; step++)
		world_die(&w, one_step);
	world_open(&w);
	assert_text(&w, "last", "f10");
	assert_text(&w, "f11", "f11");
	assert_names(&w, "", "cut d f11 gone last");
	world_assert_lasting(&w);
}
