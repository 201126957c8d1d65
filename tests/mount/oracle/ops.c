/* SPDX-License-Identifier: Apache-2.0 */
/* The same random operations on two directories: results, errno and at the end everything compared. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "mount/oracle/oracle.h"

#define N_OPEN 6
#define IO_MAX 20000

/* What an operation is done with: the same for both sides. */
struct args {
	char path[512], other[512];
	unsigned int slot, flags, mode, uid;
	off_t off, off2;
	size_t len;
	unsigned char fill;
	char xattr[32];
};

/* One side: its root and its open files. */
struct side {
	int root;
	int fd[N_OPEN];
	char text[256]; /* what the last operation returned besides its result */
};

struct ops {
	struct side side[2];
	uint64_t rng;
	bool verbose;
};

static void say(struct side *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct side *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->text, sizeof(s->text), fmt, ap);
	va_end(ap);
}

static uint64_t hash_bytes(const unsigned char *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	while (n-- > 0)
		h = (h ^ *p++) * 0x100000001b3u;
	return h;
}

static unsigned char *pattern(const struct args *a)
{
	static unsigned char bytes[IO_MAX];

	for (size_t i = 0; i < a->len; i++)
		bytes[i] = (unsigned char)(a->fill + i * 7);
	return bytes;
}

static void say_stat(struct side *s, const struct stat *st)
{
	say(s, "mode %o owner %u:%u links %lu size %lld", st->st_mode, st->st_uid, st->st_gid,
	    S_ISDIR(st->st_mode) ? 0 : (unsigned long)st->st_nlink,
	    S_ISREG(st->st_mode) ? (long long)st->st_size : 0);
}

/* Operations: each returns the system call's result, with errno. */
typedef long op_fn(struct side *s, const struct args *a);

static long op_open(struct side *s, const struct args *a)
{
	static const int how[] = {O_RDONLY,	     O_RDWR,
				  O_RDWR | O_CREAT,  O_RDWR | O_CREAT | O_EXCL,
				  O_RDWR | O_TRUNC,  O_WRONLY | O_CREAT | O_TRUNC,
				  O_RDWR | O_APPEND, O_RDONLY | O_NOFOLLOW};
	int fd = openat(s->root, a->path, how[a->flags % 8] | O_NONBLOCK, a->mode & 07777);

	if (fd < 0)
		return -1;
	if (s->fd[a->slot] >= 0)
		close(s->fd[a->slot]);
	s->fd[a->slot] = fd;
	return 0;
}

static long op_close(struct side *s, const struct args *a)
{
	int fd = s->fd[a->slot];

	s->fd[a->slot] = -1;
	return close(fd);
}

static long op_read(struct side *s, const struct args *a)
{
	static unsigned char bytes[IO_MAX];
	ssize_t n = pread(s->fd[a->slot], bytes, a->len, a->off);

	if (n >= 0)
		say(s, "read %016llx", (unsigned long long)hash_bytes(bytes, (size_t)n));
	return n;
}

static long op_write(struct side *s, const struct args *a)
{
	return pwrite(s->fd[a->slot], pattern(a), a->len, a->off);
}

static long op_mmap(struct side *s, const struct args *a)
{
	unsigned char *p;
	struct stat st;
	size_t len;

	if (fstat(s->fd[a->slot], &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode) || st.st_size < 10)
		return 0;
	len = (size_t)st.st_size;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd[a->slot], 0);
	if (p == MAP_FAILED)
		return -1;
	memset(p + (size_t)a->off % (len - 5), a->fill, 5);
	say(s, "mapped %016llx", (unsigned long long)hash_bytes(p, len));
	return munmap(p, len);
}

static long op_fstat(struct side *s, const struct args *a)
{
	struct stat st;
	long r = fstat(s->fd[a->slot], &st);

	if (r == 0)
		say_stat(s, &st);
	return r;
}

static long op_ftruncate(struct side *s, const struct args *a)
{
	return ftruncate(s->fd[a->slot], a->off);
}

static long op_fallocate(struct side *s, const struct args *a)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_ZERO_RANGE,
				    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};

	return fallocate(s->fd[a->slot], modes[a->flags % 5], a->off, (off_t)a->len + 1);
}

static long op_fchmod(struct side *s, const struct args *a)
{
	return fchmod(s->fd[a->slot], a->mode & 07777);
}

static long op_copy_range(struct side *s, const struct args *a)
{
	loff_t from = a->off, to = a->off2;
	int other = s->fd[(a->slot + 1) % N_OPEN];
	struct stat st;

	/* copy_file_range() may stop early; how early is nobody's promise, so the rest is copied. */
	if (fstat(s->fd[a->slot], &st) < 0)
		return -1;
	for (size_t left = a->len; left > 0;) {
		ssize_t n = copy_file_range(s->fd[a->slot], &from, other, &to, left, 0);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		left -= (size_t)n;
	}
	return 0;
}

static long op_stat(struct side *s, const struct args *a)
{
	struct stat st;
	long r = fstatat(s->root, a->path, &st, AT_SYMLINK_NOFOLLOW);

	if (r == 0)
		say_stat(s, &st);
	return r;
}

static long op_unlink(struct side *s, const struct args *a)
{
	return unlinkat(s->root, a->path, 0);
}

static long op_rmdir(struct side *s, const struct args *a)
{
	return unlinkat(s->root, a->path, AT_REMOVEDIR);
}

static long op_mkdir(struct side *s, const struct args *a)
{
	return mkdirat(s->root, a->path, a->mode & 07777);
}

static long op_symlink(struct side *s, const struct args *a)
{
	return symlinkat(a->other, s->root, a->path);
}

static long op_readlink(struct side *s, const struct args *a)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(s->root, a->path, target, sizeof(target));

	if (n >= 0)
		say(s, "link %.*s", n > 200 ? 200 : (int)n, target);
	return n;
}

static long op_link(struct side *s, const struct args *a)
{
	return linkat(s->root, a->path, s->root, a->other, 0);
}

static long op_rename(struct side *s, const struct args *a)
{
	static const unsigned int how[] = {
		0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT};

	return renameat2(s->root, a->path, s->root, a->other, how[a->flags % 6]);
}

static long op_chmod(struct side *s, const struct args *a)
{
	return fchmodat(s->root, a->path, a->mode & 07777, 0);
}

static long op_chown(struct side *s, const struct args *a)
{
	/* Both ids absent is left out: on a set-id file of somebody else FUSE does not get to see it. */
	unsigned int which = 1 + a->flags % 3;

	return fchownat(s->root, a->path, which & 1 ? a->uid : (uid_t)-1,
			which & 2 ? a->uid + 1 : (gid_t)-1, AT_SYMLINK_NOFOLLOW);
}

static long op_utimens(struct side *s, const struct args *a)
{
	struct timespec t[2] = {{a->off, 5}, {a->off2, 999999999}};
	struct stat st;
	long r = utimensat(s->root, a->path, t, AT_SYMLINK_NOFOLLOW);

	if (r == 0 && fstatat(s->root, a->path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		say(s, "mtime %lld.%ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return r;
}

static long op_truncate(struct side *s, const struct args *a)
{
	int fd = openat(s->root, a->path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW);
	long r = fd < 0 ? -1 : ftruncate(fd, a->off);
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return r;
}

static long op_mknod(struct side *s, const struct args *a)
{
	static const mode_t types[] = {S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFREG};
	mode_t type = types[a->flags % 5];

	return mknodat(s->root, a->path, type | (a->mode & 0777),
		       type == S_IFCHR ? makedev(a->uid % 3, a->uid % 5) : makedev(7, 99));
}

static long op_tmpfile(struct side *s, const struct args *a)
{
	char proc[64];
	int fd = openat(s->root, a->path, O_TMPFILE | O_RDWR, a->mode & 0777);
	long r = -1;

	if (fd < 0)
		return -1;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (pwrite(fd, pattern(a), a->len, 0) == (ssize_t)a->len)
		r = linkat(AT_FDCWD, proc, s->root, a->other, AT_SYMLINK_FOLLOW);
	int saved = errno;
	close(fd);
	errno = saved;
	return r;
}

static const char *proc_path(const struct side *s, const struct args *a)
{
	static char path[1024];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", s->root, a->path);
	return path;
}

static long op_setxattr(struct side *s, const struct args *a)
{
	return lsetxattr(proc_path(s, a), a->xattr, pattern(a), a->len % 300,
			 a->flags % 4 == 0   ? XATTR_CREATE
			 : a->flags % 4 == 1 ? XATTR_REPLACE
					     : 0);
}

static long op_getxattr(struct side *s, const struct args *a)
{
	unsigned char value[4096];
	ssize_t n = lgetxattr(proc_path(s, a), a->xattr, value, sizeof(value));

	if (n > 0)
		say(s, "value %016llx", (unsigned long long)hash_bytes(value, (size_t)n));
	return n;
}

static long op_removexattr(struct side *s, const struct args *a)
{
	return lremovexattr(proc_path(s, a), a->xattr);
}

/* A default or access ACL: owner rwx, one named user, group r-x, mask, other. */
static long op_setacl(struct side *s, const struct args *a)
{
	unsigned char acl[] = {2,
			       0,
			       0,
			       0,
			       0x01,
			       0,
			       7,
			       0,
			       255,
			       255,
			       255,
			       255,
			       0x02,
			       0,
			       (unsigned char)(a->mode & 7),
			       0,
			       100,
			       0,
			       0,
			       0,
			       0x04,
			       0,
			       (unsigned char)((a->mode >> 3) & 7),
			       0,
			       255,
			       255,
			       255,
			       255,
			       0x10,
			       0,
			       (unsigned char)((a->mode >> 6) & 7),
			       0,
			       255,
			       255,
			       255,
			       255,
			       0x20,
			       0,
			       (unsigned char)(a->mode & 5),
			       0,
			       255,
			       255,
			       255,
			       255};

	return lsetxattr(proc_path(s, a),
			 a->flags & 1 ? "system.posix_acl_default" : "system.posix_acl_access", acl,
			 sizeof(acl), 0);
}

static long op_fsync(struct side *s, const struct args *a)
{
	return fsync(s->fd[a->slot]);
}

static const struct op {
	const char *name;
	op_fn *fn;
	unsigned int weight;
	bool needs_fd;
} all_ops[] = {
	{"open", op_open, 14, false},	      {"close", op_close, 3, true},
	{"read", op_read, 8, true},	      {"write", op_write, 12, true},
	{"mmap", op_mmap, 3, true},	      {"fstat", op_fstat, 6, true},
	{"ftruncate", op_ftruncate, 3, true}, {"fallocate", op_fallocate, 3, true},
	{"fchmod", op_fchmod, 1, true},	      {"copy_range", op_copy_range, 2, true},
	{"fsync", op_fsync, 1, true},	      {"stat", op_stat, 6, false},
	{"unlink", op_unlink, 6, false},      {"rmdir", op_rmdir, 5, false},
	{"mkdir", op_mkdir, 8, false},	      {"symlink", op_symlink, 3, false},
	{"readlink", op_readlink, 2, false},  {"link", op_link, 6, false},
	{"rename", op_rename, 14, false},     {"chmod", op_chmod, 5, false},
	{"chown", op_chown, 4, false},	      {"utimens", op_utimens, 3, false},
	{"truncate", op_truncate, 4, false},  {"mknod", op_mknod, 4, false},
	{"tmpfile", op_tmpfile, 3, false},    {"setxattr", op_setxattr, 4, false},
	{"getxattr", op_getxattr, 3, false},  {"removexattr", op_removexattr, 3, false},
	{"setacl", op_setacl, 3, false},
};
#define N_OPS (sizeof(all_ops) / sizeof(all_ops[0]))

static const struct op *choose_op(uint64_t *rng)
{
	unsigned int total = 0, at;

	for (size_t i = 0; i < N_OPS; i++)
		total += all_ops[i].weight;
	at = rnd_below(rng, total);
	for (size_t i = 0; i < N_OPS; i++) {
		if (at < all_ops[i].weight)
			return &all_ops[i];
		at -= all_ops[i].weight;
	}
	return &all_ops[0];
}

static void choose_path(char *path, size_t size, uint64_t *rng)
{
	static const char *const names[] = {
		"a", "b", "c", "d", "e", "f", "long name with blanks", "\xff\xfe", "new1", "new2"};
	static const unsigned char depths[] = {1, 1, 1, 1, 2, 2, 2, 2, 3, 4};
	unsigned int depth = depths[rnd_below(rng, 10)];
	size_t len = 0;

	for (unsigned int i = 0; i < depth; i++)
		len += (size_t)snprintf(path + len, size - len, "%s%s", i > 0 ? "/" : "",
					names[rnd_below(rng, 10)]);
}

static void choose_args(struct args *a, uint64_t *rng)
{
	static const char *const xattrs[] = {"user.note", "user.other", "trusted.note"};
	static const unsigned int sizes[] = {0, 10, 4000, 4096, 5000, 19999};

	choose_path(a->path, sizeof(a->path), rng);
	choose_path(a->other, sizeof(a->other), rng);
	a->slot = rnd_below(rng, N_OPEN);
	a->flags = rnd_below(rng, 1000);
	a->mode = rnd_below(rng, 010000);
	a->uid = rnd_below(rng, 4) * 100;
	a->off = rnd_below(rng, 3) ? rnd_below(rng, 9000) : rnd_below(rng, 400000);
	a->off2 = rnd_below(rng, 300000);
	a->len = sizes[rnd_below(rng, 6)] + (rnd_below(rng, 2) ? 0 : rnd_below(rng, 1));
	a->fill = (unsigned char)rnd(rng);
	snprintf(a->xattr, sizeof(a->xattr), "%s", xattrs[rnd_below(rng, 3)]);
}

/* A third of the operations are done by somebody who may not do everything. */
static void become(unsigned int who)
{
	if (who != 0 && (setegid(who) < 0 || seteuid(who) < 0))
		perror("seteuid");
	if (who == 0 && (seteuid(0) < 0 || setegid(0) < 0))
		perror("seteuid");
}

static bool step(struct ops *o, unsigned long n)
{
	const struct op *op = choose_op(&o->rng);
	unsigned int who = rnd_below(&o->rng, 3) == 0 ? 100 * (1 + rnd_below(&o->rng, 2)) : 0;
	struct args a;
	long r[2];
	int e[2];

	choose_args(&a, &o->rng);
	if (op->needs_fd && o->side[0].fd[a.slot] < 0)
		return true;
	if (op->fn == op_copy_range && o->side[0].fd[(a.slot + 1) % N_OPEN] < 0)
		return true;
	for (int i = 0; i < 2; i++) {
		o->side[i].text[0] = '\0';
		become(who);
		errno = 0;
		r[i] = op->fn(&o->side[i], &a);
		e[i] = r[i] < 0 ? errno : 0;
		become(0);
	}
	if (o->verbose)
		printf("%lu: %s %s %s as %u -> %ld %s %s\n", n, op->name, a.path, a.other, who,
		       r[0], strerror(e[0]), o->side[0].text);
	if (r[0] == r[1] && e[0] == e[1] && strcmp(o->side[0].text, o->side[1].text) == 0)
		return true;
	printf("operation %lu: %s path \"%s\" other \"%s\" slot %u flags %u mode %o uid %u off %lld "
	       "len %zu as %u\n  first:  %ld %s %s\n  second: %ld %s %s\n",
	       n, op->name, a.path, a.other, a.slot, a.flags, a.mode, a.uid, (long long)a.off,
	       a.len, who, r[0], strerror(e[0]), o->side[0].text, r[1], strerror(e[1]),
	       o->side[1].text);
	return false;
}

int run_ops(const char *a, const char *b, uint64_t seed, unsigned long n, bool verbose)
{
	struct ops o = {.rng = seed, .verbose = verbose};
	struct compare_options co = {0};
	const char *dirs[2] = {a, b};
	bool same = true;

	umask(022);
	for (int i = 0; i < 2; i++) {
		o.side[i].root = open(dirs[i], O_RDONLY | O_DIRECTORY);
		if (o.side[i].root < 0) {
			perror(dirs[i]);
			return 2;
		}
		for (int j = 0; j < N_OPEN; j++)
			o.side[i].fd[j] = -1;
	}
	for (unsigned long i = 0; same && i < n; i++) {
		same = step(&o, i);
		if (same && i % 500 == 499 && compare_trees(a, b, &co) != 0) {
			printf("trees differ after operation %lu\n", i);
			same = false;
		}
	}
	if (same)
		same = compare_trees(a, b, &co) == 0;
	if (!same)
		printf("seed %llu\n", (unsigned long long)seed);
	return same ? 0 : 1;
}
