/* SPDX-License-Identifier: Apache-2.0 */
/* Tests on a full disk: a small tmpfs in a mount namespace of the test's own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/internal.h"
#include "unit/catalog/helper.h"

/* Mounts a tmpfs of SIZE bytes over the directory; goes away with the test's process. */
static void make_small(struct dir *d, const char *size)
{
	char options[64];

	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	snprintf(options, sizeof(options), "size=%s", size);
	cr_assert_eq(mount("tmpfs", d->path, "tmpfs", 0, options), 0);
	close(d->fd);
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(d->fd, 0);
}

static void unmake(struct dir *d)
{
	close(d->fd);
	cr_assert_eq(umount2(d->path, MNT_DETACH), 0);
	rmdir(d->path);
	d->path[0] = 0;
}

/* Takes all the space that is left but LEAVE bytes. */
static void fill_up(const struct dir *d, size_t leave)
{
	int fd = openat(d->fd, "filler", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	static const char bytes[4096];
	struct stat st;

	cr_assert_geq(fd, 0);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_geq((size_t)st.st_size, leave);
	cr_assert_eq(ftruncate(fd, st.st_size - (off_t)leave), 0);
	close(fd);
}

/* Commits until it fails: how many there are then. */
static uint64_t commit_until_full(struct catalog *c, uint64_t n)
{
	int rc;

	while ((rc = commit_numbered(c, n + 1)) == 0)
		n++;
	cr_assert_eq(rc, -ENOSPC);
	return n;
}

Test(full, commits_fail_and_recover)
{
	struct dir d = dir_make();
	struct catalog *c;
	uint64_t n;

	be_quiet();
	make_small(&d, "2m");
	c = open_quick(&d);
	cr_assert_not_null(c);
	fill_up(&d, 600000);
	n = commit_until_full(c, 0);
	cr_assert_gt(n, 100);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(commit_numbered(c, n + 1), n % 10 == 9 ? 0 : -ENOSPC);
	cr_assert_eq(count_numbered(c), (int64_t)n, "reads are right");
	cr_assert_eq(unlinkat(d.fd, "filler", 0), 0);
	cr_assert_eq(commit_numbered(c, n + 1), 0);
	n++;
	fill_up(&d, 0);
	n = commit_until_full(c, n);
	cr_assert_eq(count_numbered(c), (int64_t)n);
	cr_assert_eq(unlinkat(d.fd, "filler", 0), 0);
	catalog_close(c);
	c = open_quick(&d);
	cr_assert_not_null(c);
	cr_assert_eq(count_numbered(c), (int64_t)n);
	catalog_close(c);
	unmake(&d);
}

/* The reserve: names can be removed although nothing can be added. */
Test(full, deletions_still_work)
{
	struct dir d = dir_make();
	struct catalog *c;
	uint64_t n;

	be_quiet();
	make_small(&d, "2m");
	c = open_quick(&d);
	cr_assert_not_null(c);
	cr_assert_eq(commit_numbered(c, 1), 0);
	fill_up(&d, 0);
	n = commit_until_full(c, 1);
	for (uint64_t i = 0; i < 500; i++) {
		CLEANUP(batch) struct batch b = {0};

		batch_begin(&b, c);
		batch_del_entry(&b, 77, "something", 9);
		batch_del_inode(&b, CATALOG_FIRST_LOWER_INO + i);
		cr_assert_eq(catalog_commit(c, &b), 0, "deletion %llu", (unsigned long long)i);
		cr_assert_eq(commit_numbered(c, n + 1), -ENOSPC);
	}
	cr_assert_eq(count_numbered(c), (int64_t)n);
	catalog_close(c);
	unmake(&d);
}

/* Numbers that commit_numbered() does not use. */
#define FIRST ((uint64_t)1 << 20)

static void put_orphan(struct catalog *c, uint64_t ino)
{
	struct inode_rec rec = {.attr = {.ino = ino, .mode = S_IFREG}};
	CLEANUP(batch) struct batch b = {0};

	batch_begin(&b, c);
	batch_put_inode(&b, &rec);
	batch_put_orphan(&b, ino);
	cr_assert_eq(catalog_commit(c, &b), 0);
}

static void new_numbers_are_free(struct catalog *c)
{
	for (int i = 0; i < 10; i++) {
		CLEANUP(inode_rec) struct inode_rec rec = {0};

		cr_assert_eq(catalog_inode(c, catalog_new_ino(c), &rec), -ENOENT);
	}
}

/* No room for LMDB's pages: the journal keeps everything until there is. */
Test(full, checkpoint_fails_and_nothing_is_lost)
{
	CLEANUP(free) uint64_t *orphans = NULL;
	struct dir d = dir_make();
	size_t n_orphans = 0;
	struct catalog *c;
	uint64_t n = 0;

	be_quiet();
	make_small(&d, "8m");
	c = open_quick(&d);
	cr_assert_not_null(c);
	put_orphan(c, FIRST);
	while (n < 4000)
		cr_assert_eq(commit_numbered(c, ++n), 0);
	fill_up(&d, 20000);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(catalog_checkpoint(c), -ENOSPC);
		cr_assert_eq(c->applied, 0);
		cr_assert_eq(count_numbered(c), (int64_t)n);
		cr_assert_eq(commit_numbered(c, n + 1), 0, "into the blocks that are reserved");
		n++;
	}
	catalog_close(c);
	c = open_quick(&d);
	cr_assert_not_null(c, "opens on the full disk");
	cr_assert_eq(count_numbered(c), (int64_t)n);
	/* What is only in the journal counts. */
	new_numbers_are_free(c);
	cr_assert_eq(catalog_orphans(c, &orphans, &n_orphans), 0);
	cr_assert_eq(n_orphans, 1);
	cr_assert_eq(orphans[0], FIRST);
	cr_assert_eq(unlinkat(d.fd, "filler", 0), 0);
	cr_assert_eq(catalog_checkpoint(c), 0);
	cr_assert_eq(c->applied, n + 1);
	cr_assert_eq(count_numbered(c), (int64_t)n);
	catalog_close(c);
	unmake(&d);
}

static size_t last_txn(struct catalog *c)
{
	MDB_envinfo info;

	cr_assert_eq(mdb_env_info(c->store.env, &info), 0);
	return info.me_last_txnid;
}

/* A power cut between the small steps would leave some of the changes, and a journal that may have none of them. */
Test(full, no_parts_without_a_journal)
{
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .create = true, .no_threads = true};
	struct dir d = dir_make();
	struct catalog *c = NULL;
	struct journal *current;
	uint64_t n = 0;
	size_t before;
	int fds[2], fd;

	be_quiet();
	make_small(&d, "4m");
	cr_assert_eq(catalog_open(d.fd, &options, &c, NULL), 0);
	while (n < 3000)
		cr_assert_eq(commit_numbered(c, ++n), 0);
	/* But for the blocks behind the tables, which are enough for small steps. */
	fill_up(&d, 0);
	before = last_txn(c);
	cr_assert_eq(pipe(fds), 0);
	current = &c->journals[c->current];
	fd = current->fd;
	current->fd = fds[1];
	cr_assert_eq(catalog_sync(c), -ENOSPC);
	current->fd = fd;
	cr_assert_eq(catalog_sync(c), -ENOSPC, "although the journal could be flushed now");
	cr_assert_eq(last_txn(c), before);
	cr_assert_eq(count_numbered(c), (int64_t)n);
	cr_assert_eq(unlinkat(d.fd, "filler", 0), 0);
	cr_assert_eq(catalog_sync(c), 0);
	cr_assert_eq(last_txn(c), before + 1);
	close(fds[0]);
	close(fds[1]);
	catalog_close(c);
	c = open_quick(&d);
	cr_assert_eq(count_numbered(c), (int64_t)n);
	catalog_close(c);
	unmake(&d);
}

/* Everything that is in the catalog can be removed from a full disk, and then there is space again. */
static void everything_can_be_removed(const char *size, uint32_t content)
{
	CLEANUP(free) uint8_t *bytes = calloc(1, content);
	struct dir d = dir_make();
	struct catalog *c;

	be_quiet();
	make_small(&d, size);
	c = open_quick(&d);
	cr_assert_not_null(c);
	for (int round = 0; round < 3; round++) {
		CLEANUP(batch) struct batch b = {0};
		uint64_t n = 0;
		int rc = 0;

		for (; n < 100000 && rc == 0; n++) {
			struct inode_rec rec = {.attr = {.ino = FIRST + n, .mode = S_IFREG}};

			batch_begin(&b, c);
			batch_put_inode(&b, &rec);
			batch_put_inline(&b, FIRST + n, bytes, content);
			rc = catalog_commit(c, &b);
			if (rc == 0 && n == 100)
				fill_up(&d, 300000);
		}
		cr_assert_eq(rc, -ENOSPC);
		cr_assert_gt(n, 100);
		fill_up(&d, 0);
		for (uint64_t i = 0; i < n; i++) {
			batch_begin(&b, c);
			/* In an order that spares no page. */
			batch_del_inode(&b, FIRST + i * 7919 % n);
			cr_assert_eq(catalog_commit(c, &b), 0, "round %d: %llu of %llu", round,
				     (unsigned long long)i, (unsigned long long)n);
		}
		for (uint64_t i = 0; i < n; i++) {
			struct inode_rec rec;

			batch_begin(&b, c);
			batch_del_inode(&b, FIRST + i);
			cr_assert_eq(catalog_commit(c, &b), 0);
			cr_assert_eq(catalog_inode(c, FIRST + i, &rec), -ENOENT);
		}
		cr_assert_eq(unlinkat(d.fd, "filler", 0), 0);
		cr_assert_eq(commit_numbered(c, (uint64_t)round + 1), 0);
	}
	catalog_close(c);
	c = open_quick(&d);
	cr_assert_eq(count_numbered(c), 3);
	catalog_close(c);
	unmake(&d);
}

Test(full, everything_can_be_removed)
{
	everything_can_be_removed("3m", 200);
}

Test(full, large_values_can_be_removed)
{
	everything_can_be_removed("6m", 4000);
}

Test(full, no_room_for_a_catalog)
{
	struct dir d = dir_make();
	struct err err = {0};
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .create = true, .no_threads = true};
	struct catalog *c = NULL;

	make_small(&d, "64k");
	for (size_t leave = 0; leave < 65536; leave += 4096) {
		int rc;

		fill_up(&d, leave);
		rc = catalog_open(d.fd, &options, &c, &err);
		if (rc == 0)
			catalog_close(c);
		else
			cr_assert_eq(rc, -ENOSPC, "%zu: %s", leave, err_text(&err));
		err_done(&err);
		cr_assert_eq(unlinkat(d.fd, "filler", 0), 0);
		/* Whatever was left by the attempt, the next one with room works. */
		c = open_quick(&d);
		if (c != NULL) {
			cr_assert_eq(count_numbered(c), 0);
			catalog_close(c);
		}
		for (int i = 0; i < 4; i++)
			unlinkat(d.fd,
				 (const char *[]){CATALOG_FILE, JOURNAL_FILE, LOCK_FILE,
						  SUM_FILE}[i],
				 0);
		cr_assert_eq(file_size(&d, CATALOG_FILE_NEW), -1);
	}
	unmake(&d);
}
