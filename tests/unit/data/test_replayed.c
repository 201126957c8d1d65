/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a journal whose data files are gone. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "catalog/catalog.h"
#include "data/path.h"
#include "data/replayed.h"
#include "unit/data/fixture.h"

#define BAD_INO	  2
#define EMPTY_INO 3
#define LOWER_INO 4
#define KEPT_INO  5

struct upper {
	char path[256];
	int dir, data;
	int result; /* of replayed_mend() */
	struct replayed_count count;
};

static void put(struct catalog *c, const struct inode_rec *rec)
{
	CLEANUP(batch) struct batch b = {0};
	uint8_t bits[CHUNK_SEGMENT_BYTES] = {1};
	struct sum_rec sum = {.size = 5000};

	batch_begin(&b, c);
	batch_put_inode(&b, rec);
	batch_put_sum(&b, rec->attr.ino, &sum);
	if (rec->where == BYTES_CHUNKS)
		batch_put_chunks(&b, rec->attr.ino, 0, bits);
	if (catalog_commit(c, &b) < 0)
		_exit(2);
}

static void put_all(struct catalog *c)
{
	struct inode_rec rec = {
		.attr = {.ino = EMPTY_INO, .mode = S_IFREG | 0640, .nlink = 1, .uid = 7, .size = 9},
		.where = BYTES_FILE,
		.flags = INODE_HAS_XATTRS | INODE_HAS_MTIME,
		.stale_mtime = 1,
	};
	struct inode_rec bad = rec;
	char origin[] = "in/a/lower/layer";

	/* One that cannot be read, before the others. */
	bad.attr.ino = BAD_INO;
	bad.attr.mode = 0;
	put(c, &bad);
	/* Told twice. */
	put(c, &rec);
	put(c, &rec);
	rec.attr.ino = KEPT_INO;
	put(c, &rec);
	rec.attr.ino = LOWER_INO;
	rec.where = BYTES_CHUNKS;
	rec.origin = origin;
	rec.lower_size = 200000;
	rec.chunk_shift = 17;
	put(c, &rec);
}

static void make_upper(struct upper *u)
{
	struct catalog_options o = {
		.mode = CATALOG_WRITE, .create = true, .no_sync = true, .no_threads = true};
	struct catalog *c;
	CLEANUP(fd) int kept = -1;
	int status;
	pid_t pid;

	*u = (struct upper){0};
	make_temp_dir(u->path, sizeof(u->path));
	u->dir = open(u->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(mkdirat(u->dir, "data", 0700), 0);
	u->data = openat(u->dir, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(data_path_create(u->data, KEPT_INO, &kept), 0);
	pid = fork();
	if (pid == 0) {
		if (catalog_open(u->dir, &o, &c, NULL) < 0)
			_exit(1);
		put_all(c);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}

static void upper_done(struct upper *u)
{
	close(u->data);
	close(u->dir);
	remove_tree(u->path);
}

static int hook(void *arg, struct catalog *c, struct batch *fixes)
{
	struct upper *u = arg;

	u->result = replayed_mend(u->data, c, false, fixes, &u->count);
	return u->result;
}

static void expect_rec(struct catalog *c, uint64_t ino, enum bytes_where where, uint64_t size)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	struct sum_rec sum;
	uint8_t bits[CHUNK_SEGMENT_BYTES];

	cr_assert_eq(catalog_inode(c, ino, &rec), 0);
	cr_assert_eq(rec.where, where);
	cr_assert_eq(rec.attr.size, size);
	cr_assert_eq(rec.attr.mode, S_IFREG | 0640);
	cr_assert_eq(rec.attr.uid, 7);
	cr_assert_eq(rec.chunk_shift, 0);
	cr_assert_eq(rec.flags, INODE_HAS_XATTRS);
	cr_assert_eq(rec.origin != NULL, where == BYTES_LOWER);
	cr_assert_eq(catalog_sum(c, ino, &sum), -ENOENT);
	cr_assert_eq(catalog_chunks(c, ino, 0, bits), 0);
	cr_assert_eq(bits[0], 0);
}

static void expect_mended(struct upper *u)
{
	struct catalog_options o = {.mode = CATALOG_WRITE, .no_sync = true, .no_threads = true};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(catalog) struct catalog *c = NULL;

	cr_assert_eq(catalog_open(u->dir, &o, &c, NULL), 0);
	expect_rec(c, EMPTY_INO, BYTES_INLINE, 0);
	expect_rec(c, LOWER_INO, BYTES_LOWER, 200000);
	if (u->data < 0)
		return;
	cr_assert_eq(catalog_inode(c, KEPT_INO, &rec), 0);
	cr_assert_eq(rec.where, BYTES_FILE);
	cr_assert(rec.flags & INODE_HAS_MTIME);
}

static void mend(struct upper *u, uint64_t n_empty)
{
	struct catalog_options o = {
		.mode = CATALOG_WRITE,
		.no_sync = true,
		.no_threads = true,
		.replayed = hook,
		.arg = u,
	};
	struct catalog *c = NULL;

	cr_assert_eq(catalog_open(u->dir, &o, &c, NULL), 0);
	catalog_close(c);
	cr_assert_eq(u->result, -EUCLEAN, "the record that cannot be read: %d", u->result);
	cr_assert_eq(u->count.emptied, n_empty);
	cr_assert_eq(u->count.lower, 1);
	expect_mended(u);
}

/* Nothing is made for it, and the one that cannot be looked at does not keep the others from it. */
Test(replayed, need_no_data_file)
{
	struct upper u;
	char path[DATA_PATH_SIZE];

	make_upper(&u);
	mend(&u, 1);
	data_path(EMPTY_INO, path);
	cr_assert_eq(faccessat(u.data, path, F_OK, 0), -1);
	upper_done(&u);
}

Test(replayed, no_directory)
{
	struct upper u;

	make_upper(&u);
	close(u.data);
	u.data = -1;
	mend(&u, 2);
	upper_done(&u);
}
