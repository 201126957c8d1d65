/* SPDX-License-Identifier: Apache-2.0 */
/* What of a layer depends on the layers below, one case a row. */
#include <stdio.h>

#include "unit/layer/lower_tree.h"

Test(indexed_resolve, implicit_directories_take_the_attributes_below)
{
	static const struct lower tree[] = {
		{"a", S_IFDIR | 0711, NULL, 0, 9},
		{"a/b", S_IFDIR | 01777, NULL, 0, 2},
		{"h/i", S_IFDIR | 0711, NULL, 0, 2},
		{0},
	};
	CLEANUP(world) struct world w;
	const struct apply_name *a;

	world_begin(&w, true);
	file(&w, "a/b/c/x");
	dir(&w, "h/");
	file(&w, "h/.wh..wh..opq");
	file(&w, "h/i/x");
	resolve(&w, tree);
	check_names(&w, "d a\nd a/b\nd a/b/c\nd h !\nd h/i\nf a/b/c/x 512\nf h/i/x 2560\n");
	a = apply_find(w.a, w.a->root, "a", 1);
	cr_assert_eq(a->inode->rec.attr.mode, S_IFDIR | 0711);
	cr_assert_eq(a->inode->rec.attr.uid, 77);
	cr_assert_str_eq(a->inode->xattrs->name, "user.x");
	a = apply_find(w.a, a, "b", 1);
	cr_assert_eq(a->inode->rec.attr.mode, S_IFDIR | 01777);
	a = apply_find(w.a, a, "c", 1);
	cr_assert_eq(a->inode->rec.attr.mode, S_IFDIR | 0755);
	/* What an opaque directory hides gives nothing away. */
	a = apply_find(w.a, apply_find(w.a, w.a->root, "h", 1), "i", 1);
	cr_assert_eq(a->inode->rec.attr.mode, S_IFDIR | 0755);
}

Test(indexed_resolve, directories_that_are_links_below)
{
	static const struct lower tree[] = {
		{"lib", S_IFLNK | 0777, "usr/lib", 0, 1},
		{"usr", S_IFDIR | 0755, NULL, 0, 2},
		{"usr/lib", S_IFDIR | 0750, NULL, 0, 2},
		{"usr/lib/deep", S_IFLNK | 0777, "/opt", 0, 1},
		{"opt", S_IFDIR | 0700, NULL, 0, 2},
		{"dangling", S_IFLNK | 0777, "new/place", 0, 1},
		{0},
	};
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "lib/a");
	file(&w, "lib/.wh.b");
	dir(&w, "usr/");
	dir(&w, "usr/lib/");
	file(&w, "lib/deep/c");
	file(&w, "dangling/d");
	resolve(&w, tree);
	check_names(&w, "d new\nd new/place\nd opt\nd usr\nd usr/lib\nf new/place/d 3584\n"
			"f opt/c 2560\nf usr/lib/a 512\nw usr/lib/b\n");
}

Test(indexed_resolve, the_later_of_two_for_one_place_wins)
{
	for (int stored = 0; stored < 2; stored++) {
		CLEANUP(world) struct world w;

		world_begin(&w, true);
		file(&w, "lib/first");
		file(&w, "usr/lib/first");
		file(&w, "usr/lib/second");
		file(&w, "lib/second");
		if (stored)
			store(&w);
		resolve(&w, usr_merged);
		check_names(&w, "d usr\nd usr/lib\nf usr/lib/first 1536\nf usr/lib/second 3584\n");
	}
}

/* A member that describes a directory counts, whether others made it before or after. */
Test(indexed_resolve, a_described_directory_wins_over_one_that_is_only_needed)
{
	static const struct lower tree[] = {
		{"lib", S_IFLNK | 0777, "usr/lib", 0, 1},
		{"usr", S_IFDIR | 0755, NULL, 0, 2},
		{"usr/lib", S_IFDIR | 0750, NULL, 0, 2},
		{"usr/lib/below", S_IFDIR | 0711, NULL, 0, 2},
		{0},
	};

	for (int stored = 0; stored < 2; stored++) {
		CLEANUP(world) struct world w;

		world_begin(&w, true);
		file(&w, "usr/lib/app/x");
		dir(&w, "lib/app/");
		dir(&w, "lib/sooner/");
		file(&w, "usr/lib/sooner/x");
		file(&w, "usr/lib/below/x");
		dir(&w, "lib/below/");
		file(&w, "usr/lib/opaque/.wh..wh..opq");
		dir(&w, "lib/opaque/");
		if (stored)
			store(&w);
		resolve(&w, tree);
		check_names(&w, "d usr\nd usr/lib\nd usr/lib/app\nd usr/lib/below\n"
				"d usr/lib/opaque !\nd usr/lib/sooner\nf usr/lib/app/x 512\n"
				"f usr/lib/below/x 2560\nf usr/lib/sooner/x 1536\n");
		cr_expect_eq(mode_of(&w, "usr/lib/app"), S_IFDIR | 0700);
		cr_expect_eq(mode_of(&w, "usr/lib/sooner"), S_IFDIR | 0700);
		cr_expect_eq(mode_of(&w, "usr/lib/below"), S_IFDIR | 0700);
		cr_expect_eq(mode_of(&w, "usr/lib/opaque"), S_IFDIR | 0700);
	}
}

/* A directory over a file of the same layer is a new one, as where both are named alike. */
Test(indexed_resolve, a_directory_in_the_place_of_a_file_hides_what_is_below)
{
	static const struct lower tree[] = {
		{"lib", S_IFLNK | 0777, "usr/lib", 0, 1},
		{"usr", S_IFDIR | 0755, NULL, 0, 2},
		{"usr/lib", S_IFDIR | 0750, NULL, 0, 2},
		{"usr/lib/a", S_IFDIR | 0711, NULL, 0, 2},
		{0},
	};

	for (int stored = 0; stored < 2; stored++) {
		CLEANUP(world) struct world w;

		world_begin(&w, true);
		file(&w, "usr/lib/a");
		file(&w, "lib/a/x");
		dir(&w, "usr/lib/b/");
		file(&w, "lib/b");
		if (stored)
			store(&w);
		resolve(&w, tree);
		check_names(&w, "d usr\nd usr/lib\nd usr/lib/a !\nf usr/lib/a/x 1536\n"
				"f usr/lib/b 2560\n");
		cr_expect_eq(mode_of(&w, "usr/lib/a"), S_IFDIR | 0755);
	}
}

/* A name that the layer deletes and has members below is a new directory, whatever was there. */
Test(indexed_resolve, a_whiteout_makes_a_new_directory)
{
	static const struct lower tree[] = {
		{"lib", S_IFLNK | 0777, "usr/lib", 0, 1},
		{"dir", S_IFDIR | 0700, NULL, 0, 9},
		{"dir/in", S_IFDIR | 0700, NULL, 0, 9},
		{"file", S_IFREG | 0600, NULL, 7, 1},
		{0},
	};

	for (int stored = 0; stored < 2; stored++) {
		CLEANUP(world) struct world w;

		world_begin(&w, true);
		file(&w, ".wh.lib");
		file(&w, "lib/a");
		file(&w, ".wh.dir");
		file(&w, "dir/in/x");
		file(&w, ".wh.file");
		file(&w, "file/x");
		if (stored)
			store(&w);
		resolve(&w, tree);
		check_names(&w,
			    stored ? "d dir ! w\nd dir/in\nd file ! w\nd lib ! w\nf dir/in/x 3584\n"
				     "f file/x 5632\nf lib/a 1536\n"
				   : "d dir w\nd dir/in\nd file w\nd lib w\nf dir/in/x 3584\n"
				     "f file/x 5632\nf lib/a 1536\n");
		cr_expect_eq(mode_of(&w, "lib"), S_IFDIR | 0755);
		cr_expect_eq(mode_of(&w, "dir"), S_IFDIR | 0755);
		cr_expect_eq(mode_of(&w, "dir/in"), S_IFDIR | 0755);
	}
}

/* A whiteout that a link takes elsewhere goes on hiding what is below, and describes no directory. */
Test(indexed_resolve, a_whiteout_moves_with_its_name)
{
	for (int stored = 0; stored < 2; stored++) {
		CLEANUP(world) struct world w;

		world_begin(&w, false);
		file(&w, "lib/.wh.a");
		file(&w, "lib/a");
		dir(&w, "usr/lib/a/");
		dir(&w, "usr/lib/b/");
		file(&w, "lib/.wh.b");
		file(&w, "lib/b/x");
		if (stored)
			store(&w);
		resolve(&w, usr_merged);
		check_names(&w, stored ? "d usr\nd usr/lib\nd usr/lib/a w\nd usr/lib/b ! w\n"
					 "f usr/lib/b/x 3584\n"
				       : "d usr\nd usr/lib\nd usr/lib/a w\nd usr/lib/b w\n"
					 "f usr/lib/b/x 3584\n");
		cr_expect_eq(mode_of(&w, "usr/lib/a"), S_IFDIR | 0700);
		cr_expect_eq(mode_of(&w, "usr/lib/b"), S_IFDIR | 0700);
	}
}

/* As when the archive is unpacked: an older link in the place of a needed directory leads on. */
Test(indexed_resolve, links_of_this_layer_in_the_place_of_directories)
{
	for (int stored = 0; stored < 2; stored++) {
		CLEANUP(world) struct world w;

		world_begin(&w, true);
		dir(&w, "usr/lib/real/");
		symlink_(&w, "usr/lib/x", "real");
		file(&w, "lib/x/f");
		file(&w, "lib/x/deep/g");
		symlink_(&w, "lib/y", "/usr/lib/real");
		file(&w, "usr/lib/y/h");
		symlink_(&w, "usr/lib/gone", "real");
		dir(&w, "lib/gone/");
		file(&w, "lib/late/i");
		symlink_(&w, "usr/lib/late", "real");
		if (stored)
			store(&w);
		resolve(&w, usr_merged);
		check_names(&w, "d usr\nd usr/lib\nd usr/lib/gone !\nd usr/lib/real\n"
				"d usr/lib/real/deep\nf usr/lib/real/deep/g 1536\n"
				"f usr/lib/real/f 512\nf usr/lib/real/h 2560\n"
				"l usr/lib/late>real\nl usr/lib/x>real\n"
				"l usr/lib/y>/usr/lib/real\n");
	}
}

Test(indexed_resolve, links_of_this_layer_that_lead_nowhere)
{
	for (int stored = 0; stored < 2; stored++) {
		CLEANUP(world) struct world w;

		world_begin(&w, false);
		symlink_(&w, "usr/lib/self", "self");
		file(&w, "lib/self/f");
		symlink_(&w, "lib/inside", "inside/deeper");
		file(&w, "usr/lib/inside/f");
		file(&w, "usr/lib/file");
		symlink_(&w, "usr/lib/x", "file");
		file(&w, "lib/x/f");
		symlink_(&w, "usr/lib/back", "/lib/back/in");
		file(&w, "lib/back/f");
		if (stored)
			store(&w);
		resolve(&w, usr_merged);
		check_names(&w, "d usr\nd usr/lib\nf usr/lib/file 2560\n"
				"l usr/lib/back>/lib/back/in\nl usr/lib/inside>inside/deeper\n"
				"l usr/lib/self>self\nl usr/lib/x>file\n");
		check_fault(&w, APPLY_NOT_A_DIRECTORY, 1);
		check_fault(&w, APPLY_LOOP, 3);
	}
}

/* The link may lead back through the very directories that are on the move. */
Test(indexed_resolve, links_of_this_layer_that_lead_back)
{
	static const struct lower tree[] = {
		{"d", S_IFDIR | 0755, NULL, 0, 2},
		{"d/e", S_IFDIR | 0750, NULL, 0, 2},
		{"s", S_IFLNK | 0777, "d", 0, 1},
		{"d/t", S_IFLNK | 0777, "e", 0, 1},
		{0},
	};

	for (int stored = 0; stored < 2; stored++) {
		CLEANUP(world) struct world w;

		world_begin(&w, true);
		symlink_(&w, "s/t/y", "../t");
		file(&w, "d/t/y/f");
		symlink_(&w, "d/t/x", "y");
		file(&w, "s/e/x/g");
		symlink_(&w, "s/t/z", "/s");
		file(&w, "s/e/z/t/x/deep/h");
		if (stored)
			store(&w);
		resolve(&w, tree);
		check_names(&w, "d d\nd d/e\nd d/e/deep\nf d/e/deep/h 2560\nf d/e/f 512\n"
				"f d/e/g 1536\nl d/e/x>y\nl d/e/y>../t\nl d/e/z>/s\n");
	}
}

#define DEEP 6000

/* Each waits for the next, deeper than any stack. */
Test(indexed_resolve, many_links_below_that_lead_to_one_another)
{
	static char names[DEEP + 1][8], targets[DEEP + 1][8];
	static struct lower tree[DEEP + 2];

	for (int i = 0; i <= DEEP; i++) {
		snprintf(names[i], sizeof(names[i]), "a%d", i);
		snprintf(targets[i], sizeof(targets[i]), "a%d", i + 1);
		tree[i] = (struct lower){names[i], S_IFLNK | 0777, targets[i], 0, 1};
	}
	tree[DEEP] = (struct lower){names[DEEP], S_IFDIR | 0750, NULL, 0, 2};
	for (int back = 0; back < 2; back++) {
		CLEANUP(world) struct world w;

		world_begin(&w, false);
		for (int i = 0; i < DEEP; i++) {
			int at = back ? DEEP - 1 - i : i;
			char path[32];

			snprintf(path, sizeof(path), "a%d/f%d", at, at);
			file(&w, path);
		}
		resolve(&w, tree);
		cr_expect_eq(mode_of(&w, targets[DEEP - 1]), S_IFDIR | 0750);
		mode_of(&w, "a6000/f5999");
		cr_expect_gt(w.a->faults[APPLY_LOOP], 0);
	}
}

Test(indexed_resolve, links_that_lead_in_a_circle_below)
{
	static const struct lower tree[] = {
		{"a", S_IFLNK | 0777, "b", 0, 1},
		{"b", S_IFLNK | 0777, "a", 0, 1},
		{"c", S_IFLNK | 0777, "c/d", 0, 1},
		{0},
	};
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	file(&w, "a/x");
	file(&w, "c/x");
	resolve(&w, tree);
	check_names(&w, "");
	check_fault(&w, APPLY_LOOP, 2);
}
