/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of OCI layers, one case a row. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "unit/layer/apply_world.h"

/* ---- whiteouts ---- */

Test(indexed_apply, whiteout)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	dir(&w, "d/");
	file(&w, "d/.wh.gone");
	file(&w, ".wh.top");
	check_names(&w, "d d\nw d/gone\nw top\n");
}

Test(indexed_apply, whiteout_and_name_in_any_order)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	file(&w, ".wh.x");
	file(&w, "x");
	file(&w, "y");
	file(&w, ".wh.y");
	check_names(&w, "f x 1536\nf y 2560\n");
	check_fault(&w, APPLY_WHITEOUT_TWIN, 2);
}

Test(indexed_apply, opaque_before_and_after)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "a/.wh..wh..opq");
	dir(&w, "a/");
	file(&w, "a/f");
	dir(&w, "b/");
	file(&w, "b/f");
	file(&w, "b/.wh..wh..opq");
	check_names(&w, "d a !\nd b !\nf a/f 1536\nf b/f 2560\n");
}

Test(indexed_apply, opaque_of_an_absent_directory)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "a/b/.wh..wh..opq");
	check_names(&w, "d a ?\nd a/b ! ?\n");
}

Test(indexed_apply, directory_deleted_and_made_anew)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	file(&w, ".wh.d");
	dir(&w, "d/");
	file(&w, "d/f");
	check_names(&w, "d d w\nf d/f 1536\n");
}

Test(indexed_apply, bare_whiteouts)
{
	static const char *const names[] = {".wh.", "d/.wh.", ".wh..", ".wh..."};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		CLEANUP(world) struct world lenient;
		CLEANUP(world) struct world strict;

		world_begin(&lenient, false);
		world_begin(&strict, true);
		file(&lenient, names[i]);
		check_fault(&lenient, APPLY_BARE_WHITEOUT, 1);
		cr_assert_eq(put(&strict, TAR_FILE, names[i], ""), -EBADMSG, "%s", names[i]);
		cr_assert_not_null(strstr(err_text(&strict.err), names[i]));
	}
}

Test(indexed_apply, whiteout_of_any_type)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	hardlink(&w, ".wh.a", "no/such/file");
	dir(&w, ".wh.b/");
	symlink_(&w, ".wh.c", "x");
	check_names(&w, "w a\nw b\nw c\n");
	check_fault(&w, APPLY_WHITEOUT_TYPE, 3);
}

Test(indexed_apply, member_below_a_whiteout)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	file(&w, ".wh.test");
	file(&w, ".wh.test/x");
	check_names(&w, "w test\n");
	check_fault(&w, APPLY_BELOW_WHITEOUT, 1);
}

Test(indexed_apply, aufs_link_targets)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	dir(&w, ".wh..wh.plnk/");
	file(&w, ".wh..wh.plnk/12.34");
	hardlink(&w, "a", ".wh..wh.plnk/12.34");
	hardlink(&w, "b", "./.wh..wh.plnk/12.34");
	check_names(&w, "d .wh..wh.plnk\nf .wh..wh.plnk/12.34 512\nf a 512\nf b 512\n");
}

Test(indexed_apply, unknown_reserved_names)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	file(&w, ".wh..wh.what");
	check_fault(&w, APPLY_UNKNOWN_META, 1);
}

/* ---- replacing ---- */

Test(indexed_apply, kinds_replace_each_other)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	dir(&w, "a/");
	file(&w, "a/x");
	file(&w, "a");
	file(&w, "b");
	dir(&w, "b/");
	dir(&w, "c/");
	file(&w, "c/x");
	dir(&w, "c/");
	dir(&w, "e/");
	file(&w, "e/x");
	symlink_(&w, "e", "c");
	check_names(&w, "d b !\nd c\nf a 1536\nf c/x 3584\nl e>c\n");
}

Test(indexed_apply, last_duplicate_wins)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	file(&w, "x");
	hardlink(&w, "old", "x");
	file(&w, "x");
	check_names(&w, "f old 512\nf x 1536\n");
	check_fault(&w, APPLY_DUPLICATE, 1);
}

Test(indexed_apply, strict_refuses_duplicates)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "x");
	cr_assert_eq(put(&w, TAR_FILE, "./x", ""), -EBADMSG);
}

/* ---- names ---- */

Test(indexed_apply, names_are_normalised)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	dir(&w, "./");
	file(&w, "/abs");
	file(&w, ".//d/./x");
	file(&w, "d/../y");
	file(&w, "z/");
	check_names(&w, "d d ?\nf abs 512\nf d/x 1536\nf y 2560\nf z 3584\n");
	cr_assert_eq(w.a->root->inode->rec.attr.mode, S_IFDIR | 0700);
	cr_assert_eq(w.a->root->inode->rec.flags & INDEX_IMPLICIT, 0);
}

Test(indexed_apply, names_that_leave_the_root)
{
	static const char *const names[] = {"..", "../x", "a/../../x", "/../x"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		CLEANUP(world) struct world lenient;
		CLEANUP(world) struct world strict;

		world_begin(&lenient, false);
		world_begin(&strict, true);
		file(&lenient, names[i]);
		check_names(&lenient, "");
		check_fault(&lenient, APPLY_OUTSIDE, 1);
		cr_assert_eq(put(&strict, TAR_FILE, names[i], ""), -EBADMSG, "%s", names[i]);
	}
}

Test(indexed_apply, bad_names)
{
	CLEANUP(world) struct world w;
	char longest[NAME_MAX + 1], too_long[NAME_MAX + 2];

	memset(longest, 'n', NAME_MAX);
	longest[NAME_MAX] = '\0';
	memset(too_long, 'n', NAME_MAX + 1);
	too_long[NAME_MAX + 1] = '\0';
	world_begin(&w, false);
	file(&w, "");
	file(&w, too_long);
	/* The root is a directory. */
	file(&w, ".");
	symlink_(&w, "./", "x");
	check_fault(&w, APPLY_BAD_NAME, 4);
	check_names(&w, "");
	file(&w, longest);
	cr_assert_not_null(apply_find(w.a, w.a->root, longest, NAME_MAX));
}

Test(indexed_apply, bytes_that_are_no_text)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "\xff\xfe/\x80\n");
	check_names(&w, "d \xff\xfe ?\nf \xff\xfe/\x80\n 512\n");
}

/* ---- parents ---- */

Test(indexed_apply, implicit_parents_become_explicit)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "a/b/x");
	dir(&w, "a/");
	check_names(&w, "d a\nd a/b ?\nf a/b/x 512\n");
	cr_assert(apply_has_implicit(w.a));
	dir(&w, "a/b/");
	cr_assert_not(apply_has_implicit(w.a));
}

Test(indexed_apply, parents_through_links_of_the_layer)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	dir(&w, "usr/");
	dir(&w, "usr/lib/");
	symlink_(&w, "lib", "usr/lib");
	symlink_(&w, "abs", "/usr/lib");
	symlink_(&w, "usr/up", "../../../usr/./lib");
	symlink_(&w, "other", "not/there");
	file(&w, "lib/a");
	file(&w, "abs/b");
	file(&w, "usr/up/c");
	file(&w, "other/d");
	file(&w, "lib/.wh.e");
	check_names(&w, "d not ?\nd not/there ?\nd usr\nd usr/lib\nf not/there/d 3584\n"
			"f usr/lib/a 512\nf usr/lib/b 1536\nf usr/lib/c 2560\n"
			"l abs>/usr/lib\nl lib>usr/lib\nl other>not/there\n"
			"l usr/up>../../../usr/./lib\nw usr/lib/e\n");
}

Test(indexed_apply, parents_that_lead_in_a_circle)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	symlink_(&w, "a", "b");
	symlink_(&w, "b", "a");
	file(&w, "a/x");
	check_fault(&w, APPLY_LOOP, 1);
	check_names(&w, "l a>b\nl b>a\n");
}

/* Each link leads to the end of what there is so far: without a limit this has no bottom. */
Test(indexed_apply, deeper_than_any_path)
{
	CLEANUP(world) struct world w;
	char path[4000], target[4100] = "";
	size_t i;

	for (i = 0; i < 1000; i++)
		memcpy(path + 2 * i, "d/", 2);
	memcpy(path + 2000, "f", 2);
	world_begin(&w, false);
	for (i = 0; i < 20; i++) {
		char link[16], member[4100];

		snprintf(link, sizeof(link), "l%zu", i);
		snprintf(member, sizeof(member), "%s%s", target, path);
		file(&w, member);
		/* Of the directory that the file is in. */
		memcpy(target + snprintf(target, sizeof(target), "%s", member) - 2, "", 1);
		symlink_(&w, link, target);
		snprintf(target, sizeof(target), "%s/", link);
	}
	cr_assert_gt(w.a->faults[APPLY_LOOP], 0);
	for (struct apply_name *n = w.a->root; n != NULL; n = apply_next(w.a->root, n))
		cr_assert_leq(n->depth, APPLY_DEPTH_MAX + 1);
	cr_assert_eq(apply_resolve(w.a, NULL, &w.err), 0);
}

Test(indexed_apply, a_parent_that_is_a_file)
{
	CLEANUP(world) struct world w;
	CLEANUP(world) struct world strict;

	world_begin(&w, false);
	file(&w, "a");
	file(&w, "a/x");
	check_fault(&w, APPLY_NOT_A_DIRECTORY, 1);
	check_names(&w, "d a !\nf a/x 1536\n");
	world_begin(&strict, true);
	file(&strict, "a");
	cr_assert_eq(put(&strict, TAR_FILE, "a/x", ""), -EBADMSG);
}

/* ---- hard links ---- */

Test(indexed_apply, links_inside_the_layer)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "a");
	hardlink(&w, "d/b", "./a");
	hardlink(&w, "c", "d/b");
	symlink_(&w, "s", "a");
	hardlink(&w, "t", "/s");
	put(&w, TAR_FIFO, "fifo", "");
	hardlink(&w, "fifo2", "fifo");
	check_names(&w, "d d ?\nf a 512\nf c 512\nf d/b 512\nl s>a\nl t>a\nx fifo\nx fifo2\n");
	cr_assert_eq(apply_find(w.a, w.a->root, "a", 1)->inode->n_names, 3);
}

/* The header's attributes are those of all names from then on; a symbolic link has no mode. */
Test(indexed_apply, headers_of_links_count)
{
	CLEANUP(world) struct world w;
	struct tar_xattr xattr = {.name = "user.k", .value = "v", .len = 1};
	struct tar_member m = {.type = TAR_HARDLINK, .path = "b", .path_len = 1, .link = "a"};
	const struct apply_inode *inode;

	m.link_len = 1;
	m.mode = 04711;
	m.uid = 5;
	m.gid = 6;
	m.mtime.tv_sec = 77;
	m.xattrs = &xattr;
	m.n_xattrs = 1;
	world_begin(&w, true);
	file(&w, "a");
	symlink_(&w, "s", "a");
	cr_assert_eq(apply_member(w.a, &m, &w.err), 0);
	m.path = "t";
	m.link = "s";
	cr_assert_eq(apply_member(w.a, &m, &w.err), 0);
	check_names(&w, "f a 512\nf b 512\nl s>a\nl t>a\n");
	inode = apply_find(w.a, w.a->root, "a", 1)->inode;
	cr_assert_eq(inode->rec.attr.mode, S_IFREG | 04711);
	cr_assert_eq(inode->rec.attr.uid, 5);
	cr_assert_eq(inode->rec.attr.gid, 6);
	cr_assert_eq(inode->rec.attr.mtime.tv_sec, 77);
	cr_assert_str_eq(inode->xattrs->name, "user.k");
	inode = apply_find(w.a, w.a->root, "s", 1)->inode;
	cr_assert_eq(inode->rec.attr.mode, S_IFLNK | 0777);
	cr_assert_eq(inode->rec.attr.uid, 5);
}

Test(indexed_apply, link_to_a_directory_or_to_nowhere)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	dir(&w, "d/");
	hardlink(&w, "a", "d");
	hardlink(&w, "b", "../x");
	hardlink(&w, "c", "");
	check_fault(&w, APPLY_BAD_LINK, 3);
	check_names(&w, "d d\n");
}

Test(indexed_apply, link_before_its_target)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	hardlink(&w, "a", "b");
	hardlink(&w, "c", "a");
	file(&w, "b");
	hardlink(&w, "self", "self");
	hardlink(&w, "lost", "no/where");
	check_names(&w, "f b 512\np a>b\np c>b\np lost>no/where\np self>self\n");
	cr_assert(apply_has_pending(w.a));
	cr_assert_eq(apply_resolve(w.a, NULL, &w.err), 0);
	check_names(&w, "f a 512\nf b 512\nf c 512\n");
	check_fault(&w, APPLY_BAD_LINK, 2);
	check_fault(&w, APPLY_LATE_LINK, 2);
	cr_assert_not(apply_has_pending(w.a));
}

Test(indexed_apply, strict_refuses_dangling_links)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	hardlink(&w, "a", "b");
	cr_assert_eq(apply_resolve(w.a, NULL, &w.err), -EBADMSG);
}

Test(indexed_apply, owners)
{
	CLEANUP(world) struct world w;
	struct tar_member m = {.type = TAR_FILE, .path = "x", .path_len = 1, .link = ""};

	m.uid = UINT32_MAX;
	m.gid = 4294967294u;
	world_begin(&w, false);
	cr_assert_eq(apply_member(w.a, &m, &w.err), 0);
	check_fault(&w, APPLY_BAD_OWNER, 1);
	cr_assert_eq(apply_find(w.a, w.a->root, "x", 1)->inode->rec.attr.uid, 0);
	cr_assert_eq(apply_find(w.a, w.a->root, "x", 1)->inode->rec.attr.gid, 4294967294u);
}

Test(indexed_apply, marks_of_union_file_systems_are_dropped)
{
	CLEANUP(world) struct world w;
	const struct tar_xattr xattrs[] = {
		{"user.overlay.opaque", "y", 1},
		{"security.capability", "\1\0\0\2", 4},
		{"trusted.overlay.redirect", "/x", 2},
		{"user.mine", "", 0},
	};
	struct tar_member m = {.type = TAR_DIR, .path = "x", .path_len = 1, .link = ""};
	const struct apply_xattr *x;

	m.xattrs = xattrs;
	m.n_xattrs = 4;
	world_begin(&w, true);
	cr_assert_eq(apply_member(w.a, &m, &w.err), 0);
	x = apply_find(w.a, w.a->root, "x", 1)->inode->xattrs;
	cr_assert_str_eq(x->name, "security.capability");
	cr_assert_eq(x->len, 4);
	cr_assert_str_eq(x->next->name, "user.mine");
	cr_assert_null(x->next->next);
}
