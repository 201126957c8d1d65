/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations, each done to the oracle by a system call and to the file system. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "unit/fs/model.h"

/* A path whose directory is a directory in both, and what is there in the oracle. */
struct spot {
	char path[256], plain[300];
	bool there;
	struct stat st;
};

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static void same(struct model *m, const char *path, int is, int want)
{
	if (is != want)
		model_fail(m, path, "%s, not %s", is == 0 ? "success" : strerror(-is),
			   want == 0 ? "success" : strerror(-want));
}

static bool is_real_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* False when the directory is none in the oracle; the file system must then agree. */
static bool find_spot(struct model *m, struct spot *s)
{
	char above[300];
	struct attr a;
	char *slash;

	model_path(m, s->path, sizeof(s->path));
	snprintf(s->plain, sizeof(s->plain), "plain/%s", s->path);
	snprintf(above, sizeof(above), "%s", s->plain);
	slash = strrchr(above, '/');
	*slash = '\0';
	if (!is_real_dir(above)) {
		int r = t_stat(m->w, s->path, &a);

		if (r != -ENOENT && r != -ENOTDIR)
			model_fail(m, s->path, "found in what is no directory: %d", r);
		return false;
	}
	s->there = lstat(s->plain, &s->st) == 0;
	return true;
}

static void say(struct model *m, const char *what, const char *path, const char *to)
{
	snprintf(m->last, sizeof(m->last), "%s %s %s", what, path, to != NULL ? to : "");
}

static void op_make(struct model *m)
{
	static const uint32_t types[] = {S_IFREG, S_IFREG, S_IFREG, S_IFIFO, S_IFCHR, S_IFSOCK};
	uint32_t type = types[model_random(m, 6)], mode = type | model_random(m, 010000);
	unsigned int maj = model_random(m, 3), min = model_random(m, 300);
	struct spot s;

	if (!find_spot(m, &s))
		return;
	say(m, "mknod", s.path, NULL);
	same(m, s.path, t_mknod(m->w, s.path, mode, maj, min),
	     result(mknod(s.plain, mode, makedev(maj, min))));
}

static void op_mkdir(struct model *m)
{
	uint32_t mode = model_random(m, 02000);
	struct spot s;

	if (!find_spot(m, &s))
		return;
	say(m, "mkdir", s.path, NULL);
	same(m, s.path, t_mkdir(m->w, s.path, mode), result(mkdir(s.plain, mode)));
}

static void op_symlink(struct model *m)
{
	struct spot s;
	char target[16];

	if (!find_spot(m, &s))
		return;
	snprintf(target, sizeof(target), "nowhere%u", model_random(m, 10000));
	say(m, "symlink", s.path, NULL);
	same(m, s.path, t_symlink(m->w, target, s.path), result(symlink(target, s.plain)));
}

static void op_unlink(struct model *m)
{
	struct spot s;

	if (!find_spot(m, &s))
		return;
	say(m, "unlink", s.path, NULL);
	same(m, s.path, t_unlink(m->w, s.path), result(unlink(s.plain)));
}

static void op_rmdir(struct model *m)
{
	struct spot s;

	if (!find_spot(m, &s))
		return;
	say(m, "rmdir", s.path, NULL);
	same(m, s.path, t_rmdir(m->w, s.path), result(rmdir(s.plain)));
}

static bool is_above(const char *a, const char *b)
{
	size_t n = strlen(a);

	return strncmp(a, b, n) == 0 && b[n] == '/';
}

static void op_rename(struct model *m)
{
	static const unsigned int flags[] = {
		0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT};
	static const char *const names[] = {"rename", "rename noreplace", "exchange", "",
					    "rename whiteout"};
	unsigned int flag = flags[model_random(m, 6)];
	struct spot from, to;

	if (!find_spot(m, &from) || !find_spot(m, &to))
		return;
	/* A directory into itself: the kernel does not ask. */
	if (is_above(from.path, to.path) || is_above(to.path, from.path))
		return;
	/* A refused one changes the times of the directory on ext4. */
	if (flag == RENAME_WHITEOUT && to.there && S_ISDIR(to.st.st_mode))
		flag = 0;
	say(m, names[flag], from.path, to.path);
	same(m, from.path, t_rename(m->w, from.path, to.path, flag),
	     result(renameat2(AT_FDCWD, from.plain, AT_FDCWD, to.plain, flag)));
}

static void op_link(struct model *m)
{
	struct spot from, to;

	if (!find_spot(m, &from) || !find_spot(m, &to) || !from.there || S_ISDIR(from.st.st_mode))
		return;
	say(m, "link", from.path, to.path);
	same(m, from.path, t_link(m->w, from.path, to.path), result(link(from.plain, to.plain)));
}

static void op_chmod(struct model *m)
{
	uint32_t mode = model_random(m, 010000);
	struct spot s;

	if (!find_spot(m, &s) || (s.there && S_ISLNK(s.st.st_mode)))
		return;
	say(m, "chmod", s.path, NULL);
	same(m, s.path, t_chmod(m->w, s.path, mode), result(chmod(s.plain, mode)));
}

static void op_chown(struct model *m)
{
	uint32_t uid = model_random(m, 4), gid = model_random(m, 4);
	struct spot s;

	if (!find_spot(m, &s))
		return;
	say(m, "chown", s.path, NULL);
	same(m, s.path, t_chown(m->w, s.path, uid, gid), result(lchown(s.plain, uid, gid)));
}

static off_t some_offset(struct model *m)
{
	static const off_t top[] = {10, 5000, 200000, 900000};

	return (off_t)model_random(m, (unsigned int)top[model_random(m, 4)]);
}

static void op_truncate(struct model *m)
{
	off_t size = model_random(m, 3) == 0 ? 0 : some_offset(m);
	struct spot s;

	if (!find_spot(m, &s) || (s.there && S_ISLNK(s.st.st_mode)))
		return;
	say(m, "truncate", s.path, NULL);
	same(m, s.path, t_truncate(m->w, s.path, (uint64_t)size), result(truncate(s.plain, size)));
}

static void op_write(struct model *m)
{
	size_t len = 1 + model_random(m, model_random(m, 4) == 0 ? 150000 : 3000);
	CLEANUP(free) uint8_t *bytes = malloc(len);
	off_t off = some_offset(m);
	CLEANUP(fd) int fd = -1;
	struct spot s;

	fill(bytes, len, model_random(m, 1000));
	if (!find_spot(m, &s) || !s.there || !S_ISREG(s.st.st_mode))
		return;
	say(m, "write", s.path, NULL);
	fd = open(s.plain, O_WRONLY | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, bytes, len, off), (ssize_t)len);
	same(m, s.path, t_pwrite(m->w, s.path, bytes, len, off), 0);
}

static void op_utimens(struct model *m)
{
	struct timespec times[2] = {{model_random(m, 1000), 1}, {model_random(m, 1000), 2}};
	struct attr to = {.atime = times[0], .mtime = times[1]}, out;
	struct spot s;
	uint64_t ino;

	if (!find_spot(m, &s) || !s.there)
		return;
	say(m, "utimens", s.path, NULL);
	cr_assert_eq(utimensat(AT_FDCWD, s.plain, times, AT_SYMLINK_NOFOLLOW), 0);
	ino = hold(m->w, s.path);
	same(m, s.path, fs_setattr(m->w->fs, ino, FS_SET_ATIME | FS_SET_MTIME, &to, &out), 0);
	drop(m->w, ino);
}

static void op_xattr(struct model *m)
{
	static const char *const names[] = {"user.x", "user.y", "trusted.z"};
	const char *name = names[model_random(m, 3)];
	unsigned int len = model_random(m, 200);
	char value[200];
	struct spot s;
	uint64_t ino;

	if (!find_spot(m, &s) || !s.there || !(S_ISREG(s.st.st_mode) || S_ISDIR(s.st.st_mode)))
		return;
	memset(value, (int)model_random(m, 256), sizeof(value));
	ino = hold(m->w, s.path);
	if (model_random(m, 3) == 0) {
		say(m, "removexattr", s.path, name);
		same(m, s.path, fs_removexattr(m->w->fs, ino, name),
		     result(lremovexattr(s.plain, name)));
	} else {
		int flag = (int)model_random(m, 3);

		say(m, "setxattr", s.path, name);
		same(m, s.path, fs_setxattr(m->w->fs, ino, name, value, len, flag, false),
		     result(lsetxattr(s.plain, name, value, len, flag)));
	}
	drop(m->w, ino);
}

static void op_fallocate(struct model *m)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_ZERO_RANGE,
				    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	int mode = modes[model_random(m, 5)];
	off_t off = some_offset(m), len = 1 + some_offset(m);
	CLEANUP(fd) int fd = -1;
	struct spot s;
	uint64_t ino;

	if (!find_spot(m, &s) || !s.there || !S_ISREG(s.st.st_mode))
		return;
	say(m, "fallocate", s.path, NULL);
	fd = open(s.plain, O_RDWR | O_CLOEXEC);
	ino = hold(m->w, s.path);
	same(m, s.path, fs_fallocate(m->w->fs, ino, mode, off, len),
	     result(fallocate(fd, mode, off, len)));
	drop(m->w, ino);
}

static void op_copy(struct model *m)
{
	off_t from_off = some_offset(m), to_off = some_offset(m);
	size_t len = 1 + model_random(m, 300000);
	CLEANUP(fd) int a = -1;
	CLEANUP(fd) int b = -1;
	struct spot from, to;
	uint64_t x, y;
	ssize_t want, is;

	if (!find_spot(m, &from) || !find_spot(m, &to) || !from.there || !to.there ||
	    !S_ISREG(from.st.st_mode) || !S_ISREG(to.st.st_mode) || from.st.st_ino == to.st.st_ino)
		return;
	say(m, "copy_file_range", from.path, to.path);
	a = open(from.plain, O_RDONLY | O_CLOEXEC);
	b = open(to.plain, O_RDWR | O_CLOEXEC);
	x = hold(m->w, from.path);
	y = hold(m->w, to.path);
	is = fs_copy_range(m->w->fs, x, from_off, y, to_off, len, 0);
	want = copy_file_range(a, &(off_t){from_off}, b, &(off_t){to_off}, len, 0);
	if (is != want)
		model_fail(m, from.path, "copied %ld, not %ld", (long)is, (long)want);
	drop(m->w, x);
	drop(m->w, y);
}

static void op_stat(struct model *m)
{
	struct spot s;
	struct attr a;

	if (!find_spot(m, &s))
		return;
	say(m, "stat", s.path, NULL);
	same(m, s.path, t_stat(m->w, s.path, &a), s.there ? 0 : -ENOENT);
	if (s.there && a.mode != s.st.st_mode)
		model_fail(m, s.path, "mode %o, not %o", a.mode, s.st.st_mode);
}

static void op_list(struct model *m)
{
	struct spot s;

	if (!find_spot(m, &s) || !s.there || !S_ISDIR(s.st.st_mode))
		return;
	say(m, "list", s.path, NULL);
	model_compare_dir(m, s.path);
}

static void op_hold(struct model *m)
{
	size_t i = model_random(m, MODEL_HELD);
	struct spot s;

	if (m->held[i].ino != 0 || !find_spot(m, &s) || !s.there || !S_ISREG(s.st.st_mode))
		return;
	say(m, "hold", s.path, NULL);
	m->held[i].fd = open(s.plain, O_RDWR | O_CLOEXEC);
	m->held[i].ino = hold(m->w, s.path);
	snprintf(m->held[i].path, sizeof(m->held[i].path), "%s", s.path);
}

static void op_drop(struct model *m)
{
	size_t i = model_random(m, MODEL_HELD);

	if (m->held[i].ino == 0)
		return;
	say(m, "drop", m->held[i].path, NULL);
	model_compare_held(m, i);
	drop(m->w, m->held[i].ino);
	close(m->held[i].fd);
	m->held[i].ino = 0;
}

static void op_held(struct model *m)
{
	size_t i = model_random(m, MODEL_HELD), len = 1 + model_random(m, 9000);
	CLEANUP(free) uint8_t *bytes = malloc(len);
	off_t off = some_offset(m);
	struct attr out;
	int fd = m->held[i].fd;

	if (m->held[i].ino == 0)
		return;
	say(m, "held", m->held[i].path, NULL);
	fill(bytes, len, model_random(m, 1000));
	switch (model_random(m, 3)) {
	case 0:
		cr_assert_eq(pwrite(fd, bytes, len, off), (ssize_t)len);
		ok(fs_write(m->w->fs, m->held[i].ino, bytes, len, off, 0));
		break;
	case 1:
		cr_assert_eq(ftruncate(fd, off), 0);
		ok(fs_setattr(m->w->fs, m->held[i].ino, FS_SET_SIZE,
			      &(struct attr){.size = (uint64_t)off}, &out));
		break;
	default:
		cr_assert_eq(fchmod(fd, len % 010000), 0);
		ok(fs_setattr(m->w->fs, m->held[i].ino, FS_SET_MODE,
			      &(struct attr){.mode = len % 010000}, &out));
	}
	model_compare_held(m, i);
}

static void op_tmpfile(struct model *m)
{
	struct fs_entry e, linked;
	CLEANUP(fd) int fd = -1;
	char above[300], proc[64];
	struct spot s;
	uint64_t dir;
	int r;

	if (!find_spot(m, &s))
		return;
	say(m, "tmpfile", s.path, NULL);
	snprintf(above, sizeof(above), "%s", s.plain);
	*strrchr(above, '/') = '\0';
	fd = open(above, O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	cr_assert_eq(pwrite(fd, "tmp", 3, 0), 3);
	dir = strchr(above, '/') == NULL ? FS_ROOT_INO : hold(m->w, strchr(above, '/') + 1);
	ok(fs_tmpfile(m->w->fs, &m->w->who, dir, 0640, &e));
	held_add(m->w, e.ino);
	cr_assert_eq(fs_write(m->w->fs, e.ino, "tmp", 3, 0, 0), 3);
	r = fs_link(m->w->fs, e.ino, dir, strrchr(s.plain, '/') + 1, &linked);
	same(m, s.path, r, result(linkat(AT_FDCWD, proc, AT_FDCWD, s.plain, AT_SYMLINK_FOLLOW)));
	if (r == 0)
		fs_forget(m->w->fs, linked.ino, 1);
	drop(m->w, e.ino);
	if (dir != FS_ROOT_INO)
		drop(m->w, dir);
}

void model_release(struct model *m)
{
	for (size_t i = 0; i < MODEL_HELD; i++) {
		if (m->held[i].ino != 0)
			close(m->held[i].fd);
		m->held[i].ino = 0;
	}
}

static void (*const ops[])(struct model *m) = {
	op_make,    op_mkdir, op_mkdir, op_symlink, op_unlink, op_rmdir,   op_rename,
	op_rename,  op_link,  op_chmod, op_chown,   op_write,  op_write,   op_truncate,
	op_utimens, op_xattr, op_copy,	op_stat,    op_list,   op_hold,	   op_drop,
	op_held,    op_held,  op_make,	op_rename,  op_unlink, op_tmpfile, op_fallocate,
};

void model_step(struct model *m)
{
	unsigned int i = model_random(m, sizeof(ops) / sizeof(*ops));

	m->step++;
	m->done[i]++;
	ops[i](m);
}
