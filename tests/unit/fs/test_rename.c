/* SPDX-License-Identifier: Apache-2.0 */
/* rename: every kind of thing over every kind of thing, and what is there after re-opening. */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "unit/fs/support.h"

/*
 * Things of each kind under the same name in the directories "a" and "b":
 * lower, upper (made here), merged (directories: two layers; files: a lower one that was changed).
 */
enum from { LOWER, UPPER, MERGED, N_FROM };
static const char *const from_names[] = {"lower", "upper", "merged"};

static void put_matrix(struct world *w)
{
	world_init(w, 2);
	put_file("l0/a/lower_f", "a lower_f");
	put_file("l0/b/lower_f", "b lower_f");
	put_file("l1/a/merged_f", "a merged_f");
	put_file("l1/b/merged_f", "b merged_f");
	put_file("l1/a/lower_d/deep/er/x", "a lower_d");
	put_file("l0/a/merged_d/deep/x", "a merged_d top");
	put_file("l1/a/merged_d/deep/y", "a merged_d bottom");
	put_dir("l1/b/lower_d");
	put_dir("l0/b/merged_d");
	put_dir("l1/b/merged_d");
	world_open(w);
	ok(t_write(w, "a/upper_f", "a upper_f"));
	ok(t_write(w, "b/upper_f", "b upper_f"));
	ok(t_chmod(w, "a/merged_f", 0600));
	ok(t_chmod(w, "b/merged_f", 0600));
	ok(t_mkdir(w, "a/upper_d", 0755));
	ok(t_mkdir(w, "b/upper_d", 0755));
	ok(t_mkdir(w, "a/upper_d/deep", 0755));
	ok(t_write(w, "a/upper_d/deep/x", "a upper_d"));
}

static void path_of(char *path, const char *dir, enum from from, char type)
{
	snprintf(path, 64, "%s/%s_%c", dir, from_names[from], type);
}

static void assert_deep(struct world *w, const char *dir, enum from from)
{
	char path[96];

	if (from == MERGED) {
		snprintf(path, sizeof(path), "%s/deep/x", dir);
		assert_text(w, path, "a merged_d top");
		snprintf(path, sizeof(path), "%s/deep/y", dir);
		assert_text(w, path, "a merged_d bottom");
		return;
	}
	snprintf(path, sizeof(path), "%s/deep/%s", dir, from == LOWER ? "er/x" : "x");
	assert_text(w, path, from == LOWER ? "a lower_d" : "a upper_d");
}

Test(rename, files_over_files)
{
	for (enum from f = 0; f < N_FROM; f++) {
		for (enum from t = 0; t < N_FROM; t++) {
			CLEANUP(world) struct world w;
			char from[64], to[64], text[64];
			uint64_t ino, over;
			struct attr a;

			put_matrix(&w);
			path_of(from, "a", f, 'f');
			path_of(to, "b", t, 'f');
			ino = ino_of(&w, from);
			over = hold(&w, to);
			fails(EEXIST, t_rename(&w, from, to, RENAME_NOREPLACE));
			ok(t_rename(&w, from, to, 0));
			cr_assert_not(exists(&w, from));
			cr_assert_eq(ino_of(&w, to), ino);
			snprintf(text, sizeof(text), "a %s_f", from_names[f]);
			assert_text(&w, to, text);
			/* What was overwritten is still there for its holder, without a link. */
			ok(fs_getattr(w.fs, over, &a));
			cr_assert_eq(a.nlink, 0, "%s over %s", from, to);
			snprintf(text, sizeof(text), "b %s_f", from_names[t]);
			assert_ino_text(&w, over, text);
			world_assert_lasting(&w);
			cr_assert_eq(ino_of(&w, to), ino);
		}
	}
}

Test(rename, directories_over_empty_directories)
{
	for (enum from f = 0; f < N_FROM; f++) {
		for (enum from t = 0; t < N_FROM; t++) {
			CLEANUP(world) struct world w;
			char from[64], to[64];
			uint64_t ino, over;
			struct attr a;

			put_matrix(&w);
			path_of(from, "a", f, 'd');
			path_of(to, "b", t, 'd');
			ino = ino_of(&w, from);
			over = hold(&w, to);
			fails(EEXIST, t_rename(&w, from, to, RENAME_NOREPLACE));
			ok(t_rename(&w, from, to, 0));
			cr_assert_not(exists(&w, from));
			cr_assert_eq(ino_of(&w, to), ino);
			assert_deep(&w, to, f);
			ok(fs_getattr(w.fs, over, &a));
			cr_assert_eq(a.nlink, 0);
			world_assert_lasting(&w);
			assert_deep(&w, to, f);
			/* Nothing of the old one is behind it, nothing of it at the old place. */
			assert_names(&w, to, "deep");
			ok(t_mkdir(&w, from, 0755));
			assert_names(&w, from, "");
			world_assert_lasting(&w);
		}
	}
}

Test(rename, directories_over_full_directories)
{
	for (enum from f = 0; f < N_FROM; f++) {
		for (enum from t = 0; t < N_FROM; t++) {
			CLEANUP(world) struct world w;
			char from[64], to[64];

			put_matrix(&w);
			path_of(from, "b", f, 'd');
			path_of(to, "a", t, 'd');
			fails(ENOTEMPTY, t_rename(&w, from, to, 0));
			assert_deep(&w, to, t);
			world_assert_lasting(&w);
		}
	}
}

Test(rename, types_do_not_mix)
{
	for (enum from f = 0; f < N_FROM; f++) {
		for (enum from t = 0; t < N_FROM; t++) {
			CLEANUP(world) struct world w;
			CLEANUP(free) char *before = NULL;
			CLEANUP(free) char *after = NULL;
			char from[64], to[64];

			put_matrix(&w);
			before = world_dump(&w);
			path_of(from, "a", f, 'f');
			path_of(to, "b", t, 'd');
			fails(EISDIR, t_rename(&w, from, to, 0));
			fails(ENOTDIR, t_rename(&w, to, from, 0));
			after = world_dump(&w);
			cr_assert_str_eq(before, after);
		}
	}
}

Test(rename, exchange)
{
	for (enum from f = 0; f < N_FROM; f++) {
		for (enum from t = 0; t < N_FROM; t++) {
			CLEANUP(world) struct world w;
			char file[64], dir[64], other[64], text[64];
			uint64_t file_ino, dir_ino, other_ino;

			put_matrix(&w);
			path_of(file, "a", f, 'f');
			path_of(dir, "a", t, 'd');
			path_of(other, "b", t, 'f');
			file_ino = ino_of(&w, file);
			dir_ino = ino_of(&w, dir);
			other_ino = ino_of(&w, other);
			ok(t_rename(&w, file, dir, RENAME_EXCHANGE));
			ok(t_rename(&w, dir, other, RENAME_EXCHANGE));
			cr_assert_eq(ino_of(&w, file), dir_ino);
			cr_assert_eq(ino_of(&w, other), file_ino);
			cr_assert_eq(ino_of(&w, dir), other_ino);
			assert_deep(&w, file, t);
			snprintf(text, sizeof(text), "a %s_f", from_names[f]);
			assert_text(&w, other, text);
			world_assert_lasting(&w);
			assert_deep(&w, file, t);
			assert_text(&w, other, text);
		}
	}
}

Test(rename, exchange_across_directories_counts_links)
{
	CLEANUP(world) struct world w;

	put_matrix(&w);
	ok(t_rename(&w, "a/upper_d", "b/lower_f", RENAME_EXCHANGE));
	ok(t_rename(&w, "a/lower_d", "b/upper_d", RENAME_EXCHANGE));
	assert_deep(&w, "b/upper_d", LOWER);
	assert_deep(&w, "b/lower_f", UPPER);
	world_assert_lasting(&w);
}

Test(rename, flags)
{
	CLEANUP(world) struct world w;

	put_matrix(&w);
	fails(EINVAL, t_rename(&w, "a/lower_f", "b/new", RENAME_EXCHANGE | RENAME_NOREPLACE));
	fails(EINVAL, t_rename(&w, "a/lower_f", "b/lower_f", RENAME_EXCHANGE | RENAME_WHITEOUT));
	fails(EINVAL, t_rename(&w, "a/lower_f", "b/lower_f", 1u << 20));
	fails(ENOENT, t_rename(&w, "a/lower_f", "b/new", RENAME_EXCHANGE));
	fails(ENOENT, t_rename(&w, "a/no", "b/lower_f", 0));
	fails(ENOENT, t_rename(&w, "a/no", "b/lower_f", RENAME_EXCHANGE));
	fails(EEXIST, t_rename(&w, "a/lower_f", "a/lower_f", RENAME_NOREPLACE));
	ok(t_rename(&w, "a/lower_f", "a/lower_f", 0));
	ok(t_rename(&w, "a/lower_f", "a/lower_f", RENAME_EXCHANGE));
	ok(t_rename(&w, "a/lower_f", "b/new", RENAME_NOREPLACE));
	assert_text(&w, "b/new", "a lower_f");
	world_assert_lasting(&w);
}

Test(rename, whiteout)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_matrix(&w);
	w.who.uid = 1000;
	for (enum from f = 0; f < N_FROM; f++) {
		char from[64], to[64];

		path_of(from, "a", f, 'f');
		path_of(to, "b", f, 'f');
		ok(t_rename(&w, from, to, RENAME_WHITEOUT));
		a = stat_of(&w, from);
		cr_assert_eq(a.mode, S_IFCHR);
		cr_assert_eq(a.rdev_major, 0);
		cr_assert_eq(a.rdev_minor, 0);
		cr_assert_eq(a.uid, 1000);
		cr_assert_eq(a.nlink, 1);
		path_of(from, "a", f, 'd');
		path_of(to, "b", f, 'd');
		fails(EEXIST, t_rename(&w, from, to, RENAME_WHITEOUT | RENAME_NOREPLACE));
		ok(t_rename(&w, from, to, RENAME_WHITEOUT));
		cr_assert_eq(stat_of(&w, from).mode, S_IFCHR);
		assert_deep(&w, to, f);
	}
	assert_names(&w, "a", "lower_d lower_f merged_d merged_f upper_d upper_f");
	world_assert_lasting(&w);
}

Test(rename, a_whiteout_has_the_group_of_a_setgid_directory)
{
	CLEANUP(world) struct world w;

	put_matrix(&w);
	ok(t_chown(&w, "a", 1, 77));
	ok(t_chmod(&w, "a", 02755));
	ok(t_rename(&w, "a/lower_f", "a/other", RENAME_WHITEOUT));
	cr_assert_eq(stat_of(&w, "a/lower_f").gid, 77);
	world_assert_lasting(&w);
}

Test(rename, twice_and_into_a_renamed_one)
{
	CLEANUP(world) struct world w;

	put_matrix(&w);
	ok(t_rename(&w, "a/lower_d", "one", 0));
	ok(t_rename(&w, "one", "b/two", 0));
	assert_deep(&w, "b/two", LOWER);
	ok(t_rename(&w, "a/merged_d", "b/two/in", 0));
	assert_deep(&w, "b/two/in", MERGED);
	ok(t_rename(&w, "b", "c", 0));
	assert_deep(&w, "c/two", LOWER);
	assert_deep(&w, "c/two/in", MERGED);
	world_assert_lasting(&w);
	/* Out of its middle, and back to where it began. */
	ok(t_rename(&w, "c/two/deep/er", "er", 0));
	assert_text(&w, "er/x", "a lower_d");
	ok(t_rename(&w, "c/two", "a/lower_d", 0));
	assert_names(&w, "a/lower_d", "deep in");
	assert_names(&w, "a/lower_d/deep", "");
	ok(t_rename(&w, "c", "b", 0));
	ok(t_rename(&w, "a/lower_d/in", "a/merged_d", 0));
	assert_deep(&w, "a/merged_d", MERGED);
	world_assert_lasting(&w);
	assert_text(&w, "er/x", "a lower_d");
	assert_deep(&w, "a/merged_d", MERGED);
	assert_text(&w, "b/merged_f", "b merged_f");
}

Test(rename, a_big_lower_tree_is_one_record)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) char *before = NULL;
	CLEANUP(free) char *after = NULL;
	char path[64];

	world_init(&w, 2);
	for (int i = 0; i < 400; i++) {
		snprintf(path, sizeof(path), "l%d/tree/%d/%d/f", i % 2, i % 7, i);
		put_file(path, path);
	}
	before = plain_dump("l0");
	world_open(&w);
	ok(t_rename(&w, "tree", "moved", 0));
	cr_assert_eq(count_files("upper/.plyfs/data"), 0);
	assert_text(&w, "moved/0/7/f", "l1/tree/0/7/f");
	ok(t_write(&w, "moved/0/7/f", "changed"));
	ok(t_unlink(&w, "moved/1/8/f"));
	ok(t_write(&w, "moved/1/8/g", "new"));
	world_assert_lasting(&w);
	assert_text(&w, "moved/0/7/f", "changed");
	assert_names(&w, "moved/1/8", "g");
	cr_assert_not(exists(&w, "tree"));
	after = plain_dump("l0");
	cr_assert_str_eq(before, after);
}

Test(rename, over_a_whiteout_and_over_nothing)
{
	CLEANUP(world) struct world w;

	put_matrix(&w);
	ok(t_unlink(&w, "b/lower_f"));
	ok(t_rename(&w, "a/merged_f", "b/lower_f", RENAME_NOREPLACE));
	assert_text(&w, "b/lower_f", "a merged_f");
	ok(t_unlink(&w, "b/lower_f"));
	cr_assert_not(exists(&w, "b/lower_f"));
	ok(t_rmdir(&w, "b/merged_d"));
	ok(t_rename(&w, "a/lower_d", "b/merged_d", 0));
	assert_deep(&w, "b/merged_d", LOWER);
	/* A directory where a lower one was hides that one. */
	ok(t_mkdir(&w, "a/lower_d", 0755));
	assert_names(&w, "a/lower_d", "");
	ok(t_rename(&w, "a/lower_d", "a/empty", 0));
	assert_names(&w, "a/empty", "");
	cr_assert_not(exists(&w, "a/lower_d"));
	world_assert_lasting(&w);
	assert_names(&w, "a/empty", "");
}

Test(rename, hidden_names_stay_hidden_after_moving_back_and_forth)
{
	CLEANUP(world) struct world w;

	put_matrix(&w);
	ok(t_unlink(&w, "a/merged_d/deep/y"));
	ok(t_rename(&w, "a/merged_d", "z", 0));
	assert_names(&w, "z/deep", "x");
	ok(t_rename(&w, "z/deep", "z/shallow", 0));
	assert_names(&w, "z", "shallow");
	ok(t_rename(&w, "z", "a/merged_d", 0));
	assert_names(&w, "a/merged_d", "shallow");
	assert_names(&w, "a/merged_d/shallow", "x");
	ok(t_unlink(&w, "a/merged_d/shallow/x"));
	ok(t_rmdir(&w, "a/merged_d/shallow"));
	ok(t_rmdir(&w, "a/merged_d"));
	world_assert_lasting(&w);
}

Test(rename, link_counts_of_parents)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_dir("l0/a/d");
	put_dir("l0/b/e");
	put_dir("l0/b/f");
	world_open(&w);
	ok(t_rename(&w, "a/d", "b/d", 0));
	cr_assert_eq(nlink_of(&w, "a"), 2);
	cr_assert_eq(nlink_of(&w, "b"), 5);
	ok(t_rename(&w, "b/d", "b/e", 0));
	cr_assert_eq(nlink_of(&w, "b"), 4);
	ok(t_rename(&w, "b/e", "a/e", 0));
	cr_assert_eq(nlink_of(&w, "a"), 3);
	cr_assert_eq(nlink_of(&w, "b"), 3);
	world_assert_lasting(&w);
}

Test(rename, two_names_of_one_file)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/a", "x");
	put_link("l0/a", "l0/b");
	world_open(&w);
	ok(t_rename(&w, "a", "b", 0));
	assert_names(&w, "", "a b");
	ok(t_rename(&w, "a", "b", RENAME_EXCHANGE));
	fails(EEXIST, t_rename(&w, "a", "b", RENAME_NOREPLACE));
	ok(t_chmod(&w, "a", 0600));
	ok(t_rename(&w, "a", "b", 0));
	assert_names(&w, "", "a b");
	cr_assert_eq(nlink_of(&w, "b"), 2);
	world_assert_lasting(&w);
}

Test(rename, other_types)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_symlink("target", "l0/s");
	cr_assert_eq(mkfifo("l0/p", 0640), 0);
	cr_assert_eq(mknod("l0/c", S_IFCHR | 0640, 5 << 8 | 3), 0);
	world_open(&w);
	ok(t_rename(&w, "s", "s2", 0));
	ok(t_rename(&w, "p", "p2", 0));
	ok(t_rename(&w, "c", "c2", 0));
	assert_target(&w, "s2", "target");
	cr_assert_eq(stat_of(&w, "p2").mode, S_IFIFO | 0640);
	cr_assert_eq(stat_of(&w, "c2").rdev_major, 5);
	cr_assert_eq(stat_of(&w, "c2").rdev_minor, 3);
	assert_names(&w, "", "c2 p2 s2");
	world_assert_lasting(&w);
}

/* Who holds it goes on with it. */
Test(rename, a_held_file_is_the_same_file)
{
	CLEANUP(world) struct world w;
	uint64_t ino, dir;
	struct fs_entry e;

	put_matrix(&w);
	ino = hold(&w, "a/lower_d/deep/er/x");
	dir = hold(&w, "a/lower_d/deep");
	ok(t_rename(&w, "a/lower_d", "n", 0));
	ok(t_rename(&w, "n/deep", "m", 0));
	assert_ino_text(&w, ino, "a lower_d");
	cr_assert_eq(fs_write(w.fs, ino, "A", 1, 0, 0), 1);
	assert_text(&w, "m/er/x", "A lower_d");
	ok(fs_lookup(w.fs, dir, "er", &e));
	held_add(&w, e.ino);
	ok(fs_mknod(w.fs, &w.who, dir, "made", S_IFREG | 0644, 0, 0, &e));
	held_add(&w, e.ino);
	assert_names(&w, "m", "er made");
	world_assert_lasting(&w);
}

static struct fs_moved look_up(struct world *w, const char *name)
{
	struct fs_entry e;

	ok(fs_lookup(w->fs, FS_ROOT_INO, name, &e));
	fs_forget(w->fs, e.ino, 1);
	return (struct fs_moved){.ino = e.ino, .type = e.attr.mode & S_IFMT};
}

static void assert_moved(struct world *w, const char *from, const char *to, unsigned int flags,
			 struct fs_moved one, struct fs_moved other)
{
	struct fs_moved moved[2];

	ok(fs_rename(w->fs, &w->who, FS_ROOT_INO, from, FS_ROOT_INO, to, flags, moved));
	cr_expect(moved[0].ino == one.ino && moved[0].type == one.type, "%s to %s", from, to);
	cr_expect(moved[1].ino == other.ino && moved[1].type == other.type, "%s to %s", from, to);
}

Test(rename, says_what_was_moved)
{
	const struct fs_moved none = {0};
	struct fs_moved dir, file;
	struct world w;

	world_init(&w, 1);
	put_dir("l0/d");
	put_file("l0/f", "f");
	put_file("l0/over", "over");
	world_open(&w);
	dir = look_up(&w, "d");
	file = look_up(&w, "f");
	assert_moved(&w, "d", "f", RENAME_EXCHANGE, dir, file);
	assert_moved(&w, "d", "f", RENAME_EXCHANGE, file, dir);
	assert_moved(&w, "f", "over", 0, file, none);
	assert_moved(&w, "over", "over", 0, none, none);
	world_done(&w);
}
