/* SPDX-License-Identifier: Apache-2.0 */
/* What of a layer depends on the layers below, one case a row. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "layer/indexed_write.h"
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

/* The tree as a mount has it: out of the layer's own index. */
static void store(struct world *w)
{
	CLEANUP(index_builder) struct index_builder *b = NULL;
	CLEANUP(index_file) struct index_file *x = NULL;
	struct indexed_head head = {.flags = INDEXED_IMPLICIT | INDEXED_PENDING};
	const struct apply_options options = {.strict = w->a->options.strict};
	int fd = memfd_create("index", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(index_builder_new(fd, &b), 0);
	cr_assert_eq(indexed_write(w->a, &head, b), 0);
	cr_assert_eq(index_finish(b, false), 0);
	cr_assert_eq(index_file_open(fd, "index", &x, &w->err), 0, "%s", err_text(&w->err));
	apply_free(w->a);
	cr_assert_eq(apply_new(&options, &w->a), 0);
	cr_assert_eq(indexed_load(x, w->a), 0);
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

	for (int stored = 0; stored < 2; stored++) {
		CLEANUP(world) struct world w;

		world_begin(&w, true);
		file(&w, "lib/first");
		file(&w, "usr/lib/first");
		file(&w, "usr/lib/second");
		file(&w, "lib/second");
		if (stored)
			store(&w);
		resolve(&w, tree);
		check_names(&w, "d usr\nd usr/lib\nf usr/lib/first 1536\nf usr/lib/second 3584\n");
	}
}

static uint32_t mode_of(const struct world *w, const char *path)
{
	struct apply_inode *inode;

	cr_assert_eq(apply_find_path(w->a, path, &inode), 0);
	cr_assert_not_null(inode, "%s", path);
	return inode->rec.attr.mode;
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

static void hardlink_with(struct world *w, const char *path, uint32_t mode)
{
	struct tar_member m = {.type = TAR_HARDLINK, .path = path, .link = "f", .mode = mode};

	m.path_len = strlen(path);
	m.link_len = 1;
	cr_assert_eq(apply_member(w->a, &m, &w->err), 0, "%s", err_text(&w->err));
}

/* Of several links to one file below it is the last member's, whatever the names. */
Test(indexed_resolve, the_last_header_of_several_links_counts)
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
			hardlink_with(&w, orders[i / 2][k], 0700 + k);
		if (i % 2 != 0)
			store(&w);
		resolve(&w, tree);
		cr_expect_eq(mode_of(&w, "f"), S_IFREG | 0702, "order %zu: %o", i,
			     mode_of(&w, "f"));
		cr_expect_eq(mode_of(&w, "a"), S_IFREG | 0702);
	}
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
