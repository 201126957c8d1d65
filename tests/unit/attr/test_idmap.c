/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of attr/idmap. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "attr/idmap.h"
#include "unit/attr/fixture.h"

static struct idmap parsed(const char *text)
{
	struct idmap m = {0};
	CLEANUP(err) struct err e = {0};

	cr_assert_eq(idmap_parse(text, "uidmapping", &m, &e), 0, "%s: %s", text, err_text(&e));
	cr_assert_null(e.text);
	return m;
}

static int to_disk(const struct idmap *m, uint32_t shown)
{
	uint32_t disk = 0;
	int r = idmap_to_disk(m, shown, &disk);

	return r < 0 ? r : (int)disk;
}

Test(idmap, without_ranges_ids_are_themselves)
{
	static const char *const texts[] = {"", ":", "::::"};

	for (size_t i = 0; i < 3; i++) {
		CLEANUP(idmap) struct idmap m = parsed(texts[i]);

		cr_assert_eq(m.n, 0);
		cr_assert_eq(idmap_to_shown(&m, UINT32_MAX), UINT32_MAX);
		cr_assert_eq(to_disk(&m, 12345), 12345);
	}
}

Test(idmap, a_zeroed_map_is_the_identity)
{
	struct idmap m = {0};

	cr_assert_eq(idmap_to_shown(&m, 0), 0);
	cr_assert_eq(to_disk(&m, 65534), 65534);
}

static void check_podman_map(const char *text)
{
	CLEANUP(idmap) struct idmap m = parsed(text);

	cr_assert_eq(m.n, 2);
	cr_assert_eq(idmap_to_shown(&m, 1000), 0);
	cr_assert_eq(idmap_to_shown(&m, 100000), 1);
	cr_assert_eq(idmap_to_shown(&m, 165535), 65536);
	cr_assert_eq(idmap_to_shown(&m, 165536), ID_UNMAPPED);
	cr_assert_eq(idmap_to_shown(&m, 999), ID_UNMAPPED);
	cr_assert_eq(idmap_to_shown(&m, 1001), ID_UNMAPPED);
	cr_assert_eq(to_disk(&m, 0), 1000);
	cr_assert_eq(to_disk(&m, 1), 100000);
	cr_assert_eq(to_disk(&m, 65536), 165535);
	cr_assert_eq(to_disk(&m, 65537), -EOVERFLOW);
}

Test(idmap, colons_may_lead_trail_and_double)
{
	check_podman_map("1000:0:1:100000:1:65536");
	check_podman_map(":1000:0:1:100000:1:65536");
	check_podman_map("1000:0:1:100000:1:65536:");
	check_podman_map("::1000::0:1:::100000:1:65536::");
}

Test(idmap, the_largest_range_holds_all_ids_but_minus_one)
{
	CLEANUP(idmap) struct idmap m = parsed("0:0:4294967295");

	cr_assert_eq(idmap_to_shown(&m, 4294967294), 4294967294);
	cr_assert_eq(idmap_to_shown(&m, UINT32_MAX), ID_UNMAPPED);
}

Test(idmap, the_ends_of_the_ids)
{
	CLEANUP(idmap) struct idmap m = parsed("4294967294:0:1:0:4294967294:1");
	uint32_t disk;

	cr_assert_eq(idmap_to_shown(&m, 4294967294), 0);
	cr_assert_eq(idmap_to_shown(&m, 0), 4294967294);
	cr_assert_eq(idmap_to_disk(&m, 4294967294, &disk), 0);
	cr_assert_eq(disk, 0);
	cr_assert_eq(idmap_to_disk(&m, 0, &disk), 0);
	cr_assert_eq(disk, 4294967294);
}

Test(idmap, neighbours_do_not_overlap)
{
	CLEANUP(idmap) struct idmap m = parsed("0:10:5:5:5:5:10:0:5");

	cr_assert_eq(idmap_to_shown(&m, 4), 14);
	cr_assert_eq(idmap_to_shown(&m, 5), 5);
	cr_assert_eq(idmap_to_shown(&m, 10), 0);
}

Test(idmap, bad_texts_are_refused_with_a_sentence)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"0:0", "threes"},
		{"0:0:1:5", "threes"},
		{"0", "threes"},
		{"0:0:0", "empty"},
		{"a:0:1", "'a'"},
		{"0:0:1x", "'1x'"},
		{"-1:0:1", "'-1'"},
		{"+1:0:1", "'+1'"},
		{" 1:0:1", "' 1'"},
		{"0:0:1\n", "id or a count"},
		{"0x10:0:1", "'0x10'"},
		{"4294967296:0:1", "'4294967296'"},
		{"18446744073709551616:0:1", "'18446744073709551616'"},
		{"0:0:4294967296", "'4294967296'"},
		{"1:0:4294967295", "beyond"},
		{"0:1:4294967295", "beyond"},
		{"4294967295:0:1", "beyond"},
		{"0:4294967295:1", "beyond"},
		{"4294967294:0:2", "beyond"},
		{"0:0:10:9:100:1", "overlap"},
		{"0:0:10:100:9:1", "overlap"},
		{"9:0:1:0:100:10", "overlap"},
		{"5:0:1:5:1:1", "overlap"},
		{"0:0:4294967295:7:7:1", "overlap"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CLEANUP(idmap) struct idmap m = parsed("1:2:3");
		CLEANUP(err) struct err e = {0};

		m.squash = true;
		m.squash_id = 77;
		cr_assert_eq(idmap_parse(bad[i].text, "gidmapping", &m, &e), -EINVAL, "%s",
			     bad[i].text);
		cr_assert_not_null(strstr(err_text(&e), bad[i].says), "%s", err_text(&e));
		cr_assert_eq(strncmp(err_text(&e), "gidmapping: ", 12), 0, "%s", err_text(&e));
		/* The old map is as it was. */
		cr_assert_eq(m.n, 1);
		cr_assert_eq(m.ranges[0].shown, 2);
		cr_assert_eq(idmap_parse(bad[i].text, "gidmapping", &m, NULL), -EINVAL);
	}
}

Test(idmap, a_new_parse_frees_the_old_ranges_and_keeps_the_squash)
{
	CLEANUP(idmap) struct idmap m = parsed("1:2:3");

	m.squash = true;
	m.squash_id = 77;
	cr_assert_eq(idmap_parse("10:20:30", "uidmapping", &m, NULL), 0);
	cr_assert_eq(m.n, 1);
	cr_assert_eq(idmap_to_shown(&m, 10), 77);
	cr_assert_eq(idmap_to_shown(&m, 5), 77);
	m.squash = false;
	cr_assert_eq(idmap_to_shown(&m, 10), 20);
}

Test(idmap, squash_shows_one_id_and_stores_as_before)
{
	struct idmap m = {.squash = true, .squash_id = 5};

	cr_assert_eq(idmap_to_shown(&m, 0), 5);
	cr_assert_eq(idmap_to_shown(&m, UINT32_MAX), 5);
	cr_assert_eq(to_disk(&m, 9), 9);
}

static uint32_t number_in(const char *path)
{
	unsigned int id = 65534;
	FILE *f = fopen(path, "re");

	if (f != NULL) {
		cr_assert_eq(fscanf(f, "%u", &id), 1);
		fclose(f);
	}
	return id;
}

Test(idmap, overflow_ids_are_the_kernels)
{
	uint32_t uid, gid;

	idmap_overflow_ids(&uid, &gid);
	cr_assert_eq(uid, number_in("/proc/sys/kernel/overflowuid"));
	cr_assert_eq(gid, number_in("/proc/sys/kernel/overflowgid"));
}

static int owner(const char *text, uint32_t shown)
{
	CLEANUP(idmap) struct idmap m = parsed(text);
	uint32_t disk;
	int r = idmap_owner(&m, shown, &disk);

	return r < 0 ? r : (int)disk;
}

Test(idmap, owners_of_new_files)
{
	cr_assert_eq(owner("", 7), 7);
	cr_assert_eq(owner("1000:0:10", 7), 1007);
	cr_assert_eq(owner("1000:0:10", 0), 1000);
	cr_assert_eq(owner("1000:0:10", 10), -EOVERFLOW);
	/* The engine's root makes what is the container's root's. */
	cr_assert_eq(owner("0:1000:10", 0), 0);
	cr_assert_eq(owner("0:1000:10", 1000), 0);
	cr_assert_eq(owner("0:1000:10", 1), -EOVERFLOW);
	cr_assert_eq(owner("0:1000:10", 65534), -EOVERFLOW);
	/* But who could not be shown owns nothing. */
	cr_assert_eq(owner("5:1000:10", 0), -EOVERFLOW);
}

Test(idmap, what_is_stored_is_shown_again)
{
	CLEANUP(idmap) struct idmap m = parsed("1000:0:1:100000:1:65536:7:4000000000:9");
	struct rng g = rng_seeded(0x1d);

	for (int i = 0; i < 100000; i++) {
		uint32_t shown = (uint32_t)rng_next(&g) % (i % 2 != 0 ? 70000 : 4294967295u);
		uint32_t disk = 0;

		if (idmap_to_disk(&m, shown, &disk) == 0)
			cr_assert_eq(idmap_to_shown(&m, disk), shown);
		else
			cr_assert_eq(disk, 0);
	}
}

Test(idmap, random_texts)
{
	static const char alphabet[] = "0123456789::::- x";
	struct rng g = rng_seeded(0x1d2);
	int good = 0;

	for (int i = 0; i < 50000; i++) {
		CLEANUP(idmap) struct idmap m = {0};
		char text[32] = "";
		uint32_t len = rng_below(&g, sizeof(text) - 1);

		for (uint32_t j = 0; j < len; j++)
			text[j] = alphabet[rng_below(&g, i % 2 != 0 ? 14 : sizeof(alphabet) - 1)];
		if (idmap_parse(text, "uidmapping", &m, NULL) == 0) {
			good++;
			for (size_t j = 0; j < m.n; j++) {
				cr_assert_gt(m.ranges[j].len, 0);
				cr_assert_eq(idmap_to_shown(&m, m.ranges[j].disk),
					     m.ranges[j].shown);
			}
		} else {
			cr_assert_null(m.ranges);
		}
	}
	cr_assert_gt(good, 100);
}
