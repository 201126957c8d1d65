/* SPDX-License-Identifier: Apache-2.0 */
/* What of a layer depends on the layers below, one case a row. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "unit/layer/apply_world.h"

/* A tree below: path, type, target. */
struct lower {
	const char *path;
	uint32_t mode;
	const char *target;
	uint64_t ino;
	uint32_t nlink;
};

static const struct lower *find_lower(void *arg, const char *path)
{
	const struct lower *l;

	for (l = arg; l->path != NULL; l++)
		if (strcmp(l->path, path) == 0)
			return l;
	return NULL;
}

static int lower_stat(void *arg, const char *path, struct attr *ret_attr)
{
	const struct lower *l = find_lower(arg, path);

	if (l == NULL)
		return -ENOENT;
	*ret_attr = (struct attr){.mode = l->mode, .ino = l->ino, .nlink = l->nlink, .uid = 77};
	return 0;
}

static ssize_t lower_readlink(void *arg, const char *path, char *target, size_t size)
{
	const struct lower *l = find_lower(arg, path);

	return snprintf(target, size, "%s", l->target);
}

static int lower_xattrs(void *arg, const char *path, struct apply_inode *inode)
{
	return find_lower(arg, path)->nlink == 9 ? apply_xattr_set(inode, "user.x", "1", 1) : 0;
}

static void resolve(struct world *w, const struct lower *tree)
{
	struct apply_below below = {lower_stat, lower_readlink, lower_xattrs,
				    (void *)(uintptr_t)tree};

	cr_assert_eq(apply_resolve(w->a, &below, &w->err), 0, "%s", err_text(&w->err));
	cr_assert_not(apply_has_implicit(w->a));
	cr_assert_not(apply_has_pending(w->a));
}

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
	static const struct lower tree[] = {
		{"lib", S_IFLNK | 0777, "usr/lib", 0, 1},
		{"usr", S_IFDIR | 0755, NULL, 0, 2},
		{"usr/lib", S_IFDIR | 0750, NULL, 0, 2},
		{0},
	};
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "lib/first");
	file(&w, "usr/lib/first");
	file(&w, "usr/lib/second");
	file(&w, "lib/second");
	resolve(&w, tree);
	check_names(&w, "d usr\nd usr/lib\nf usr/lib/first 1536\nf usr/lib/second 3584\n");
}

Test(indexed_resolve, a_whiteout_stops_the_link)
{
	static const struct lower tree[] = {
		{"lib", S_IFLNK | 0777, "usr/lib", 0, 1},
		{0},
	};
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, ".wh.lib");
	file(&w, "lib/a");
	resolve(&w, tree);
	check_names(&w, "d lib w\nf lib/a 1536\n");
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

Test(indexed_resolve, links_to_files_below)
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
Test(indexed_resolve, headers_of_links_to_files_below_count)
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

Test(indexed_resolve, the_link_came_before_the_target_was_replaced)
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
