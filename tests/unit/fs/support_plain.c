/* SPDX-License-Identifier: Apache-2.0 */
/* Plain files and directories for tests: making, removing, describing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/hash.h"
#include "unit/fs/support.h"

static void make_above(const char *path)
{
	char *copy = strdup(path);

	for (char *at = strchr(copy + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		cr_assert(mkdir(copy, 0755) == 0 || errno == EEXIST, "%s: %m", copy);
		*at = '/';
	}
	free(copy);
}

void put_dir(const char *path)
{
	make_above(path);
	cr_assert(mkdir(path, 0755) == 0 || errno == EEXIST, "%s: %m", path);
}

static void put_content(const char *path, const void *bytes, size_t size)
{
	make_above(path);
	CLEANUP(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert(fd >= 0, "%s: %m", path);
	cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
}

void put_file(const char *path, const char *text)
{
	put_content(path, text, strlen(text));
}

void fill(uint8_t *bytes, size_t size, unsigned int seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)(x >> 24);
	}
}

void put_bytes(const char *path, size_t size, unsigned int seed)
{
	CLEANUP(free) uint8_t *bytes = malloc(size + 1);

	fill(bytes, size, seed);
	put_content(path, bytes, size);
}

void put_link(const char *old, const char *path)
{
	make_above(path);
	cr_assert(link(old, path) == 0, "%s: %m", path);
}

void put_symlink(const char *target, const char *path)
{
	make_above(path);
	cr_assert(symlink(target, path) == 0, "%s: %m", path);
}

void put_whiteout(const char *path)
{
	make_above(path);
	cr_assert(mknod(path, S_IFCHR, makedev(0, 0)) == 0, "%s: %m", path);
}

bool put_mount(const char *path, unsigned long flags, const char *options)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", path, "tmpfs", flags, options) == 0;
}

void put_xattr(const char *path, const char *name, const void *value, size_t len)
{
	cr_assert(lsetxattr(path, name, value, len, 0) == 0, "%s: %m", path);
}

void put_opaque(const char *path)
{
	put_dir(path);
	put_xattr(path, "trusted.overlay.opaque", "y", 1);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

void remove_tree(const char *path)
{
	nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

static size_t files_counted;
static uint64_t blocks_counted;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path, (void)type, (void)ftw;
	files_counted += S_ISREG(st->st_mode) ? 1 : 0;
	blocks_counted += (uint64_t)st->st_blocks;
	return 0;
}

size_t count_files(const char *path)
{
	files_counted = 0;
	nftw(path, count_one, 32, FTW_PHYS);
	return files_counted;
}

void wait_for_files(const char *path, size_t n)
{
	/* Six seconds: more than any flush is put off. */
	for (int i = 0; i < 6000 && count_files(path) != n; i++)
		usleep(1000);
	cr_assert_eq(count_files(path), n);
}

uint64_t disk_bytes(const char *path)
{
	blocks_counted = 0;
	nftw(path, count_one, 32, FTW_PHYS);
	return blocks_counted * 512;
}

static uint64_t hash_of_file(const char *path)
{
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(free) char *bytes = malloc(1 << 20);
	uint64_t hash = 0;
	ssize_t n;

	while ((n = read(fd, bytes, 1 << 20)) > 0)
		hash = hash64(bytes, (size_t)n, hash);
	return hash;
}

static void dump_xattrs(const char *path, struct buf *out)
{
	char names[4096], value[4096];
	ssize_t len = llistxattr(path, names, sizeof(names));

	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		ssize_t n = lgetxattr(path, names + at, value, sizeof(value));

		buf_printf(out, " %s=%016lx", names + at,
			   (unsigned long)hash64(value, n > 0 ? (size_t)n : 0, 0));
	}
}

static struct buf *dump_out;

static int dump_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char target[4096] = "";

	(void)type, (void)ftw;
	buf_printf(dump_out, "%s %lu %o %u:%u %lu %lu %lx %ld.%ld %ld.%ld", path,
		   (unsigned long)st->st_ino, st->st_mode, st->st_uid, st->st_gid,
		   (unsigned long)st->st_nlink, (unsigned long)st->st_size,
		   (unsigned long)st->st_rdev, (long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
		   (long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	if (S_ISREG(st->st_mode))
		buf_printf(dump_out, " %016lx", (unsigned long)hash_of_file(path));
	if (S_ISLNK(st->st_mode) && readlink(path, target, sizeof(target) - 1) > 0)
		buf_printf(dump_out, " -> %s", target);
	dump_xattrs(path, dump_out);
	buf_put_str(dump_out, "\n");
	return 0;
}

char *plain_dump(const char *path)
{
	struct buf out = {0};

	dump_out = &out;
	nftw(path, dump_one, 32, FTW_PHYS);
	cr_assert_not_null(buf_cstr(&out));
	return (char *)out.data;
}
