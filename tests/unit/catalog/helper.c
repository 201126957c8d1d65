/* SPDX-License-Identifier: Apache-2.0 */
/* What the catalog's tests share. */
#include "unit/catalog/helper.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "catalog/format.h"

struct dir dir_make(void)
{
	const char *tmp = getenv("TMPDIR");
	struct dir d;

	snprintf(d.path, sizeof(d.path), "%s/plyfs-catalog-XXXXXX", tmp != NULL ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(d.path));
	d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(d.fd, 0);
	return d;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	remove(path);
	return 0;
}

void dir_remove(struct dir *d)
{
	if (d->path[0] == 0)
		return;
	close(d->fd);
	nftw(d->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

uint8_t *file_read(const struct dir *d, const char *name, size_t *ret_len)
{
	int fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *bytes;

	cr_assert_geq(fd, 0, "%s", name);
	cr_assert_eq(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size + 1);
	cr_assert_not_null(bytes);
	cr_assert_eq(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_len = (size_t)st.st_size;
	return bytes;
}

void file_write(const struct dir *d, const char *name, const void *bytes, size_t len)
{
	int fd;

	/* A new file: ext4 waits for the disk when an old one is cut and written again. */
	unlinkat(d->fd, name, 0);
	fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0, "%s", name);
	if (len > 0)
		cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

const char *const saved_names[N_SAVED] = {CATALOG_FILE, JOURNAL_FILE, JOURNAL_FILE_2};

struct saved save_files(const struct dir *d)
{
	struct saved s = {0};

	for (int i = 0; i < N_SAVED; i++) {
		if (file_size(d, saved_names[i]) >= 0)
			s.bytes[i] = file_read(d, saved_names[i], &s.len[i]);
	}
	return s;
}

void restore_files(const struct dir *d, const struct saved *s)
{
	unlinkat(d->fd, SUM_FILE, 0);
	for (int i = 0; i < N_SAVED; i++) {
		unlinkat(d->fd, saved_names[i], 0);
		if (s->bytes[i] != NULL)
			file_write(d, saved_names[i], s->bytes[i], s->len[i]);
	}
}

void saved_done(struct saved *s)
{
	for (int i = 0; i < N_SAVED; i++)
		free(s->bytes[i]);
	*s = (struct saved){0};
}

off_t file_size(const struct dir *d, const char *name)
{
	struct stat st;

	return fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -1 : st.st_size;
}

bool has_sum(const struct dir *d)
{
	uint8_t bytes[SUM_SIZE] = {0};
	int fd = openat(d->fd, SUM_FILE, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	cr_assert_geq(read(fd, bytes, sizeof(bytes)), 0);
	close(fd);
	return memcmp(bytes, SUM_MAGIC, 8) == 0;
}

static struct catalog *open_with(const struct dir *d, const struct catalog_options *options)
{
	CLEANUP(err) struct err err = {0};
	struct catalog *c = NULL;
	int rc = catalog_open(d->fd, options, &c, &err);

	if (rc < 0)
		fprintf(stderr, "open: %s\n", err_text(&err));
	return c;
}

struct catalog *open_quick(const struct dir *d)
{
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .create = true, .no_sync = true, .no_threads = true};

	if (getenv("PLYFS_TEST_UNMAPPED") != NULL)
		options.map = CATALOG_MAP_NO;
	return open_with(d, &options);
}

struct catalog *open_snapshot(const struct dir *d)
{
	struct catalog_options options = {.mode = CATALOG_SNAPSHOT};

	return open_with(d, &options);
}

int open_error(const struct dir *d, enum catalog_mode mode, struct err *err)
{
	struct catalog_options options = {.mode = mode, .no_sync = true, .no_threads = true};
	struct catalog *c = NULL;
	int rc = catalog_open(d->fd, &options, &c, err);

	catalog_close(c);
	return rc;
}

static size_t name_of(char *name, size_t size, uint64_t n)
{
	return (size_t)snprintf(name, size, "name-%llu", (unsigned long long)n);
}

int commit_numbered(struct catalog *c, uint64_t n)
{
	CLEANUP(batch) struct batch b = {0};
	struct inode_rec rec = {.attr = {.ino = 1000 + n, .mode = S_IFREG | 0644, .size = n * 3}};
	char name[32];
	size_t len = name_of(name, sizeof(name), n);

	batch_begin(&b, c);
	batch_put_super(&b, "n", &n, sizeof(n));
	batch_put_inode(&b, &rec);
	batch_put_xattr(&b, 1000 + n, "user.n", name, len);
	batch_put_entry(&b, 1, name, len, 1000 + n, DT_REG);
	if (n % 10 == 0) {
		len = name_of(name, sizeof(name), n - 5);
		batch_del_entry(&b, 1, name, len);
		batch_del_inode(&b, 1000 + n - 5);
	}
	return catalog_commit(c, &b);
}

static bool has_numbered(struct catalog *c, uint64_t n)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	struct entry_rec entry;
	char name[32], value[32];
	size_t len = name_of(name, sizeof(name), n);

	return catalog_entry(c, 1, name, len, &entry) == 0 && entry.ino == 1000 + n &&
	       catalog_inode(c, 1000 + n, &rec) == 0 && rec.attr.size == n * 3 &&
	       catalog_xattr(c, 1000 + n, "user.n", value, sizeof(value)) == (ssize_t)len &&
	       memcmp(value, name, len) == 0;
}

int64_t count_numbered(struct catalog *c)
{
	CLEANUP(buf) struct buf value = {0};
	CLEANUP(catalog_names) struct catalog_names names = {0};
	uint64_t n = 0, expected = 0;
	int rc = catalog_super(c, "n", &value);

	if (rc == 0 && value.len == sizeof(n))
		memcpy(&n, value.data, sizeof(n));
	else if (rc != -ENOENT)
		return -1;
	for (uint64_t i = 1; i <= n; i++) {
		/* The fives are deleted by the tens that follow them. */
		bool deleted = i % 10 == 5 && i + 5 <= n;

		if (has_numbered(c, i) == deleted)
			return -1;
		expected += !deleted;
	}
	if (catalog_list(c, 1, 0, SIZE_MAX, &names) < 0 || !names.end || names.n != expected)
		return -1;
	return (int64_t)n;
}

int in_child(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		_exit(fn(arg));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void die_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void be_quiet(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_next(r) % n;
}

struct rng rng_seeded(const char *what)
{
	const char *text = getenv("PLYFS_TEST_SEED");
	struct timespec t;
	struct rng r;

	clock_gettime(CLOCK_REALTIME, &t);
	r.state = text != NULL ? strtoull(text, NULL, 0)
			       : (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	fprintf(stderr, "%s: PLYFS_TEST_SEED=%llu\n", what, (unsigned long long)r.state);
	return r;
}
