/* SPDX-License-Identifier: Apache-2.0 */
/* Uppers in a stack: hard links that stay together, bytes in several layers, renamed directories. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "support/made_upper.h"
#include "unit/union/support.h"

#define ROOT CATALOG_ROOT_INO

/* The uppers (topmost first), and the text below them. */
static struct stack *over(struct made_upper **uppers, size_t n, const char *text)
{
	CLEANUP(err) struct err err = {0};
	struct layer *layers[8];
	struct stack *s = NULL;

	for (size_t i = 0; i < n; i++)
		layers[i] = made_upper_layer(uppers[i]);
	cr_assert_eq(layer_open_mem(text, "/bottom", 0, &layers[n], &err), 0);
	cr_assert_eq(stack_new(layers, n + 1, 0, SEED, &s, &err), 0, "%s", err_text(&err));
	return s;
}

/* The number that the union of UPPERS and TEXT gives PATH. */
static uint64_t ino_of(struct made_upper **uppers, size_t n, const char *text, const char *path)
{
	struct stack *s = over(uppers, n, text);
	struct union_ref ref = {0};
	uint64_t ino;

	cr_assert_eq(union_walk(s, path, &ref), 0, "%s", path);
	ino = ref.attr.ino;
	union_ref_done(&ref);
	stack_free(s);
	return ino;
}

static const char links[] = "file a 644 0:0 data=low link=L xattr:user.x=low\n"
			    "dir d 755 0:0\nfile d/b 644 0:0 link=L\nfile other 644 0:0 data=o\n";

Test(uppers, hard_links_stay_together)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	struct union_ref a = {0}, b = {0};
	struct attr attr = {0};
	struct inode_rec rec = {.attr = {.mode = S_IFREG | 0600, .nlink = 2, .size = 3}};
	struct buf names = {0};
	char value[8];
	struct stack *s;

	made_upper_make(&u);
	rec.attr.ino = ino_of(NULL, 0, links, "a");
	made_record(&u, ROOT, "a", &rec);
	{
		CLEANUP(batch) struct batch batch = {0};

		batch_begin(&batch, u.catalog);
		batch_put_inline(&batch, rec.attr.ino, "new", 3);
		batch_put_xattr(&batch, rec.attr.ino, "user.y", "up", 2);
		cr_assert_eq(catalog_commit(u.catalog, &batch), 0);
	}
	s = over((struct made_upper *[]){&u}, 1, links);
	assert_file(s, "a", "new");
	assert_file(s, "d/b", "new");
	assert_file(s, "other", "o");
	cr_assert_eq(union_walk(s, "a", &a), 0);
	cr_assert_eq(union_walk(s, "d/b", &b), 0);
	cr_assert_eq(a.attr.ino, b.attr.ino);
	cr_assert_eq(b.attr.mode, S_IFREG | 0600);
	cr_assert_eq(union_getattr(b.dir, "b", b.part, &attr), 0);
	cr_assert_eq(attr.ino, a.attr.ino);
	cr_assert_eq(attr.mode, S_IFREG | 0600);
	cr_assert_eq(union_getxattr(b.dir, "b", b.part, "user.y", value, 8), 2);
	cr_assert_eq(union_getxattr(b.dir, "b", b.part, "user.x", value, 8), -ENODATA);
	cr_assert_eq(union_listxattr(b.dir, "b", b.part, &names), 0);
	cr_assert_eq(names.len, sizeof("user.y"));
	buf_done(&names);
	union_ref_done(&a);
	union_ref_done(&b);
	assert_tree(s, "file a new\ndir d 1\nfile d/b new\nfile other o\n");
}

Test(uppers, hard_link_changed_twice)
{
	/* The lower upper has new bytes under `a`; the other only a new mode, under `d/b`. */
	CLEANUP(made_upper) struct made_upper low = {0};
	CLEANUP(made_upper) struct made_upper top = {0};
	struct made_upper *both[] = {&top, &low};
	uint64_t ino = ino_of(NULL, 0, links, "a");
	struct inode_rec rec = {
		.attr = {.ino = ino, .mode = S_IFREG | 0600, .nlink = 2, .size = 3}};
	CLEANUP(batch) struct batch batch = {0};

	made_upper_make(&low);
	made_upper_make(&top);
	made_record(&low, ROOT, "a", &rec);
	batch_begin(&batch, low.catalog);
	batch_put_inline(&batch, ino, "one", 3);
	cr_assert_eq(catalog_commit(low.catalog, &batch), 0);
	cr_assert_eq(ino_of(both + 1, 1, links, "d/b"), ino);
	made_dir(&top, ROOT, "d", ino_of(both + 1, 1, links, "d"), "d");
	made_lower(&top, ino_of(both + 1, 1, links, "d"), "b", ino, "d/b", 3, 2);
	assert_tree(over(both, 2, links), "file a one\ndir d 2\nfile d/b one\nfile other o\n");
}

Test(uppers, hard_link_whose_bytes_are_below_the_record)
{
	/* The upper on top has nothing; the search for bytes must not find the record again. */
	CLEANUP(made_upper) struct made_upper none = {0};
	CLEANUP(made_upper) struct made_upper low = {0};
	struct made_upper *both[] = {&none, &low};
	uint64_t ino = ino_of(NULL, 0, links, "a");

	made_upper_make(&none);
	made_upper_make(&low);
	made_lower(&low, ROOT, "a", ino, "a", 3, 2);
	assert_tree(over(both, 2, links), "file a low\ndir d 1\nfile d/b low\nfile other o\n");
}

Test(uppers, new_hard_links_of_a_lower_upper)
{
	CLEANUP(made_upper) struct made_upper low = {0};
	CLEANUP(made_upper) struct made_upper top = {0};
	struct made_upper *both[] = {&top, &low};
	struct inode_rec rec = {.attr = {.ino = 2, .mode = S_IFREG | 0600, .nlink = 2}};
	uint64_t ino;

	made_upper_make(&low);
	made_upper_make(&top);
	made_record(&low, ROOT, "x", &rec);
	made_name(&low, ROOT, "y", 2, DT_REG);
	ino = ino_of(both + 1, 1, "", "x");
	cr_assert_eq(ino, union_ino(2, 2));
	made_inline(&top, ROOT, "x", ino, S_IFREG, "top");
	assert_tree(over(both, 2, ""), "file x top\nfile y top\n");
}

Test(uppers, bytes_in_three_layers)
{
	CLEANUP(made_upper) struct made_upper low = {0};
	CLEANUP(made_upper) struct made_upper top = {0};
	struct made_upper *both[] = {&top, &low};
	const char *text = "file f 644 0:0 size=40960 data=bottom\n";
	const off_t chunk = 1 << CHUNK_SHIFT;
	uint64_t ino = ino_of(NULL, 0, text, "f");
	CLEANUP(layer_file) struct layer_file *f = NULL;
	struct union_ref ref = {0};
	char got[16] = "";
	struct stack *s;

	made_upper_make(&low);
	made_upper_make(&top);
	for (int i = 1; i >= 0; i--) {
		s = over(both + i + 1, (size_t)(1 - i), text);
		cr_assert_eq(union_walk(s, "f", &ref), 0);
		cr_assert_eq(union_open(ref.dir, "f", ref.part, ref.data, &f), 0);
		made_lower(both[i], ROOT, "f", ino, "f", 40960, 1);
		made_write(both[i], ino, f, i == 1 ? "middle" : "top", i == 1 ? 6 : 3,
			   chunk * (i == 1 ? 3 : 6));
		layer_file_close(steal_ptr(&f));
		union_ref_done(&ref);
		stack_free(s);
	}
	s = over(both, 2, text);
	cr_assert_eq(union_walk(s, "f", &ref), 0);
	cr_assert_eq(union_open(ref.dir, "f", ref.part, ref.data, &f), 0);
	cr_assert_eq(layer_file_read(f, got, 6, 0), 6);
	cr_assert_str_eq(got, "bottom");
	cr_assert_eq(layer_file_read(f, got, 6, chunk * 3), 6);
	cr_assert_str_eq(got, "middle");
	cr_assert_eq(layer_file_read(f, got, 4, chunk * 6), 4);
	cr_assert_str_eq(got, "top");
	layer_file_close(steal_ptr(&f));
	union_ref_done(&ref);
	stack_free(s);
}

Test(uppers, renamed_directory_and_its_children)
{
	static const char text[] =
		"dir old 755 0:0\ndir old/c 755 0:0\nfile old/c/f 644 0:0 data=f\n"
		"file old/g 644 0:0 data=g\n";
	CLEANUP(made_upper) struct made_upper low = {0};
	CLEANUP(made_upper) struct made_upper top = {0};
	struct made_upper *both[] = {&top, &low};
	uint64_t old = ino_of(NULL, 0, text, "old"), c = ino_of(NULL, 0, text, "old/c");
	uint64_t f = ino_of(NULL, 0, text, "old/c/f");

	made_upper_make(&low);
	made_upper_make(&top);
	made_dir(&low, ROOT, NULL, ROOT, "");
	made_dir(&low, ROOT, "new", old, "old");
	made_whiteout(&low, ROOT, "old");
	made_dir(&low, old, "c", c, "old/c");
	made_inline(&low, c, "n", 2, S_IFREG, "n");
	made_lower(&low, c, "f", f, "old/c/f", 1, 1);
	assert_tree(over(both + 1, 1, text),
		    "dir new 2\ndir new/c 2\nfile new/c/f f\nfile new/c/n n\nfile new/g g\n");

	/* A second upper over that: its origins are paths of the union below it. */
	made_dir(&top, ROOT, NULL, ROOT, "");
	made_dir(&top, ROOT, "newer", old, "new");
	made_whiteout(&top, ROOT, "new");
	made_dir(&top, old, "c", c, "new/c");
	made_lower(&top, c, "f", f, "new/c/f", 1, 1);
	made_whiteout(&top, c, "n");
	made_dir(&top, ROOT, "old", 3, NULL);
	assert_tree(over(both, 2, text),
		    "dir newer 3\ndir newer/c 3\nfile newer/c/f f\nfile newer/g g\ndir old 1\n");
}

Test(uppers, numbers_are_kept)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	struct made_upper *one[] = {&u};
	static const char text[] = "dir d 755 0:0\nfile d/f 644 0:0\n";
	uint64_t d = ino_of(NULL, 0, text, "d"), f = ino_of(NULL, 0, text, "d/f");

	made_upper_make(&u);
	made_dir(&u, ROOT, "d", d, "d");
	made_lower(&u, d, "f", f, "d/f", 0, 1);
	made_inline(&u, d, "g", 2, S_IFREG, "");
	cr_assert_eq(ino_of(one, 1, text, "d"), d);
	cr_assert_eq(ino_of(one, 1, text, "d/f"), f);
	cr_assert_eq(ino_of(one, 1, text, "d/g"), union_ino(2, 2));
}
