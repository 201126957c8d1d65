/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look-up finds no entry and goes to the layers; before it comes back another thread copies up what it looks for. Here that
 * thread is a call out of the layer that is asked, so each test is one interleaving.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "unit/fs/spoilt.h"

static uint64_t ino;

static void put_world(struct world *w)
{
	world_init(w, 1);
	put_file("l0/f", "file");
	put_file("l0/d/in", "in");
	put_file("l0/one", "linked");
	put_link("l0/one", "l0/two");
	world_open(w);
	spoil_layers(w);
}

/* The next CALL about NAME is interrupted by MEANWHILE. */
static void interrupt(struct world *w, uint32_t call, const char *name,
		      void (*meanwhile)(struct world *w))
{
	spoilt = (struct spoilt){.calls = call, .name = name, .meanwhile = meanwhile, .w = w};
}

static void assert_interrupted(void)
{
	cr_assert_null(spoilt.meanwhile, "nothing happened meanwhile");
}

static void change_mode(struct world *w)
{
	struct attr a = {.mode = 0600};

	ok(fs_setattr(w->fs, ino, FS_SET_MODE, &a, &a));
}

static void write_byte(struct world *w)
{
	cr_assert_eq(fs_write(w->fs, ino, "F", 1, 0, false), 1);
}

static void rename_away(struct world *w)
{
	ok(fs_rename(w->fs, &w->who, FS_ROOT_INO, "f", FS_ROOT_INO, "g", 0, NULL));
}

static void replace_it(struct world *w)
{
	rename_away(w);
	ok(t_write(w, "f", "another"));
}

Test(copy_up_races, of_a_file)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_world(&w);
	ino = hold(&w, "f");
	interrupt(&w, SPOILT_LOOKUP, "f", change_mode);
	ok(t_stat(&w, "f", &a));
	assert_interrupted();
	cr_assert_eq(a.ino, ino);
	cr_assert_eq(a.mode & 07777, 0600);
	assert_text(&w, "f", "file");
	world_assert_lasting(&w);
}

Test(copy_up_races, of_a_file_that_is_written)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_world(&w);
	ino = hold(&w, "f");
	interrupt(&w, SPOILT_LOOKUP, "f", write_byte);
	ok(t_stat(&w, "f", &a));
	assert_interrupted();
	cr_assert_eq(a.ino, ino);
	assert_text(&w, "f", "File");
}

Test(copy_up_races, of_a_directory)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_world(&w);
	ino = hold(&w, "d");
	/* It is in memory, so its attributes are all that is asked for. */
	interrupt(&w, SPOILT_GETATTR, NULL, change_mode);
	ok(t_stat(&w, "d", &a));
	assert_interrupted();
	cr_assert_eq(a.ino, ino);
	cr_assert_eq(a.mode & 07777, 0600);
	assert_names(&w, "d", "in");
	world_assert_lasting(&w);
}

/* What is in the directory takes it along. */
Test(copy_up_races, of_a_file_below_the_directory)
{
	CLEANUP(world) struct world w;
	struct attr a;
	uint64_t d;

	put_world(&w);
	d = hold(&w, "d");
	ino = hold(&w, "d/in");
	interrupt(&w, SPOILT_GETATTR, NULL, change_mode);
	ok(t_stat(&w, "d", &a));
	assert_interrupted();
	cr_assert_eq(a.ino, d);
	cr_assert_eq(mode_of(&w, "d/in"), 0600);
}

Test(copy_up_races, of_one_of_several_names)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_world(&w);
	ino = hold(&w, "one");
	interrupt(&w, SPOILT_LOOKUP, "two", write_byte);
	ok(t_stat(&w, "two", &a));
	assert_interrupted();
	cr_assert_eq(a.ino, ino);
	assert_text(&w, "two", "Finked");
	world_assert_lasting(&w);
}

Test(copy_up_races, and_a_rename)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_world(&w);
	ino = hold(&w, "f");
	interrupt(&w, SPOILT_LOOKUP, "f", rename_away);
	fails(ENOENT, t_stat(&w, "f", &a));
	assert_interrupted();
	cr_assert_eq(ino_of(&w, "g"), ino);
}

Test(copy_up_races, and_another_file_of_its_name)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_world(&w);
	ino = hold(&w, "f");
	interrupt(&w, SPOILT_LOOKUP, "f", replace_it);
	ok(t_stat(&w, "f", &a));
	assert_interrupted();
	cr_assert_neq(a.ino, ino);
	cr_assert_eq(a.size, strlen("another"));
	assert_text(&w, "g", "file");
	world_assert_lasting(&w);
}

struct seen {
	struct world *w;
	size_t n;
	uint32_t mode;
};

static void see_one(struct seen *seen, const struct fs_dirent *e)
{
	if (e->name[0] == '.')
		return;
	cr_assert_not_null(e->attr, "%.*s is listed without attributes", (int)e->len, e->name);
	held_add(seen->w, e->attr->ino);
	if (e->len == 1 && e->name[0] == 'f')
		seen->mode = e->attr->mode & 07777;
	seen->n++;
}

static bool see(void *arg, const struct fs_dirent *entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		see_one(arg, &entries[i]);
	return true;
}

Test(copy_up_races, in_a_listing)
{
	CLEANUP(world) struct world w;
	struct seen seen = {.w = &w};

	put_world(&w);
	ino = hold(&w, "f");
	interrupt(&w, SPOILT_LOOKUP, "f", change_mode);
	ok(fs_readdirplus(w.fs, FS_ROOT_INO, 0, see, &seen));
	assert_interrupted();
	cr_assert_eq(seen.n, 4);
	cr_assert_eq(seen.mode, 0600);
}

/* A record of another file stays an error, whoever looks twice. */
Test(copy_up_races, is_none)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_world(&w);
	ok(t_chmod(&w, "f", 0600));
	world_close(&w);
	cr_assert_eq(rename("l0/f", "l0/moved"), 0);
	put_file("l0/f", "another");
	world_open(&w);
	fails(ESTALE, t_stat(&w, "moved", &a));
	cr_assert_eq(mode_of(&w, "f"), 0600);
}
