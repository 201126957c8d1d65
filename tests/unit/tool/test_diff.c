/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of tool/look_diff: what two trees differ in, and for which reasons. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/tmpdir.h"
#include "tool/look_diff.h"

/* Two directories, "a" and "b". */
struct world {
	struct tmpdir tmp;
	struct fs_options o[2];
	struct fs *fs[2]; /* owned */
};

static void begin(struct world *w)
{
	*w = (struct world){0};
	tmpdir_make(&w->tmp);
	cr_assert_eq(chdir(w->tmp.path), 0);
	umask(022);
	cr_assert_eq(mkdir("a", 0755), 0);
	cr_assert_eq(mkdir("b", 0755), 0);
}

static void open_both(struct world *w)
{
	static const char *const names[] = {"a", "b"};

	for (size_t i = 0; i < 2; i++) {
		CLEANUP(err) struct err err = {0};

		fs_options_init(&w->o[i]);
		w->o[i].lower = calloc(1, sizeof(*w->o[i].lower));
		w->o[i].lower[0] = strdup(names[i]);
		w->o[i].n_lower = 1;
		cr_assert_eq(fs_open(&w->o[i], &w->fs[i], &err), 0, "%s", err_text(&err));
	}
}

static void end(struct world *w)
{
	for (size_t i = 0; i < 2; i++) {
		fs_close(w->fs[i]);
		fs_options_done(&w->o[i]);
	}
	tmpdir_done(&w->tmp);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	cr_assert(fd >= 0, "%s: %m", path);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* D says this of PATH. */
static void says(struct world *w, struct look_diff d, const char *path, const char *wanted)
{
	CLEANUP(err) struct err err = {0};
	char *out = NULL;
	size_t len;

	d.a = w->fs[0];
	d.b = w->fs[1];
	d.l.out = open_memstream(&out, &len);
	cr_assert_not_null(d.l.out);
	cr_assert_eq(look_diff(&d, path, &err), 0, "%s", err_text(&err));
	fclose(d.l.out);
	cr_assert_str_eq(out, wanted);
	cr_assert_eq(d.differs, d.quiet || *wanted != '\0');
	cr_assert_not(d.l.failed);
	free(out);
}

Test(diff, each_reason)
{
	const struct timespec old[2] = {{1000, 0}, {1000, 0}};
	struct world w;

	begin(&w);
	put("a/content", "aaaa");
	put("b/content", "aaab");
	put("a/mode", "");
	put("b/mode", "");
	cr_assert_eq(chmod("b/mode", 0600), 0);
	put("a/same", "same");
	put("b/same", "same");
	put("a/size", "1");
	put("b/size", "12");
	cr_assert_eq(symlink("x", "a/target"), 0);
	cr_assert_eq(symlink("y", "b/target"), 0);
	put("a/time", "");
	put("b/time", "");
	cr_assert_eq(utimensat(AT_FDCWD, "a/same", old, 0), 0);
	cr_assert_eq(utimensat(AT_FDCWD, "b/same", old, 0), 0);
	cr_assert_eq(utimensat(AT_FDCWD, "b/time", old, 0), 0);
	cr_assert_eq(utimensat(AT_FDCWD, "a/time", old, 0), 0);
	cr_assert_eq(chmod("b", 0700), 0);
	open_both(&w);
	says(&w, (struct look_diff){0}, "/",
	     "M /  mode 0755 -> 0700\nM /content  content\nM /mode  mode 0644 -> 0600\n"
	     "M /size  size 1 -> 2\nM /target  target x -> y\n");
	says(&w, (struct look_diff){.totals = true}, "size",
	     "M /size  size 1 -> 2\n0 added (0 B), 0 deleted (0 B), 1 changed (1 B -> 2 B)\n");
	says(&w, (struct look_diff){.times = true}, "time", "");
	says(&w, (struct look_diff){.quiet = true}, "/", "");
	end(&w);
}

Test(diff, times_when_they_count)
{
	const struct timespec then[2] = {{1000, 0}, {1000, 0}}, now[2] = {{2000, 0}, {2000, 0}};
	struct world w;

	begin(&w);
	put("a/f", "f");
	put("b/f", "f");
	cr_assert_eq(utimensat(AT_FDCWD, "a/f", then, 0), 0);
	cr_assert_eq(utimensat(AT_FDCWD, "b/f", now, 0), 0);
	open_both(&w);
	says(&w, (struct look_diff){0}, "f", "");
	says(&w, (struct look_diff){.times = true}, "f",
	     "M /f  time 1970-01-01 00:16:40 -> 1970-01-01 00:33:20\n");
	end(&w);
}

/* A directory that only one tree has, or that is something else in the other one, is told of with all in it. */
Test(diff, whole_directories)
{
	struct world w;

	begin(&w);
	cr_assert_eq(mkdir("a/gone", 0755), 0);
	cr_assert_eq(mkdir("a/gone/sub", 0755), 0);
	put("a/gone/sub/f", "12");
	cr_assert_eq(mkdir("b/new", 0755), 0);
	put("b/new/f", "123");
	cr_assert_eq(mkdir("a/other", 0755), 0);
	put("a/other/f", "1");
	put("b/other", "1234");
	put("a/z", "");
	cr_assert_eq(mkdir("b/z", 0755), 0);
	put("b/z/f", "");
	/* Sorted by bytes, a directory's own names before what only begins like it. */
	put("b/new-", "");
	open_both(&w);
	says(&w, (struct look_diff){.totals = true}, "/",
	     "D /gone\nD /gone/sub\nD /gone/sub/f\nA /new\nA /new/f\nA /new-\n"
	     "T /other  type directory -> file\nD /other/f\nT /z  type file -> directory\nA /z/f\n"
	     "4 added (3 B), 4 deleted (3 B), 2 changed (0 B -> 4 B)\n");
	says(&w, (struct look_diff){0}, "gone/sub", "D /gone/sub\nD /gone/sub/f\n");
	end(&w);
}

Test(diff, hard_links)
{
	struct world w;

	begin(&w);
	/* The same groups, whatever their numbers. */
	put("a/1", "x");
	cr_assert_eq(link("a/1", "a/2"), 0);
	put("b/2", "x");
	cr_assert_eq(link("b/2", "b/1"), 0);
	/* Put together, and torn apart. */
	put("a/3", "x");
	put("a/4", "x");
	put("b/3", "x");
	cr_assert_eq(link("b/3", "b/4"), 0);
	put("a/5", "x");
	cr_assert_eq(link("a/5", "a/6"), 0);
	put("b/5", "x");
	put("b/6", "x");
	/* One name more is a difference of its own. */
	put("a/7", "x");
	put("b/7", "x");
	cr_assert_eq(link("b/7", "b/8"), 0);
	open_both(&w);
	says(&w, (struct look_diff){0}, "/", "M /4  hard links\nM /6  hard links\nA /8\n");
	end(&w);
}

/* The last byte of a file of several pieces, and holes are zeros. */
Test(diff, long_files)
{
	static char bytes[300000];
	struct world w;
	int fd;

	begin(&w);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i % 251 + 1);
	for (int i = 0; i < 2; i++) {
		bytes[sizeof(bytes) - 1] = (char)('a' + i);
		fd = open(i == 0 ? "a/f" : "b/f", O_WRONLY | O_CREAT, 0644);
		cr_assert_eq(write(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
		close(fd);
	}
	memset(bytes, 0, sizeof(bytes));
	fd = open("a/zeros", O_WRONLY | O_CREAT, 0644);
	cr_assert_eq(write(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
	close(fd);
	put("b/zeros", "");
	cr_assert_eq(truncate("b/zeros", sizeof(bytes)), 0);
	open_both(&w);
	says(&w, (struct look_diff){0}, "/", "M /f  content\n");
	end(&w);
}

/* A file of SIZE bytes that are zeros and a hole but for TEXT at AT. */
static void put_sparse(const char *path, off_t size, off_t at, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	cr_assert(fd >= 0, "%s: %m", path);
	cr_assert_eq(ftruncate(fd, size), 0);
	cr_assert_eq(pwrite(fd, text, strlen(text), at), (ssize_t)strlen(text));
	close(fd);
}

/* Where one has a hole the other may have anything. */
Test(diff, holes)
{
	const off_t size = (4 << 20) + 100;
	struct world w;

	begin(&w);
	for (int i = 0; i < 2; i++) {
		put_sparse(i == 0 ? "a/same" : "b/same", size, 3 << 20, "text");
		put_sparse(i == 0 ? "a/moved" : "b/moved", size, (2 + i) << 20, "text");
		put_sparse(i == 0 ? "a/end" : "b/end", size, size - 4, i == 0 ? "text" : "tex.");
		put_sparse(i == 0 ? "a/begin" : "b/begin", size, 0, i == 0 ? "text" : ".ext");
		put_sparse(i == 0 ? "a/only" : "b/only", size, 1 << 20, i == 0 ? "" : "text");
		put_sparse(i == 0 ? "a/nothing" : "b/nothing", size, 0, "");
	}
	open_both(&w);
	says(&w, (struct look_diff){0}, "/",
	     "M /begin  content\nM /end  content\nM /moved  content\nM /only  content\n");
	end(&w);
}

Test(diff, nothing_and_everything)
{
	struct world w;

	begin(&w);
	put("b/f", "f");
	open_both(&w);
	fs_close(w.fs[0]);
	w.fs[0] = NULL;
	says(&w, (struct look_diff){0}, "/", "A /\nA /f\n");
	cr_assert_eq(look_diff(&(struct look_diff){.b = w.fs[1]}, "nowhere", NULL), -ENOENT);
	end(&w);
}

Test(diff, json)
{
	struct look_diff d = {.l = {.json = true}};
	struct world w;

	begin(&w);
	cr_assert_eq(symlink("x", "a/l"), 0);
	cr_assert_eq(symlink("x", "b/l"), 0);
	open_both(&w);
	d.l.out = fopen("out", "w+");
	d.a = w.fs[0];
	d.b = w.fs[1];
	cr_assert_eq(look_diff(&d, "l", NULL), 0);
	cr_assert_not(d.differs);
	cr_assert_eq(fflush(d.l.out), 0);
	rewind(d.l.out);
	{
		char text[512] = "";
		size_t n = fread(text, 1, sizeof(text) - 1, d.l.out);

		cr_assert_gt(n, 0);
		cr_assert_eq(strncmp(text, "{\n  \"differences\": [],\n  \"totals\": {\n", 37), 0,
			     "%s", text);
	}
	fclose(d.l.out);
	end(&w);
}
