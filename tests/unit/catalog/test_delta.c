/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of deltas: what they say of a key, the order of a group, what they hide. */
#include <criterion/criterion.h>
#include <string.h>

#include "catalog/batch.h"
#include "catalog/delta.h"
#include "catalog/record.h"
#include "unit/catalog/helper.h"

static void apply(struct delta *d, const struct batch *b)
{
	cr_assert_eq(delta_reserve(d, b->body.len, b->n), 0);
	delta_apply(d, b->body.data, b->body.len);
}

static struct delta *make(void)
{
	struct delta *d = NULL;

	cr_assert_eq(delta_new(&d), 0);
	return d;
}

static enum delta_answer answer(const struct delta *d, enum catalog_table table, uint64_t ino,
				const char *name, const struct delta_item **ret_item)
{
	uint8_t key[KEY_SIZE_MAX];
	size_t len = name != NULL ? key_of_xattr(key, ino, name, strlen(name))
				  : key_of_ino(key, ino);

	return delta_get(d, table, key, len, ret_item);
}

Test(delta, values_and_deletions)
{
	struct delta *d = make();
	CLEANUP(batch) struct batch b = {0};
	const struct delta_item *item;

	batch_put_xattr(&b, 5, "user.a", "one", 3);
	batch_put_xattr(&b, 5, "user.a", "a longer value", 14);
	batch_put_xattr(&b, 5, "user.b", "", 0);
	batch_del_xattr(&b, 5, "user.c");
	apply(d, &b);
	cr_assert_eq(answer(d, TABLE_XATTR, 5, "user.a", &item), DELTA_VALUE);
	cr_assert_eq(item->value_len, 14);
	cr_assert_eq(memcmp(item->value, "a longer value", 14), 0);
	cr_assert_eq(answer(d, TABLE_XATTR, 5, "user.b", &item), DELTA_VALUE);
	cr_assert_eq(item->value_len, 0);
	cr_assert_eq(answer(d, TABLE_XATTR, 5, "user.c", &item), DELTA_DELETED);
	cr_assert_eq(answer(d, TABLE_XATTR, 5, "user.d", &item), DELTA_UNKNOWN);
	cr_assert_eq(answer(d, TABLE_XATTR, 6, "user.a", &item), DELTA_UNKNOWN);
	cr_assert_eq(d->n_items, 3);
	delta_free(d);
}

/* Whatever lies below, an inode that was deleted has nothing; what came after it counts. */
Test(delta, deleted_inodes_hide_what_is_below)
{
	struct delta *d = make();
	CLEANUP(batch) struct batch b = {0};
	const struct delta_item *item;

	batch_put_xattr(&b, 5, "user.before", "x", 1);
	batch_put_inline(&b, 5, "bytes", 5);
	batch_del_inode(&b, 5);
	batch_put_xattr(&b, 5, "user.after", "y", 1);
	apply(d, &b);
	cr_assert_eq(answer(d, TABLE_INODE, 5, NULL, &item), DELTA_DELETED);
	cr_assert_eq(answer(d, TABLE_XATTR, 5, "user.before", &item), DELTA_DELETED);
	cr_assert_eq(answer(d, TABLE_XATTR, 5, "user.other", &item), DELTA_DELETED);
	cr_assert_eq(answer(d, TABLE_XATTR, 5, "user.after", &item), DELTA_VALUE);
	cr_assert_eq(answer(d, TABLE_INLINE, 5, NULL, &item), DELTA_DELETED);
	cr_assert_eq(answer(d, TABLE_ORPHAN, 5, NULL, &item), DELTA_DELETED);
	cr_assert(delta_hides(d, TABLE_CHUNKS, 5));
	cr_assert_not(delta_hides(d, TABLE_ENTRY, 5), "its names are another matter");
	cr_assert_not(delta_hides(d, TABLE_CHUNKS, 6));
	delta_free(d);
}

Test(delta, cleared_directories)
{
	struct delta *d = make();
	CLEANUP(batch) struct batch b = {0};
	CLEANUP(free) struct delta_clear *clears = NULL;
	size_t n;

	batch_put_entry(&b, 7, "before", 6, 70, DT_REG);
	batch_del_entries(&b, 7);
	batch_put_entry(&b, 7, "after", 5, 71, DT_REG);
	batch_put_entry(&b, 8, "other", 5, 80, DT_REG);
	apply(d, &b);
	cr_assert(delta_hides(d, TABLE_ENTRY, 7));
	cr_assert_not(delta_hides(d, TABLE_ENTRY, 8));
	cr_assert_eq(delta_clears(d, &clears, &n), 0);
	cr_assert_eq(n, 1);
	cr_assert_eq(clears[0].ino, 7);
	cr_assert_eq(clears[0].table, TABLE_ENTRY);
	delta_free(d);
}

static int by_key(const struct delta_item *a, const struct delta_item *b)
{
	size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	int diff = memcmp(a->key, b->key, len);

	return diff != 0 ? diff : a->key_len - b->key_len;
}

/* Names that are prefixes of each other, in any order of insertion: walked in order, each once. */
Test(delta, groups_are_in_order)
{
	struct delta *d = make();
	CLEANUP(batch) struct batch b = {0};
	struct rng r = rng_seeded("groups_are_in_order");
	CLEANUP(free) const struct delta_item **sorted = NULL;
	const struct delta_item *item, *last = NULL;
	uint8_t from[INO_KEY_SIZE];
	size_t n, walked = 0;

	for (int i = 0; i < 5000; i++) {
		char name[12] = {0};

		for (uint64_t k = 0, len = 1 + rng_below(&r, 10); k < len; k++)
			name[k] = (char)('a' + rng_below(&r, 3));
		batch_put_xattr(&b, 9 + rng_below(&r, 2), name, name, strlen(name));
	}
	apply(d, &b);
	item = delta_next(d, TABLE_XATTR, 9, from, key_of_ino(from, 9), true);
	for (; item != NULL; walked++) {
		cr_assert(last == NULL || by_key(last, item) < 0);
		cr_assert_eq(get_be64(item->key), 9);
		last = item;
		item = delta_next(d, TABLE_XATTR, 9, item->key, item->key_len, false);
	}
	cr_assert_eq(delta_sorted(d, &sorted, &n), 0);
	cr_assert_eq(n, d->n_items);
	for (size_t i = 0; i < n; i++) {
		cr_assert(i == 0 || by_key(sorted[i - 1], sorted[i]) < 0);
		walked -= get_be64(sorted[i]->key) == 9;
	}
	cr_assert_eq(walked, 0);
	delta_free(d);
}
