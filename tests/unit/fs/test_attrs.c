/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes: what copy-up keeps, what each change changes, how ids and numbers are shown. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "attr/attr.h"
#include "fs/private.h"
#include "unit/fs/support.h"

static struct attr set(struct world *w, const char *path, uint32_t what, const struct attr *to)
{
	uint64_t ino = hold(w, path);
	struct attr out = {0}, again;

	ok(fs_setattr(w->fs, ino, what, to, &out));
	ok(fs_getattr(w->fs, ino, &again));
	cr_assert_eq(timespec_cmp(&out.mtime, &again.mtime), 0);
	cr_assert_eq(timespec_cmp(&out.ctime, &again.ctime), 0);
	cr_assert_eq(out.mode, again.mode);
	cr_assert_eq(out.size, again.size);
	cr_assert_eq(out.uid, again.uid);
	if (ino != FS_ROOT_INO)
		drop(w, ino);
	return out;
}

Test(attrs, a_lower_file_shows_what_it_is)
{
	CLEANUP(world) struct world w;
	struct stat st;
	struct attr a;

	world_init(&w, 1);
	put_bytes("l0/f", 12345, 1);
	cr_assert_eq(chmod("l0/f", 04755), 0);
	cr_assert_eq(chown("l0/f", 7, 8), 0);
	cr_assert_eq(chmod("l0/f", 04755), 0);
	cr_assert_eq(lstat("l0/f", &st), 0);
	world_open(&w);
	a = stat_of(&w, "f");
	cr_assert_eq(a.mode, st.st_mode);
	cr_assert_eq(a.uid, 7);
	cr_assert_eq(a.gid, 8);
	cr_assert_eq(a.size, 12345);
	cr_assert_eq(a.blocks, (uint64_t)st.st_blocks);
	cr_assert_eq(timespec_cmp(&a.mtime, &st.st_mtim), 0);
	cr_assert_eq(timespec_cmp(&a.ctime, &st.st_ctim), 0);
	cr_assert_gt(a.blksize, 0);
}

/* Everything but what was asked for is as before, byte for byte. */
Test(attrs, chmod_copies_up_without_bytes)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) char *lower = NULL;
	CLEANUP(free) char *after = NULL;
	struct attr was, is;

	world_init(&w, 1);
	put_bytes("l0/d/f", 3 << 20, 1);
	put_xattr("l0/d/f", "user.a", "1", 1);
	put_xattr("l0/d/f", "user.b", "", 0);
	cr_assert_eq(chown("l0/d/f", 7, 8), 0);
	lower = plain_dump("l0");
	world_open(&w);
	was = stat_of(&w, "d/f");
	ok(t_chmod(&w, "d/f", 0640));
	is = stat_of(&w, "d/f");
	cr_assert_eq(is.ino, was.ino);
	cr_assert_eq(is.mode, S_IFREG | 0640);
	cr_assert_eq(is.uid, 7);
	cr_assert_eq(is.gid, 8);
	cr_assert_eq(is.size, was.size);
	cr_assert_eq(is.blocks, was.blocks);
	cr_assert_eq(timespec_cmp(&is.mtime, &was.mtime), 0);
	cr_assert_eq(timespec_cmp(&is.atime, &was.atime), 0);
	cr_assert_gt(timespec_cmp(&is.ctime, &was.ctime), -1);
	assert_xattr(&w, "d/f", "user.a", "1");
	assert_xattr(&w, "d/f", "user.b", "");
	cr_assert_eq(count_files("upper/.plyfs/data"), 0);
	assert_bytes(&w, "d/f", 3 << 20, 1);
	world_assert_lasting(&w);
	cr_assert_eq(ino_of(&w, "d/f"), was.ino);
	assert_bytes(&w, "d/f", 3 << 20, 1);
	cr_assert_eq(count_files("upper/.plyfs/data"), 0);
	after = plain_dump("l0");
	cr_assert_str_eq(lower, after);
}

Test(attrs, numbers_stay)
{
	CLEANUP(world) struct world w;
	uint64_t f, d, s, root;

	world_init(&w, 2);
	put_file("l0/d/f", "x");
	put_dir("l1/d/e");
	put_symlink("x", "l1/s");
	world_open(&w);
	f = ino_of(&w, "d/f");
	d = ino_of(&w, "d");
	s = ino_of(&w, "s");
	root = ino_of(&w, "");
	world_reopen(&w);
	cr_assert_eq(ino_of(&w, "d/f"), f);
	ok(t_chmod(&w, "d/f", 0600));
	ok(t_chown(&w, "s", 1, 1));
	ok(t_chmod(&w, "d", 0700));
	cr_assert_eq(ino_of(&w, "d/f"), f);
	cr_assert_eq(ino_of(&w, "d"), d);
	cr_assert_eq(ino_of(&w, "s"), s);
	world_reopen(&w);
	ok(t_pwrite(&w, "d/f", "y", 1, 0));
	ok(t_rename(&w, "d", "z", 0));
	cr_assert_eq(ino_of(&w, "z/f"), f);
	cr_assert_eq(ino_of(&w, "z"), d);
	cr_assert_eq(ino_of(&w, ""), root);
	world_assert_lasting(&w);
}

Test(attrs, times)
{
	static const char *const paths[] = {"lower", "inline", "file", "big", "d", "s"};
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = calloc(1, 100000);
	const struct timespec old = {1000, 123456789}, older = {-5, 7};

	world_init(&w, 1);
	put_file("l0/lower", "x");
	put_bytes("l0/big", 1 << 20, 1);
	put_dir("l0/d");
	put_symlink("x", "l0/s");
	world_open(&w);
	ok(t_write(&w, "inline", "x"));
	ok(t_create(&w, "file", 0644));
	ok(t_pwrite(&w, "file", bytes, 100000, 0));
	ok(t_pwrite(&w, "big", "y", 1, 500000));
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct attr was = stat_of(&w, paths[i]);
		struct attr a = {.mtime = old, .atime = older};

		a = set(&w, paths[i], FS_SET_MTIME, &a);
		cr_assert_eq(timespec_cmp(&a.mtime, &old), 0, "%s", paths[i]);
		cr_assert_eq(timespec_cmp(&a.atime, &was.atime), 0, "%s", paths[i]);
		cr_assert_gt(a.ctime.tv_sec, 1000000);
		a = set(&w, paths[i], FS_SET_ATIME, &(struct attr){.atime = older});
		cr_assert_eq(timespec_cmp(&a.mtime, &old), 0, "%s", paths[i]);
		cr_assert_eq(timespec_cmp(&a.atime, &older), 0, "%s", paths[i]);
		ok(t_chown(&w, paths[i], 3, 4));
		a = stat_of(&w, paths[i]);
		cr_assert_eq(timespec_cmp(&a.mtime, &old), 0, "%s", paths[i]);
	}
	world_assert_lasting(&w);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct attr a = stat_of(&w, paths[i]);

		cr_assert_eq(timespec_cmp(&a.mtime, &old), 0, "%s", paths[i]);
		cr_assert_eq(timespec_cmp(&a.atime, &older), 0, "%s", paths[i]);
		a = set(&w, paths[i], FS_SET_MTIME_NOW | FS_SET_ATIME_NOW, &a);
		cr_assert_gt(a.mtime.tv_sec, 1000000);
		cr_assert_gt(a.atime.tv_sec, 1000000);
	}
	world_assert_lasting(&w);
}

static struct timespec atime_after_read(struct world *w, const char *path)
{
	uint64_t ino = hold(w, path);
	char c;

	cr_assert_eq(fs_read(w->fs, ino, &c, 1, 0), 1);
	drop(w, ino);
	return stat_of(w, path).atime;
}

Test(attrs, access_times)
{
	CLEANUP(world) struct world w;
	struct attr old = {.atime = {1000, 0}};
	struct timespec first;
	uint64_t ino;

	world_init(&w, 1);
	put_file("l0/lower", "x");
	world_open(&w);
	ok(t_write(&w, "f", "x"));
	set(&w, "f", FS_SET_ATIME, &old);
	cr_assert_eq(atime_after_read(&w, "f").tv_sec, 1000);
	w.o.atime = true;
	world_reopen(&w);
	cr_assert_gt(atime_after_read(&w, "f").tv_sec, 1000000);
	first = stat_of(&w, "f").atime;
	usleep(12000);
	/* As relatime: once after a change is enough. */
	atime_after_read(&w, "f");
	usleep(12000);
	first = atime_after_read(&w, "f");
	usleep(12000);
	cr_assert_eq(atime_after_read(&w, "f").tv_nsec, first.tv_nsec);
	usleep(12000);
	ok(t_pwrite(&w, "f", "y", 1, 0));
	cr_assert_neq(atime_after_read(&w, "f").tv_nsec, first.tv_nsec);
	/* Reading a lower file copies nothing up. */
	ino = stat_of(&w, "lower").ino;
	atime_after_read(&w, "lower");
	cr_assert_eq(stat_of(&w, "lower").ino, ino);
	world_assert_lasting(&w);
}

Test(attrs, a_write_moves_mtime_and_ctime)
{
	static const char *const paths[] = {"lower", "inline", "file", "big"};
	CLEANUP(world) struct world w;
	CLEANUP(free) uint8_t *bytes = calloc(1, 100000);

	world_init(&w, 1);
	put_file("l0/lower", "x");
	put_bytes("l0/big", 1 << 20, 1);
	world_open(&w);
	ok(t_write(&w, "inline", "x"));
	ok(t_create(&w, "file", 0644));
	ok(t_pwrite(&w, "file", bytes, 100000, 0));
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct attr was, is;

		set(&w, paths[i], FS_SET_MTIME, &(struct attr){.mtime = {1000, 0}});
		was = stat_of(&w, paths[i]);
		usleep(12000);
		ok(t_pwrite(&w, paths[i], "z", 1, 0));
		is = stat_of(&w, paths[i]);
		cr_assert_gt(is.mtime.tv_sec, 1000000, "%s", paths[i]);
		cr_assert_gt(timespec_cmp(&is.ctime, &was.ctime), 0, "%s", paths[i]);
		set(&w, paths[i], FS_SET_MTIME, &(struct attr){.mtime = {1000, 0}});
		ok(t_truncate(&w, paths[i], is.size + 1));
		cr_assert_gt(stat_of(&w, paths[i]).mtime.tv_sec, 1000000, "%s", paths[i]);
	}
	world_assert_lasting(&w);
}

Test(attrs, set_id_bits)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	world_init(&w, 1);
	put_file("l0/f", "x");
	cr_assert_eq(chmod("l0/f", 06755), 0);
	put_file("l0/g", "x");
	cr_assert_eq(chmod("l0/g", 06745), 0);
	put_dir("l0/d");
	cr_assert_eq(chmod("l0/d", 06755), 0);
	world_open(&w);
	ok(t_chown(&w, "f", 1, 1));
	cr_assert_eq(mode_of(&w, "f"), 0755);
	/* Without execution by the group, S_ISGID is something else (mandatory locking). */
	ok(t_chown(&w, "g", 1, 1));
	cr_assert_eq(mode_of(&w, "g"), 02745);
	ok(t_chown(&w, "d", 1, 1));
	cr_assert_eq(mode_of(&w, "d"), 06755);
	for (int i = 0; i < 3; i++) {
		ok(t_chmod(&w, "f", 06755));
		cr_assert_eq(mode_of(&w, "f"), 06755);
		ino = hold(&w, "f");
		cr_assert_eq(fs_write(w.fs, ino, "y", 1, 10000 * i, 0), 1);
		cr_assert_eq(mode_of(&w, "f"), 06755);
		cr_assert_eq(fs_write(w.fs, ino, "y", 1, 10000 * i, FS_WRITE_KILL), 1);
		cr_assert_eq(mode_of(&w, "f"), 0755);
		ok(t_chmod(&w, "f", 06755));
		ok(t_truncate(&w, "f", 4));
		cr_assert_eq(mode_of(&w, "f"), 06755);
		set(&w, "f", FS_SET_SIZE | FS_SET_KILL_SUIDGID,
		    &(struct attr){.size = 1 + (uint64_t)i});
		cr_assert_eq(mode_of(&w, "f"), 0755);
		drop(&w, ino);
	}
	world_assert_lasting(&w);
}

Test(attrs, sizes_of_what_is_no_file)
{
	CLEANUP(world) struct world w;
	struct attr a = {.size = 1}, out;

	world_init(&w, 1);
	put_dir("l0/d");
	put_symlink("x", "l0/s");
	world_open(&w);
	fails(EISDIR, fs_setattr(w.fs, hold(&w, "d"), FS_SET_SIZE, &a, &out));
	fails(EINVAL, fs_setattr(w.fs, hold(&w, "s"), FS_SET_SIZE, &a, &out));
	world_assert_lasting(&w);
}

Test(attrs, setgid_directories_are_inherited)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_dir("l0/d");
	cr_assert_eq(chown("l0/d", 5, 77), 0);
	cr_assert_eq(chmod("l0/d", 02775), 0);
	world_open(&w);
	w.who = (struct fs_caller){.uid = 1000, .gid = 1000, .umask = 027};
	ok(t_create(&w, "d/f", 0666));
	ok(t_mkdir(&w, "d/e", 0777));
	ok(t_symlink(&w, "x", "d/s"));
	ok(t_mknod(&w, "d/p", S_IFIFO | 0666, 0, 0));
	cr_assert_eq(stat_of(&w, "d/f").gid, 77);
	cr_assert_eq(stat_of(&w, "d/f").uid, 1000);
	cr_assert_eq(mode_of(&w, "d/f"), 0640);
	cr_assert_eq(stat_of(&w, "d/e").gid, 77);
	cr_assert_eq(mode_of(&w, "d/e"), 02750);
	cr_assert_eq(stat_of(&w, "d/s").gid, 77);
	cr_assert_eq(mode_of(&w, "d/s"), 0777);
	cr_assert_eq(stat_of(&w, "d/p").gid, 77);
	cr_assert_eq(mode_of(&w, "d/p"), 0640);
	ok(t_mkdir(&w, "d/e/g", 0777));
	cr_assert_eq(mode_of(&w, "d/e/g"), 02750);
	cr_assert_eq(stat_of(&w, "d/e/g").gid, 77);
	ok(t_create(&w, "plain", 0666));
	cr_assert_eq(stat_of(&w, "plain").gid, 1000);
	world_assert_lasting(&w);
}

Test(attrs, mapped_ids)
{
	CLEANUP(world) struct world w;
	struct attr a;

	world_init(&w, 1);
	put_file("l0/root", "x");
	put_file("l0/user", "x");
	put_file("l0/far", "x");
	cr_assert_eq(chown("l0/root", 0, 0), 0);
	cr_assert_eq(chown("l0/user", 1005, 2005), 0);
	cr_assert_eq(chown("l0/far", 70000, 70000), 0);
	ok(idmap_parse("1000:0:100:0:500:1", "uidmapping", &w.o.uids, NULL));
	ok(idmap_parse("2000:0:100:0:500:1", "gidmapping", &w.o.gids, NULL));
	world_open(&w);
	a = stat_of(&w, "user");
	cr_assert_eq(a.uid, 5);
	cr_assert_eq(a.gid, 5);
	cr_assert_eq(stat_of(&w, "root").uid, 500);
	/* Not the overflow id: he who has that is not the owner. */
	cr_assert_eq(stat_of(&w, "far").uid, ID_UNMAPPED);
	cr_assert_eq(stat_of(&w, "far").gid, ID_UNMAPPED);
	w.who = (struct fs_caller){.uid = 7, .gid = 8, .umask = 022};
	ok(t_create(&w, "new", 0644));
	cr_assert_eq(stat_of(&w, "new").uid, 7);
	cr_assert_eq(stat_of(&w, "new").gid, 8);
	ok(t_chown(&w, "user", 9, 10));
	cr_assert_eq(stat_of(&w, "user").uid, 9);
	fails(EOVERFLOW, t_chown(&w, "user", 4000, 0));
	/* As on an idmapped mount. */
	w.who.uid = 4000;
	fails(EOVERFLOW, t_create(&w, "stranger", 0644));
	w.who = (struct fs_caller){.uid = 7, .gid = 4000};
	fails(EOVERFLOW, t_create(&w, "stranger", 0644));
	/* What nobody's owner is does not change with what else does. */
	ok(t_chmod(&w, "far", 0600));
	cr_assert_eq(stat_of(&w, "far").uid, ID_UNMAPPED);
	world_assert_lasting(&w);
	idmap_done(&w.o.uids);
	idmap_done(&w.o.gids);
	world_reopen(&w);
	cr_assert_eq(stat_of(&w, "new").uid, 1007);
	cr_assert_eq(stat_of(&w, "new").gid, 2008);
	cr_assert_eq(stat_of(&w, "far").uid, 70000);
	cr_assert_eq(stat_of(&w, "user").uid, 1009);
	cr_assert_eq(stat_of(&w, "user").gid, 2010);
}

Test(attrs, squashed_ids)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_file("l0/f", "x");
	cr_assert_eq(chown("l0/f", 5, 6), 0);
	w.o.squash_to_root = true;
	world_open(&w);
	cr_assert_eq(stat_of(&w, "f").uid, 0);
	cr_assert_eq(stat_of(&w, "f").gid, 0);
	ok(t_chown(&w, "f", 9, 9));
	cr_assert_eq(stat_of(&w, "f").uid, 0);
	w.o.squash_to_root = false;
	w.o.uids.squash = w.o.gids.squash = true;
	w.o.uids.squash_id = 42;
	w.o.gids.squash_id = 43;
	world_reopen(&w);
	cr_assert_eq(stat_of(&w, "f").uid, 42);
	cr_assert_eq(stat_of(&w, "f").gid, 43);
	world_assert_lasting(&w);
	w.o.uids.squash = w.o.gids.squash = false;
	world_reopen(&w);
	cr_assert_eq(stat_of(&w, "f").uid, 5);
	cr_assert_eq(stat_of(&w, "f").gid, 6);
}

Test(attrs, numbers_of_32_bits)
{
	CLEANUP(world) struct world w;

	world_init(&w, 2);
	put_file("l0/d/f", "x");
	put_file("l1/d/g", "x");
	w.o.ino32 = true;
	world_open(&w);
	ok(t_create(&w, "new", 0644));
	cr_assert_leq(ino_of(&w, "d/f"), UINT32_MAX);
	cr_assert_leq(ino_of(&w, "d"), UINT32_MAX);
	cr_assert_neq(ino_of(&w, "d/f"), ino_of(&w, "d/g"));
	world_assert_lasting(&w);
}

/* To readdir(3) a number of 0 is a name that is not there. */
Test(attrs, a_folded_number_is_never_0)
{
	struct fs_options o = {.ino32 = true};
	struct fs fs = {.options = &o};

	for (uint64_t position = 1; position < 100; position++) {
		struct attr a = {.ino = position << 48 | position << 16};

		attr_show(&fs, &a);
		cr_assert_neq(a.ino, 0);
		cr_assert_neq(a.ino, FS_ROOT_INO);
		cr_assert_leq(a.ino, UINT32_MAX);
	}
}

Test(attrs, static_link_counts)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_dir("l0/d/e");
	put_file("l0/f", "x");
	put_link("l0/f", "l0/g");
	w.o.static_nlink = true;
	world_open(&w);
	cr_assert_eq(nlink_of(&w, "d"), 1);
	cr_assert_eq(nlink_of(&w, ""), 1);
	cr_assert_eq(nlink_of(&w, "f"), 2);
	ok(t_mkdir(&w, "d/new", 0755));
	cr_assert_eq(nlink_of(&w, "d"), 1);
	world_assert_lasting(&w);
	w.o.static_nlink = false;
	world_reopen(&w);
	cr_assert_eq(nlink_of(&w, "d"), 4);
	world_assert_lasting(&w);
}

Test(attrs, statfs)
{
	CLEANUP(world) struct world w;
	struct statvfs st;

	world_init(&w, 1);
	world_open(&w);
	ok(fs_statfs(w.fs, &st));
	cr_assert_eq(st.f_namemax, 255);
	cr_assert_gt(st.f_blocks, 0);
	free(w.o.upper);
	w.o.upper = NULL;
	world_reopen(&w);
	ok(fs_statfs(w.fs, &st));
	cr_assert_eq(st.f_namemax, 255);
	cr_assert_gt(st.f_blocks, 0);
}
