/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of tool/look_waste: which layer's bytes are hidden, by whom and why, and which are there twice. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/tmpdir.h"
#include "tool/look_waste_private.h"

/* Three directories "3", "2" and "1", the last one is the lowest. */
struct world {
	struct tmpdir tmp;
	struct fs_options o;
	struct fs *fs; /* owned */
};

static void begin(struct world *w)
{
	*w = (struct world){0};
	tmpdir_make(&w->tmp);
	cr_assert_eq(chdir(w->tmp.path), 0);
	for (const char *name = "123"; *name != '\0'; name++) {
		char dir[2] = {*name, '\0'};

		cr_assert_eq(mkdir(dir, 0755), 0);
	}
}

static void put(const char *path, const char *text)
{
	char dir[64] = "";
	int fd;

	for (const char *p = path; (p = strchr(p, '/')) != NULL; p++) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(p - path), path);
		(void)mkdir(dir, 0755);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	cr_assert(fd >= 0, "%s: %m", path);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* Each hidden file as "PATH LAYER WHY BY", sorted by path and layer; layers are counted from 1, the lowest. */
static int by_path(const void *a, const void *b)
{
	const struct waste_file *x = a, *y = b;
	int r = strcmp(x->path, y->path);

	return r != 0 ? r : x->layer < y->layer ? -1 : 1;
}

static void hides(struct world *w, const char *wanted, uint64_t hidden, uint64_t bytes)
{
	static const char *const whys[] = {"shown", "deleted", "replaced", "copied"};
	CLEANUP(err) struct err err = {0};
	CLEANUP(buf) struct buf text = {0};
	struct look l = {0};
	struct waste waste = {.l = &l, .n_layers = 3};

	fs_options_init(&w->o);
	w->o.lower = calloc(3, sizeof(*w->o.lower));
	for (size_t i = 0; i < 3; i++)
		w->o.lower[i] = strdup(&"3\0002\0001"[2 * i]);
	w->o.n_lower = 3;
	cr_assert_eq(fs_open(&w->o, &w->fs, &err), 0, "%s", err_text(&err));
	waste.stack = fs_stack(w->fs);
	waste.layers = calloc(3, sizeof(*waste.layers));
	cr_assert_eq(waste_walk(&waste), 0);
	cr_assert_eq(waste_compare(&waste), 0);
	cr_assert_eq(waste.bytes, bytes);
	cr_assert_eq(waste.hidden, hidden, "%ju", (uintmax_t)waste.hidden);
	for (size_t i = 0; i < waste.n_groups; i++)
		for (size_t k = 0; k < waste.groups[i].n; k++)
			buf_printf(&text, "%s%s",
				   k > 0   ? " = "
				   : i > 0 ? "\nsame: "
					   : "same: ",
				   waste.files[waste.order[waste.groups[i].first + k]].path);
	if (text.len > 0)
		buf_put_str(&text, "\n");
	qsort(waste.files, waste.n, sizeof(*waste.files), by_path);
	for (size_t i = 0; i < waste.n; i++) {
		const struct waste_file *f = &waste.files[i];

		if (f->why != WASTE_SHOWN)
			buf_printf(&text, "%s %zu %s %zu\n", f->path, 3 - f->layer, whys[f->why],
				   3 - f->by);
		free(f->path);
	}
	buf_put_str(&text, "");
	cr_assert_str_eq(text.len > 0 ? buf_cstr(&text) : "", wanted);
	cr_assert_not(l.failed);
	free(waste.files);
	free(waste.layers);
	free(waste.order);
	free(waste.groups);
	fs_close(w->fs);
	fs_options_done(&w->o);
	tmpdir_done(&w->tmp);
}

Test(waste, replaced_and_copied)
{
	struct world w;

	begin(&w);
	put("1/other", "one");
	put("2/other", "two");
	put("3/other", "tri");
	put("1/copy", "same bytes");
	put("2/copy", "same bytes");
	put("1/longer", "1");
	put("3/longer", "12");
	/* The copy was made two layers below the one that replaced it. */
	put("1/late", "late");
	put("2/late", "late");
	put("3/late", "new!");
	put("1/shown", "shown");
	hides(&w,
	      "copy 1 copied 2\nlate 2 replaced 3\nlate 1 copied 2\nlonger 1 replaced 3\n"
	      "other 2 replaced 3\nother 1 replaced 2\n",
	      25, 49);
}

Test(waste, deleted)
{
	struct world w;

	begin(&w);
	put("1/name", "1");
	put("2/.wh.name", "");
	put("1/back", "12");
	put("2/.wh.back", "");
	put("3/back", "12");
	put("1/dir/sub/file", "123");
	put("2/dir/sub/file", "1234");
	put("3/.wh.dir", "");
	put("1/opaque/old", "12345");
	put("2/opaque/new", "123456");
	put("2/opaque/.wh..wh..opq", "");
	put("1/opaque/again", "1234567");
	put("2/opaque/again", "1234567");
	hides(&w,
	      "back 1 deleted 2\ndir/sub/file 2 deleted 3\ndir/sub/file 1 replaced 2\nname 1 deleted 2\n"
	      "opaque/again 1 copied 2\nopaque/old 1 deleted 2\n",
	      1 + 2 + 3 + 4 + 5 + 7, 1 + 2 + 2 + 3 + 4 + 5 + 6 + 7 + 7);
}

Test(waste, types_change)
{
	struct world w;

	begin(&w);
	put("1/was_dir/a", "1");
	put("2/was_dir", "12");
	put("1/was_file", "123");
	put("2/was_file/b", "1234");
	/* Again a directory: nothing of the lowest one comes back. */
	put("1/twice/c", "12345");
	put("2/twice", "123456");
	put("3/twice/c", "1234567");
	put("1/link", "12345678");
	cr_assert_eq(symlink("nowhere", "3/link"), 0);
	hides(&w,
	      "link 1 replaced 3\ntwice 2 replaced 3\ntwice/c 1 deleted 2\nwas_dir/a 1 deleted 2\n"
	      "was_file 1 replaced 2\n",
	      1 + 3 + 5 + 6 + 8, 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8);
}

Test(waste, one_name_is_enough)
{
	struct world w;

	begin(&w);
	put("1/a", "1234");
	cr_assert_eq(link("1/a", "1/b"), 0);
	cr_assert_eq(link("1/a", "1/c"), 0);
	put("3/.wh.a", "");
	put("2/c", "new");
	put("1/d", "12345");
	cr_assert_eq(link("1/d", "1/e"), 0);
	put("2/.wh.d", "");
	put("2/.wh.e", "");
	cr_assert_eq(rename("1/e", "1/d2"), 0);
	put("2/.wh.d2", "");
	hides(&w, "d 1 deleted 2\n", 5, 12);
}

Test(waste, contents_of_several_files)
{
	struct world w;

	begin(&w);
	put("1/a", "twins");
	put("1/x/b", "twins");
	put("2/c", "twins");
	put("1/almost", "twinz");
	put("1/link", "1234567");
	cr_assert_eq(link("1/link", "1/link2"), 0);
	put("1/gone", "twins");
	put("3/.wh.gone", "");
	put("1/empty", "");
	put("1/empty2", "");
	hides(&w, "same: a = c = x/b\ngone 1 deleted 3\n", 5, 32);
}

/* The layers TOP and what is below it; TOP is an upper, in which FROM is moved to where TO was. */
static void move_in_upper(const char *top, const char *from, const char *to)
{
	const struct fs_caller who = {0};
	CLEANUP(err) struct err err = {0};
	struct fs_options o;
	struct fs *fs = NULL;

	fs_options_init(&o);
	o.upper = strdup(top);
	o.n_lower = (size_t)(*top - '1');
	o.lower = calloc(o.n_lower, sizeof(*o.lower));
	for (size_t i = 0; i < o.n_lower; i++)
		o.lower[i] = strdup(&"2\0001"[2 * (i + 2 - o.n_lower)]);
	cr_assert_eq(fs_open(&o, &fs, &err), 0, "%s", err_text(&err));
	cr_assert_eq(fs_rename(fs, &who, FS_ROOT_INO, from, FS_ROOT_INO, to, 0, NULL), 0);
	fs_close(fs);
	fs_options_done(&o);
}

/* What replaces a file has its bytes in a layer below: those are shown, and the file's own are not. */
Test(waste, replaced_by_a_lower_file)
{
	struct world w;

	begin(&w);
	put("1/c", "1");
	put("1/d", "12");
	put("1/e", "123");
	put("1/same", "1234");
	move_in_upper("2", "c", "d");
	/* What is at its name in the lowest layer is not what it stands for. */
	move_in_upper("3", "d", "e");
	hides(&w, "d 1 replaced 2\ne 1 replaced 3\n", 5, 10);
}

/* Of SIZE bytes, all zeros but the last of TEXT, which ends at END; zeros are written or a hole. */
static void put_zeros(const char *path, size_t size, size_t end, const char *text, bool hole)
{
	static const char zeros[4096];
	size_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	cr_assert(fd >= 0, "%s: %m", path);
	for (size_t off = 0; !hole && off < size; off += sizeof(zeros)) {
		size_t n = size - off < sizeof(zeros) ? size - off : sizeof(zeros);

		cr_assert_eq(pwrite(fd, zeros, n, (off_t)off), (ssize_t)n);
	}
	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	cr_assert_eq(pwrite(fd, text, len, (off_t)(end - len)), (ssize_t)len);
	close(fd);
}

Test(waste, holes_are_zeros)
{
	const size_t size = (3 << 20) + 5;
	struct world w;

	begin(&w);
	put_zeros("1/hole", size, 2 << 20, "x", true);
	put_zeros("2/zeros", size, 2 << 20, "x", false);
	put_zeros("1/next", size, (2 << 20) + 1, "x", true);
	put_zeros("1/next_block", size, (2 << 20) + 4096, "x", true);
	put_zeros("1/over", size + 1, (2 << 20) + 3, "abcdef", true);
	put_zeros("1/over_zeros", size + 1, (2 << 20) + 3, "abcdef", false);
	put_zeros("1/nothing", size + 2, 0, "", true);
	put_zeros("1/nothing_zeros", size + 2, 0, "", false);
	put_zeros("1/end", size + 3, size + 3, "end", true);
	put_zeros("1/end_zeros", size + 3, size + 3, "end", false);
	hides(&w,
	      "same: end = end_zeros\nsame: nothing = nothing_zeros\nsame: over = over_zeros\n"
	      "same: hole = zeros\n",
	      0, 10 * size + 2 * (1 + 2 + 3));
}
