/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links of a layer whose targets it does not have itself, or not yet, one case a row. */
#include <stdio.h>
#include <string.h>

#include "unit/layer/lower_tree.h"

Test(indexed_links, links_to_files_below)
{
	static const struct lower tree[] = {
		{"bin", S_IFLNK | 0777, "usr/bin", 0, 1},
		{"usr", S_IFDIR | 0755, NULL, 0, 2},
		{"usr/bin", S_IFDIR | 0755, NULL, 0, 2},
		{"usr/bin/f", S_IFREG | 0755, NULL, 1000, 1},
		{"usr/bin/s", S_IFLNK | 0777, "f", 1001, 1},
		{"d", S_IFDIR | 0755, NULL, 0, 2},
		{0},
	};
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	hardlink(&w, "x", "bin/f");
	hardlink(&w, "y", "usr/bin/f");
	hardlink(&w, "s", "bin/s");
	hardlink(&w, "no", "d");
	resolve(&w, tree);
	check_names(&w, "L usr/bin/f>usr/bin/f 3\nL x>usr/bin/f 3\nL y>usr/bin/f 3\n"
			"d usr\nd usr/bin\nl s>f\n");
	cr_assert_eq(apply_find(w.a, w.a->root, "x", 1)->inode->rec.union_ino, 1000);
	check_fault(&w, APPLY_BAD_LINK, 1);
}

/* As inside one layer: the header of the link counts, and what it has not stays as below. */
Test(indexed_links, headers_of_links_to_files_below_count)
{
	static const struct lower tree[] = {{"f", S_IFREG | 0600, NULL, 7, 9}, {0}};
	CLEANUP(world) struct world w;
	struct tar_xattr xattr = {.name = "user.k", .value = "v", .len = 1};
	struct tar_member m = {.type = TAR_HARDLINK, .path = "g", .path_len = 1, .link = "f"};
	const struct apply_inode *inode;

	m.link_len = 1;
	m.mode = 04711;
	m.uid = 5;
	m.xattrs = &xattr;
	m.n_xattrs = 1;
	world_begin(&w, true);
	cr_assert_eq(apply_member(w.a, &m, &w.err), 0);
	resolve(&w, tree);
	inode = apply_find(w.a, w.a->root, "f", 1)->inode;
	cr_assert_eq(inode, apply_find(w.a, w.a->root, "g", 1)->inode);
	cr_assert_eq(inode->rec.attr.mode, S_IFREG | 04711);
	cr_assert_eq(inode->rec.attr.uid, 5);
	cr_assert_str_eq(inode->xattrs->name, "user.k");
	cr_assert_str_eq(inode->xattrs->next->name, "user.x");
}

static void hardlink_to(struct world *w, const char *path, const char *target, uint32_t mode)
{
	struct tar_member m = {.type = TAR_HARDLINK, .path = path, .link = target, .mode = mode};

	m.path_len = strlen(path);
	m.link_len = strlen(target);
	cr_assert_eq(apply_member(w->a, &m, &w->err), 0, "%s", err_text(&w->err));
}

/* Of several links to one file below it is the last member's, whatever the names. */
Test(indexed_links, the_last_header_of_several_links_counts)
{
	static const struct lower tree[] = {{"f", S_IFREG | 0600, NULL, 7, 1}, {0}};
	static const char *const orders[][3] = {
		{"a", "b", "c"}, {"a", "c", "b"}, {"b", "a", "c"},
		{"b", "c", "a"}, {"c", "a", "b"}, {"c", "b", "a"},
	};

	for (size_t i = 0; i < 2 * sizeof(orders) / sizeof(*orders); i++) {
		CLEANUP(world) struct world w;

		world_begin(&w, true);
		for (uint32_t k = 0; k < 3; k++)
			hardlink_to(&w, orders[i / 2][k], "f", 0700 + k);
		if (i % 2 != 0)
			store(&w);
		resolve(&w, tree);
		cr_expect_eq(mode_of(&w, "f"), S_IFREG | 0702, "order %zu: %o", i,
			     mode_of(&w, "f"));
		cr_expect_eq(mode_of(&w, "a"), S_IFREG | 0702);
	}
}

Test(indexed_links, the_link_came_before_the_target_was_replaced)
{
	static const struct lower tree[] = {{"f", S_IFREG | 0755, NULL, 1000, 1}, {0}};
	CLEANUP(world) struct world w;
	CLEANUP(world) struct world deleted;

	world_begin(&w, true);
	hardlink(&w, "before", "f");
	file(&w, "f");
	hardlink(&w, "after", "f");
	resolve(&w, tree);
	check_names(&w, "L before>f 2\nf after 512\nf f 512\n");
	world_begin(&deleted, true);
	hardlink(&deleted, "kept", "f");
	file(&deleted, ".wh.f");
	resolve(&deleted, tree);
	check_names(&deleted, "L kept>f 2\nw f\n");
}

/* The target is what its path leads to where the archive is unpacked: this layer over those below. */
Test(indexed_links, targets_behind_links_below)
{
	static const struct lower tree[] = {
		{"lib", S_IFLNK | 0777, "usr/lib", 0, 1},
		{"usr", S_IFDIR | 0755, NULL, 0, 2},
		{"usr/lib", S_IFDIR | 0750, NULL, 0, 2},
		{"usr/lib/foo", S_IFREG | 0755, NULL, 1000, 1},
		{"usr/lib/bar", S_IFREG | 0755, NULL, 1001, 1},
		{"usr/lib/old", S_IFREG | 0755, NULL, 1002, 1},
		{0},
	};

	for (int stored = 0; stored < 2; stored++) {
		CLEANUP(world) struct world w;

		world_begin(&w, true);
		file(&w, "lib/foo");
		hardlink(&w, "a", "usr/lib/foo");
		file(&w, "usr/lib/bar");
		hardlink(&w, "b", "lib/bar");
		file(&w, "usr/lib/new");
		hardlink(&w, "c", "lib/new");
		hardlink(&w, "d", "lib/old");
		file(&w, "usr/lib/old");
		if (stored)
			store(&w);
		resolve(&w, tree);
		check_names(&w, "L d>usr/lib/old 2\nd usr\nd usr/lib\nf a 512\nf b 1536\nf c 2560\n"
				"f usr/lib/bar 1536\nf usr/lib/foo 512\nf usr/lib/new 2560\n"
				"f usr/lib/old 3584\n");
	}
}

/* The name may be a link by then that leads to another file. */
Test(indexed_links, targets_that_links_replaced)
{
	static const struct lower tree[] = {
		{"lib", S_IFLNK | 0777, "usr/lib", 0, 1},
		{"usr", S_IFDIR | 0755, NULL, 0, 2},
		{"usr/lib", S_IFDIR | 0750, NULL, 0, 2},
		{"usr/lib/b", S_IFREG | 0755, NULL, 1000, 1},
		{"usr/lib/c", S_IFREG | 0755, NULL, 1001, 1},
		{"usr/lib/t", S_IFREG | 0755, NULL, 1002, 1},
		{0},
	};

	for (int stored = 0; stored < 2; stored++) {
		CLEANUP(world) struct world w;

		world_begin(&w, true);
		hardlink(&w, "lib/c", "usr/lib/b");
		hardlink(&w, "lib/b", "usr/lib/c");
		hardlink(&w, "x", "lib/t");
		file(&w, "usr/lib/t");
		hardlink(&w, "y", "x");
		if (stored)
			store(&w);
		resolve(&w, tree);
		check_names(&w, "L usr/lib/b>usr/lib/b 2\nL usr/lib/c>usr/lib/b 2\n"
				"L x>usr/lib/t 3\nL y>usr/lib/t 3\nd usr\nd usr/lib\n"
				"f usr/lib/t 512\n");
	}
}

/* The header of a link counts for the file of this layer that is found now, too. */
Test(indexed_links, headers_of_links_behind_links_below_count)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "lib/f");
	hardlink_to(&w, "g", "usr/lib/f", 04711);
	store(&w);
	resolve(&w, usr_merged);
	cr_expect_eq(mode_of(&w, "usr/lib/f"), S_IFREG | 04711);
}

#define CHAIN	   3000
#define CHAIN_TEXT "3000"

/* Each link comes before its target: the work is a few questions a link. */
Test(indexed_links, a_long_chain_of_late_links)
{
	static const struct lower tree[] = {{0}};
	struct apply_inode *first, *last;
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	for (int i = 0; i < CHAIN; i++) {
		char name[16], target[16];

		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), "l%d", i + 1);
		hardlink(&w, name, target);
	}
	file(&w, "l" CHAIN_TEXT);
	store(&w);
	n_stats = 0;
	resolve(&w, tree);
	cr_expect_leq(n_stats, 4 * CHAIN);
	cr_assert_eq(apply_find_path(w.a, "l0", &first), 0);
	cr_assert_eq(apply_find_path(w.a, "l" CHAIN_TEXT, &last), 0);
	cr_expect_not_null(first);
	cr_expect_eq(first, last);
	cr_expect_eq(first->n_names, CHAIN + 1);
	check_fault(&w, APPLY_LATE_LINK, CHAIN);
}

/* A link that leads to itself by way of others is none; what hangs on it is none, either. */
Test(indexed_links, late_links_in_a_circle)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	hardlink(&w, "hangs", "a");
	hardlink(&w, "a", "lib/b");
	hardlink(&w, "usr/lib/b", "lib/c");
	hardlink(&w, "usr/lib/c", "usr/../a");
	hardlink(&w, "waits", "lib/good");
	hardlink(&w, "x", "waits");
	hardlink(&w, "usr/lib/good", "lib/file");
	file(&w, "usr/lib/file");
	store(&w);
	resolve(&w, usr_merged);
	check_names(&w, "d usr\nd usr/lib\nf usr/lib/file 512\nf usr/lib/good 512\nf waits 512\n"
			"f x 512\n");
	check_fault(&w, APPLY_BAD_LINK, 4);
}
