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
