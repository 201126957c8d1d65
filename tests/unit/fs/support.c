/* SPDX-License-Identifier: Apache-2.0 */
/* The world of a test: its life, and operations by path. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fs/nameless.h"
#include "unit/fs/support.h"

/*
 * The runner has threads when it forks a test, and so has a test when it forks a child that opens
 * the file system: ThreadSanitizer would end the child when that starts a thread.
 */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

/* The process that is the test. */
static pid_t owner;

void send_assert(struct criterion_assert_stats *stats)
{
	if (!stats->passed && owner != 0 && getpid() != owner) {
		fprintf(stderr, "child: %s:%u: %s\n", stats->file, stats->line, stats->message);
		_exit(99);
	}
	(criterion_send_assert)(stats);
}

void world_init(struct world *w, size_t n_lower)
{
	const char *tmp = getenv("TMPDIR");

	memset(w, 0, sizeof(*w));
	owner = getpid();
	snprintf(w->dir, sizeof(w->dir), "%s/plyfs-fs-XXXXXX",
		 tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(w->dir));
	cr_assert_eq(chmod(w->dir, 0755), 0);
	cr_assert_eq(chdir(w->dir), 0);
	umask(0);
	fs_options_init(&w->o);
	/* The same tests for an upper on a network file system. */
	if (getenv("PLYFS_TEST_UNMAPPED") != NULL)
		w->o.catalog_map = CATALOG_MAP_NO;
	w->o.lower = calloc(n_lower + 1, sizeof(*w->o.lower));
	for (size_t i = 0; i < n_lower; i++) {
		char name[24];

		snprintf(name, sizeof(name), "l%zu", i);
		put_dir(name);
		w->o.lower[w->o.n_lower++] = strdup(name);
	}
	put_dir("upper");
	/* It holds inodes; its tests call it. */
	nameless_wait_ms = UINT32_MAX;
	w->o.upper = strdup("upper");
	w->who = (struct fs_caller){.umask = 022, .pid = getpid()};
}

void world_set_lowers(struct world *w, const char *paths)
{
	char *copy = strdup(paths), *rest = copy, *path;

	for (size_t i = 0; i < w->o.n_lower; i++)
		free(w->o.lower[i]);
	w->o.n_lower = 0;
	w->o.lower = realloc(w->o.lower, (strlen(paths) + 1) * sizeof(*w->o.lower));
	while ((path = strsep(&rest, ":")) != NULL)
		w->o.lower[w->o.n_lower++] = strdup(path);
	free(copy);
}

int world_try_open(struct world *w, struct err *err)
{
	int r = fs_open(&w->o, &w->fs, err);

	return r < 0 ? r : fs_start(w->fs);
}

void world_open(struct world *w)
{
	CLEANUP(err) struct err err = {0};
	int r = world_try_open(w, &err);

	cr_assert(r == 0, "fs_open: %s", err_text(&err));
}

size_t world_inodes(struct world *w)
{
	CLEANUP(buf) struct buf text = {0};
	size_t n = 0;

	fs_to_text(w->fs, &text);
	cr_assert_eq(sscanf(buf_cstr(&text), "inodes held: %zu", &n), 1);
	return n;
}

void world_close(struct world *w)
{
	if (w->fs == NULL)
		return;
	for (size_t i = 0; i < w->n_held; i++)
		fs_forget(w->fs, w->held[i].ino, w->held[i].n);
	w->n_held = 0;
	/* The keeper of sums holds what it works on. */
	for (int i = 0; w->o.integrity && i < 500 && world_inodes(w) > 1; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	cr_expect_eq(world_inodes(w), 1, "%zu inodes are still held", world_inodes(w) - 1);
	fs_close(w->fs);
	w->fs = NULL;
}

void world_reopen(struct world *w)
{
	world_close(w);
	world_open(w);
}

void world_die(struct world *w, void (*work)(struct world *w))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		world_open(w);
		work(w);
		raise(SIGKILL);
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
}

void world_done(struct world *w)
{
	world_close(w);
	free(w->held);
	fs_options_done(&w->o);
	if (chdir("/") == 0)
		remove_tree(w->dir);
}

void held_add(struct world *w, uint64_t ino)
{
	for (size_t i = 0; i < w->n_held; i++) {
		if (w->held[i].ino == ino) {
			w->held[i].n++;
			return;
		}
	}
	w->held = realloc(w->held, (w->n_held + 1) * sizeof(*w->held));
	w->held[w->n_held++] = (struct held_ino){ino, 1};
}

void drop(struct world *w, uint64_t ino)
{
	for (size_t i = 0; i < w->n_held; i++) {
		if (w->held[i].ino == ino) {
			fs_forget(w->fs, ino, 1);
			if (--w->held[i].n == 0)
				w->held[i] = w->held[--w->n_held];
			return;
		}
	}
	cr_assert_fail("inode %lu is not held", (unsigned long)ino);
}

/* Follows LEN bytes of PATH; the last look-up is the caller's to give back (not that of the root). */
static int walk_to(struct world *w, const char *path, size_t len, struct fs_entry *ret_entry)
{
	struct fs_entry at = {.ino = FS_ROOT_INO};
	const char *end = path + len;
	int r = fs_getattr(w->fs, FS_ROOT_INO, &at.attr);

	while (r == 0 && path < end) {
		size_t n = strcspn(path, "/") < (size_t)(end - path) ? strcspn(path, "/")
								     : (size_t)(end - path);
		char name[600] = "";
		struct fs_entry next = {0};

		cr_assert_lt(n, sizeof(name));
		memcpy(name, path, n);
		r = fs_lookup(w->fs, at.ino, name, &next);
		if (at.ino != FS_ROOT_INO)
			fs_forget(w->fs, at.ino, 1);
		at = next;
		path += n + (path[n] == '/');
	}
	if (r == 0)
		*ret_entry = at;
	return r;
}

static int walk_path(struct world *w, const char *path, struct fs_entry *ret_entry)
{
	return walk_to(w, path, strlen(path), ret_entry);
}

static void give_back(struct world *w, uint64_t ino)
{
	if (ino != FS_ROOT_INO)
		fs_forget(w->fs, ino, 1);
}

/* The directory of PATH, and its last name. */
static int walk_parent(struct world *w, const char *path, uint64_t *ret_ino, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	struct fs_entry e;
	int r = walk_to(w, path, slash != NULL ? (size_t)(slash - path) : 0, &e);

	if (r < 0)
		return r;
	*ret_ino = e.ino;
	*ret_name = slash != NULL ? slash + 1 : path;
	return 0;
}

uint64_t hold(struct world *w, const char *path)
{
	struct fs_entry e;
	int r = walk_path(w, path, &e);

	cr_assert(r == 0, "%s: %s", path, strerror(-r));
	if (e.ino != FS_ROOT_INO)
		held_add(w, e.ino);
	return e.ino;
}

int t_stat(struct world *w, const char *path, struct attr *ret_attr)
{
	struct fs_entry e;
	int r = walk_path(w, path, &e);

	if (r < 0)
		return r;
	give_back(w, e.ino);
	*ret_attr = e.attr;
	return 0;
}

int t_mknod(struct world *w, const char *path, uint32_t mode, uint32_t maj, uint32_t min)
{
	struct fs_entry e;
	const char *name;
	uint64_t dir;
	int r = walk_parent(w, path, &dir, &name);

	if (r < 0)
		return r;
	r = fs_mknod(w->fs, &w->who, dir, name, mode, maj, min, &e);
	if (r == 0)
		give_back(w, e.ino);
	give_back(w, dir);
	return r;
}

int t_create(struct world *w, const char *path, uint32_t mode)
{
	return t_mknod(w, path, S_IFREG | mode, 0, 0);
}

int t_mkdir(struct world *w, const char *path, uint32_t mode)
{
	struct fs_entry e;
	const char *name;
	uint64_t dir;
	int r = walk_parent(w, path, &dir, &name);

	if (r < 0)
		return r;
	r = fs_mkdir(w->fs, &w->who, dir, name, mode, &e);
	if (r == 0)
		give_back(w, e.ino);
	give_back(w, dir);
	return r;
}

int t_symlink(struct world *w, const char *target, const char *path)
{
	struct attr now;
	struct fs_entry e;
	const char *name;
	uint64_t dir;
	int r = walk_parent(w, path, &dir, &name);

	if (r < 0)
		return r;
	r = fs_symlink(w->fs, &w->who, dir, name, target, &e);
	if (r == 0) {
		/* What it says at once is what it says later. */
		cr_assert_eq(fs_getattr(w->fs, e.ino, &now), 0);
		cr_assert_eq(e.attr.size, now.size);
		cr_assert_eq(e.attr.blocks, now.blocks);
		give_back(w, e.ino);
	}
	give_back(w, dir);
	return r;
}

int t_link(struct world *w, const char *old, const char *path)
{
	struct fs_entry from, e;
	const char *name;
	uint64_t dir;
	int r = walk_path(w, old, &from);

	if (r < 0)
		return r;
	r = walk_parent(w, path, &dir, &name);
	if (r == 0) {
		r = fs_link(w->fs, from.ino, dir, name, &e);
		if (r == 0) {
			cr_assert_eq(e.ino, from.ino);
			give_back(w, e.ino);
		}
		give_back(w, dir);
	}
	give_back(w, from.ino);
	return r;
}

static int remove_at(struct world *w, const char *path,
		     int (*op)(struct fs *fs, uint64_t parent, const char *name))
{
	const char *name;
	uint64_t dir;
	int r = walk_parent(w, path, &dir, &name);

	if (r < 0)
		return r;
	r = op(w->fs, dir, name);
	give_back(w, dir);
	return r;
}

int t_unlink(struct world *w, const char *path)
{
	return remove_at(w, path, fs_unlink);
}

int t_rmdir(struct world *w, const char *path)
{
	return remove_at(w, path, fs_rmdir);
}

int t_rename(struct world *w, const char *from, const char *to, unsigned int flags)
{
	const char *name, *new_name;
	uint64_t dir, new_dir;
	int r = walk_parent(w, from, &dir, &name);

	if (r < 0)
		return r;
	r = walk_parent(w, to, &new_dir, &new_name);
	if (r == 0) {
		r = fs_rename(w->fs, &w->who, dir, name, new_dir, new_name, flags, NULL);
		give_back(w, new_dir);
	}
	give_back(w, dir);
	return r;
}

static int set_attrs(struct world *w, const char *path, uint32_t set, const struct attr *attr)
{
	struct attr out;
	struct fs_entry e;
	int r = walk_path(w, path, &e);

	if (r < 0)
		return r;
	r = fs_setattr(w->fs, e.ino, set, attr, &out);
	give_back(w, e.ino);
	return r;
}

int t_chmod(struct world *w, const char *path, uint32_t mode)
{
	return set_attrs(w, path, FS_SET_MODE, &(struct attr){.mode = mode});
}

int t_chown(struct world *w, const char *path, uint32_t uid, uint32_t gid)
{
	return set_attrs(w, path, FS_SET_UID | FS_SET_GID, &(struct attr){.uid = uid, .gid = gid});
}

int t_truncate(struct world *w, const char *path, uint64_t size)
{
	return set_attrs(w, path, FS_SET_SIZE, &(struct attr){.size = size});
}

int t_pwrite(struct world *w, const char *path, const void *bytes, size_t size, off_t off)
{
	struct fs_entry e;
	ssize_t n = walk_path(w, path, &e);

	if (n < 0)
		return (int)n;
	n = fs_write(w->fs, e.ino, bytes, size, off, 0);
	give_back(w, e.ino);
	cr_assert(n < 0 || (size_t)n == size);
	return n < 0 ? (int)n : 0;
}

int t_write(struct world *w, const char *path, const char *text)
{
	int r = t_create(w, path, 0644);

	if (r == -EEXIST)
		r = t_truncate(w, path, 0);
	return r < 0 ? r : t_pwrite(w, path, text, strlen(text), 0);
}

int t_setxattr(struct world *w, const char *path, const char *name, const char *value)
{
	struct fs_entry e;
	int r = walk_path(w, path, &e);

	if (r < 0)
		return r;
	r = fs_setxattr(w->fs, e.ino, name, value, strlen(value), 0, false);
	give_back(w, e.ino);
	return r;
}

bool exists(struct world *w, const char *path)
{
	struct attr a;
	int r = t_stat(w, path, &a);

	cr_assert(r == 0 || r == -ENOENT, "%s: %s", path, strerror(-r));
	return r == 0;
}

struct attr stat_of(struct world *w, const char *path)
{
	struct attr a = {0};
	int r = t_stat(w, path, &a);

	cr_assert(r == 0, "stat %s: %s", path, strerror(-r));
	return a;
}

uint64_t ino_of(struct world *w, const char *path)
{
	return stat_of(w, path).ino;
}

uint32_t mode_of(struct world *w, const char *path)
{
	return stat_of(w, path).mode & 07777;
}

uint32_t nlink_of(struct world *w, const char *path)
{
	return stat_of(w, path).nlink;
}

void assert_ino_text(struct world *w, uint64_t ino, const char *text)
{
	char bytes[8192];
	ssize_t n = fs_read(w->fs, ino, bytes, sizeof(bytes), 0);

	cr_assert(n >= 0, "read: %s", strerror((int)-n));
	cr_assert(n == (ssize_t)strlen(text) && memcmp(bytes, text, (size_t)n) == 0,
		  "\"%.*s\" instead of \"%s\"", (int)n, bytes, text);
}

void assert_text(struct world *w, const char *path, const char *text)
{
	struct fs_entry e;
	int r = walk_path(w, path, &e);

	cr_assert(r == 0, "%s: %s", path, strerror(-r));
	assert_ino_text(w, e.ino, text);
	cr_assert_eq(e.attr.size, strlen(text));
	give_back(w, e.ino);
}

void assert_bytes(struct world *w, const char *path, size_t size, unsigned int seed)
{
	CLEANUP(free) uint8_t *want = malloc(size + 1);
	CLEANUP(free) uint8_t *is = malloc(size + 1);
	uint64_t ino = hold(w, path);

	fill(want, size, seed);
	cr_assert_eq(fs_read(w->fs, ino, is, size + 1, 0), (ssize_t)size);
	cr_assert(memcmp(is, want, size) == 0, "%s: other bytes", path);
	drop(w, ino);
}

void assert_target(struct world *w, const char *path, const char *target)
{
	uint64_t ino = hold(w, path);
	char text[PATH_MAX];
	ssize_t n = fs_readlink(w->fs, ino, text, sizeof(text));

	cr_assert_eq(n, (ssize_t)strlen(target));
	cr_assert_str_eq(text, target);
	drop(w, ino);
}

void assert_xattr(struct world *w, const char *path, const char *name, const char *value)
{
	char is[4096] = "";
	uint64_t ino = hold(w, path);
	ssize_t n = fs_getxattr(w->fs, ino, name, is, sizeof(is) - 1);

	if (ino != FS_ROOT_INO)
		drop(w, ino);
	if (value == NULL) {
		fails(ENODATA, n);
		return;
	}
	ok(n);
	cr_assert_str_eq(is, value, "%s: %s is \"%s\"", path, name, is);
}
