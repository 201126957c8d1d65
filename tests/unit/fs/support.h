/* SPDX-License-Identifier: Apache-2.0 */
/* A file system under test: real lower directories, an upper, and operations by path. */
#ifndef TESTS_UNIT_FS_SUPPORT_H
#define TESTS_UNIT_FS_SUPPORT_H

#include <criterion/criterion.h>
#include <string.h>

#include "fs/fs.h"

/*
 * A world lives in a directory of its own, which is the current directory of the test: the lower
 * layers are "l0" (topmost), "l1", ... and the upper is "upper". It is filled with put_*() before
 * world_open(). Every look-up that the functions here make is given back; those of hold() at
 * world_close(), which then checks that only the root is still held.
 */
struct world {
	char dir[64];
	struct fs_options o;
	struct fs *fs;
	struct fs_caller who;
	struct held_ino {
		uint64_t ino, n;
	} * held; /* owned */
	size_t n_held;
};

void world_init(struct world *w, size_t n_lower);
void world_open(struct world *w);
int world_try_open(struct world *w, struct err *err);
void world_close(struct world *w);
void world_reopen(struct world *w);
/* Opens it in a child that runs WORK and is then killed. */
void world_die(struct world *w, void (*work)(struct world *w));
void world_done(struct world *w);
DEFINE_CLEANUP(struct world, world, world_done)
/* Replaces the paths of the lower layers: "a:b". */
void world_set_lowers(struct world *w, const char *paths);

/* The whole tree as text, one line a name: everything that stat, read and listxattr tell. Owned. */
char *world_dump(struct world *w);
/* Looks at everything in every way there is: the answers must agree. */
void world_audit(struct world *w);
/* Audits, closes, opens again: nothing may have changed. */
void world_assert_lasting(struct world *w);
/* How many inodes the file system keeps in memory. */
size_t world_inodes(struct world *w);

/* Plain files in the current directory, with the directories above them. */
void put_dir(const char *path);
void put_file(const char *path, const char *text);
void put_bytes(const char *path, size_t size, unsigned int seed);
void put_link(const char *old, const char *path);
void put_symlink(const char *target, const char *path);
void put_whiteout(const char *path);
void put_opaque(const char *path);
void put_xattr(const char *path, const char *name, const void *value, size_t len);
/* A tmpfs at PATH, for this process alone; false where mounting is not allowed. */
bool put_mount(const char *path, unsigned long flags, const char *options);
/* Everything about a plain tree as text; to see that it does not change. Owned. */
char *plain_dump(const char *path);
size_t count_files(const char *path);
/* Returns when there are N: another thread deletes some. */
void wait_for_files(const char *path, size_t n);
/* What the files below PATH take of the disk. */
uint64_t disk_bytes(const char *path);
void fill(uint8_t *bytes, size_t size, unsigned int seed);
void remove_tree(const char *path);

/* The inode at PATH ("" is the root), with one look-up until drop() or world_close(). */
uint64_t hold(struct world *w, const char *path);
void drop(struct world *w, uint64_t ino);
/* Remembers a look-up that the test itself made. */
void held_add(struct world *w, uint64_t ino);

/* Operations by path: 0 or -errno. */
int t_stat(struct world *w, const char *path, struct attr *ret_attr);
int t_mknod(struct world *w, const char *path, uint32_t mode, uint32_t maj, uint32_t min);
int t_create(struct world *w, const char *path, uint32_t mode);
int t_mkdir(struct world *w, const char *path, uint32_t mode);
int t_symlink(struct world *w, const char *target, const char *path);
int t_link(struct world *w, const char *old, const char *path);
int t_unlink(struct world *w, const char *path);
int t_rmdir(struct world *w, const char *path);
int t_rename(struct world *w, const char *from, const char *to, unsigned int flags);
int t_chmod(struct world *w, const char *path, uint32_t mode);
int t_chown(struct world *w, const char *path, uint32_t uid, uint32_t gid);
int t_truncate(struct world *w, const char *path, uint64_t size);
int t_pwrite(struct world *w, const char *path, const void *bytes, size_t size, off_t off);
/* Creates the file when it is not there; its content is TEXT. */
int t_write(struct world *w, const char *path, const char *text);
int t_setxattr(struct world *w, const char *path, const char *name, const char *value);

bool exists(struct world *w, const char *path);
struct attr stat_of(struct world *w, const char *path);
uint64_t ino_of(struct world *w, const char *path);
uint32_t mode_of(struct world *w, const char *path);
uint32_t nlink_of(struct world *w, const char *path);

void assert_text(struct world *w, const char *path, const char *text);
void assert_ino_text(struct world *w, uint64_t ino, const char *text);
/* The bytes that put_bytes() or fill() make from SEED. */
void assert_bytes(struct world *w, const char *path, size_t size, unsigned int seed);
/* NAMES sorted, with a blank between two; without "." and "..". */
void assert_names(struct world *w, const char *path, const char *names);
void assert_target(struct world *w, const char *path, const char *target);
/* VALUE NULL: there is none. */
void assert_xattr(struct world *w, const char *path, const char *name, const char *value);

/*
 * A child of a test that fails must not talk to the test runner, whose connection is its parent's: it
 * says so on stderr and exits with 99. The parent looks at the status.
 */
void send_assert(struct criterion_assert_stats *stats);
#define criterion_send_assert(stats) send_assert(stats)

#define ok(call)                                                                                   \
	do {                                                                                       \
		long ok_r_ = (long)(call);                                                         \
		cr_assert(ok_r_ >= 0, "%s: %s", #call, strerror((int)-ok_r_));                     \
	} while (0)
#define fails(code, call)                                                                          \
	do {                                                                                       \
		long fails_r_ = (long)(call);                                                      \
		cr_assert(fails_r_ == -(code), "%s: %ld (%s), not %s", #call, fails_r_,            \
			  fails_r_ < 0 ? strerror((int)-fails_r_) : "no error", strerror(code));   \
	} while (0)

#endif
