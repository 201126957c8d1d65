/* SPDX-License-Identifier: Apache-2.0 */
/* Listings: merged, resumable at every cookie, steady while names come and go. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "unit/fs/reader.h"

/* One in some thousand catalogs gives two of the names below one cookie. */
static bool many_share(struct world *w)
{
	static const char *const kinds[] = {"low", "up", "new"};
	uint64_t hashes[3 * MANY];
	char name[16];

	for (int i = 0; i < 3 * MANY; i++) {
		snprintf(name, sizeof(name), "%s%d", kinds[i / MANY], i % MANY);
		hashes[i] = hash_of(w, name) >> 32;
	}
	qsort(hashes, 3 * MANY, sizeof(*hashes), by_value);
	for (int i = 1; i < 3 * MANY; i++)
		if (hashes[i] == hashes[i - 1])
			return true;
	return false;
}

static void open_many(struct world *w)
{
	char path[64];

	world_init(w, 2);
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "l%d/d/low%d", i % 2, i);
		put_file(path, "x");
	}
	world_open(w);
}

static void make_many(struct world *w)
{
	char path[64];

	open_many(w);
	while (many_share(w)) {
		world_done(w);
		open_many(w);
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "d/up%d", i);
		ok(t_create(w, path, 0644));
		snprintf(path, sizeof(path), "d/low%d", i);
		if (i % 3 == 0)
			ok(t_unlink(w, path));
		else if (i % 3 == 1)
			ok(t_chmod(w, path, 0600));
	}
}

static void assert_many(const struct reader_state *s)
{
	char name[16];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "up%d", i);
		cr_assert_eq(count_name(s, name), 1, "%s", name);
		snprintf(name, sizeof(name), "low%d", i);
		cr_assert_eq(count_name(s, name), i % 3 == 0 ? 0 : 1, "%s", name);
	}
	cr_assert_eq(count_name(s, "."), 1);
	cr_assert_eq(count_name(s, ".."), 1);
}

Test(dirs, pieces_of_every_size)
{
	static const size_t sizes[] = {1, 2, 3, 7, 255, 256, 257, 100000};
	CLEANUP(world) struct world w;
	CLEANUP(free) struct reader_state *s = malloc(sizeof(*s));
	uint64_t ino;

	make_many(&w);
	ino = hold(&w, "d");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		memset(s, 0, sizeof(*s));
		while (read_some(&w, ino, s, sizes[i]))
			;
		assert_many(s);
		/* What programs of 32 bits can read. */
		for (size_t k = 0; k < s->n; k++)
			cr_assert_lt(s->cookies[k], WIDE);
	}
	world_assert_lasting(&w);
}

Test(dirs, every_cookie_is_a_place_to_go_on)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) struct reader_state *all = calloc(1, sizeof(*all));
	CLEANUP(free) struct reader_state *s = malloc(sizeof(*s));
	uint64_t ino;

	make_many(&w);
	ino = hold(&w, "d");
	read_some(&w, ino, all, SIZE_MAX);
	for (size_t i = 0; i < all->n; i += 13) {
		memset(s, 0, sizeof(*s));
		s->cookie = all->cookies[i];
		read_some(&w, ino, s, 3);
		cr_assert_eq(s->n, all->n - i - 1 < 3 ? all->n - i - 1 : 3);
		for (size_t k = 0; k < s->n; k++)
			cr_assert_str_eq(s->names[k], all->names[i + 1 + k]);
	}
	/* The same after the directory was closed and the file system opened again. */
	world_reopen(&w);
	ino = hold(&w, "d");
	for (size_t i = 0; i < all->n; i += 17) {
		memset(s, 0, sizeof(*s));
		s->cookie = all->cookies[i];
		read_some(&w, ino, s, 1);
		cr_assert_eq(s->n, i + 1 < all->n ? 1 : 0);
		if (s->n > 0)
			cr_assert_str_eq(s->names[0], all->names[i + 1]);
	}
}

/* Names that are there all the time are seen once, whatever happens to the others. */
Test(dirs, steady_while_names_come_and_go)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) struct reader_state *s = calloc(1, sizeof(*s));
	char path[32];
	uint64_t ino;
	int i = 0;

	make_many(&w);
	ino = hold(&w, "d");
	while (read_some(&w, ino, s, 5)) {
		snprintf(path, sizeof(path), "d/new%d", i);
		ok(t_create(&w, path, 0644));
		if (i % 2 == 1) {
			snprintf(path, sizeof(path), "d/new%d", i - 1);
			ok(t_unlink(&w, path));
		}
		if (i % 3 == 2 && i < MANY) {
			snprintf(path, sizeof(path), "d/low%d", i);
			ok(t_chmod(&w, path, 0640));
		}
		i++;
	}
	assert_many(s);
	world_assert_lasting(&w);
}

Test(dirs, deleting_while_reading_empties)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) struct reader_state *s = calloc(1, sizeof(*s));
	size_t done = 0;
	uint64_t ino;

	make_many(&w);
	ino = hold(&w, "d");
	while (read_some(&w, ino, s, 10)) {
		for (; done < s->n; done++) {
			if (s->names[done][0] != '.')
				ok(fs_unlink(w.fs, ino, s->names[done]));
		}
	}
	assert_names(&w, "d", "");
	drop(&w, ino);
	ok(t_rmdir(&w, "d"));
	world_assert_lasting(&w);
}

static bool take_three(void *arg, const struct fs_dirent *entries, size_t n)
{
	struct reader_state *s = arg;

	if (s->n + n > 3)
		return false;
	for (size_t i = 0; i < n; i++)
		s->cookies[s->n++] = entries[i].attr != NULL ? entries[i].ino : 0;
	return true;
}

Test(dirs, readdirplus_counts_what_was_taken)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) struct reader_state *s = calloc(1, sizeof(*s));
	struct attr a;

	world_init(&w, 1);
	put_file("l0/a", "x");
	put_file("l0/b", "x");
	put_file("l0/c", "x");
	world_open(&w);
	cr_assert_eq(world_inodes(&w), 1);
	/* ".", ".." and one name; the one that was refused is not counted. */
	ok(fs_readdirplus(w.fs, FS_ROOT_INO, 0, take_three, s));
	cr_assert_eq(s->cookies[0], 0);
	cr_assert_eq(s->cookies[1], 0);
	cr_assert_eq(world_inodes(&w), 2);
	ok(fs_getattr(w.fs, s->cookies[2], &a));
	fs_forget(w.fs, s->cookies[2], 1);
	cr_assert_eq(world_inodes(&w), 1);
	world_audit(&w);
}

Test(dirs, parents)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_dir("l0/a/b/c");
	put_dir("l1/a/b/d");
	put_dir("l1/x");
	world_open(&w);
	world_audit(&w);
	ok(t_rename(&w, "a/b", "x/b", 0));
	world_audit(&w);
	ok(t_rename(&w, "x/b/c", "c", 0));
	ok(t_rename(&w, "a", "c/a", 0));
	ok(t_mkdir(&w, "c/a/new", 0755));
	world_assert_lasting(&w);
}

Test(dirs, not_a_directory)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/f", "x");
	world_open(&w);
	fails(ENOTDIR, fs_readdir(w.fs, hold(&w, "f"), 0, take_three, NULL));
	fails(ENOTDIR, fs_readdirplus(w.fs, hold(&w, "f"), 0, take_three, NULL));
}

/* What looks like a whiteout or a mark below is not listed. */
Test(dirs, marks_are_not_listed)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_whiteout("l0/a");
	put_file("l0/.wh.b", "");
	put_file("l0/o/.wh..wh..opq", "");
	put_file("l0/o/x", "");
	put_file("l1/a", "x");
	put_file("l1/b", "x");
	put_file("l1/o/y", "x");
	world_open(&w);
	assert_names(&w, "", "o");
	assert_names(&w, "o", "x");
	ok(t_chmod(&w, "o", 0700));
	ok(t_create(&w, "a", 0644));
	world_assert_lasting(&w);
	assert_names(&w, "", "a o");
	assert_names(&w, "o", "x");
	ok(t_unlink(&w, "a"));
	world_assert_lasting(&w);
	assert_names(&w, "", "o");
}
