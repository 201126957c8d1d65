/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of attr/acl on bytes alone; test_acl_kernel.c compares it with the running kernel. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attr/acl.h"
#include "unit/attr/fixture.h"

/* An ACL in a word: pairs of a letter (u U g G m o; capitals are named, id 7) and a permission. */
static void build(struct buf *b, const char *spec)
{
	static const char letters[] = "uUgGmo";

	acl_begin(b);
	for (; spec[0] != '\0'; spec += 2) {
		size_t i = (size_t)(strchr(letters, spec[0]) - letters);

		acl_add(b, (uint16_t)(1u << i), (uint16_t)(spec[1] - '0'),
			i == 1 || i == 3 ? 7 : NO_ID);
	}
}

static int check_spec(const char *spec)
{
	CLEANUP(buf) struct buf b = {0};

	build(&b, spec);
	return acl_check(b.data, b.len);
}

Test(acl, order_and_completeness)
{
	static const char *const good[] = {"u7g5o4",	 "u0g0o0",     "u7g5m7o4",
					   "u7U6g5m7o4", "u7g5G4m7o4", "u7U6U6g5G4G4m0o4"};
	static const char *const bad[] = {
		"",	    "u7",	"u7g5",	      "g5o4",	    "u7o4",	  "u7g5m7",
		"u7U6g5o4", "u7g5G6o4", "u7u7g5o4",   "u7g5g5o4",   "u7g5o4o4",	  "u7g5m7m7o4",
		"g5u7o4",   "u7g5o4m7", "u7g5U6m7o4", "U6u7g5o4",   "u7G4g5m7o4", "u7m7g5o4",
		"o4g5u7",   "m7",	"u7g5m7G4o4", "u7U6g5G4o4",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert_eq(check_spec(good[i]), 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(check_spec(bad[i]), -EINVAL, "%s", bad[i]);
}

Test(acl, every_tag_but_the_six_is_refused)
{
	for (uint32_t tag = 0; tag < 65536; tag++) {
		CLEANUP(buf) struct buf b = {0};

		build(&b, "u7g5o4");
		b.data[4] = (uint8_t)tag;
		b.data[5] = (uint8_t)(tag >> 8);
		cr_assert_eq(acl_check(b.data, b.len), tag == USER_OBJ ? 0 : -EINVAL, "%u", tag);
	}
}

Test(acl, permissions_are_three_bits)
{
	for (uint32_t perm = 0; perm < 65536; perm++) {
		CLEANUP(buf) struct buf b = {0};

		acl_begin(&b);
		acl_add(&b, USER_OBJ, (uint16_t)perm, NO_ID);
		acl_add(&b, GROUP_OBJ, 0, NO_ID);
		acl_add(&b, OTHER, 0, NO_ID);
		cr_assert_eq(acl_check(b.data, b.len), perm < 8 ? 0 : -EINVAL, "%u", perm);
	}
}

Test(acl, only_named_entries_need_an_id)
{
	static const uint16_t tags[] = {USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER};

	for (int i = 0; i < 6; i++) {
		CLEANUP(buf) struct buf b = {0};

		build(&b, "u7U6g5G4m7o4");
		for (uint32_t id = 0; id < 2; id++) {
			memset(b.data + 4 + 8 * i + 4, id != 0 ? 0xff : 0x12, 4);
			cr_assert_eq(acl_check(b.data, b.len),
				     id != 0 && (tags[i] == USER || tags[i] == GROUP) ? -EINVAL
										      : 0);
		}
	}
}

Test(acl, versions)
{
	for (uint32_t version = 0; version < 300; version++) {
		CLEANUP(buf) struct buf b = {0};

		build(&b, "u7g5o4");
		buf_set_u32(&b, 0, version);
		cr_assert_eq(acl_check(b.data, b.len), version == 2 ? 0 : -EINVAL);
	}
}

/* Every function on bytes that are no ACL: all refuse, none touches its output. */
static void assert_refused(const void *acl, size_t len)
{
	CLEANUP(buf) struct buf out = {0};
	uint32_t mode = 0100640;
	bool equiv = true;

	buf_put_str(&out, "old");
	cr_assert_eq(acl_check(acl, len), -EINVAL);
	cr_assert_eq(acl_to_mode(acl, len, &mode, &equiv), -EINVAL);
	cr_assert_eq(acl_chmod(acl, len, 0, &out), -EINVAL);
	cr_assert_eq(acl_inherit(acl, len, &mode, &out), -EINVAL);
	cr_assert_eq(mode, 0100640);
	cr_assert(equiv);
	cr_assert_str_eq(buf_cstr(&out), "old");
}

Test(acl, every_shorter_length)
{
	CLEANUP(buf) struct buf b = {0};

	build(&b, "u7U6g5G4m7o4");
	for (size_t len = 0; len < b.len; len++) {
		CLEANUP(free) void *cut = malloc(len != 0 ? len : 1);

		cr_assert_not_null(cut);
		memcpy(cut, b.data, len);
		assert_refused(cut, len);
	}
	assert_refused(NULL, 0);
	cr_assert_eq(acl_check(b.data, b.len), 0);
	buf_put_u8(&b, 0);
	assert_refused(b.data, b.len);
}

Test(acl, random_bytes)
{
	struct rng g = rng_seeded(0xac1);
	const struct idmap ids = {0};

	for (int i = 0; i < 50000; i++) {
		size_t len = rng_below(&g, 60);
		CLEANUP(free) uint8_t *bytes = malloc(len != 0 ? len : 1);
		CLEANUP(buf) struct buf out = {0};

		cr_assert_not_null(bytes);
		for (size_t j = 0; j < len; j++)
			bytes[j] = (uint8_t)rng_next(&g);
		if (len >= 4 && i % 4 != 0)
			memcpy(bytes, "\2\0\0", 4);
		if (acl_check(bytes, len) != 0)
			assert_refused(bytes, len);
		if (acl_map_ids(bytes, len, &ids, &ids, true, &out) == 0)
			cr_assert_eq(out.len, len);
		else
			cr_assert_eq(out.len, 0);
	}
}

Test(acl, to_mode)
{
	static const struct {
		const char *spec;
		uint32_t mode;
		bool equiv;
	} cases[] = {
		{"u7g5o4", 0754, true},	     {"u0g0o0", 0, true},	  {"u6g7m4o0", 0640, false},
		{"u6U7g7m4o1", 0641, false}, {"u6g0G7m7o1", 0671, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf) struct buf b = {0};
		uint32_t mode = S_IFDIR | 07020;
		bool equiv = !cases[i].equiv;

		build(&b, cases[i].spec);
		cr_assert_eq(acl_to_mode(b.data, b.len, &mode, &equiv), 0);
		cr_assert_eq(mode, S_IFDIR | 07000 | cases[i].mode, "%s", cases[i].spec);
		cr_assert_eq(equiv, cases[i].equiv);
	}
}

static void assert_acl(const struct buf *b, const char *spec)
{
	CLEANUP(buf) struct buf expected = {0};

	build(&expected, spec);
	cr_assert_eq(b->len, expected.len, "%s", spec);
	cr_assert_arr_eq(b->data, expected.data, b->len, "%s", spec);
}

Test(acl, chmod_changes_the_mask_or_else_the_group)
{
	static const char *const cases[][2] = {
		{"u7g5o4", "u1g2o3"},
		{"u7g5m7o4", "u1g5m2o3"},
		{"u7U6g5G4m7o4", "u1U6g5G4m2o3"},
	};

	for (size_t i = 0; i < 3; i++) {
		CLEANUP(buf) struct buf b = {0};

		build(&b, cases[i][0]);
		/* In place: the ACL that goes in is where the one that comes out will be. */
		cr_assert_eq(acl_chmod(b.data, b.len, S_IFREG | 07123, &b), 0);
		assert_acl(&b, cases[i][1]);
	}
}

Test(acl, inherit)
{
	static const struct {
		const char *def;
		uint32_t mode;
		const char *access; /* "" when the mode says it all */
		uint32_t expected;
	} cases[] = {
		{"u7g5o4", 0666, "", 0644},
		{"u7g7o7", 07644, "", 07644},
		{"u7g7m5o7", 0777, "u7g7m5o7", 0757},
		{"u7U7g7m7o0", 0640, "u6U7g7m4o0", 0640},
		{"u6g4G7m6o4", 0777, "u6g4G7m6o4", 0664},
		{"u0g0o0", 0777, "", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf) struct buf b = {0}, access = {0};
		uint32_t mode = S_IFREG | cases[i].mode;

		buf_put_str(&access, "to be replaced");
		build(&b, cases[i].def);
		cr_assert_eq(acl_inherit(b.data, b.len, &mode, &access), 0);
		cr_assert_eq(mode, S_IFREG | cases[i].expected, "%s: %o", cases[i].def, mode);
		if (cases[i].access[0] == '\0')
			cr_assert_eq(access.len, 0);
		else
			assert_acl(&access, cases[i].access);
	}
}

Test(acl, symbolic_links_inherit_nothing)
{
	CLEANUP(buf) struct buf b = {0}, access = {0};
	uint32_t mode = S_IFLNK | 0777;

	build(&b, "u0U0g0m0o0");
	cr_assert_eq(acl_inherit(b.data, b.len, &mode, &access), 0);
	cr_assert_eq(mode, (uint32_t)S_IFLNK | 0777);
	cr_assert_eq(access.len, 0);
}

Test(acl, ids_of_entries_that_name_nobody_are_undefined)
{
	CLEANUP(buf) struct buf b = {0}, out = {0};

	acl_begin(&b);
	acl_add(&b, USER_OBJ, 7, 1);
	acl_add(&b, GROUP_OBJ, 5, 2);
	acl_add(&b, OTHER, 4, 3);
	cr_assert_eq(acl_chmod(b.data, b.len, 0754, &out), 0);
	assert_acl(&out, "u7g5o4");
}

Test(acl, ids_go_through_their_maps)
{
	CLEANUP(buf) struct buf b = {0}, shown = {0}, back = {0};
	CLEANUP(idmap) struct idmap uids = {0}, gids = {0};
	struct reader r;

	cr_assert_eq(idmap_parse("7:1007:1", "uidmapping", &uids, NULL), 0);
	cr_assert_eq(idmap_parse("7:2007:1", "gidmapping", &gids, NULL), 0);
	build(&b, "u7U6g5G4m7o4");
	cr_assert_eq(acl_map_ids(b.data, b.len, &uids, &gids, false, &shown), 0);
	r = reader_of(shown.data, shown.len);
	read_bytes(&r, 4 + 8 + 4);
	cr_assert_eq(read_u32(&r), 1007);
	read_bytes(&r, 8 + 4);
	cr_assert_eq(read_u32(&r), 2007);
	cr_assert_eq(acl_map_ids(shown.data, shown.len, &uids, &gids, true, &back), 0);
	assert_acl(&back, "u7U6g5G4m7o4");

	/* Ids without a place on disk cannot be stored; entries for ids that nobody here has are not shown. */
	buf_clear(&back);
	cr_assert_eq(acl_map_ids(b.data, b.len, &uids, &gids, true, &back), -EOVERFLOW);
	cr_assert_eq(back.len, 0);
	cr_assert_eq(acl_map_ids(shown.data, shown.len, &uids, &gids, false, &shown), 0);
	assert_acl(&shown, "u7g5m7o4");
}

/* Ids in an ACL that a user namespace does not have: the kernel shows them as -1, and takes none of these. */
Test(acl, entries_of_unmapped_ids)
{
	CLEANUP(buf) struct buf b = {0}, out = {0}, access = {0};
	const struct idmap ids = {0};
	uint32_t mode = S_IFREG | 0666;

	acl_begin(&b);
	acl_add(&b, USER_OBJ, 7, NO_ID);
	acl_add(&b, USER, 7, UINT32_MAX);
	acl_add(&b, GROUP_OBJ, 5, NO_ID);
	acl_add(&b, GROUP, 4, UINT32_MAX);
	acl_add(&b, MASK, 7, NO_ID);
	acl_add(&b, OTHER, 0, NO_ID);
	cr_assert_eq(acl_check(b.data, b.len), -EINVAL);
	cr_assert_eq(acl_map_ids(b.data, b.len, &ids, &ids, false, &out), 0);
	assert_acl(&out, "u7g5m7o0");
	/* They stay where they are stored. */
	cr_assert_eq(acl_chmod(b.data, b.len, 0640, &out), 0);
	cr_assert_eq(out.len, b.len);
	cr_assert_eq(acl_inherit(b.data, b.len, &mode, &access), 0);
	cr_assert_eq(access.len, b.len);
	cr_assert_eq(mode, S_IFREG | 0660);
}

Test(acl, mapping_keeps_an_acl_that_is_no_longer_in_order)
{
	CLEANUP(buf) struct buf b = {0}, out = {0};
	const struct idmap ids = {0};

	build(&b, "o4g5u7");
	cr_assert_eq(acl_map_ids(b.data, b.len, &ids, &ids, false, &out), 0);
	assert_acl(&out, "o4g5u7");
	cr_assert_eq(acl_map_ids(b.data, b.len - 1, &ids, &ids, false, &out), -EINVAL);
	cr_assert_eq(acl_map_ids(b.data, 3, &ids, &ids, false, &out), -EINVAL);
	assert_acl(&out, "o4g5u7");
}

Test(acl, the_largest_one)
{
	CLEANUP(buf) struct buf b = {0}, out = {0};
	uint32_t mode = S_IFREG | 0777;

	acl_begin(&b);
	acl_add(&b, USER_OBJ, 7, NO_ID);
	for (uint32_t i = 0; i < 8187; i++)
		acl_add(&b, USER, 7, i);
	acl_add(&b, GROUP_OBJ, 7, NO_ID);
	acl_add(&b, MASK, 3, NO_ID);
	acl_add(&b, OTHER, 0, NO_ID);
	cr_assert_leq(b.len, 65536);
	cr_assert_eq(acl_inherit(b.data, b.len, &mode, &out), 0);
	cr_assert_eq(mode, (uint32_t)S_IFREG | 0730);
	cr_assert_eq(out.len, b.len);
	cr_assert_arr_eq(out.data, b.data, b.len);
}
