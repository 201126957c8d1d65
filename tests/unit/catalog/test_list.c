/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of listings: order, cookies, groups of equal hashes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "catalog/internal.h"
#include "unit/catalog/helper.h"

/* A name under a hash of the test's choice. */
static void put_hashed(struct batch *b, uint64_t parent, uint64_t hash, const char *name)
{
	uint8_t key[KEY_SIZE_MAX], value[ENTRY_VALUE_SIZE] = {DT_REG, 7};

	op_append(&b->body, OP_PUT, TABLE_ENTRY, key,
		  key_of_entry(key, parent, hash, name, strlen(name)), value, sizeof(value));
}

static void commit(struct catalog *c, struct batch *b)
{
	cr_assert_eq(catalog_commit(c, b), 0);
	batch_begin(b, c);
}

static const char *name_at(const struct catalog_names *l, size_t i)
{
	static char name[256];

	memcpy(name, l->text.data + l->names[i].name_off, l->names[i].name_len);
	name[l->names[i].name_len] = 0;
	return name;
}

Test(list, hashes_are_cookies)
{
	struct rng r = rng_seeded("hashes_are_cookies");
	char name[16];

	for (int i = 0; i < 100000; i++) {
		uint64_t hash;

		snprintf(name, sizeof(name), "%d", i);
		hash = catalog_name_hash(rng_next(&r), name, strlen(name));
		cr_assert_geq(hash, 3);
		cr_assert_lt(hash, (uint64_t)1 << 63);
	}
	cr_assert_eq(catalog_name_hash(5, "a", 1), catalog_name_hash(5, "a", 1));
	cr_assert_neq(catalog_name_hash(5, "a", 1), catalog_name_hash(6, "a", 1));
}

Test(list, empty_directory)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);
	CLEANUP(catalog_names) struct catalog_names l = {0};

	cr_assert_eq(catalog_list(c, 1, 0, 10, &l), 0);
	cr_assert_eq(l.n, 0);
	cr_assert(l.end);
	cr_assert_eq(catalog_list(c, UINT64_MAX, UINT64_MAX, 10, &l), 0);
	cr_assert(l.end);
}

/* In pieces of every size: all names, each once, in order, and nothing of the neighbours. */
Test(list, pieces)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);
	CLEANUP(catalog_names) struct catalog_names l = {0};
	CLEANUP(batch) struct batch b = {0};
	char name[32];

	batch_begin(&b, c);
	for (int i = 0; i < 500; i++) {
		size_t len = (size_t)snprintf(name, sizeof(name), "n%d", i);

		for (uint64_t parent = 5; parent <= 7; parent++)
			batch_put_entry(&b, parent, name, len, 100 + (uint64_t)i, DT_REG);
	}
	commit(c, &b);
	for (size_t max = 0; max < 120; max = max * 2 + 1) {
		uint64_t after = 0;
		size_t total = 0;

		do {
			cr_assert_eq(catalog_list(c, 6, after, max, &l), 0);
			cr_assert(l.end || l.n >= max);
			cr_assert(l.n > 0 || l.end);
			for (size_t i = 0; i < l.n; i++) {
				const char *text = name_at(&l, i);

				cr_assert_gt(l.names[i].hash, after);
				after = l.names[i].hash;
				cr_assert_eq(after, catalog_name_hash(c->seed, text, strlen(text)));
				cr_assert_eq(l.names[i].entry.ino,
					     100 + strtoull(text + 1, NULL, 10));
			}
			total += l.n;
		} while (!l.end);
		cr_assert_eq(total, 500, "in pieces of %zu", max);
	}
}

Test(list, equal_hashes_come_together)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);
	CLEANUP(catalog_names) struct catalog_names l = {0};
	CLEANUP(batch) struct batch b = {0};
	char name[32];

	batch_begin(&b, c);
	put_hashed(&b, 1, 10, "first");
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "same-%03d", i);
		put_hashed(&b, 1, 20, name);
	}
	put_hashed(&b, 1, 30, "b");
	put_hashed(&b, 1, 30, "a");
	put_hashed(&b, 1, ((uint64_t)1 << 63) - 1, "last");
	put_hashed(&b, 2, 3, "other");
	commit(c, &b);

	cr_assert_eq(catalog_list(c, 1, 0, 1, &l), 0);
	cr_assert_eq(l.n, 1);
	cr_assert_eq(catalog_list(c, 1, 0, 2, &l), 0);
	cr_assert_eq(l.n, 301, "the group is not split");
	cr_assert_not(l.end);
	for (size_t i = 1; i < l.n; i++) {
		snprintf(name, sizeof(name), "same-%03zu", i - 1);
		cr_assert_str_eq(name_at(&l, i), name);
	}
	cr_assert_eq(catalog_list(c, 1, 10, 1, &l), 0);
	cr_assert_eq(l.n, 300);
	cr_assert_eq(catalog_list(c, 1, 20, 1, &l), 0);
	cr_assert_eq(l.n, 2);
	cr_assert_str_eq(name_at(&l, 0), "a");
	cr_assert_str_eq(name_at(&l, 1), "b");
	cr_assert_eq(catalog_list(c, 1, 30, 1, &l), 0);
	cr_assert_eq(l.n, 1);
	cr_assert_str_eq(name_at(&l, 0), "last");
	cr_assert_eq(catalog_list(c, 1, ((uint64_t)1 << 63) - 1, 1, &l), 0);
	cr_assert_eq(l.n, 0);
	cr_assert(l.end);
}

/* A cookie stays good whatever happens to its own name and the names around it. */
Test(list, cookies_outlive_changes)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);
	CLEANUP(catalog_names) struct catalog_names l = {0};
	CLEANUP(batch) struct batch b = {0};

	batch_begin(&b, c);
	for (uint64_t h = 10; h <= 50; h += 10)
		put_hashed(&b, 1, h, (char[]){(char)('a' + h / 10), 0});
	commit(c, &b);
	cr_assert_eq(catalog_list(c, 1, 0, 3, &l), 0);
	cr_assert_eq(l.n, 3);
	batch_del_entries(&b, 1);
	put_hashed(&b, 1, 15, "behind");
	put_hashed(&b, 1, 35, "ahead");
	put_hashed(&b, 1, 50, "f");
	commit(c, &b);
	catalog_close(c);
	c = open_quick(&d);
	cr_assert_eq(catalog_list(c, 1, 30, 100, &l), 0);
	cr_assert_eq(l.n, 2);
	cr_assert_str_eq(name_at(&l, 0), "ahead");
	cr_assert_str_eq(name_at(&l, 1), "f");
}
