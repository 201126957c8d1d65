/* SPDX-License-Identifier: Apache-2.0 */
/* The table of checksums of data files, which older catalogs do not have. */
#include <criterion/criterion.h>
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <unistd.h>

#include "catalog/walk.h"
#include "unit/catalog/helper.h"

static const struct sum_rec example = {
	.size = UINT64_MAX - 1,
	.mtime = {.tv_sec = -5, .tv_nsec = 999999999},
	.hash = {.low = 0x1122334455667788u, .high = 0x99aabbccddeeff00u},
};

static int put_example(struct catalog *c, uint64_t ino)
{
	CLEANUP(batch) struct batch b = {0};

	batch_begin(&b, c);
	batch_put_sum(&b, ino, &example);
	return catalog_commit(c, &b);
}

static bool has_example(struct catalog *c, uint64_t ino)
{
	struct sum_rec sum;
	int rc = catalog_sum(c, ino, &sum);

	cr_assert(rc == 0 || rc == -ENOENT);
	if (rc < 0)
		return false;
	cr_assert_eq(sum.size, example.size);
	cr_assert_eq(sum.mtime.tv_sec, example.mtime.tv_sec);
	cr_assert_eq(sum.mtime.tv_nsec, example.mtime.tv_nsec);
	cr_assert_eq(sum.hash.low, example.hash.low);
	cr_assert_eq(sum.hash.high, example.hash.high);
	return true;
}

static int count(void *arg, const struct catalog_raw *raw)
{
	static const uint8_t value[] = {
		0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* size */
		0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* seconds */
		0xff, 0xc9, 0x9a, 0x3b,				/* nanoseconds */
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* low half */
		0x00, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, /* high half */
	};

	++*(int *)arg;
	cr_assert_eq(raw->value_len, sizeof(value));
	cr_assert_arr_eq(raw->value, value, sizeof(value));
	return 0;
}

static int count_sums(struct catalog *c)
{
	int n = 0;

	cr_assert_eq(catalog_walk(c, TABLE_SUM, count, &n), 0);
	return n;
}

Test(content_sum, kept_and_deleted)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(batch) struct batch b = {0};
	struct catalog *c = open_quick(&d);

	cr_assert_not(has_example(c, 7));
	cr_assert_eq(put_example(c, 7), 0);
	cr_assert_eq(put_example(c, 8), 0);
	cr_assert(has_example(c, 7));
	catalog_close(c);
	c = open_quick(&d);
	cr_assert(has_example(c, 7));
	batch_begin(&b, c);
	batch_del_sum(&b, 7);
	batch_del_sum(&b, 9);
	cr_assert_eq(catalog_commit(c, &b), 0);
	cr_assert_not(has_example(c, 7));
	cr_assert_eq(count_sums(c), 1);
	batch_begin(&b, c);
	batch_del_inode(&b, 8);
	cr_assert_eq(catalog_commit(c, &b), 0);
	cr_assert_not(has_example(c, 8));
	cr_assert_eq(count_sums(c), 0);
	catalog_close(c);
}

/* Takes the table away, as in a catalog of before. */
static void make_old(const struct dir *d)
{
	char path[300];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	snprintf(path, sizeof(path), "%s/" CATALOG_FILE, d->path);
	cr_assert_eq(mdb_env_create(&env), 0);
	cr_assert_eq(mdb_env_set_maxdbs(env, 16), 0);
	cr_assert_eq(mdb_env_set_mapsize(env, 16 << 20), 0);
	cr_assert_eq(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
	cr_assert_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	cr_assert_eq(mdb_dbi_open(txn, "sum", 0, &dbi), 0);
	cr_assert_eq(mdb_drop(txn, dbi, 1), 0);
	cr_assert_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	unlinkat(d->fd, SUM_FILE, 0);
}

Test(content_sum, old_catalog_gets_the_table)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog *c = open_quick(&d);

	for (uint64_t n = 1; n <= 50; n++)
		cr_assert_eq(commit_numbered(c, n), 0);
	cr_assert_eq(put_example(c, 7), 0);
	catalog_close(c);
	make_old(&d);
	c = open_snapshot(&d);
	cr_assert_not(has_example(c, 7));
	cr_assert_eq(count_sums(c), 0);
	cr_assert_eq(count_numbered(c), 50);
	catalog_close(c);
	c = open_quick(&d);
	cr_assert_not(has_example(c, 7));
	cr_assert_eq(count_sums(c), 0);
	cr_assert_eq(put_example(c, 7), 0);
	cr_assert(has_example(c, 7));
	cr_assert_eq(count_sums(c), 1, "through a checkpoint");
	cr_assert(has_example(c, 7));
	cr_assert_eq(put_example(c, 8), 0);
	catalog_close(c);
	c = open_quick(&d);
	cr_assert_eq(count_sums(c), 2);
	cr_assert_eq(count_numbered(c), 50);
	catalog_close(c);
}

/* With a change of another table only, and with none. */
Test(content_sum, old_catalog_without_sums)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog *c = open_quick(&d);

	cr_assert_eq(commit_numbered(c, 1), 0);
	catalog_close(c);
	make_old(&d);
	c = open_quick(&d);
	catalog_close(c);
	c = open_quick(&d);
	cr_assert_eq(commit_numbered(c, 2), 0);
	cr_assert_eq(catalog_checkpoint(c), 0);
	cr_assert_eq(count_sums(c), 0);
	cr_assert_eq(put_example(c, 7), 0);
	catalog_close(c);
	c = open_snapshot(&d);
	cr_assert(has_example(c, 7));
	cr_assert_eq(count_numbered(c), 2);
	catalog_close(c);
}
