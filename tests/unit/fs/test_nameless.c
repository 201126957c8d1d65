/* SPDX-License-Identifier: Apache-2.0 */
/* Changed lower files whose last name that is seen was deleted, while the lower file has others. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fs/nameless.h"
#include "unit/fs/spoilt.h"

#define LARGE 200000

/* "a/one", "b/two" and "c/three" are one lower file, which has a name outside of the layer; "hidden" is one below a whiteout. */
static void put_world(struct world *w)
{
	world_init(w, 2);
	put_bytes("l1/a/one", LARGE, 1);
	put_link("l1/a/one", "l1/b/two");
	put_link("l1/a/one", "l1/c/three");
	put_link("l1/a/one", "l1/hidden");
	put_link("l1/a/one", "outside");
	put_whiteout("l0/hidden");
	put_file("l1/b/other", "other");
	put_file("l1/x", "x");
	put_file("l1/y", "y");
	put_dir("l1/b/deep/er");
	put_bytes("l1/alone", LARGE, 2);
	put_link("l1/alone", "alone");
	world_open(w);
}

static void change(struct world *w, const char *path)
{
	ok(t_pwrite(w, path, "changed", 7, 0));
	cr_assert_eq(count_files("upper/.plyfs/data"), 1);
}

static void assert_changed(struct world *w, const char *path)
{
	CLEANUP(free) uint8_t *bytes = malloc(LARGE);

	fill(bytes, LARGE, 1);
	memcpy(bytes, "changed", 7);
	cr_assert_eq(stat_of(w, path).size, LARGE);
	for (size_t off = 0; off < LARGE; off += 1000) {
		uint8_t is[1000];

		cr_assert_eq(fs_read(w->fs, hold(w, path), is, sizeof(is), (off_t)off), 1000);
		cr_assert_arr_eq(is, bytes + off, sizeof(is));
	}
}

static int look(struct world *w, size_t erased)
{
	size_t n = 77;
	int r = nameless_look(w->fs, NULL, &n);

	cr_expect_eq(n, erased, "%zu were erased", n);
	/* Once no power cut can bring them back. */
	ok(fs_syncfs(w->fs));
	return r;
}

static bool is_noted(struct world *w)
{
	CLEANUP(buf) struct buf value = {0};

	return catalog_super(w->fs->catalog, SUPER_NAMELESS, &value) == 0 && value.data[0] == '1';
}

Test(nameless, bytes_without_a_name_are_given_back)
{
	CLEANUP(world) struct world w;

	put_world(&w);
	change(&w, "a/one");
	ok(t_unlink(&w, "a/one"));
	ok(t_unlink(&w, "b/two"));
	ok(t_unlink(&w, "c/three"));
	/* By a later mount, too. */
	world_reopen(&w);
	cr_assert(is_noted(&w));
	cr_assert_eq(count_files("upper/.plyfs/data"), 1);
	ok(look(&w, 1));
	wait_for_files("upper/.plyfs/data", 0);
	cr_assert_not(is_noted(&w));
	ok(look(&w, 0));
	world_assert_lasting(&w);
	cr_assert_eq(count_files("upper/.plyfs/data"), 0);
	assert_names(&w, "", "a alone b c x y");
}

Test(nameless, the_thread_does_it)
{
	CLEANUP(world) struct world w;

	put_world(&w);
	change(&w, "alone");
	ok(t_unlink(&w, "alone"));
	world_close(&w);
	nameless_wait_ms = 0;
	world_open(&w);
	wait_for_files("upper/.plyfs/data", 0);
	for (int i = 0; i < 3000 && (is_noted(&w) || world_inodes(&w) > 1); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	cr_assert_not(is_noted(&w));
	world_assert_lasting(&w);
}

static void die_after_unlink(struct world *w)
{
	change(w, "alone");
	ok(t_unlink(w, "alone"));
	ok(fs_syncfs(w->fs));
}

Test(nameless, after_a_kill)
{
	CLEANUP(world) struct world w;

	put_world(&w);
	world_close(&w);
	world_die(&w, die_after_unlink);
	world_open(&w);
	cr_assert_eq(count_files("upper/.plyfs/data"), 1);
	ok(look(&w, 1));
	wait_for_files("upper/.plyfs/data", 0);
	world_assert_lasting(&w);
}

Test(nameless, a_name_that_nobody_has_looked_up_keeps_the_bytes)
{
	CLEANUP(world) struct world w;

	put_world(&w);
	change(&w, "a/one");
	ok(t_unlink(&w, "a/one"));
	ok(t_unlink(&w, "c/three"));
	world_reopen(&w);
	ok(look(&w, 0));
	cr_assert_not(is_noted(&w), "it has been found");
	assert_changed(&w, "b/two");
	world_assert_lasting(&w);
	/* The last one is noted anew. */
	ok(t_unlink(&w, "b/two"));
	cr_assert(is_noted(&w));
	world_reopen(&w);
	ok(look(&w, 1));
	wait_for_files("upper/.plyfs/data", 0);
}

Test(nameless, so_does_a_new_name)
{
	CLEANUP(world) struct world w;

	put_world(&w);
	change(&w, "alone");
	ok(t_link(&w, "alone", "b/deep/er/new"));
	ok(t_rename(&w, "b/deep", "deep", 0));
	ok(t_unlink(&w, "alone"));
	world_reopen(&w);
	ok(look(&w, 0));
	cr_assert_eq(stat_of(&w, "deep/er/new").size, LARGE);
	cr_assert_eq(count_files("upper/.plyfs/data"), 1);
	world_assert_lasting(&w);
}

Test(nameless, one_that_is_in_use_waits)
{
	CLEANUP(world) struct world w;
	uint64_t ino;
	char c;

	put_world(&w);
	ino = hold(&w, "alone");
	ok(t_unlink(&w, "alone"));
	cr_assert_not(is_noted(&w), "there are no bytes yet");
	cr_assert_eq(fs_write(w.fs, ino, "X", 1, LARGE - 1, 0), 1);
	cr_assert(is_noted(&w));
	fails(EAGAIN, look(&w, 0));
	cr_assert_eq(fs_read(w.fs, ino, &c, 1, LARGE - 1), 1);
	cr_assert_eq(c, 'X');
	drop(&w, ino);
	ok(look(&w, 1));
	wait_for_files("upper/.plyfs/data", 0);
	world_assert_lasting(&w);
}

Test(nameless, nothing_is_deleted_where_not_all_can_be_seen)
{
	static const struct {
		uint32_t calls;
		const char *name;
	} where[] = {{SPOILT_LIST, NULL}, {SPOILT_LOOKUP, "b"}, {SPOILT_LOOKUP, "two"}};
	static const int errors[] = {-EIO, -EACCES, -ESTALE, -EMFILE};

	for (size_t i = 0; i < sizeof(where) / sizeof(*where); i++) {
		CLEANUP(world) struct world w;

		put_world(&w);
		change(&w, "a/one");
		ok(t_unlink(&w, "a/one"));
		ok(t_unlink(&w, "c/three"));
		for (size_t e = 0; e < sizeof(errors) / sizeof(*errors); e++) {
			world_reopen(&w);
			spoil_layers(&w);
			spoilt.calls = where[i].calls;
			spoilt.name = where[i].name;
			spoilt.result = errors[e];
			fails(-errors[e], look(&w, 0));
			spoilt = (struct spoilt){0};
			cr_assert(is_noted(&w));
		}
		assert_changed(&w, "b/two");
	}
}

/* The directory with the name goes from where the walk has not been to where it was. */
static void move_out(struct world *w)
{
	ok(t_rename(w, "b/deep", "a/deep", 0));
}

static void move_file(struct world *w)
{
	ok(t_rename(w, "b/deep/er/last", "a/last", 0));
}

static void link_file(struct world *w)
{
	ok(t_link(w, "b/deep/er/last", "a/last"));
	ok(t_unlink(w, "b/deep/er/last"));
}

/* In which order a walk comes by is chance: it is another one in each catalog. True when the walk has missed the name. */
static bool move_while_looking(void (*move)(struct world *w), const char *when, const char *found)
{
	CLEANUP(world) struct world w;
	size_t n;
	int r;

	put_world(&w);
	change(&w, "a/one");
	ok(t_rename(&w, "a/one", "b/deep/er/last", 0));
	ok(t_unlink(&w, "b/two"));
	ok(t_unlink(&w, "c/three"));
	world_reopen(&w);
	spoil_layers(&w);
	spoilt.calls = SPOILT_LOOKUP;
	spoilt.name = when;
	spoilt.meanwhile = move;
	spoilt.w = &w;
	r = nameless_look(w.fs, NULL, &n);
	cr_assert(r == 0 || r == -EAGAIN, "%d", r);
	cr_assert_eq(n, 0);
	if (spoilt.meanwhile == NULL)
		assert_changed(&w, found);
	spoilt = (struct spoilt){0};
	return r == -EAGAIN;
}

Test(nameless, names_that_are_moved_meanwhile_are_not_missed)
{
	static void (*const moves[])(struct world * w) = {move_out, move_file, link_file};
	static const char *const found[] = {"a/deep/er/last", "a/last", "a/last"};
	static const char *const when[] = {"x", "y", "other"};

	for (size_t i = 0; i < sizeof(moves) / sizeof(*moves); i++) {
		bool missed = false;

		for (size_t j = 0; j < 500 && !missed; j++)
			missed = move_while_looking(moves[i], when[j % 3], found[i]);
		cr_assert(missed, "no walk has missed the name: this tests nothing");
	}
}
