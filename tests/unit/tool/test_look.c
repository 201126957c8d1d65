/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of tool/look: where paths lead, what a walk meets, which layers have a path. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/tmpdir.h"
#include "tool/look_private.h"

/* A stack of two directories, "top" and "low", in a directory of its own. */
struct world {
	struct tmpdir tmp;
	struct fs_options o;
	struct fs *fs; /* owned */
};

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	cr_assert(fd >= 0, "%s: %m", path);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void make_trees(void)
{
	static const char *const dirs[] = {"low",      "low/a",	     "low/a/b",	  "low/hidden",
					   "low/o",    "top",	     "top/a",	  "top/o",
					   "low/file", "low/merged", "top/merged"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		cr_assert_eq(mkdir(dirs[i], 0755), 0, "%s: %m", dirs[i]);
	put("low/a/b/deep", "deep");
	put("low/a/one", "low one");
	put("top/a/one", "top");
	put("low/hidden/x", "x");
	put("top/.wh.hidden", "");
	put("low/o/old", "old");
	put("top/o/.wh..wh..opq", "");
	put("top/o/new", "new");
	put("low/file/x", "x");
	put("top/file", "no directory");
	cr_assert_eq(symlink("/a/b", "low/abs"), 0);
	cr_assert_eq(symlink("../../../a", "low/a/out"), 0);
	cr_assert_eq(symlink("loop", "low/loop"), 0);
	cr_assert_eq(symlink("abs/deep", "low/chain"), 0);
	cr_assert_eq(symlink("nowhere", "low/broken"), 0);
	cr_assert_eq(link("low/a/one", "low/merged/link"), 0);
}

static void world_open(struct world *w)
{
	CLEANUP(err) struct err err = {0};

	*w = (struct world){0};
	tmpdir_make(&w->tmp);
	cr_assert_eq(chdir(w->tmp.path), 0);
	make_trees();
	fs_options_init(&w->o);
	w->o.lower = calloc(2, sizeof(*w->o.lower));
	w->o.lower[0] = strdup("top");
	w->o.lower[1] = strdup("low");
	w->o.n_lower = 2;
	cr_assert_eq(fs_open(&w->o, &w->fs, &err), 0, "%s", err_text(&err));
}

/* Everything that was looked up was given back. */
static void world_close(struct world *w)
{
	CLEANUP(buf) struct buf text = {0};

	fs_to_text(w->fs, &text);
	cr_assert(strncmp(buf_cstr(&text), "inodes held: 1\n", 15) == 0, "%s", buf_cstr(&text));
	fs_close(w->fs);
	fs_options_done(&w->o);
	tmpdir_done(&w->tmp);
}

/* PATH leads to WANTED, or fails with CODE; WANTED NULL: nothing is said of where. */
static void leads(struct world *w, const char *path, bool follow, int code, const char *wanted)
{
	CLEANUP(look_place) struct look_place place = {0};
	int r = look_resolve(w->fs, path, follow, &place);

	cr_assert_eq(r, code, "%s: %d", path, r);
	if (wanted != NULL)
		cr_assert_str_eq(place.path, wanted);
}

Test(look, paths_stay_in_the_tree)
{
	struct world w;

	world_open(&w);
	leads(&w, "/", true, 0, "/");
	leads(&w, "", true, 0, "/");
	leads(&w, "..//../.", true, 0, "/");
	leads(&w, "a/../../a/b/", true, 0, "/a/b");
	leads(&w, "a/out", true, 0, "/a");
	leads(&w, "a/out/out/./out/b/deep", false, 0, "/a/b/deep");
	leads(&w, "abs/deep", true, 0, "/a/b/deep");
	leads(&w, "chain", true, 0, "/a/b/deep");
	leads(&w, "chain", false, 0, "/chain");
	leads(&w, "abs/", false, 0, "/a/b");
	leads(&w, "abs/..", false, 0, "/a");
	leads(&w, "loop", true, -ELOOP, NULL);
	leads(&w, "loop", false, 0, "/loop");
	leads(&w, "a/one/", true, -ENOTDIR, NULL);
	leads(&w, "chain/", true, -ENOTDIR, NULL);
	leads(&w, "broken", true, -ENOENT, "/nowhere");
	leads(&w, "hidden/x", true, -ENOENT, "/hidden/x");
	leads(&w, "abs/no//such/", true, -ENOENT, "/a/b/no/such");
	leads(&w, "a/no/./../gone/../../x/", true, -ENOENT, "/x");
	leads(&w, "no/../../../..", true, -ENOENT, "/");
	leads(&w, "a/one/x", true, -ENOTDIR, "/a/one/x");
	world_close(&w);
}

Test(look, names_too_long_are_no_names)
{
	char name[300];
	struct world w;

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	world_open(&w);
	leads(&w, name, true, -ENAMETOOLONG, NULL);
	name[255] = '\0';
	leads(&w, name, true, -ENOENT, NULL);
	world_close(&w);
}

/* What ran with L wrote this. */
static void wrote(struct world *w, struct look *l,
		  int (*run)(struct look *l, const char *path, struct err *err), const char *path,
		  const char *wanted)
{
	CLEANUP(err) struct err err = {0};
	char *out = NULL;
	size_t len;

	l->fs = w->fs;
	l->out = open_memstream(&out, &len);
	cr_assert_not_null(l->out);
	l->began = false;
	look_begin(l);
	cr_assert_eq(run(l, path, &err), 0, "%s", err_text(&err));
	look_end(l);
	fclose(l->out);
	cr_assert_str_eq(out, wanted);
	cr_assert_not(l->failed);
	free(out);
}

Test(look, lists_find_and_sums)
{
	struct look plain = {0}, recursive = {.recursive = true}, sum = {.summary = true},
		    small = {.type = 'f', .size = {1, 4, -1}}, named = {.name = "*e*", .type = 'd'},
		    by_path = {.path = "/a/*"}, itself = {.itself = true};
	struct world w;

	world_open(&w);
	wrote(&w, &plain, look_ls, "a", "b\none\nout\n");
	wrote(&w, &plain, look_ls, "abs", "deep\n");
	wrote(&w, &plain, look_ls, "a/one", "a/one\n");
	wrote(&w, &plain, look_ls, "o", "new\n");
	wrote(&w, &itself, look_ls, "a", "a\n");
	wrote(&w, &recursive, look_ls, "/a/", "/a/:\nb\none\nout\n\n/a/b:\ndeep\n");
	wrote(&w, &small, look_find, "/", "/a/one\n/o/new\n");
	wrote(&w, &named, look_find, "/", "/merged\n");
	wrote(&w, &by_path, look_find, "/", "/a/b\n/a/b/deep\n/a/one\n/a/out\n");
	wrote(&w, &plain, look_find, "abs", "abs\n");
	wrote(&w, &plain, look_du, "a", "4\ta/b\n7\ta\n");
	wrote(&w, &sum, look_du, "/", "29\t/\n");
	wrote(&w, &sum, look_du, "file", "12\tfile\n");
	wrote(&w, &plain, look_cat, "chain", "deep");
	world_close(&w);
}

Test(look, du_counts_a_hard_link_once)
{
	struct look sum = {.summary = true};
	struct world w;

	world_open(&w);
	fs_close(w.fs);
	w.fs = NULL;
	cr_assert_eq(link("low/a/b/deep", "low/a/b/again"), 0);
	cr_assert_eq(link("low/a/b/deep", "low/merged/too"), 0);
	cr_assert_eq(fs_open(&w.o, &w.fs, NULL), 0);
	wrote(&w, &sum, look_du, "/", "29\t/\n");
	wrote(&w, &sum, look_du, "a/b/again", "4\ta/b/again\n");
	world_close(&w);
}

Test(look, sizes_of_find)
{
	struct look_size s;

	cr_assert_eq(look_size_parse("5", &s), 0);
	cr_assert(s.unit == 512 && s.n == 5 && s.sign == 0);
	cr_assert_eq(look_size_parse("+1M", &s), 0);
	cr_assert(s.unit == 1 << 20 && s.n == 1 && s.sign == 1);
	cr_assert_eq(look_size_parse("-0c", &s), 0);
	cr_assert(s.unit == 1 && s.n == 0 && s.sign == -1);
	cr_assert_eq(look_size_parse("", &s), -EINVAL);
	cr_assert_eq(look_size_parse("+", &s), -EINVAL);
	cr_assert_eq(look_size_parse("-+1", &s), -EINVAL);
	cr_assert_eq(look_size_parse("1x", &s), -EINVAL);
	cr_assert_eq(look_size_parse("1kb", &s), -EINVAL);
	cr_assert_eq(look_size_parse("99999999999999999999", &s), -EINVAL);
}

/* WANTED: one "LAYER WHAT AT" a line, from the top; "-" before it: it is hidden, "+": shown. */
static void found(struct world *w, const char *path, const char *wanted)
{
	static const char *const words[] = {"has", "whiteout", "opaque", "replaced"};
	CLEANUP(look_layers) struct look_layers f = {0};
	CLEANUP(buf) struct buf text = {0};

	cr_assert_eq(look_layers_find(w->fs, path, &f), 0);
	for (size_t i = 0; i < f.n; i++) {
		if (f.v[i].what == LOOK_HAS)
			buf_put_str(&text, f.v[i].shown ? "+" : "-");
		buf_printf(&text, "%zu %s %s\n", f.v[i].layer, words[f.v[i].what], f.v[i].at);
		if (f.v[i].what == LOOK_HAS && !f.v[i].shown)
			cr_assert_lt(f.v[i].hidden_by, i);
	}
	cr_assert_str_eq(buf_cstr(&text), wanted);
}

Test(look, layers_that_have_a_path)
{
	struct world w;

	world_open(&w);
	found(&w, "/", "+2 has \n+1 has \n");
	found(&w, "/a", "+2 has a\n+1 has a\n");
	found(&w, "/a/one", "+2 has a/one\n-1 has a/one\n");
	found(&w, "/a/b/deep", "+1 has a/b/deep\n");
	found(&w, "/hidden", "2 whiteout hidden\n-1 has hidden\n");
	found(&w, "/hidden/x", "2 whiteout hidden\n-1 has hidden/x\n");
	found(&w, "/o", "+2 has o\n-1 has o\n");
	found(&w, "/o/old", "2 opaque o\n-1 has o/old\n");
	found(&w, "/o/new", "2 opaque o\n+2 has o/new\n");
	found(&w, "/file", "+2 has file\n-1 has file\n");
	found(&w, "/file/x", "2 replaced file\n-1 has file/x\n");
	found(&w, "/nowhere/at/all", "");
	world_close(&w);
}

/* A directory is moved, a mode changed, a file removed. */
static void change_names_and_modes(struct fs *fs)
{
	const struct fs_caller who = {0};
	const struct attr mode = {.mode = 0600};
	struct fs_entry merged, a, one;
	struct attr attr;

	cr_assert_eq(fs_rename(fs, &who, FS_ROOT_INO, "merged", FS_ROOT_INO, "moved", 0, NULL), 0);
	cr_assert_eq(fs_lookup(fs, FS_ROOT_INO, "moved", &merged), 0);
	cr_assert_eq(fs_lookup(fs, FS_ROOT_INO, "a", &a), 0);
	cr_assert_eq(fs_lookup(fs, a.ino, "one", &one), 0);
	cr_assert_eq(fs_setattr(fs, one.ino, FS_SET_MODE, &mode, &attr), 0);
	cr_assert_eq(fs_unlink(fs, FS_ROOT_INO, "file"), 0);
	fs_forget(fs, merged.ino, 1);
	fs_forget(fs, one.ino, 1);
	fs_forget(fs, a.ino, 1);
}

/* Into a directory that is the upper's alone a file and a directory of the layers below are moved. */
static void move_into_new_directory(struct fs *fs)
{
	const struct fs_caller who = {0};
	struct fs_entry dir, a, b;

	cr_assert_eq(fs_mkdir(fs, &who, FS_ROOT_INO, "n", 0755, &dir), 0);
	cr_assert_eq(fs_rename(fs, &who, FS_ROOT_INO, "merged", dir.ino, "merged", 0, NULL), 0);
	cr_assert_eq(fs_lookup(fs, FS_ROOT_INO, "a", &a), 0);
	cr_assert_eq(fs_lookup(fs, a.ino, "b", &b), 0);
	cr_assert_eq(fs_rename(fs, &who, b.ino, "deep", dir.ino, "deep", 0, NULL), 0);
	fs_forget(fs, b.ino, 1);
	fs_forget(fs, a.ino, 1);
	fs_forget(fs, dir.ino, 1);
}

/* CHANGE is made through an upper, which then is the world's topmost layer. */
static void put_upper_on_top(struct world *w, void (*change)(struct fs *fs))
{
	CLEANUP(err) struct err err = {0};

	fs_close(w->fs);
	w->fs = NULL;
	cr_assert_eq(mkdir("upper", 0755), 0);
	w->o.upper = strdup("upper");
	cr_assert_eq(fs_open(&w->o, &w->fs, &err), 0, "%s", err_text(&err));
	change(w->fs);
	fs_close(w->fs);
	w->fs = NULL;
	free(w->o.upper);
	w->o.upper = NULL;
	w->o.lower = reallocarray(w->o.lower, 3, sizeof(*w->o.lower));
	memmove(w->o.lower + 1, w->o.lower, 2 * sizeof(*w->o.lower));
	w->o.lower[0] = strdup("upper");
	w->o.n_lower = 3;
	cr_assert_eq(fs_open(&w->o, &w->fs, &err), 0, "%s", err_text(&err));
}

Test(look, an_upper_is_a_layer_on_top)
{
	struct look plain = {0};
	struct world w;

	world_open(&w);
	put_upper_on_top(&w, change_names_and_modes);
	wrote(&w, &plain, look_ls, "moved", "link\n");
	wrote(&w, &plain, look_cat, "moved/link", "low one");
	wrote(&w, &plain, look_cat, "a/one", "top");
	found(&w, "/moved/link", "+1 has merged/link\n");
	found(&w, "/moved", "+3 has moved\n+2 has merged\n+1 has merged\n");
	/* Its mode is the upper's, its content that of the next one. */
	found(&w, "/a/one", "+3 has a/one\n+2 has a/one\n-1 has a/one\n");
	found(&w, "/file", "3 whiteout file\n-2 has file\n-1 has file\n");
	found(&w, "/merged/link", "3 whiteout merged\n-1 has merged/link\n");
	world_close(&w);
}

/* That the new directory hides what the layers below have at its path is nothing to what is elsewhere in them. */
Test(look, a_redirect_leads_out_of_an_opaque_directory)
{
	struct look plain = {0};
	struct world w;

	world_open(&w);
	put_upper_on_top(&w, move_into_new_directory);
	wrote(&w, &plain, look_cat, "n/deep", "deep");
	wrote(&w, &plain, look_cat, "n/merged/link", "low one");
	found(&w, "/n/deep", "3 opaque n\n+3 has n/deep\n+1 has a/b/deep\n");
	found(&w, "/n/merged", "3 opaque n\n+3 has n/merged\n+2 has merged\n+1 has merged\n");
	found(&w, "/n/merged/link", "3 opaque n\n+1 has merged/link\n");
	found(&w, "/a/b/deep", "3 whiteout a/b/deep\n-1 has a/b/deep\n");
	wrote(&w, &plain, look_which, "/n/merged/link",
	      "LAYER  STATE  TYPE  SIZE  PATH          BY\n"
	      "    1  shown  file     7  /merged/link  low\n");
	world_close(&w);
}

static void redirect(const char *dir, const char *to)
{
	cr_assert_eq(mkdir(dir, 0755), 0);
	cr_assert_eq(setxattr(dir, "trusted.overlay.redirect", to, strlen(to), 0), 0, "%m");
}

/* Overlayfs writes one name where a directory was renamed in place, and that may be in a redirected one. */
Test(look, redirects_in_redirected_directories)
{
	struct look plain = {0};
	struct world w;

	world_open(&w);
	fs_close(w.fs);
	redirect("top/z", "a");
	redirect("top/z/c", "b");
	redirect("top/abs", "/a");
	redirect("top/abs/c", "b");
	redirect("top/root", "/");
	redirect("top/root/c", "a");
	/* In a directory that hides the ones below another of its names is as hidden. */
	redirect("top/o/c", "old");
	w.o.follow_redirect = true;
	cr_assert_eq(fs_open(&w.o, &w.fs, NULL), 0);
	wrote(&w, &plain, look_cat, "z/c/deep", "deep");
	found(&w, "/z/c/deep", "+1 has a/b/deep\n");
	found(&w, "/abs/c/deep", "+1 has a/b/deep\n");
	found(&w, "/root/a/b", "+1 has a/b\n");
	found(&w, "/root/c/b/deep", "+1 has a/b/deep\n");
	found(&w, "/o/c", "2 opaque o\n+2 has o/c\n-1 has o/old\n");
	world_close(&w);
}
