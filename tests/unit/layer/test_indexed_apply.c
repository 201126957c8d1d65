/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of OCI layers, one case a row: members in, the tree as text out. */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "layer/indexed_apply.h"

/* A layer that is being read, and what it was told of. */
struct world {
	struct apply *a;
	struct err err;
	uint64_t next; /* where the next file's bytes are */
};

static void world_begin(struct world *w, bool strict)
{
	struct apply_options options = {.strict = strict};

	*w = (struct world){.next = 512};
	cr_assert_eq(apply_new(&options, &w->a), 0);
}

static void world_done(struct world *w)
{
	apply_free(w->a);
	err_done(&w->err);
}
DEFINE_CLEANUP(struct world, world, world_done)

static int put(struct world *w, enum tar_type type, const char *path, const char *link)
{
	struct tar_member m = {
		.type = type,
		.path = path,
		.path_len = strlen(path),
		.link = link,
		.link_len = strlen(link),
		.mode = type == TAR_DIR ? 0700 : 0640,
		.uid = 3,
		.gid = 4,
		.mtime = {.tv_sec = 1000},
	};

	if (type == TAR_FILE) {
		m.size = 10;
		m.data_off = w->next;
		w->next += 1024;
	}
	return apply_member(w->a, &m, &w->err);
}

static void file(struct world *w, const char *path)
{
	cr_assert_eq(put(w, TAR_FILE, path, ""), 0, "%s: %s", path, err_text(&w->err));
}

static void dir(struct world *w, const char *path)
{
	cr_assert_eq(put(w, TAR_DIR, path, ""), 0, "%s: %s", path, err_text(&w->err));
}

static void symlink_(struct world *w, const char *path, const char *target)
{
	cr_assert_eq(put(w, TAR_SYMLINK, path, target), 0, "%s: %s", path, err_text(&w->err));
}

static void hardlink(struct world *w, const char *path, const char *target)
{
	cr_assert_eq(put(w, TAR_HARDLINK, path, target), 0, "%s: %s", path, err_text(&w->err));
}

/* ---- the tree as text ---- */

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_path(const struct apply_name *n, struct buf *out)
{
	if (n->parent->parent != NULL) {
		put_path(n->parent, out);
		buf_put_u8(out, '/');
	}
	buf_put_str(out, n->text);
}

/* "f path off", "d path [!] [?]" (opaque, implicit), "l path>target", "w path", "p path>target" (pending), "L
 * path>path below nlink"; a file's second names have its offset, too. */
static char *line_of(const struct apply_name *n)
{
	CLEANUP(buf) struct buf out = {0};
	const struct index_rec *rec = n->inode != NULL ? &n->inode->rec : NULL;
	char kind = 'w';

	if (rec != NULL)
		kind = (rec->flags & INDEX_PENDING) ? 'p'
		       : (rec->flags & INDEX_LOWER) ? 'L'
		       : S_ISDIR(rec->attr.mode)    ? 'd'
		       : S_ISLNK(rec->attr.mode)    ? 'l'
		       : S_ISREG(rec->attr.mode)    ? 'f'
						    : 'x';
	buf_printf(&out, "%c ", kind);
	put_path(n, &out);
	if (kind == 'p' || kind == 'l' || kind == 'L')
		buf_printf(&out, ">%s", rec->text);
	if (kind == 'L')
		buf_printf(&out, " %u", rec->attr.nlink);
	if (kind == 'f')
		buf_printf(&out, " %ju", (uintmax_t)rec->data_off);
	if (kind == 'd' && (rec->flags & INDEX_OPAQUE))
		buf_put_str(&out, " !");
	if (kind == 'd' && n->whiteout)
		buf_put_str(&out, " w");
	if (kind == 'd' && (rec->flags & INDEX_IMPLICIT))
		buf_put_str(&out, " ?");
	buf_put_str(&out, "\n");
	cr_assert_not_null(buf_cstr(&out));
	return (char *)steal_ptr(&out.data);
}

static void check_tree(struct world *w, const char *expected)
{
	CLEANUP(buf) struct buf out = {0};
	char *lines[256];
	struct apply_name *n;
	size_t count = 0;

	for (n = apply_next(w->a->root, w->a->root); n != NULL; n = apply_next(w->a->root, n)) {
		if (n->inode == NULL && !n->whiteout)
			continue;
		cr_assert_lt(count, 256);
		lines[count++] = line_of(n);
	}
	qsort(lines, count, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < count; i++) {
		buf_put_str(&out, lines[i]);
		free(lines[i]);
	}
	cr_assert_not_null(buf_cstr(&out));
	cr_assert_str_eq((const char *)out.data, expected);
}

static void check_fault(const struct world *w, enum apply_fault fault, uint64_t n)
{
	cr_assert_eq(w->a->faults[fault], n, "%s: %ju times", apply_fault_text(fault),
		     (uintmax_t)w->a->faults[fault]);
}

/* ---- whiteouts ---- */

Test(indexed_apply, whiteout)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	dir(&w, "d/");
	file(&w, "d/.wh.gone");
	file(&w, ".wh.top");
	check_tree(&w, "d d\nw d/gone\nw top\n");
}

Test(indexed_apply, whiteout_and_name_in_any_order)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	file(&w, ".wh.x");
	file(&w, "x");
	file(&w, "y");
	file(&w, ".wh.y");
	check_tree(&w, "f x 1536\nf y 2560\n");
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
	check_tree(&w, "d a !\nd b !\nf a/f 1536\nf b/f 2560\n");
}

Test(indexed_apply, opaque_of_an_absent_directory)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "a/b/.wh..wh..opq");
	check_tree(&w, "d a ?\nd a/b ! ?\n");
}

Test(indexed_apply, directory_deleted_and_made_anew)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	file(&w, ".wh.d");
	dir(&w, "d/");
	file(&w, "d/f");
	check_tree(&w, "d d w\nf d/f 1536\n");
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
	check_tree(&w, "w a\nw b\nw c\n");
	check_fault(&w, APPLY_WHITEOUT_TYPE, 3);
}

Test(indexed_apply, member_below_a_whiteout)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	file(&w, ".wh.test");
	file(&w, ".wh.test/x");
	check_tree(&w, "w test\n");
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
	check_tree(&w, "d .wh..wh.plnk\nf .wh..wh.plnk/12.34 512\nf a 512\nf b 512\n");
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
	check_tree(&w, "d b !\nd c\nf a 1536\nf c/x 3584\nl e>c\n");
}

Test(indexed_apply, last_duplicate_wins)
{
	CLEANUP(world) struct world w;

	world_begin(&w, false);
	file(&w, "x");
	hardlink(&w, "old", "x");
	file(&w, "x");
	check_tree(&w, "f old 512\nf x 1536\n");
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
	check_tree(&w, "d d ?\nf abs 512\nf d/x 1536\nf y 2560\nf z 3584\n");
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
		check_tree(&lenient, "");
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
	check_tree(&w, "");
	file(&w, longest);
	cr_assert_not_null(apply_find(w.a, w.a->root, longest, NAME_MAX));
}

Test(indexed_apply, bytes_that_are_no_text)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "\xff\xfe/\x80\n");
	check_tree(&w, "d \xff\xfe ?\nf \xff\xfe/\x80\n 512\n");
}

/* ---- parents ---- */

Test(indexed_apply, implicit_parents_become_explicit)
{
	CLEANUP(world) struct world w;

	world_begin(&w, true);
	file(&w, "a/b/x");
	dir(&w, "a/");
	check_tree(&w, "d a\nd a/b ?\nf a/b/x 512\n");
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
	check_tree(&w, "d not ?\nd not/there ?\nd usr\nd usr/lib\nf not/there/d 3584\n"
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
	check_tree(&w, "l a>b\nl b>a\n");
}

Test(indexed_apply, a_parent_that_is_a_file)
{
	CLEANUP(world) struct world w;
	CLEANUP(world) struct world strict;

	world_begin(&w, false);
	file(&w, "a");
	file(&w, "a/x");
	check_fault(&w, APPLY_NOT_A_DIRECTORY, 1);
	check_tree(&w, "d a !\nf a/x 1536\n");
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
	check_tree(&w, "d d ?\nf a 512\nf c 512\nf d/b 512\nl s>a\nl t>a\nx fifo\nx fifo2\n");
	cr_assert_eq(apply_find(w.a, w.a->root, "a", 1)->inode->n_names, 3);
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
	check_tree(&w, "d d\n");
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
	check_tree(&w, "f b 512\np a>b\np c>b\np lost>no/where\np self>self\n");
	cr_assert(apply_has_pending(w.a));
	cr_assert_eq(apply_resolve(w.a, NULL, &w.err), 0);
	check_tree(&w, "f a 512\nf b 512\nf c 512\n");
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

/* ---- over the layers below ---- */

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
	check_tree(&w, "d a\nd a/b\nd a/b/c\nd h !\nd h/i\nf a/b/c/x 512\nf h/i/x 2560\n");
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
	check_tree(&w, "d new\nd new/place\nd opt\nd usr\nd usr/lib\nf new/place/d 3584\n"
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
	check_tree(&w, "d usr\nd usr/lib\nf usr/lib/first 1536\nf usr/lib/second 3584\n");
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
	check_tree(&w, "d lib w\nf lib/a 1536\n");
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
	check_tree(&w, "");
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
	check_tree(&w, "L usr/bin/f>usr/bin/f 3\nL x>usr/bin/f 3\nL y>usr/bin/f 3\n"
		       "d usr\nd usr/bin\nl s>f\n");
	cr_assert_eq(apply_find(w.a, w.a->root, "x", 1)->inode->rec.union_ino, 1000);
	check_fault(&w, APPLY_BAD_LINK, 1);
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
	check_tree(&w, "L before>f 2\nf after 512\nf f 512\n");
	world_begin(&deleted, true);
	hardlink(&deleted, "kept", "f");
	file(&deleted, ".wh.f");
	resolve(&deleted, tree);
	check_tree(&deleted, "L kept>f 2\nw f\n");
}
