/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of committing: every kind of change is found again, whole batches or nothing. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "catalog/internal.h"
#include "unit/catalog/helper.h"

#define BIG_XATTR 65536

/* A catalog that is open, in a directory of its own. */
#define WITH_CATALOG(d, c)                                                                         \
	CLEANUP(dir) struct dir d = dir_make();                                                    \
	CLEANUP(catalog) struct catalog *c = open_quick(&d);                                       \
	cr_assert_not_null(c)

static void reopen(const struct dir *d, struct catalog **c)
{
	catalog_close(*c);
	*c = open_quick(d);
	cr_assert_not_null(*c);
}

static void commit_all_kinds(struct catalog *c)
{
	CLEANUP(batch) struct batch b = {0};
	static uint8_t big[BIG_XATTR], bits[CHUNK_SEGMENT_BYTES];
	static char name[256];
	struct inode_rec rec = {.attr = {.ino = UINT64_MAX,
					 .mode = S_IFREG | 07777,
					 .size = UINT64_MAX,
					 .mtime = {INT64_MIN, 999999999}},
				.where = BYTES_CHUNKS,
				.chunk_shift = 20,
				.origin = (char[]){"usr/lib/x"}};

	memset(name, 'n', 255);
	memset(big, 0xab, sizeof(big));
	memset(bits, 0xcd, sizeof(bits));
	batch_begin(&b, c);
	batch_put_entry(&b, 1, name, 255, UINT64_MAX, DT_REG);
	batch_put_entry(&b, UINT64_MAX, "x", 1, 2, DT_DIR);
	batch_put_whiteout(&b, 1, "gone", 4);
	batch_put_inode(&b, &rec);
	batch_put_xattr(&b, UINT64_MAX, "user.big", big, sizeof(big));
	batch_put_xattr(&b, UINT64_MAX, "user.empty", "", 0);
	batch_put_inline(&b, UINT64_MAX, "content", 7);
	batch_put_chunks(&b, UINT64_MAX, UINT32_MAX, bits);
	batch_put_orphan(&b, UINT64_MAX);
	batch_put_super(&b, "stack", "identity", 8);
	cr_assert_eq(catalog_commit(c, &b), 0);
}

static void assert_names(struct catalog *c)
{
	static char name[256];
	struct entry_rec e;

	memset(name, 'n', 255);
	cr_assert_eq(catalog_entry(c, 1, name, 255, &e), 0);
	cr_assert_eq(e.ino, UINT64_MAX);
	cr_assert_eq(e.dtype, DT_REG);
	cr_assert_eq(catalog_entry(c, 1, name, 254, &e), -ENOENT);
	cr_assert_eq(catalog_entry(c, 1, name, 0, &e), -ENOENT);
	cr_assert_eq(catalog_entry(c, 1, name, 256, &e), -ENOENT);
	cr_assert_eq(catalog_entry(c, UINT64_MAX, "x", 1, &e), 0);
	cr_assert_eq(e.ino, 2);
	cr_assert_eq(catalog_entry(c, 1, "gone", 4, &e), 0);
	cr_assert(entry_is_whiteout(&e));
	cr_assert_eq(e.ino, 0);
}

static void assert_xattrs(struct catalog *c)
{
	static uint8_t big[BIG_XATTR], want[BIG_XATTR];
	CLEANUP(buf) struct buf names = {0};

	memset(want, 0xab, sizeof(want));
	cr_assert_eq(catalog_xattr(c, UINT64_MAX, "user.big", NULL, 0), BIG_XATTR);
	cr_assert_eq(catalog_xattr(c, UINT64_MAX, "user.big", big, 10), -ERANGE);
	cr_assert_eq(catalog_xattr(c, UINT64_MAX, "user.big", big, sizeof(big)), BIG_XATTR);
	cr_assert_eq(memcmp(big, want, sizeof(big)), 0);
	cr_assert_eq(catalog_xattr(c, UINT64_MAX, "user.empty", NULL, 0), 0);
	cr_assert_eq(catalog_xattr(c, UINT64_MAX, "user.empty", big, 1), 0);
	cr_assert_eq(catalog_xattr(c, UINT64_MAX, "user.none", big, 1), -ENODATA);
	cr_assert_eq(catalog_xattr(c, 3, "user.big", big, 1), -ENODATA);
	cr_assert_eq(catalog_xattr_names(c, UINT64_MAX, &names), 0);
	cr_assert_eq(names.len, sizeof("user.big\0user.empty"));
	cr_assert_eq(memcmp(names.data, "user.big\0user.empty", names.len), 0);
	buf_clear(&names);
	cr_assert_eq(catalog_xattr_names(c, UINT64_MAX - 1, &names), 0);
	cr_assert_eq(names.len, 0);
}

static void assert_bytes(struct catalog *c)
{
	uint8_t bits[CHUNK_SEGMENT_BYTES];
	char text[8] = {0};

	cr_assert_eq(catalog_inline(c, UINT64_MAX, 0, text, sizeof(text)), 7);
	cr_assert_eq(memcmp(text, "content", 7), 0);
	cr_assert_eq(catalog_inline(c, UINT64_MAX, 3, text, 2), 2);
	cr_assert_eq(memcmp(text, "te", 2), 0);
	cr_assert_eq(catalog_inline(c, UINT64_MAX, 7, text, 2), 0);
	cr_assert_eq(catalog_inline(c, UINT64_MAX, UINT64_MAX, text, 2), 0);
	cr_assert_eq(catalog_inline(c, 3, 0, text, 2), 0);
	cr_assert_eq(catalog_chunks(c, UINT64_MAX, UINT32_MAX, bits), 0);
	for (int i = 0; i < CHUNK_SEGMENT_BYTES; i++)
		cr_assert_eq(bits[i], 0xcd);
	cr_assert_eq(catalog_chunks(c, UINT64_MAX, 0, bits), 0);
	for (int i = 0; i < CHUNK_SEGMENT_BYTES; i++)
		cr_assert_eq(bits[i], 0);
}

static void assert_all_kinds(struct catalog *c)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(buf) struct buf value = {0};

	assert_names(c);
	assert_xattrs(c);
	assert_bytes(c);
	cr_assert_eq(catalog_inode(c, UINT64_MAX, &rec), 0);
	cr_assert_eq(rec.attr.ino, UINT64_MAX);
	cr_assert_eq(rec.attr.size, UINT64_MAX);
	cr_assert_eq(rec.attr.mtime.tv_sec, INT64_MIN);
	cr_assert_str_eq(rec.origin, "usr/lib/x");
	cr_assert_eq(catalog_super(c, "stack", &value), 0);
	cr_assert_eq(value.len, 8);
	cr_assert_eq(memcmp(value.data, "identity", 8), 0);
	cr_assert_eq(catalog_super(c, "none", &value), -ENOENT);
}

Test(batch, every_kind_is_read_back)
{
	WITH_CATALOG(d, c);
	CLEANUP(free) uint64_t *orphans = NULL;
	size_t n;

	commit_all_kinds(c);
	assert_all_kinds(c);
	cr_assert_eq(catalog_orphans(c, &orphans, &n), 0);
	cr_assert_eq(n, 0, "orphans are those that the open found");
	reopen(&d, &c);
	assert_all_kinds(c);
	free(orphans);
	cr_assert_eq(catalog_orphans(c, &orphans, &n), 0);
	cr_assert_eq(n, 1);
	cr_assert_eq(orphans[0], UINT64_MAX);
}

Test(batch, del_inode_takes_everything_with_it)
{
	WITH_CATALOG(d, c);
	CLEANUP(batch) struct batch b = {0};
	CLEANUP(free) uint64_t *orphans = NULL;
	CLEANUP(buf) struct buf names = {0};
	uint8_t bits[CHUNK_SEGMENT_BYTES];
	struct inode_rec rec = {.attr = {.ino = UINT64_MAX - 1, .mode = S_IFREG}};
	char byte;
	size_t n;

	commit_all_kinds(c);
	batch_begin(&b, c);
	/* A neighbour, which must stay. */
	batch_put_inode(&b, &rec);
	batch_put_xattr(&b, UINT64_MAX - 1, "user.z", "z", 1);
	batch_put_inline(&b, UINT64_MAX - 1, "z", 1);
	batch_del_inode(&b, UINT64_MAX);
	cr_assert_eq(catalog_commit(c, &b), 0);
	cr_assert_eq(catalog_inode(c, UINT64_MAX, &rec), -ENOENT);
	cr_assert_eq(catalog_xattr_names(c, UINT64_MAX, &names), 0);
	cr_assert_eq(names.len, 0);
	cr_assert_eq(catalog_inline(c, UINT64_MAX, 0, &byte, 1), 0);
	cr_assert_eq(catalog_chunks(c, UINT64_MAX, UINT32_MAX, bits), 0);
	cr_assert_eq(bits[0], 0);
	cr_assert_eq(catalog_xattr(c, UINT64_MAX - 1, "user.z", &byte, 1), 1);
	cr_assert_eq(catalog_inline(c, UINT64_MAX - 1, 0, &byte, 1), 1);
	reopen(&d, &c);
	cr_assert_eq(catalog_orphans(c, &orphans, &n), 0);
	cr_assert_eq(n, 0);
}

Test(batch, del_entries_of_one_directory)
{
	WITH_CATALOG(d, c);
	CLEANUP(batch) struct batch b = {0};
	CLEANUP(catalog_names) struct catalog_names l = {0};
	struct entry_rec e;
	char name[16];

	batch_begin(&b, c);
	for (int i = 0; i < 3000; i++)
		batch_put_entry(&b, 10 + (uint64_t)i % 3, name,
				(size_t)snprintf(name, sizeof(name), "%d", i), 77, DT_REG);
	batch_del_entries(&b, 11);
	batch_del_entries(&b, 99);
	batch_put_whiteout(&b, 11, "new", 3);
	cr_assert_eq(catalog_commit(c, &b), 0);
	cr_assert_eq(catalog_list(c, 10, 0, 5000, &l), 0);
	cr_assert_eq(l.n, 1000);
	cr_assert_eq(catalog_list(c, 12, 0, 5000, &l), 0);
	cr_assert_eq(l.n, 1000);
	cr_assert_eq(catalog_list(c, 11, 0, 5000, &l), 0);
	cr_assert_eq(l.n, 1, "changes are applied in their order");
	cr_assert_eq(catalog_entry(c, 11, "new", 3, &e), 0);
}

Test(batch, put_replaces_and_deletes_of_nothing_are_fine)
{
	WITH_CATALOG(d, c);
	CLEANUP(batch) struct batch b = {0};
	struct entry_rec e;
	char value[8];

	batch_begin(&b, c);
	batch_del_entry(&b, 1, "none", 4);
	batch_del_xattr(&b, 1, "user.none");
	batch_del_inode(&b, 1234);
	batch_del_chunks(&b, 1234);
	batch_del_orphan(&b, 1234);
	batch_put_inline(&b, 1234, NULL, 0);
	batch_put_entry(&b, 1, "a", 1, 5, DT_REG);
	batch_put_whiteout(&b, 1, "a", 1);
	batch_put_xattr(&b, 5, "user.v", "long value", 10);
	batch_put_xattr(&b, 5, "user.v", "short", 5);
	cr_assert_eq(catalog_commit(c, &b), 0);
	cr_assert_eq(catalog_entry(c, 1, "a", 1, &e), 0);
	cr_assert(entry_is_whiteout(&e));
	cr_assert_eq(catalog_xattr(c, 5, "user.v", value, sizeof(value)), 5);
	batch_begin(&b, c);
	batch_del_entry(&b, 1, "a", 1);
	cr_assert_eq(catalog_commit(c, &b), 0);
	cr_assert_eq(catalog_entry(c, 1, "a", 1, &e), -ENOENT);
}

Test(batch, invalid_changes_change_nothing)
{
	WITH_CATALOG(d, c);
	CLEANUP(batch) struct batch b = {0};
	struct entry_rec e;
	off_t before = file_size(&d, JOURNAL_FILE);

	batch_begin(&b, c);
	batch_put_entry(&b, 1, "good", 4, 5, DT_REG);
	batch_put_entry(&b, 1, "", 0, 5, DT_REG);
	cr_assert_eq(catalog_commit(c, &b), -EINVAL);
	cr_assert_eq(catalog_entry(c, 1, "good", 4, &e), -ENOENT);
	cr_assert_eq(file_size(&d, JOURNAL_FILE), before);
	b.body.failed = true;
	cr_assert_eq(catalog_commit(c, &b), -ENOMEM);
	batch_begin(&b, c);
	cr_assert_eq(catalog_commit(c, &b), 0, "an empty batch");
	cr_assert_eq(file_size(&d, JOURNAL_FILE), before);
}

Test(batch, inode_numbers_are_new)
{
	WITH_CATALOG(d, c);
	CLEANUP(batch) struct batch b = {0};
	struct inode_rec rec = {.attr = {.ino = CATALOG_FIRST_LOWER_INO + 5, .mode = S_IFREG}};

	cr_assert_eq(catalog_new_ino(c), 2);
	cr_assert_eq(catalog_new_ino(c), 3);
	batch_begin(&b, c);
	batch_put_inode(&b, &rec);
	cr_assert_eq(catalog_commit(c, &b), 0);
	reopen(&d, &c);
	cr_assert_eq(catalog_new_ino(c), 4, "numbers of lower files do not count");
	rec.attr.ino = 700;
	batch_begin(&b, c);
	batch_put_inode(&b, &rec);
	rec.attr.ino = CATALOG_ROOT_INO;
	batch_put_inode(&b, &rec);
	cr_assert_eq(catalog_commit(c, &b), 0);
	reopen(&d, &c);
	cr_assert_eq(catalog_new_ino(c), 701);
	rec.attr.ino = CATALOG_FIRST_LOWER_INO - 2;
	batch_begin(&b, c);
	batch_put_inode(&b, &rec);
	cr_assert_eq(catalog_commit(c, &b), 0);
	reopen(&d, &c);
	cr_assert_eq(catalog_new_ino(c), CATALOG_FIRST_LOWER_INO - 1);
}

static void put_ino(struct catalog *c, uint64_t ino)
{
	CLEANUP(batch) struct batch b = {0};
	struct inode_rec rec = {.attr = {.ino = ino, .mode = S_IFREG}};

	batch_begin(&b, c);
	batch_put_inode(&b, &rec);
	cr_assert_eq(catalog_commit(c, &b), 0);
}

static void del_ino(struct catalog *c, uint64_t ino)
{
	CLEANUP(batch) struct batch b = {0};

	batch_begin(&b, c);
	batch_del_inode(&b, ino);
	cr_assert_eq(catalog_commit(c, &b), 0);
}

/* A snapshot that still has the inode would show the data file of the new one. */
Test(batch, inode_numbers_are_not_given_twice)
{
	WITH_CATALOG(d, c);

	put_ino(c, catalog_new_ino(c));
	cr_assert_eq(catalog_checkpoint(c), 0);
	del_ino(c, 2);
	reopen(&d, &c);
	cr_assert_eq(catalog_new_ino(c), 3, "deleted in the tables");
	put_ino(c, 3);
	del_ino(c, 3);
	reopen(&d, &c);
	cr_assert_eq(catalog_new_ino(c), 4, "never in the tables");
	reopen(&d, &c);
	reopen(&d, &c);
	cr_assert_geq(catalog_new_ino(c), 4);
}

static int make_delete_and_die(void *arg)
{
	struct catalog *c = open_quick(arg);

	if (c == NULL)
		return 1;
	put_ino(c, catalog_new_ino(c));
	cr_assert_eq(catalog_checkpoint(c), 0);
	del_ino(c, 2);
	put_ino(c, catalog_new_ino(c));
	del_ino(c, 3);
	return 0;
}

Test(batch, inode_numbers_are_not_given_twice_after_a_kill)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog *c;

	cr_assert_eq(in_child(make_delete_and_die, &d), 0);
	for (int i = 0; i < 2; i++) {
		c = open_quick(&d);
		cr_assert_not_null(c);
		cr_assert_geq(catalog_new_ino(c), 4);
		catalog_close(c);
	}
}

/* As damage would; the catalog itself puts the right one. Opens it again, and gives the number that a new inode gets. */
static uint64_t with_next(const struct dir *d, struct catalog **c, const void *value, size_t len)
{
	struct store_options options = {.no_sync = true, .map_size = catalog_map_size};
	struct store s;
	char path[64];

	catalog_close(*c);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/" CATALOG_FILE, d->fd);
	cr_assert_eq(store_open(&s, path, &options), 0);
	cr_assert_eq(store_put_super(&s, SUPER_NEXT, value, len), 0);
	store_close(&s);
	*c = open_quick(d);
	cr_assert_not_null(*c);
	return catalog_new_ino(*c);
}

/* Wherever it comes from: all that it can do is keep numbers from being given. */
Test(batch, a_wrong_next_number_does_no_harm)
{
	static const uint64_t wrong[] = {0, 1, 2, 699, NEXT_INO_MAX + 1, UINT64_MAX};
	WITH_CATALOG(d, c);
	uint64_t most = NEXT_INO_MAX;

	put_ino(c, 700);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_assert_eq(with_next(&d, &c, &wrong[i], sizeof(wrong[i])), 701, "%llx",
			     (unsigned long long)wrong[i]);
	for (size_t len = 0; len < 16; len += 5)
		cr_assert_eq(with_next(&d, &c, "a value of another kind", len), 701);
	cr_assert_eq(with_next(&d, &c, &most, sizeof(most)), NEXT_INO_MAX);
}

/* What could not be brought into the tables is still in memory and in the journals. */
Test(batch, failed_checkpoints_lose_nothing)
{
	WITH_CATALOG(d, c);

	for (uint64_t n = 1; n <= 30; n++) {
		if (n == 12)
			cr_assert_eq(catalog_checkpoint(c), 0);
		cr_assert_eq(commit_numbered(c, n), 0);
		if (n % 4 == 0) {
			c->fail_apply = 1;
			cr_assert_eq(catalog_checkpoint(c), -ENOMEM);
		}
		cr_assert_eq(count_numbered(c), (int64_t)n);
	}
	cr_assert_eq(c->stats.failed_checkpoints, 7);
	cr_assert_eq(c->applied, 11);
	cr_assert_not_null(c->frozen);
	cr_assert_eq(catalog_checkpoint(c), 0, "the frozen part and what came after it");
	cr_assert_eq(c->applied, 30);
	cr_assert_eq(count_numbered(c), 30);
	reopen(&d, &c);
	cr_assert_eq(count_numbered(c), 30);
}

/* Deletions of what is only in the frozen part, or only in the tables, or in both. */
Test(batch, deletions_reach_through_all_parts)
{
	WITH_CATALOG(d, c);
	CLEANUP(batch) struct batch b = {0};
	CLEANUP(catalog_names) struct catalog_names l = {0};
	CLEANUP(buf) struct buf names = {0};

	for (uint64_t n = 1; n <= 9; n++) {
		cr_assert_eq(commit_numbered(c, n), 0);
		if (n == 3)
			cr_assert_eq(catalog_checkpoint(c), 0);
		if (n == 6) {
			c->fail_apply = 1;
			cr_assert_eq(catalog_checkpoint(c), -ENOMEM);
		}
	}
	batch_begin(&b, c);
	batch_del_entries(&b, 1);
	batch_put_entry(&b, 1, "name-2", 6, 1002, DT_REG);
	for (uint64_t n = 1; n <= 9; n++)
		batch_del_inode(&b, 1000 + n);
	batch_put_xattr(&b, 1005, "user.new", "v", 1);
	cr_assert_eq(catalog_commit(c, &b), 0);
	for (int round = 0; round < 3; round++) {
		cr_assert_eq(catalog_list(c, 1, 0, SIZE_MAX, &l), 0);
		cr_assert_eq(l.n, 1);
		buf_clear(&names);
		cr_assert_eq(catalog_xattr_names(c, 1005, &names), 0);
		cr_assert_str_eq((const char *)names.data, "user.new");
		cr_assert_eq(names.len, 9);
		for (uint64_t n = 1; n <= 9; n++) {
			struct inode_rec rec;

			cr_assert_eq(catalog_inode(c, 1000 + n, &rec), -ENOENT);
			cr_assert_eq(catalog_xattr(c, 1000 + n, "user.n", NULL, 0), -ENODATA);
		}
		cr_assert_eq(catalog_checkpoint(c), 0);
	}
}

/* The address space for the file is used up: -ENOSPC, and everything else as before. */
Test(batch, full_map)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = NULL;
	uint64_t n = 1;
	int rc = 0;

	catalog_map_size = 1 << 20;
	c = open_quick(&d);
	cr_assert_not_null(c);
	while (n < 1000000 && (rc = commit_numbered(c, n)) == 0)
		n++;
	cr_assert_eq(rc, -ENOSPC);
	cr_assert_gt(n, 100);
	cr_assert_eq(count_numbered(c), (int64_t)n - 1);
	catalog_map_size = 512 << 20;
	reopen(&d, &c);
	cr_assert_eq(count_numbered(c), (int64_t)n - 1);
	cr_assert_eq(commit_numbered(c, n), 0);
	cr_assert_eq(count_numbered(c), (int64_t)n);
}

Test(batch, to_text)
{
	WITH_CATALOG(d, c);
	CLEANUP(buf) struct buf text = {0};

	cr_assert_eq(commit_numbered(c, 1), 0);
	catalog_to_text(c, &text);
	cr_assert_not_null(strstr(buf_cstr(&text), "table entry: 0 records"));
	cr_assert_not_null(strstr(buf_cstr(&text), "in memory: 4 changes"));
	cr_assert_eq(catalog_checkpoint(c), 0);
	buf_clear(&text);
	catalog_to_text(c, &text);
	cr_assert_not_null(strstr(buf_cstr(&text), "table entry: 1 records"));
	cr_assert_not_null(strstr(buf_cstr(&text), "1 commits"));
	cr_assert_eq(strncmp(catalog_library_version(), "LMDB 0.9.", 9), 0);
}
