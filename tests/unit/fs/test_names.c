/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up, and making names of every kind. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/fs/support.h"

Test(names, layers_are_merged_from_the_top)
{
	CLEANUP(world) struct world w;

	world_init(&w, 3);
	put_file("l0/d/a", "0");
	put_file("l1/d/a", "1");
	put_file("l1/d/b", "1");
	put_file("l2/d/b", "2");
	put_file("l2/d/c", "2");
	put_whiteout("l1/d/gone");
	put_file("l2/d/gone", "2");
	put_opaque("l1/o");
	put_file("l1/o/x", "1");
	put_file("l2/o/y", "2");
	put_file("l0/shape", "a file over a directory");
	put_file("l1/shape/z", "1");
	world_open(&w);
	assert_names(&w, "", "d o shape");
	assert_names(&w, "d", "a b c");
	assert_names(&w, "o", "x");
	assert_text(&w, "d/a", "0");
	assert_text(&w, "d/b", "1");
	assert_text(&w, "d/c", "2");
	fails(ENOENT, t_stat(&w, "d/gone", &(struct attr){0}));
	fails(ENOTDIR, t_stat(&w, "shape/z", &(struct attr){0}));
	cr_assert_eq(nlink_of(&w, "d"), 1);
	world_assert_lasting(&w);
}

Test(names, bad_names)
{
	CLEANUP(world) struct world w;
	char name[NAME_MAX + 2];
	struct fs_entry e;

	world_init(&w, 1);
	world_open(&w);
	fails(EINVAL, fs_lookup(w.fs, 1, ".", &e));
	fails(EINVAL, fs_lookup(w.fs, 1, "..", &e));
	fails(EINVAL, fs_lookup(w.fs, 1, "", &e));
	fails(EINVAL, fs_lookup(w.fs, 1, "a/b", &e));
	fails(EINVAL, fs_mkdir(w.fs, &w.who, 1, "..", 0755, &e));
	memset(name, 'n', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	fails(ENAMETOOLONG, t_stat(&w, name, &(struct attr){0}));
	fails(ENAMETOOLONG, t_create(&w, name, 0644));
	fails(ENAMETOOLONG, t_mkdir(&w, name, 0755));
	fails(ENAMETOOLONG, t_symlink(&w, "x", name));
	fails(ENAMETOOLONG, t_unlink(&w, name));
	fails(ENAMETOOLONG, t_rmdir(&w, name));
	name[NAME_MAX] = '\0';
	fails(ENOENT, t_stat(&w, name, &(struct attr){0}));
	ok(t_create(&w, name, 0644));
	assert_names(&w, "", name);
	memset(name, 'm', NAME_MAX);
	ok(t_mkdir(&w, name, 0755));
	ok(t_write(&w, "f", "x"));
	memset(name, 'k', NAME_MAX);
	ok(t_rename(&w, "f", name, 0));
	name[NAME_MAX] = 'k';
	fails(ENAMETOOLONG, t_rename(&w, "f", name, 0));
	ok(t_write(&w, "g", "x"));
	fails(ENAMETOOLONG, t_link(&w, "g", name));
	world_assert_lasting(&w);
}

Test(names, a_long_lower_name)
{
	CLEANUP(world) struct world w;
	char path[NAME_MAX + 8] = "l0/";

	memset(path + 3, 'q', NAME_MAX);
	path[3 + NAME_MAX] = '\0';
	world_init(&w, 1);
	put_file(path, "long");
	world_open(&w);
	assert_text(&w, path + 3, "long");
	ok(t_chmod(&w, path + 3, 0600));
	world_assert_lasting(&w);
	ok(t_unlink(&w, path + 3));
	assert_names(&w, "", "");
	world_assert_lasting(&w);
}

Test(names, bytes_that_are_no_text)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/\xff\xfe new\nline", "x");
	put_file("l0/.wh", "x");
	world_open(&w);
	ok(t_chmod(&w, "\xff\xfe new\nline", 0600));
	ok(t_create(&w, "\x01\x7f\x80", 0644));
	ok(t_create(&w, ".wh.user", 0644));
	ok(t_create(&w, ".wh..wh..opq", 0644));
	ok(t_create(&w, ".plyfs", 0644));
	cr_assert(exists(&w, ".wh.user"));
	cr_assert(exists(&w, ".wh"));
	world_assert_lasting(&w);
}

Test(names, no_such_inode)
{
	CLEANUP(world) struct world w;
	struct fs_entry e;
	struct attr a;
	char b[16];

	world_init(&w, 1);
	world_open(&w);
	fails(ESTALE, fs_lookup(w.fs, 99, "x", &e));
	fails(ESTALE, fs_getattr(w.fs, 99, &a));
	fails(ESTALE, fs_setattr(w.fs, 99, FS_SET_MODE, &a, &a));
	fails(ESTALE, fs_mkdir(w.fs, &w.who, 99, "x", 0755, &e));
	fails(ESTALE, fs_mknod(w.fs, &w.who, 99, "x", S_IFREG, 0, 0, &e));
	fails(ESTALE, fs_symlink(w.fs, &w.who, 99, "x", "y", &e));
	fails(ESTALE, fs_tmpfile(w.fs, &w.who, 99, 0600, &e));
	fails(ESTALE, fs_link(w.fs, 99, 1, "x", &e));
	fails(ESTALE, fs_unlink(w.fs, 99, "x"));
	fails(ESTALE, fs_rmdir(w.fs, 99, "x"));
	fails(ESTALE, fs_rename(w.fs, &w.who, 99, "x", 1, "y", 0, NULL));
	fails(ESTALE, fs_rename(w.fs, &w.who, 1, "x", 99, "y", 0, NULL));
	fails(ESTALE, fs_read(w.fs, 99, b, 1, 0));
	fails(ESTALE, fs_write(w.fs, 99, b, 1, 0, 0));
	fails(ESTALE, fs_fallocate(w.fs, 99, 0, 0, 1));
	fails(ESTALE, fs_lseek(w.fs, 99, 0, SEEK_DATA));
	fails(ESTALE, fs_fsync(w.fs, 99, false));
	fails(ESTALE, fs_readlink(w.fs, 99, b, sizeof(b)));
	fails(ESTALE, fs_getxattr(w.fs, 99, "user.x", b, 1));
	fails(ESTALE, fs_listxattr(w.fs, 99, b, 1));
	fails(ESTALE, fs_setxattr(w.fs, 99, "user.x", b, 1, 0, false));
	fails(ESTALE, fs_removexattr(w.fs, 99, "user.x"));
	fails(ESTALE, fs_readdir(w.fs, 99, 0, NULL, NULL));
	fs_forget(w.fs, 99, 1);
}

Test(names, a_number_lives_until_it_is_forgotten)
{
	CLEANUP(world) struct world w;
	struct fs_entry e, again;
	struct attr a;

	world_init(&w, 1);
	put_file("l0/f", "x");
	world_open(&w);
	ok(fs_lookup(w.fs, 1, "f", &e));
	ok(fs_lookup(w.fs, 1, "f", &again));
	cr_assert_eq(e.ino, again.ino);
	fs_forget(w.fs, e.ino, 1);
	ok(fs_getattr(w.fs, e.ino, &a));
	fs_forget(w.fs, e.ino, 1);
	fails(ESTALE, fs_getattr(w.fs, e.ino, &a));
	fs_forget(w.fs, FS_ROOT_INO, 1000);
	ok(fs_getattr(w.fs, FS_ROOT_INO, &a));
}

Test(names, every_type_is_made)
{
	CLEANUP(world) struct world w;
	struct attr a;

	world_init(&w, 1);
	world_open(&w);
	w.who = (struct fs_caller){.uid = 1000, .gid = 1001, .umask = 022};
	ok(t_mknod(&w, "file", S_IFREG | 0666, 7, 7));
	ok(t_mknod(&w, "plain", 0666, 0, 0));
	ok(t_mknod(&w, "fifo", S_IFIFO | 0666, 7, 7));
	ok(t_mknod(&w, "sock", S_IFSOCK | 0777, 0, 0));
	ok(t_mknod(&w, "chr", S_IFCHR | 0666, 5, 300));
	ok(t_mknod(&w, "blk", S_IFBLK | 0660, 4000, 1));
	ok(t_mkdir(&w, "dir", 0777));
	ok(t_symlink(&w, "to/somewhere", "link"));
	a = stat_of(&w, "file");
	cr_assert_eq(a.mode, S_IFREG | 0644);
	cr_assert_eq(a.uid, 1000);
	cr_assert_eq(a.gid, 1001);
	cr_assert_eq(a.nlink, 1);
	cr_assert_eq(a.rdev_major, 0);
	cr_assert_eq(stat_of(&w, "plain").mode, S_IFREG | 0644);
	cr_assert_eq(stat_of(&w, "fifo").mode, S_IFIFO | 0644);
	cr_assert_eq(stat_of(&w, "fifo").rdev_minor, 0);
	cr_assert_eq(stat_of(&w, "sock").mode, S_IFSOCK | 0755);
	a = stat_of(&w, "chr");
	cr_assert_eq(a.mode, S_IFCHR | 0644);
	cr_assert_eq(a.rdev_major, 5);
	cr_assert_eq(a.rdev_minor, 300);
	cr_assert_eq(stat_of(&w, "blk").rdev_major, 4000);
	cr_assert_eq(stat_of(&w, "dir").mode, S_IFDIR | 0755);
	cr_assert_eq(nlink_of(&w, "dir"), 2);
	a = stat_of(&w, "link");
	cr_assert_eq(a.mode, S_IFLNK | 0777);
	cr_assert_eq(a.size, 12);
	assert_target(&w, "link", "to/somewhere");
	fails(EINVAL, t_mknod(&w, "x", S_IFDIR | 0755, 0, 0));
	fails(EINVAL, t_mknod(&w, "x", S_IFLNK | 0755, 0, 0));
	world_assert_lasting(&w);
}

/* A whiteout to others; to us a device like any other. */
Test(names, a_device_0_0_is_a_device)
{
	CLEANUP(world) struct world w;
	struct attr a;

	world_init(&w, 1);
	put_file("l0/f", "x");
	world_open(&w);
	ok(t_unlink(&w, "f"));
	ok(t_mknod(&w, "f", S_IFCHR | 0600, 0, 0));
	ok(t_mknod(&w, "g", S_IFCHR | 0600, 0, 0));
	assert_names(&w, "", "f g");
	a = stat_of(&w, "f");
	cr_assert_eq(a.mode, S_IFCHR | 0600);
	cr_assert_eq(a.nlink, 1);
	world_assert_lasting(&w);
	ok(t_unlink(&w, "f"));
	assert_names(&w, "", "g");
	world_assert_lasting(&w);
}

Test(names, taken_names)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_file("l0/f", "x");
	put_dir("l1/d");
	put_symlink("nowhere", "l1/s");
	put_whiteout("l0/white");
	put_file("l1/white", "x");
	world_open(&w);
	for (int i = 0; i < 2; i++) {
		fails(EEXIST, t_create(&w, "f", 0644));
		fails(EEXIST, t_mkdir(&w, "f", 0755));
		fails(EEXIST, t_symlink(&w, "x", "d"));
		fails(EEXIST, t_mkdir(&w, "d", 0755));
		fails(EEXIST, t_mknod(&w, "s", S_IFIFO, 0, 0));
		fails(EEXIST, t_link(&w, "f", "s"));
		/* The second time in the upper. */
		ok(t_chmod(&w, "f", 0600));
		ok(t_chmod(&w, "d", 0700));
		ok(t_chown(&w, "s", 1, 1));
	}
	ok(t_create(&w, "white", 0644));
	fails(EEXIST, t_create(&w, "white", 0644));
	fails(ENOTDIR, t_create(&w, "f/x", 0644));
	fails(ENOTDIR, t_create(&w, "white/x", 0644));
	fails(ENOENT, t_create(&w, "no/x", 0644));
	world_assert_lasting(&w);
}

Test(names, symlinks)
{
	CLEANUP(world) struct world w;
	char target[PATH_MAX + 1], is[PATH_MAX];
	uint64_t ino;

	world_init(&w, 1);
	memset(target, 't', sizeof(target));
	target[PATH_MAX - 1] = '\0';
	put_symlink(target, "l0/long");
	put_symlink("../x", "l0/short");
	world_open(&w);
	assert_target(&w, "long", target);
	ok(t_chown(&w, "long", 5, 6));
	assert_target(&w, "long", target);
	ok(t_symlink(&w, target, "new"));
	assert_target(&w, "new", target);
	target[PATH_MAX - 1] = 't';
	target[PATH_MAX] = '\0';
	fails(ENAMETOOLONG, t_symlink(&w, target, "longer"));
	fails(ENOENT, t_symlink(&w, "", "empty"));
	for (int i = 0; i < 2; i++) {
		ino = hold(&w, "short");
		fails(ENAMETOOLONG, fs_readlink(w.fs, ino, is, 4));
		cr_assert_eq(fs_readlink(w.fs, ino, is, 5), 4);
		cr_assert_str_eq(is, "../x");
		fails(EINVAL, fs_read(w.fs, ino, is, 1, 0));
		drop(&w, ino);
		ok(t_chown(&w, "short", 1, 1));
	}
	ok(t_mkdir(&w, "d", 0755));
	ino = hold(&w, "d");
	fails(EINVAL, fs_readlink(w.fs, ino, is, sizeof(is)));
	world_assert_lasting(&w);
}

Test(names, paths_longer_than_any_path)
{
	CLEANUP(world) struct world w;
	char name[201];
	uint64_t at = FS_ROOT_INO;
	struct fs_entry e;

	memset(name, 'p', sizeof(name));
	name[200] = '\0';
	world_init(&w, 1);
	world_open(&w);
	for (int i = 0; i < 60; i++) {
		ok(fs_mkdir(w.fs, &w.who, at, name, 0755, &e));
		held_add(&w, e.ino);
		at = e.ino;
	}
	ok(fs_mknod(w.fs, &w.who, at, "end", S_IFREG | 0644, 0, 0, &e));
	held_add(&w, e.ino);
	world_assert_lasting(&w);
}

Test(names, copying_up_deep_below_a_lower_directory)
{
	CLEANUP(world) struct world w;
	char path[2048] = "l0";
	size_t len = 2;

	world_init(&w, 1);
	for (int i = 0; i < 500; i++)
		len += (size_t)snprintf(path + len, sizeof(path) - len, "/%d", i % 10);
	snprintf(path + len, sizeof(path) - len, "/f");
	put_file(path, "deep");
	world_open(&w);
	ok(t_chmod(&w, path + 3, 0600));
	assert_text(&w, path + 3, "deep");
	world_reopen(&w);
	cr_assert_eq(mode_of(&w, path + 3), 0600);
	assert_text(&w, path + 3, "deep");
}

/* As long a path as can be made at once; a client can make, and a layer have, many times more. */
#define DEEP 1900

struct deep {
	struct world *w;
	const char *path;
	int r;
};

static void *chmod_deep(void *arg)
{
	struct deep *d = arg;

	d->r = t_chmod(d->w, d->path, 0600);
	return NULL;
}

/* Threads have 8 MiB, for which a lower tree of some ten thousand levels was too deep. */
Test(names, copying_up_takes_no_stack_for_each_level)
{
	CLEANUP(world) struct world w;
	char path[4096] = "l0";
	size_t len = 2;
	struct deep d = {.w = &w, .path = path + 3};
	pthread_attr_t attr;
	pthread_t thread;

	world_init(&w, 1);
	for (int i = 0; i < DEEP; i++, len += 2)
		memcpy(path + len, "/d", 2);
	memcpy(path + len, "/f", 3);
	put_file(path, "deep");
	world_open(&w);
	pthread_attr_init(&attr);
	cr_assert_eq(pthread_attr_setstacksize(&attr, 256 * 1024), 0);
	cr_assert_eq(pthread_create(&thread, &attr, chmod_deep, &d), 0);
	pthread_attr_destroy(&attr);
	pthread_join(thread, NULL);
	ok(d.r);
	world_reopen(&w);
	cr_assert_eq(mode_of(&w, d.path), 0600);
	assert_text(&w, d.path, "deep");
}

/* Longer than any path that a system call takes: LEVELS directories of names of LEN bytes in each other. Owned. */
static char *deep_path(size_t levels, size_t len)
{
	char *path = malloc(levels * (len + 1) + 1);

	cr_assert_not_null(path);
	for (size_t i = 0; i < levels; i++) {
		memset(path + i * (len + 1), 'd', len);
		path[i * (len + 1) + len] = '/';
	}
	path[levels * (len + 1)] = '\0';
	return path;
}

/* In the layer, with a file "f" in the last one; or takes it away again. */
static void deep_tree(size_t levels, size_t len, bool make)
{
	CLEANUP(free) char *name = deep_path(1, len);
	CLEANUP(fd) int top = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	name[len] = '\0';
	cr_assert_eq(chdir("l0"), 0);
	for (size_t i = 0; i < levels; i++) {
		if (make)
			cr_assert_eq(mkdir(name, 0755), 0);
		cr_assert_eq(chdir(name), 0);
	}
	if (make)
		put_file("f", "deep");
	else
		cr_assert_eq(unlink("f"), 0);
	for (size_t i = 0; !make && i < levels; i++) {
		cr_assert_eq(chdir(".."), 0);
		cr_assert_eq(rmdir(name), 0);
	}
	cr_assert_eq(fchdir(top), 0);
}

/* The records of the directories above do not fit one batch, as each has its path. */
Test(names, copying_up_deeper_than_a_batch)
{
	const size_t levels = 1800, len = 10;
	CLEANUP(world) struct world w;
	CLEANUP(free) char *dir = deep_path(levels, len);
	CLEANUP(free) char *file = NULL;
	CLEANUP(free) char *new = NULL;

	cr_assert_gt(asprintf(&file, "%sf", dir), 0);
	cr_assert_gt(asprintf(&new, "%snew", dir), 0);
	world_init(&w, 1);
	deep_tree(levels, len, true);
	world_open(&w);
	ok(t_chmod(&w, file, 0600));
	ok(t_mkdir(&w, new, 0711));
	world_reopen(&w);
	cr_assert_eq(mode_of(&w, file), 0600);
	assert_text(&w, file, "deep");
	cr_assert_eq(mode_of(&w, new), 0711);
	world_close(&w);
	deep_tree(levels, len, false);
}

/* One change that copies up the directory `a` first, and then many below it. */
Test(names, copying_up_below_what_is_just_copied_up)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) char *dir = deep_path(200, 3);
	CLEANUP(free) char *lower = NULL;
	CLEANUP(free) char *to = NULL;

	cr_assert_gt(asprintf(&lower, "l0/a/%sx", dir), 0);
	cr_assert_gt(asprintf(&to, "a/%sg", dir), 0);
	world_init(&w, 1);
	put_file(lower, "x");
	put_file("l0/a/f", "f");
	world_open(&w);
	ok(t_rename(&w, "a/f", to, 0));
	assert_text(&w, to, "f");
	world_assert_lasting(&w);
	cr_assert_not(exists(&w, "a/f"));
	assert_text(&w, to, "f");
	assert_text(&w, lower + 3, "x");
}

/* What is too long for a record can be looked at, and says why it cannot be changed. */
Test(names, copying_up_what_is_too_deep_for_a_record)
{
	const size_t levels = 270, len = 250;
	CLEANUP(world) struct world w;
	CLEANUP(free) char *dir = deep_path(levels, len);
	CLEANUP(free) char *file = NULL;
	CLEANUP(free) char *new = NULL;

	cr_assert_gt(asprintf(&file, "%sf", dir), 0);
	cr_assert_gt(asprintf(&new, "%snew", dir), 0);
	world_init(&w, 1);
	deep_tree(levels, len, true);
	world_open(&w);
	assert_text(&w, file, "deep");
	fails(ENAMETOOLONG, t_chmod(&w, file, 0600));
	fails(ENAMETOOLONG, t_mkdir(&w, new, 0711));
	assert_text(&w, file, "deep");
	cr_assert_not(exists(&w, new));
	world_close(&w);
	deep_tree(levels, len, false);
}

Test(names, times_of_the_directory)
{
	CLEANUP(world) struct world w;
	struct attr before, after;

	world_init(&w, 1);
	put_file("l0/d/f", "x");
	put_file("l0/d/g", "x");
	world_open(&w);
	before = stat_of(&w, "d");
	usleep(20000);
	ok(t_create(&w, "d/new", 0644));
	after = stat_of(&w, "d");
	cr_assert_lt(timespec_cmp(&before.mtime, &after.mtime), 0);
	cr_assert_lt(timespec_cmp(&before.ctime, &after.ctime), 0);
	before = after;
	usleep(20000);
	ok(t_unlink(&w, "d/f"));
	after = stat_of(&w, "d");
	cr_assert_lt(timespec_cmp(&before.mtime, &after.mtime), 0);
	before = after;
	usleep(20000);
	ok(t_chmod(&w, "d/g", 0600));
	after = stat_of(&w, "d");
	cr_assert_eq(timespec_cmp(&before.mtime, &after.mtime), 0);
	cr_assert_eq(timespec_cmp(&before.ctime, &after.ctime), 0);
	world_assert_lasting(&w);
}

/* Marks of overlayfs that an option trusts; without it they are refused, as the kernel does. */
Test(names, redirects_and_metacopies)
{
	CLEANUP(world) struct world w;
	struct attr a;

	world_init(&w, 2);
	put_file("l1/old/deep/f", "deep");
	put_bytes("l1/data", 300000, 1);
	put_dir("l0/new");
	put_xattr("l0/new", "trusted.overlay.redirect", "/old", 4);
	put_whiteout("l0/old");
	put_file("l0/data", "");
	cr_assert_eq(truncate("l0/data", 300000), 0);
	cr_assert_eq(chmod("l0/data", 0600), 0);
	put_xattr("l0/data", "trusted.overlay.metacopy", "", 0);
	world_open(&w);
	fails(EPERM, t_stat(&w, "new/deep", &a));
	world_close(&w);
	w.o.follow_redirect = w.o.follow_metacopy = true;
	world_open(&w);
	assert_names(&w, "", "data new");
	assert_text(&w, "new/deep/f", "deep");
	cr_assert_eq(mode_of(&w, "data"), 0600);
	assert_bytes(&w, "data", 300000, 1);
	ok(t_chmod(&w, "data", 0640));
	ok(t_rename(&w, "new", "newer", 0));
	ok(t_chmod(&w, "newer/deep/f", 0600));
	world_assert_lasting(&w);
	assert_text(&w, "newer/deep/f", "deep");
	assert_bytes(&w, "data", 300000, 1);
	ok(t_pwrite(&w, "newer/deep/f", "D", 1, 0));
	ok(t_pwrite(&w, "data", "x", 1, 299999));
	world_assert_lasting(&w);
	assert_text(&w, "newer/deep/f", "Deep");
	ok(t_unlink(&w, "newer/deep/f"));
	ok(t_rmdir(&w, "newer/deep"));
	ok(t_rmdir(&w, "newer"));
	world_assert_lasting(&w);
	assert_names(&w, "", "data");
}
