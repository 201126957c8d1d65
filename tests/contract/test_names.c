/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of a layer: look-ups, marks, attributes, listings. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "contract/contract.h"

CONTRACT(names, same_as_reference, NULL)
{
	compare_layers(f);
}

CONTRACT(names, root, NULL)
{
	CLEANUP(held_dir) struct held_dir root = held_dir_at(f, "");
	struct layer_entry e = {0};
	struct attr a;

	cr_assert_eq(layer_dir_entry(f->layer, root.dir, &e), 0);
	entry_as_noted(f->variant, "", &e);
	cr_assert_eq(e.attr.mode, S_IFDIR | 0751);
	cr_assert_eq(e.attr.uid, 3);
	cr_assert_eq(e.attr.gid, 4);
	cr_assert_eq(e.flags, 0);
	cr_assert_not_null(e.dir);
	cr_assert_eq(layer_getattr(f->layer, root.dir, NULL, &a), 0);
	cr_assert_eq(a.ino, e.attr.ino);
	layer_entry_done(f->layer, &e);
	cr_assert_null(e.dir);
}

CONTRACT(names, opaque_root, "dir . 0755 0:0 opaque\nfile x 0644 0:0\n")
{
	CLEANUP(held_dir) struct held_dir root = held_dir_at(f, "");
	CLEANUP(layer_list) struct layer_list list = {0};
	struct layer_entry e = {0};

	cr_assert_eq(layer_dir_entry(f->layer, root.dir, &e), 0);
	cr_assert_eq(e.flags, LAYER_OPAQUE);
	layer_entry_done(f->layer, &e);
	cr_assert_eq(layer_readdir(f->layer, root.dir, &list), 0);
	cr_assert_eq(list.n, 1);
}

CONTRACT(names, types, NULL)
{
	static const struct {
		const char *name;
		uint32_t mode, major, minor;
	} expected[] = {
		{"nothing", S_IFREG | 0600, 0, 0},  {"d", S_IFDIR | 02750, 0, 0},
		{"sym", S_IFLNK | 0777, 0, 0},	    {"chr", S_IFCHR | 0620, 5, 1},
		{"zero-one", S_IFCHR | 0600, 0, 1}, {"blk", S_IFBLK | 0660, 7, 3},
		{"fifo", S_IFIFO | 0666, 0, 0},	    {"sock", S_IFSOCK | 0711, 0, 0},
	};
	size_t i;

	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct layer_entry e;

		lookup_at(f, "", expected[i].name, &e);
		cr_assert_eq(e.attr.mode, expected[i].mode, "%s: %o", expected[i].name,
			     e.attr.mode);
		if (expected[i].major != 0 || expected[i].minor != 0) {
			cr_assert_eq(e.attr.rdev_major, expected[i].major);
			cr_assert_eq(e.attr.rdev_minor, expected[i].minor);
		}
		cr_assert_eq(e.flags, 0);
		cr_assert_eq(e.dir != NULL, S_ISDIR(e.attr.mode) != 0);
		cr_assert_null(e.redirect);
		layer_entry_done(f->layer, &e);
	}
}

CONTRACT(names, attributes, NULL)
{
	CLEANUP(held_dir) struct held_dir d = held_dir_at(f, "d");
	struct layer_entry e;
	struct attr a;

	lookup_at(f, "d", "f", &e);
	cr_assert_eq(e.attr.mode, S_IFREG | 0640);
	cr_assert_eq(e.attr.uid, 5);
	cr_assert_eq(e.attr.gid, 6);
	cr_assert_eq(e.attr.size, 12);
	cr_assert_eq(e.attr.nlink, 1);
	cr_assert_eq(e.attr.mtime.tv_sec, 1000000000);
	cr_assert_neq(e.attr.ino, 0);
	cr_assert_eq(layer_getattr(f->layer, d.dir, "f", &a), 0);
	cr_assert_eq(a.ino, e.attr.ino);
	cr_assert_eq(a.mode, e.attr.mode);
	cr_assert_eq(a.uid, e.attr.uid);
	cr_assert_eq(a.size, e.attr.size);
	cr_assert_eq(timespec_cmp(&a.mtime, &e.attr.mtime), 0);
	cr_assert_eq(timespec_cmp(&a.ctime, &e.attr.ctime), 0);
	cr_assert_eq(layer_getattr(f->layer, d.dir, NULL, &a), 0);
	cr_assert_eq(a.mode, S_IFDIR | 02750);
	cr_assert_eq(a.uid, 12);
	lookup_at(f, "", "huge-owner", &e);
	cr_assert_eq(e.attr.uid, 4000000000u);
	cr_assert_eq(e.attr.gid, 4100000000u);
}

CONTRACT(names, hard_links, NULL)
{
	struct layer_entry a, b, c;

	lookup_at(f, "", "link1", &a);
	lookup_at(f, "d", "link2", &b);
	lookup_at(f, "", "nothing", &c);
	cr_assert_eq(a.attr.ino, b.attr.ino);
	cr_assert_eq(a.attr.nlink, 2);
	cr_assert_eq(b.attr.nlink, 2);
	cr_assert_neq(a.attr.ino, c.attr.ino);
}

CONTRACT(names, whiteouts, NULL)
{
	static const char *const places[][2] = {{"", "gone"}, {"d", "gone\xff"}};
	size_t i;

	for (i = 0; i < 2; i++) {
		struct layer_entry e;

		lookup_at(f, places[i][0], places[i][1], &e);
		cr_assert_eq(e.flags, LAYER_WHITEOUT);
		cr_assert_eq(e.attr.mode, 0);
		cr_assert_eq(e.attr.ino, 0);
		cr_assert_null(e.dir);
		cr_assert_null(e.redirect);
	}
}

CONTRACT(names, marks_are_flags, NULL)
{
	static const struct {
		const char *name;
		uint32_t flags;
		const char *redirect;
	} expected[] = {
		{"opaque", LAYER_OPAQUE, NULL},
		{"empty", 0, NULL},
		{"moved", LAYER_REDIRECT, "/old/place"},
		{"renamed", LAYER_REDIRECT, "name"},
		{"meta", LAYER_METACOPY, NULL},
		{"meta-moved", LAYER_METACOPY | LAYER_REDIRECT, "/elsewhere/x"},
	};
	size_t i;

	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct layer_entry e;

		if ((f->variant->traits & NO_REDIRECTS) != 0 &&
		    (expected[i].flags & (LAYER_REDIRECT | LAYER_METACOPY)) != 0)
			continue;
		lookup_at(f, "", expected[i].name, &e);
		cr_assert_eq(e.flags, expected[i].flags, "%s: %x", expected[i].name, e.flags);
		cr_assert_eq(e.redirect != NULL, expected[i].redirect != NULL);
		if (e.redirect != NULL)
			cr_assert(is_redirect(f->variant, expected[i].name, expected[i].redirect,
					      e.redirect),
				  "%s: %s", expected[i].name, e.redirect);
		layer_entry_done(f->layer, &e);
	}
}

CONTRACT(names, opaque_is_kept_with_the_node, NULL)
{
	CLEANUP(held_dir) struct held_dir d = held_dir_at(f, "opaque");
	struct layer_entry e = {0};

	cr_assert_eq(layer_dir_entry(f->layer, d.dir, &e), 0);
	cr_assert_eq(e.flags, LAYER_OPAQUE);
	cr_assert_eq(e.attr.mode, S_IFDIR | 0755);
	layer_entry_done(f->layer, &e);
}

/* What a listing says of a name must be what the look-up says, or that it does not know. */
static void check_listed(struct fixture *f, struct layer_dir *dir, const struct layer_name *n,
			 const char *name)
{
	struct layer_entry e = {0};

	cr_assert_eq(strlen(name), n->len);
	cr_assert_eq(layer_lookup(f->layer, dir, name, &e), 0, "%s", name);
	if ((e.flags & LAYER_WHITEOUT) != 0) {
		cr_assert(n->dtype == DT_WHT || n->dtype == DT_UNKNOWN, "%s: %u", name, n->dtype);
	} else {
		cr_assert(n->dtype == DT_UNKNOWN || n->dtype == attr_dtype(e.attr.mode), "%s: %u",
			  name, n->dtype);
		cr_assert(n->ino == 0 || n->ino == e.attr.ino, "%s", name);
		cr_assert_eq(n->above, (e.flags & LAYER_ABOVE) != 0);
	}
	layer_entry_done(f->layer, &e);
}

CONTRACT(names, listing_is_what_lookup_says, NULL)
{
	static const char *const paths[] = {"", "d", "d/sub", "d/sub/deep", "opaque", "empty"};
	size_t i, j, k;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		CLEANUP(held_dir) struct held_dir d = held_dir_at(f, paths[i]);
		CLEANUP(layer_list) struct layer_list list = {0};
		const char *text;

		cr_assert_eq(layer_readdir(f->layer, d.dir, &list), 0);
		text = (const char *)list.text.data;
		for (j = 0; j < list.n; j++) {
			check_listed(f, d.dir, &list.names[j], text + list.names[j].off);
			for (k = 0; k < j; k++)
				cr_assert_str_neq(text + list.names[j].off,
						  text + list.names[k].off);
		}
	}
}

CONTRACT(names, listing_appends, NULL)
{
	CLEANUP(held_dir) struct held_dir d = held_dir_at(f, "opaque");
	CLEANUP(held_dir) struct held_dir empty = held_dir_at(f, "empty");
	CLEANUP(layer_list) struct layer_list list = {0};

	cr_assert_eq(layer_list_add(&list, "first", 5, 1, DT_REG, true), 0);
	cr_assert_eq(layer_readdir(f->layer, empty.dir, &list), 0);
	cr_assert_eq(list.n, 1);
	cr_assert_eq(layer_readdir(f->layer, d.dir, &list), 0);
	cr_assert_eq(list.n, 2);
	cr_assert_str_eq((char *)list.text.data + list.names[0].off, "first");
	cr_assert_str_eq((char *)list.text.data + list.names[1].off, "in");
}

CONTRACT(names, spelled_marks_are_hidden, NULL)
{
	static const char *const hidden[] = {".wh.gone", ".wh..wh..opq", ".wh..wh.plnk",
					     ".wh.",	 ".wh..opq",	 ".wh.anything"};
	static const char *const paths[] = {"", "opaque", "d"};
	size_t i, j;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		CLEANUP(held_dir) struct held_dir d = held_dir_at(f, paths[i]);

		for (j = 0; j < sizeof(hidden) / sizeof(hidden[0]); j++) {
			struct layer_file *file;
			struct layer_entry e;
			struct attr a;

			cr_assert_eq(layer_lookup(f->layer, d.dir, hidden[j], &e), -ENOENT);
			cr_assert_eq(layer_getattr(f->layer, d.dir, hidden[j], &a), -ENOENT);
			cr_assert_eq(layer_open(f->layer, d.dir, hidden[j], &file), -ENOENT);
		}
	}
}

CONTRACT(names, missing, NULL)
{
	CLEANUP(held_dir) struct held_dir d = held_dir_at(f, "d");
	struct layer_entry e = {.flags = 77};
	struct layer_file *file = NULL;
	CLEANUP(buf) struct buf out = {0};
	struct attr a = {.ino = 77};
	char text[10];

	cr_assert_eq(layer_lookup(f->layer, d.dir, "none", &e), -ENOENT);
	cr_assert_eq(e.flags, 77, "outputs stay untouched on failure");
	cr_assert_eq(layer_getattr(f->layer, d.dir, "none", &a), -ENOENT);
	cr_assert_eq(a.ino, 77);
	cr_assert_eq(layer_open(f->layer, d.dir, "none", &file), -ENOENT);
	cr_assert_null(file);
	cr_assert_eq(layer_readlink(f->layer, d.dir, "none", text, sizeof(text)), -ENOENT);
	cr_assert_eq(layer_getxattr(f->layer, d.dir, "none", "user.one", text, sizeof(text)),
		     -ENOENT);
	cr_assert_eq(layer_listxattr(f->layer, d.dir, "none", &out), -ENOENT);
}

CONTRACT(names, bad_names, NULL)
{
	static const char *const bad[] = {"", ".", "..", "d/f", "/", "../d"};
	CLEANUP(held_dir) struct held_dir root = held_dir_at(f, "");
	char long_name[NAME_MAX + 2];
	struct layer_entry e;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(layer_lookup(f->layer, root.dir, bad[i], &e), -EINVAL, "%s", bad[i]);
	memset(long_name, 'x', NAME_MAX + 1);
	long_name[NAME_MAX + 1] = '\0';
	cr_assert_eq(layer_lookup(f->layer, root.dir, long_name, &e), -ENAMETOOLONG);
	long_name[NAME_MAX] = '\0';
	cr_assert_eq(layer_lookup(f->layer, root.dir, long_name, &e), -ENOENT);
}

CONTRACT(names, of_255_bytes, NULL)
{
	char name[NAME_MAX + 1];
	struct layer_entry e;

	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	lookup_at(f, "", name, &e);
	cr_assert_eq(e.attr.size, 4);
	memset(name, 'D', NAME_MAX);
	lookup_at(f, name, "x", &e);
	cr_assert(S_ISREG(e.attr.mode));
}

CONTRACT(names, of_any_bytes, NULL)
{
	struct layer_entry e;

	lookup_at(f, "", "\xff\xfe\x80", &e);
	cr_assert_eq(e.attr.size, 5);
	lookup_at(f, "", "with blank\nnewline", &e);
	cr_assert(S_ISREG(e.attr.mode));
	lookup_at(f, "", "...", &e);
	cr_assert(S_ISREG(e.attr.mode));
}

CONTRACT(names, identity, NULL)
{
	struct hash128 a, b;

	cr_assert_eq(layer_identity(f->layer, &a), 0);
	cr_assert_eq(layer_identity(f->layer, &b), 0);
	cr_assert(a.low == b.low && a.high == b.high);
	cr_assert(a.low != 0 || a.high != 0);
}

CONTRACT(names, statfs, NULL)
{
	struct statvfs st = {0};

	cr_assert_eq(layer_statfs(f->layer, &st), 0);
	cr_assert_gt(st.f_bsize, 0);
	cr_assert_gt(st.f_blocks, 0);
	cr_assert_geq(st.f_namemax, 255);
}
