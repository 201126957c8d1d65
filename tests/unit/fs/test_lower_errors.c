/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers that cannot say just now what the lower part of something in the catalog is. Nobody may take it for nothing: who asks
 * gets the error, and when it is over everything is as it was.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>

#include "unit/fs/spoilt.h"

static const int errors[] = {EIO,    EACCES,	EPERM, EMFILE, ENFILE,	 ENOMEM,
			     ESTALE, ETIMEDOUT, EINTR, ELOOP,  ENOTCONN, EEXIST};
#define N_ERRORS (sizeof(errors) / sizeof(errors[0]))

static const char *const layers[] = {"l0", "l1", "l2", NULL};
#define N_LAYERS (sizeof(layers) / sizeof(layers[0]))

#define LARGE 300000

/* A directory that three layers have and the catalog, files of which the bytes are below, and nothing of it in memory. */
static void put_world(struct world *w)
{
	world_init(w, 3);
	put_file("l0/p/d/f0", "zero");
	put_file("l1/p/d/f1", "one");
	put_file("l2/p/d/f2", "two");
	put_file("l2/p/d/sub/deep", "deep");
	put_file("l2/p/file", "below");
	put_bytes("l2/p/large", LARGE, 7);
	world_open(w);
	ok(t_chmod(w, "p/d", 0750));
	ok(t_chmod(w, "p/file", 0640));
	ok(t_truncate(w, "p/large", LARGE - 1));
	ok(t_mkdir(w, "empty", 0755));
	ok(t_write(w, "new", "new"));
	world_reopen(w);
	spoil_layers(w);
}

static void assert_whole(struct world *w)
{
	spoilt = (struct spoilt){0};
	assert_names(w, "", "empty new p");
	assert_names(w, "p", "d file large");
	assert_names(w, "p/d", "f0 f1 f2 sub");
	assert_names(w, "p/d/sub", "deep");
	assert_text(w, "p/d/f0", "zero");
	assert_text(w, "p/d/f1", "one");
	assert_text(w, "p/d/f2", "two");
	assert_text(w, "p/file", "below");
	assert_bytes(w, "p/large", LARGE - 1, 7);
	cr_assert_eq(mode_of(w, "p/d"), 0750);
	cr_assert_eq(mode_of(w, "p/file"), 0640);
	fails(ENOTEMPTY, t_rmdir(w, "p/d"));
	fails(ENOTEMPTY, t_rename(w, "empty", "p/d", 0));
	fails(EEXIST, t_mkdir(w, "p/d/f1", 0755));
}

/* Look-ups of NAME in one of `layers` fail. */
static void spoil_lookups(size_t layer, const char *name, int error)
{
	spoilt = (struct spoilt){
		.calls = SPOILT_LOOKUP, .layer = layers[layer], .name = name, .result = -error};
}

/* Nothing comes out of the directory, and nothing becomes of it. */
static void assert_dir_fails(struct world *w, int error)
{
	struct attr a;

	fails(error, t_stat(w, "p/d", &a));
	fails(error, t_stat(w, "p/d/f0", &a));
	fails(error, t_stat(w, "p/d/none", &a));
	fails(error, t_chmod(w, "p/d", 0700));
	fails(error, t_setxattr(w, "p/d", "user.x", "y"));
	fails(error, t_rmdir(w, "p/d"));
	fails(error, t_mkdir(w, "p/d/f1", 0755));
	fails(error, t_create(w, "p/d/new", 0644));
	fails(error, t_symlink(w, "target", "p/d/f2"));
	fails(error, t_link(w, "new", "p/d/f2"));
	fails(error, t_unlink(w, "p/d/f2"));
	fails(error, t_rename(w, "empty", "p/d", 0));
	fails(error, t_rename(w, "p/d", "moved", 0));
	fails(error, t_rename(w, "p/d", "empty", RENAME_EXCHANGE));
	fails(error, t_rename(w, "new", "p/d/f1", 0));
	cr_assert_eq(world_inodes(w), 1, "an inode was made of what is not known");
}

Test(lower_errors, a_directory_of_which_a_part_cannot_be_looked_up)
{
	CLEANUP(world) struct world w;

	put_world(&w);
	for (size_t i = 0; i < N_ERRORS; i++) {
		for (size_t l = 0; l < N_LAYERS; l++) {
			spoil_lookups(l, "d", errors[i]);
			assert_names(&w, "p", "d file large");
			assert_dir_fails(&w, errors[i]);
			assert_whole(&w);
		}
	}
	world_assert_lasting(&w);
}

/* The directory above it is in the catalog, too. */
Test(lower_errors, a_directory_above_it)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_world(&w);
	for (size_t i = 0; i < N_ERRORS; i++) {
		for (size_t l = 0; l < N_LAYERS; l++) {
			spoil_lookups(l, "p", errors[i]);
			fails(errors[i], t_stat(&w, "p", &a));
			fails(errors[i], t_rmdir(&w, "p"));
			fails(errors[i], t_rename(&w, "empty", "p", 0));
			fails(errors[i], t_stat(&w, "p/file", &a));
			assert_dir_fails(&w, errors[i]);
			assert_whole(&w);
		}
	}
}

static bool count(void *arg, const struct fs_dirent *entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*(size_t *)arg += entries[i].len > 0;
	return true;
}

Test(lower_errors, a_directory_that_cannot_be_listed)
{
	CLEANUP(world) struct world w;

	put_world(&w);
	for (size_t i = 0; i < N_ERRORS; i++) {
		for (size_t l = 0; l < N_LAYERS; l++) {
			uint64_t d = hold(&w, "p/d");
			size_t n = 0;

			spoilt = (struct spoilt){
				.calls = SPOILT_LIST, .layer = layers[l], .result = -errors[i]};
			fails(errors[i], fs_readdir(w.fs, d, 2, count, &n));
			fails(errors[i], fs_readdirplus(w.fs, d, 2, count, &n));
			cr_assert_eq(n, 0);
			fails(errors[i], t_rmdir(&w, "p/d"));
			fails(errors[i], t_rename(&w, "empty", "p/d", 0));
			/* Names do not need a listing. */
			fails(EEXIST, t_mkdir(&w, "p/d/f2", 0755));
			assert_text(&w, "p/d/f1", "one");
			drop(&w, d);
			assert_whole(&w);
		}
	}
}

/* Its node is there, as that of the directory above a file that is held. */
Test(lower_errors, attributes_of_a_part_in_memory)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_world(&w);
	for (size_t i = 0; i < N_ERRORS; i++) {
		uint64_t f = hold(&w, "p/d/sub/deep");

		spoilt = (struct spoilt){
			.calls = SPOILT_GETATTR, .layer = "l0", .result = -errors[i]};
		fails(errors[i], t_stat(&w, "p/d", &a));
		fails(errors[i], t_rmdir(&w, "p/d"));
		spoilt = (struct spoilt){0};
		drop(&w, f);
		assert_whole(&w);
	}
}

Test(lower_errors, a_file_whose_bytes_are_below)
{
	static const char *const paths[] = {"p/file", "p/large"};
	CLEANUP(world) struct world w;
	struct attr a;

	put_world(&w);
	for (size_t i = 0; i < N_ERRORS; i++) {
		for (size_t k = 0; k < 2; k++) {
			spoilt = (struct spoilt){.calls = SPOILT_LOOKUP,
						 .name = strrchr(paths[k], '/') + 1,
						 .result = -errors[i]};
			fails(errors[i], t_stat(&w, paths[k], &a));
			fails(errors[i], t_truncate(&w, paths[k], 0));
			fails(errors[i], t_pwrite(&w, paths[k], "x", 1, 0));
			fails(errors[i], t_unlink(&w, paths[k]));
			fails(errors[i], t_rename(&w, "new", paths[k], 0));
			fails(errors[i], t_rename(&w, paths[k], "moved", 0));
			fails(errors[i], t_link(&w, paths[k], "linked"));
			cr_assert_eq(world_inodes(&w), 1);
			assert_whole(&w);
		}
	}
	world_assert_lasting(&w);
	ok(t_pwrite(&w, "p/file", "B", 1, 0));
	assert_text(&w, "p/file", "Below");
}

/* Who was given an inode when all was well has all of it. */
Test(lower_errors, what_is_held_stays)
{
	CLEANUP(world) struct world w;
	uint64_t d, file;

	put_world(&w);
	d = hold(&w, "p/d");
	file = hold(&w, "p/file");
	spoilt = (struct spoilt){.calls = SPOILT_LOOKUP, .name = "d", .result = -EIO};
	assert_names(&w, "p/d", "f0 f1 f2 sub");
	assert_text(&w, "p/d/f2", "two");
	fails(EEXIST, t_mkdir(&w, "p/d/f2", 0755));
	fails(ENOTEMPTY, t_rmdir(&w, "p/d"));
	ok(t_write(&w, "p/d/g", "made meanwhile"));
	/* Whether something shows under the name when it is taken away is not known. */
	fails(EIO, t_rename(&w, "p/d", "moved", 0));
	spoilt = (struct spoilt){.calls = SPOILT_OPEN, .name = "file", .result = -EIO};
	fails(EIO, fs_read(w.fs, file, (char[8]){0}, 8, 0));
	spoilt = (struct spoilt){0};
	assert_ino_text(&w, file, "below");
	ok(t_rename(&w, "p/d", "moved", 0));
	drop(&w, d);
	drop(&w, file);
	assert_names(&w, "moved", "f0 f1 f2 g sub");
	world_assert_lasting(&w);
}

/* What no record speaks of was never in question; it stays so. */
Test(lower_errors, what_is_not_in_the_catalog)
{
	CLEANUP(world) struct world w;
	struct attr a;

	put_world(&w);
	for (size_t i = 0; i < N_ERRORS; i++) {
		for (size_t l = 0; l < N_LAYERS; l++) {
			spoil_lookups(l, "sub", errors[i]);
			fails(errors[i], t_stat(&w, "p/d/sub", &a));
			fails(errors[i], t_rmdir(&w, "p/d/sub"));
			fails(errors[i], t_mkdir(&w, "p/d/sub", 0755));
			fails(errors[i], t_rename(&w, "empty", "p/d/sub", 0));
			fails(errors[i], t_stat(&w, "p/d/sub/deep", &a));
			assert_whole(&w);
		}
	}
}

static void assert_thin(struct world *w)
{
	assert_names(w, "p/d", "");
	cr_assert_eq(mode_of(w, "p/d"), 0750);
	ok(t_chmod(w, "p/d", 0700));
	ok(t_write(w, "p/d/mine", "mine"));
	ok(t_unlink(w, "p/d/mine"));
	ok(t_chmod(w, "p/d", 0750));
}

/* Layers that were really changed take along what showed through, and the name stays. */
Test(lower_errors, what_is_not_there_is_not_there)
{
	CLEANUP(world) struct world w;
	uint64_t file;

	put_world(&w);
	spoilt = (struct spoilt){.calls = SPOILT_LOOKUP, .name = "d", .result = -ENOENT};
	assert_thin(&w);
	assert_whole(&w);
	spoilt = (struct spoilt){.calls = SPOILT_LOOKUP, .name = "file", .result = -ENOENT};
	file = hold(&w, "p/file");
	cr_assert_eq(mode_of(&w, "p/file"), 0640);
	fails(EIO, fs_read(w.fs, file, (char[8]){0}, 8, 0));
	drop(&w, file);
	assert_whole(&w);
}

Test(lower_errors, other_types_than_there_were)
{
	CLEANUP(world) struct world w;

	put_world(&w);
	ok(t_rename(&w, "p/d/sub", "kept", 0));
	world_close(&w);
	cr_assert_eq(rename("l2/p/file", "l2/p/was"), 0);
	put_dir("l2/p/file");
	remove_tree("l0/p/d");
	remove_tree("l1/p/d");
	remove_tree("l2/p/d");
	put_file("l1/p/d", "a file by now");
	world_open(&w);
	assert_thin(&w);
	cr_assert_eq(mode_of(&w, "p/file"), 0640);
	assert_names(&w, "kept", "");
	ok(t_unlink(&w, "p/file"));
	ok(t_rmdir(&w, "p/d"));
	ok(t_rmdir(&w, "kept"));
}

/* What a layer says of itself is not said of the path. */
Test(lower_errors, a_layer_whose_directory_is_none)
{
	CLEANUP(world) struct world w;

	put_world(&w);
	spoilt = (struct spoilt){
		.calls = SPOILT_LOOKUP, .layer = "l1", .name = "d", .result = -ENOTDIR};
	assert_dir_fails(&w, ESTALE);
	assert_whole(&w);
}

/* A layer that cannot hold so long a name does not have it, and says nothing of the others. */
Test(lower_errors, a_name_that_is_too_long_for_a_layer)
{
	CLEANUP(world) struct world w;

	put_world(&w);
	spoilt = (struct spoilt){
		.calls = SPOILT_LOOKUP, .layer = "l0", .name = "file", .result = -ENAMETOOLONG};
	assert_text(&w, "p/file", "below");
	spoilt = (struct spoilt){
		.calls = SPOILT_LOOKUP, .layer = "l1", .name = "sub", .result = -ENAMETOOLONG};
	assert_names(&w, "p/d/sub", "deep");
}
