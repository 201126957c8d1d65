/* SPDX-License-Identifier: Apache-2.0 */
/* The file system and the oracle, compared in full. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "unit/fs/model.h"

/* Times before this were set by utimens, in both; later ones are the clock's. */
#define SET_TIME_MAX 1000000000

void model_fail(const struct model *m, const char *path, const char *fmt, ...)
{
	char text[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	cr_assert_fail("seed %u, step %lu (%s): %s: %s", m->seed, m->step, m->last, path, text);
	abort();
}

static void compare_attr(const struct model *m, const char *path, const struct attr *a,
			 const struct stat *st)
{
	bool dir = S_ISDIR(st->st_mode);

	if (a->mode != st->st_mode)
		model_fail(m, path, "mode %o, not %o", a->mode, st->st_mode);
	if (a->uid != st->st_uid || a->gid != st->st_gid)
		model_fail(m, path, "owner %u:%u, not %u:%u", a->uid, a->gid, st->st_uid,
			   st->st_gid);
	if (a->nlink != st->st_nlink && !(dir && a->nlink == 1))
		model_fail(m, path, "%u links, not %lu", a->nlink, (unsigned long)st->st_nlink);
	if (!dir && a->size != (uint64_t)st->st_size)
		model_fail(m, path, "size %lu, not %ld", (unsigned long)a->size, (long)st->st_size);
	if (makedev(a->rdev_major, a->rdev_minor) != st->st_rdev)
		model_fail(m, path, "device %u:%u", a->rdev_major, a->rdev_minor);
	if ((a->mtime.tv_sec < SET_TIME_MAX || st->st_mtim.tv_sec < SET_TIME_MAX) &&
	    timespec_cmp(&a->mtime, &st->st_mtim) != 0)
		model_fail(m, path, "mtime %ld.%ld, not %ld.%ld", (long)a->mtime.tv_sec,
			   a->mtime.tv_nsec, (long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

static void compare_bytes(const struct model *m, const char *path, uint64_t ino, int fd)
{
	CLEANUP(free) char *is = malloc(1 << 18);
	CLEANUP(free) char *want = malloc(1 << 18);
	off_t at = 0;

	for (;;) {
		ssize_t n = fs_read(m->w->fs, ino, is, 1 << 18, at);
		ssize_t k = pread(fd, want, 1 << 18, at);

		if (n != k)
			model_fail(m, path, "read of %ld at %ld, not %ld", (long)n, (long)at,
				   (long)k);
		if (n <= 0)
			return;
		for (ssize_t i = 0; i < n; i++) {
			if (is[i] != want[i])
				model_fail(m, path, "byte %ld is %02x, not %02x", (long)(at + i),
					   (uint8_t)is[i], (uint8_t)want[i]);
		}
		at += n;
	}
}

static void compare_xattrs(const struct model *m, const char *path, uint64_t ino, const char *plain)
{
	char names[1024], value[1024], is[1024];
	ssize_t len = llistxattr(plain, names, sizeof(names));

	if (fs_listxattr(m->w->fs, ino, NULL, 0) != len)
		model_fail(m, path, "other attributes: %ld bytes of names, not %ld",
			   (long)fs_listxattr(m->w->fs, ino, NULL, 0), (long)len);
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		ssize_t n = lgetxattr(plain, names + at, value, sizeof(value));

		if (fs_getxattr(m->w->fs, ino, names + at, is, sizeof(is)) != n ||
		    memcmp(is, value, (size_t)n) != 0)
			model_fail(m, path, "other value of %s", names + at);
	}
}

static void compare_target(const struct model *m, const char *path, uint64_t ino, const char *plain)
{
	char is[PATH_MAX], want[PATH_MAX];
	ssize_t n = readlink(plain, want, sizeof(want));

	if (fs_readlink(m->w->fs, ino, is, sizeof(is)) != n || memcmp(is, want, (size_t)n) != 0)
		model_fail(m, path, "other target");
}

struct seen_names {
	char text[64][8];
	size_t n;
};

static bool add_seen(void *arg, const struct fs_dirent *entries, size_t n)
{
	struct seen_names *s = arg;

	for (const struct fs_dirent *e = entries; e < entries + n; e++) {
		if (s->n == 64 || e->len >= 8)
			return false;
		snprintf(s->text[s->n++], 8, "%.*s", e->len, e->name);
	}
	return true;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void compare_names(const struct model *m, const char *path, uint64_t ino, const char *plain)
{
	struct seen_names is = {0}, want = {0};
	DIR *dir = opendir(plain);
	struct dirent *d;
	int r = fs_readdir(m->w->fs, ino, 0, add_seen, &is);

	if (r < 0 || dir == NULL)
		model_fail(m, path, "listing: %s", strerror(-r));
	while ((d = readdir(dir)) != NULL && want.n < 64)
		snprintf(want.text[want.n++], 8, "%.7s", d->d_name);
	closedir(dir);
	qsort(is.text, is.n, 8, compare_text);
	qsort(want.text, want.n, 8, compare_text);
	for (size_t i = 0; i < is.n || i < want.n; i++) {
		if (strcmp(is.text[i], want.text[i]) != 0)
			model_fail(m, path, "\"%s\" is listed where \"%s\" should be", is.text[i],
				   want.text[i]);
	}
}

static void compare_at(struct model *m, const char *path, uint64_t ino, const struct attr *a)
{
	char plain[300];
	struct stat st;
	int fd;

	snprintf(plain, sizeof(plain), "plain/%s", path);
	if (lstat(plain, &st) < 0)
		model_fail(m, path, "should not be there");
	compare_attr(m, path, a, &st);
	compare_xattrs(m, path, ino, plain);
	if (S_ISLNK(st.st_mode))
		compare_target(m, path, ino, plain);
	if (S_ISREG(st.st_mode)) {
		fd = open(plain, O_RDONLY | O_CLOEXEC);
		compare_bytes(m, path, ino, fd);
		close(fd);
	}
}

static void compare_dir(struct model *m, const char *path, uint64_t ino)
{
	char plain[300];
	DIR *dir;
	struct dirent *d;

	snprintf(plain, sizeof(plain), "plain/%s", path);
	compare_names(m, path, ino, plain);
	dir = opendir(plain);
	while ((d = readdir(dir)) != NULL) {
		struct fs_entry e;
		char sub[256];
		int r;

		if (d->d_name[0] == '.')
			continue;
		snprintf(sub, sizeof(sub), "%s%s%.10s", path, *path != '\0' ? "/" : "", d->d_name);
		r = fs_lookup(m->w->fs, ino, d->d_name, &e);
		if (r < 0)
			model_fail(m, sub, "look-up: %s", strerror(-r));
		compare_at(m, sub, e.ino, &e.attr);
		if (S_ISDIR(e.attr.mode))
			compare_dir(m, sub, e.ino);
		fs_forget(m->w->fs, e.ino, 1);
	}
	closedir(dir);
}

void model_compare(struct model *m)
{
	compare_dir(m, "", FS_ROOT_INO);
	for (size_t i = 0; i < MODEL_HELD; i++)
		model_compare_held(m, i);
}

void model_compare_dir(struct model *m, const char *path)
{
	char plain[300];
	uint64_t ino = hold(m->w, path);

	snprintf(plain, sizeof(plain), "plain/%s", path);
	compare_names(m, path, ino, plain);
	drop(m->w, ino);
}

void model_compare_held(struct model *m, size_t i)
{
	struct attr a;
	struct stat st;
	int r;

	if (m->held[i].ino == 0)
		return;
	r = fs_getattr(m->w->fs, m->held[i].ino, &a);
	if (r < 0)
		model_fail(m, m->held[i].path, "held: %s", strerror(-r));
	cr_assert_eq(fstat(m->held[i].fd, &st), 0);
	compare_attr(m, m->held[i].path, &a, &st);
	compare_bytes(m, m->held[i].path, m->held[i].ino, m->held[i].fd);
}
