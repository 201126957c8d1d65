/* SPDX-License-Identifier: Apache-2.0 */
/* Cookies of listings have 31 bits, so that names share them: each is seen, and once, all the same. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "catalog/internal.h"
#include "fs/private.h"
#include "unit/fs/reader.h"

static void assert_each_once(const struct reader_state *s, size_t max)
{
	for (size_t i = 0; i < s->n; i++)
		cr_assert_eq(count_name(s, s->names[i]), 1, "%s with %zu a call", s->names[i], max);
}

#define PAIRS 12

/* Names that share a cookie, two and two. */
struct pairs {
	char names[PAIRS][2][16];
	size_t n;
};

/* Of so many names about sixteen pairs do. */
#define TRIED (1 << 18)

static void find_pairs(struct world *w, struct pairs *ret_pairs)
{
	CLEANUP(free) uint64_t *tried = calloc(TRIED, sizeof(*tried));
	char name[32];

	*ret_pairs = (struct pairs){0};
	for (uint64_t i = 0; i < TRIED; i++) {
		snprintf(name, sizeof(name), "p%u", (unsigned int)i);
		tried[i] = hash_of(w, name) >> 32 << 32 | i;
	}
	qsort(tried, TRIED, sizeof(*tried), by_value);
	for (size_t i = 1; i < TRIED && ret_pairs->n < PAIRS; i++) {
		if (tried[i] >> 32 != tried[i - 1] >> 32)
			continue;
		for (size_t k = 0; k < 2; k++)
			snprintf(ret_pairs->names[ret_pairs->n][k], 16, "p%u",
				 (unsigned int)(tried[i - k] & UINT32_MAX));
		ret_pairs->n++;
		i++;
	}
	cr_assert_gt(ret_pairs->n, 0);
}

/* In "d": pairs of which both are below, both in the upper, or one in each, and others. */
static void make_pairs(struct world *w, struct pairs *ret_pairs)
{
	char path[64];

	world_init(w, 1);
	put_dir("l0/d");
	world_open(w);
	find_pairs(w, ret_pairs);
	world_close(w);
	for (size_t i = 0; i < ret_pairs->n; i++) {
		for (size_t k = 0; k < 2; k++) {
			snprintf(path, sizeof(path), "l0/d/%s", ret_pairs->names[i][k]);
			if (i >> k & 1)
				put_file(path, "x");
		}
		snprintf(path, sizeof(path), "l0/d/low%zu", i);
		put_file(path, "x");
	}
	world_open(w);
	for (size_t i = 0; i < ret_pairs->n; i++) {
		for (size_t k = 0; k < 2; k++) {
			snprintf(path, sizeof(path), "d/%s", ret_pairs->names[i][k]);
			if (!(i >> k & 1))
				ok(t_create(w, path, 0644));
		}
	}
}

static void assert_pairs(const struct reader_state *s, const struct pairs *pairs, size_t max)
{
	char name[32];

	assert_each_once(s, max);
	for (size_t i = 0; i < pairs->n; i++) {
		cr_assert_eq(count_name(s, pairs->names[i][0]), 1, "with %zu a call", max);
		cr_assert_eq(count_name(s, pairs->names[i][1]), 1, "with %zu a call", max);
		snprintf(name, sizeof(name), "low%zu", i);
		cr_assert_eq(count_name(s, name), 1, "with %zu a call", max);
	}
	cr_assert_eq(s->n, 3 * pairs->n + 2);
}

/* Both are given together, or, to who can only take one, one by one. */
Test(cookies, names_with_one_cookie)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) struct reader_state *s = malloc(sizeof(*s));
	struct pairs pairs;
	uint64_t ino;

	make_pairs(&w, &pairs);
	ino = hold(&w, "d");
	for (size_t i = 0; i < 8 * PAIRS; i++) {
		size_t max = i / 2 + 1;

		memset(s, 0, sizeof(*s));
		s->plus = i % 2 != 0;
		while (read_some(&w, ino, s, max))
			;
		assert_pairs(s, &pairs, max);
		for (size_t k = 0; k < s->n && max > 1; k++)
			cr_assert_lt(s->cookies[k], WIDE);
	}
	cr_assert_eq(world_inodes(&w), 2);
	world_assert_lasting(&w);
}

/*
 * A program takes fewer entries than the answer has, and the kernel asks again for those that it did not take. Then no
 * answer may have a pair behind something else.
 */
Test(cookies, a_small_buffer_behind_a_large_one)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) struct reader_state *s = malloc(sizeof(*s));
	struct pairs pairs;
	uint64_t ino;

	make_pairs(&w, &pairs);
	ino = hold(&w, "d");
	for (size_t buffer = 2; buffer < 12; buffer++) {
		size_t from = 0;

		memset(s, 0, sizeof(*s));
		s->alone = true;
		while (read_some(&w, ino, s, 10)) {
			if (s->n - from > buffer)
				s->n = from + buffer;
			s->cookie = s->cookies[s->n - 1];
			from = s->n;
		}
		assert_pairs(s, &pairs, buffer);
	}
}

/* One of each pair is there all the time. */
Test(cookies, steady_while_others_with_the_cookie_come_and_go)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) struct reader_state *s = malloc(sizeof(*s));
	struct pairs pairs;
	char path[64];
	uint64_t ino;

	make_pairs(&w, &pairs);
	ino = hold(&w, "d");
	for (size_t max = 1; max < 8; max++) {
		memset(s, 0, sizeof(*s));
		for (size_t turn = 0; read_some(&w, ino, s, max); turn++) {
			for (size_t i = 0; i < pairs.n; i++) {
				snprintf(path, sizeof(path), "d/%s", pairs.names[i][max % 2]);
				if (exists(&w, path))
					ok(t_unlink(&w, path));
				else
					ok(t_create(&w, path, 0644));
			}
		}
		for (size_t i = 0; i < pairs.n; i++) {
			const char *other = pairs.names[i][max % 2];

			cr_assert_eq(count_name(s, pairs.names[i][1 - max % 2]), 1, "%zu", max);
			cr_assert_leq(count_name(s, other), 1, "%zu", max);
			snprintf(path, sizeof(path), "d/%s", other);
			if (!exists(&w, path))
				ok(t_create(&w, path, 0644));
		}
	}
	world_assert_lasting(&w);
}

/* Entries of "d" for the inode INO under hashes that their names do not have. */
static void put_hashed(struct world *w, uint64_t ino, const char *name, uint64_t hash)
{
	CLEANUP(batch) struct batch b = {0};
	uint8_t key[KEY_SIZE_MAX], value[ENTRY_VALUE_SIZE] = {DT_REG};

	batch_begin(&b, w->fs->catalog);
	put_le64(value + 1, ino);
	op_append(&b.body, OP_PUT, TABLE_ENTRY, key,
		  key_of_entry(key, ino_of(w, "d"), hash, name, strlen(name)), value,
		  sizeof(value));
	ok(catalog_commit(w->fs->catalog, &b));
}

/* GROUP names with one cookie of which SAME have one hash, too, and one in front and one behind. */
static void make_group(struct world *w, size_t group, size_t same)
{
	const uint64_t cookie = (uint64_t)0x12345678 << 32;
	char name[32];
	uint64_t ino;

	world_init(w, 1);
	world_open(w);
	ok(t_mkdir(w, "d", 0755));
	ok(t_create(w, "file", 0644));
	ino = ino_of(w, "file");
	put_hashed(w, ino, "before", cookie - 1);
	for (size_t i = 0; i < group; i++) {
		snprintf(name, sizeof(name), "in%zu", i);
		put_hashed(w, ino, name, cookie + (i < same ? 0 : i));
	}
	put_hashed(w, ino, "behind", cookie + ((uint64_t)1 << 32));
}

/* Who stops among names of one hash is given those again that he has: none is lost, and the end comes. */
static void assert_group(const struct reader_state *s, size_t group, size_t same, size_t max)
{
	char name[32];

	cr_assert_eq(count_name(s, "before"), 1);
	cr_assert_eq(count_name(s, "behind"), 1);
	for (size_t i = 0; i < group; i++) {
		snprintf(name, sizeof(name), "in%zu", i);
		cr_assert_geq(count_name(s, name), 1, "%s lost, %zu a call", name, max);
		if (i >= same)
			cr_assert_eq(count_name(s, name), 1, "%s, %zu a call", name, max);
	}
}

static void read_group(size_t group, size_t same)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) struct reader_state *s = malloc(sizeof(*s));
	uint64_t ino;

	make_group(&w, group, same);
	ino = hold(&w, "d");
	for (size_t i = 2 * same; i < 2 * group + 10; i++) {
		size_t max = i / 2 + 1;

		memset(s, 0, sizeof(*s));
		s->plus = i % 2 != 0;
		while (read_some(&w, ino, s, max))
			cr_assert_leq(s->n, group + 4 + same);
		assert_group(s, group, same, max);
	}
}

/* Made to collide: more than fit into an answer. All of them are seen all the same, each once. */
Test(cookies, groups_of_every_size)
{
	for (size_t group = 1; group < 20; group++)
		read_group(group, 0);
}

Test(cookies, whole_hashes_that_collide)
{
	read_group(3, 3);
	read_group(9, 4);
	read_group(17, 5);
}

/* The first and the last cookies there are. */
Test(cookies, hashes_at_the_ends)
{
	static const uint64_t hashes[] = {3,
					  4,
					  ((uint64_t)1 << 31) - 1,
					  (uint64_t)1 << 31,
					  ((uint64_t)3 << 32) - 1,
					  (uint64_t)3 << 32,
					  (uint64_t)4 << 32,
					  ((uint64_t)1 << 63) - 2,
					  ((uint64_t)1 << 63) - 1};
	const size_t n = sizeof(hashes) / sizeof(*hashes);
	CLEANUP(world) struct world w;
	CLEANUP(free) struct reader_state *s = malloc(sizeof(*s));
	char name[32];
	uint64_t ino;

	make_group(&w, 0, 0);
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "end%zu", i);
		put_hashed(&w, ino_of(&w, "file"), name, hashes[i]);
	}
	ino = hold(&w, "d");
	/* Six of them have the first cookie. */
	for (size_t max = 6; max < 20; max++) {
		memset(s, 0, sizeof(*s));
		while (read_some(&w, ino, s, max))
			cr_assert_leq(s->n, n + 4);
		cr_assert_eq(s->n, n + 4);
		assert_each_once(s, max);
		for (size_t i = 0; i < s->n; i++)
			cr_assert_lt(s->cookies[i], WIDE);
	}
}
