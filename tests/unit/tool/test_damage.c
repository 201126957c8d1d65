/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte of a small catalog and its journal flipped, and each of them cut at every length, one at
 * a time. Which bit is flipped, and which places are salvaged and mounted too, depends on a seed that is printed
 * (PLYFS_TEST_SEED); with PLYFS_TEST_ALL it is every bit, and every place.
 *
 * Nineteen of twenty bytes of the tables are in no page, or no part of one, that is ever read. To find these takes a look at many
 * at once: where none of them changes anything, none alone does. Where something changes each is looked at alone.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "catalog/inspect.h"
#include "unit/tool/damage.h"

#define PAGE 4096

/* Of so many places one is mounted too. */
#define MOUNTED 7

/* How many lines differ. */
static int compare_lines(const char *a, const char *b)
{
	int n = 0;

	while (*a != '\0' || *b != '\0') {
		size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");

		n += la != lb || memcmp(a, b, la) != 0;
		a += la + (a[la] == '\n');
		b += lb + (b[lb] == '\n');
	}
	return n;
}

/* Calls LOOK with one bit of the byte at AT flipped, or each of its bits in turn. The file is as it was after. */
static void flip_one(struct damage *d, enum damage_file file, size_t at,
		     void (*look)(struct damage *d, size_t at, void *arg), void *arg)
{
	unsigned int first = d->all ? 0 : (unsigned int)((at + d->seed) % 8);
	unsigned int last = d->all ? 7 : first;

	if (!damage_is_wanted(d, at))
		return;
	for (unsigned int bit = first; bit <= last; bit++) {
		damage_flip(d, file, at, bit);
		look(d, at, arg);
		damage_mend(d);
	}
}

/* Each byte of FILE in turn that is this child's. */
static void flip_each(struct damage *d, enum damage_file file, const char *what,
		      void (*look)(struct damage *d, size_t at, void *arg), void *arg)
{
	snprintf(d->place->what, sizeof(d->place->what), "%s", what);
	for (size_t at = 0; at < d->files[file].len; at++)
		if (damage_is_mine(d, at, 1))
			flip_one(d, file, at, look, arg);
}

/* ---- the tables --------------------------------------------------------------------------- */

struct counts {
	int found, same, other;
};

/*
 * Without a checksum a flipped bit can make another value that is one, too: of such one line of the
 * dump may differ. Everything else is found, or changes nothing.
 */
static void look_at_tables(struct damage *d, size_t at, void *arg)
{
	CLEANUP(free) char *text = NULL, *dump = NULL;
	struct counts *counts = arg;
	int status = damage_check(d, &text), differs;

	if (status != FSCK_CLEAN) {
		counts->found++;
	} else {
		dump = sample_dump(&d->u);
		differs = strcmp(dump, d->whole) == 0 ? 0 : compare_lines(dump, d->whole);
		/* An older state is whole, too: LMDB's meta pages have no checksum. */
		if (differs > 1 && at >= 2 * PAGE)
			damage_wrong(d, status, dump);
		counts->same += differs == 0;
		counts->other += differs != 0;
	}
	if (damage_is_sampled(d, at, MOUNTED))
		damage_mount(d, status);
}

/* Where one damage can hide another: of the two meta pages LMDB takes the better one. */
static bool is_meta(size_t at)
{
	return at < 2 * PAGE && at % PAGE < 256;
}

/* Does it change nothing if a bit of each of these bytes is flipped? Each bit in turn with PLYFS_TEST_ALL. */
static bool is_unread(struct damage *d, size_t from, size_t to)
{
	unsigned int n = d->all ? 8 : 1;
	bool same = !is_meta(from) && d->only == NULL;

	for (unsigned int i = 0; same && i < n; i++) {
		CLEANUP(free) char *text = NULL, *dump = NULL;

		damage_flip_all(d, FILE_TABLES, from, to, (unsigned int)((from + d->seed + i) % 8));
		same = damage_check(d, &text) == FSCK_CLEAN;
		if (same) {
			dump = sample_dump(&d->u);
			same = strcmp(dump, d->whole) == 0;
		}
		if (same)
			damage_mount(d, FSCK_CLEAN);
		damage_mend(d);
	}
	return same;
}

static void flip_tables(struct damage *d)
{
	size_t len = d->files[FILE_TABLES].len;
	struct counts c = {0};

	damage_drop(d, FILE_SUM);
	snprintf(d->place->what, sizeof(d->place->what), "flipped");
	for (size_t from = 0; from < len; from += DAMAGE_BYTES) {
		size_t to = from + DAMAGE_BYTES < len ? from + DAMAGE_BYTES : len;

		if (!damage_is_mine(d, from, DAMAGE_BYTES))
			continue;
		if (is_unread(d, from, to)) {
			c.same += (int)(to - from);
			continue;
		}
		for (size_t at = from; at < to; at++)
			flip_one(d, FILE_TABLES, at, look_at_tables, &c);
	}
	fprintf(stderr, "%zu bytes: %d found, %d change nothing, %d make another value\n", len,
		c.found, c.same, c.other);
	if (d->only == NULL && (c.found < 50 || c.other > c.found))
		damage_wrong(d, c.found, "too few are found");
}

/* Salvage looks at every page, and so at bytes that nobody else reads. */
static void salvage_tables(struct damage *d)
{
	damage_drop(d, FILE_SUM);
	snprintf(d->place->what, sizeof(d->place->what), "salvaged");
	for (size_t at = 0; at < d->files[FILE_TABLES].len; at++) {
		if (!damage_is_mine(d, at, 1) || !damage_is_wanted(d, at) ||
		    !damage_is_sampled(d, at, 41))
			continue;
		damage_flip(d, FILE_TABLES, at, (unsigned int)((at + d->seed) % 8));
		damage_salvage(d);
		damage_mend(d);
	}
}

/* With the checksum of a clean close, every bit is found. */
static bool sum_is_wrong(struct damage *d)
{
	CLEANUP(catalog_files) struct catalog_files files = {0};
	CLEANUP(err) struct err err = {0};

	if (catalog_inspect(d->dir, false, &files, &err) < 0)
		damage_wrong(d, err.code, err_text(&err));
	return files.sum == -EUCLEAN;
}

static void look_with_sum(struct damage *d, size_t at, void *arg)
{
	CLEANUP(free) char *text = NULL;
	bool is_found = sum_is_wrong(d);
	int status = FSCK_ERRORS_LEFT;

	(void)arg;
	/* The number of the transaction says that the file is newer than the sum. */
	if (!is_found && (at >= 2 * PAGE || at % PAGE < 144))
		damage_wrong(d, 0, "its checksum is right");
	/* What fsck says of the rest does not depend on the sum. */
	if (!is_found || (at / d->n_children + d->seed) % 41 == 0)
		status = damage_check(d, &text);
	if (is_found && status == FSCK_CLEAN)
		damage_wrong(d, status, text);
	if (damage_is_sampled(d, at, MOUNTED))
		damage_mount(d, status);
}

static void flip_with_sum(struct damage *d)
{
	flip_each(d, FILE_TABLES, "flipped, with a sum", look_with_sum, NULL);
}

static void look_at_sum(struct damage *d, size_t at, void *arg)
{
	CLEANUP(free) char *text = NULL;
	int status = damage_check(d, &text);

	(void)at;
	(void)arg;
	damage_mount(d, status);
}

/* The tables are whole, whatever becomes of their checksum. */
static void damage_to_sum(struct damage *d)
{
	CLEANUP(free) char *dump = NULL;

	flip_each(d, FILE_SUM, "checksum flipped", look_at_sum, NULL);
	snprintf(d->place->what, sizeof(d->place->what), "checksum cut");
	for (size_t len = d->files[FILE_SUM].len; len-- > 0;) {
		damage_cut(d, FILE_SUM, len);
		look_at_sum(d, len, NULL);
		damage_mend(d);
	}
	dump = sample_dump(&d->u);
	if (strcmp(dump, d->whole) != 0)
		damage_wrong(d, 0, dump);
}

static void cut_tables(struct damage *d)
{
	damage_drop(d, FILE_SUM);
	snprintf(d->place->what, sizeof(d->place->what), "cut");
	for (size_t len = d->files[FILE_TABLES].len; len-- > 0;) {
		CLEANUP(free) char *text = NULL, *dump = NULL;
		int status;

		if (!damage_is_mine(d, len, 1) || !damage_is_wanted(d, len))
			continue;
		damage_cut(d, FILE_TABLES, len);
		status = damage_check(d, &text);
		if (status == FSCK_CLEAN) {
			dump = sample_dump(&d->u);
			if (strcmp(dump, d->whole) != 0)
				damage_wrong(d, status, dump);
		}
		if (damage_is_sampled(d, len, 241))
			damage_salvage(d);
		if (damage_is_sampled(d, len, MOUNTED))
			damage_mount(d, status);
		damage_mend(d);
	}
}

/* ---- the journal -------------------------------------------------------------------------- */

/* Where the last record begins. */
static size_t last_record(const struct damage *d)
{
	size_t at = 32, last = at;

	while (at + 24 <= d->files[FILE_JOURNAL].len) {
		last = at;
		at += 24 + get_le32(d->files[FILE_JOURNAL].bytes + at + 4);
	}
	return last;
}

static void look_at_journal(struct damage *d, size_t at, void *arg)
{
	CLEANUP(free) char *text = NULL;
	const size_t *last = arg;
	int status = damage_check(d, &text);

	/* Damage to the last record is a torn tail to whoever looks. */
	if (status == FSCK_CLEAN && at < *last)
		damage_wrong(d, status, text);
	if (damage_is_sampled(d, at, 17))
		damage_salvage(d);
	damage_mount(d, status);
}

static void flip_journal(struct damage *d)
{
	size_t last = last_record(d);

	flip_each(d, FILE_JOURNAL, "journal flipped", look_at_journal, &last);
}

static void cut_journal(struct damage *d)
{
	snprintf(d->place->what, sizeof(d->place->what), "journal cut");
	for (size_t len = d->files[FILE_JOURNAL].len; len-- > 0;) {
		CLEANUP(free) char *text = NULL;
		int status;

		if (!damage_is_mine(d, len, 1) || !damage_is_wanted(d, len))
			continue;
		damage_cut(d, FILE_JOURNAL, len);
		status = damage_check(d, &text);
		if (strstr(text, "is damaged") != NULL)
			damage_wrong(d, status, text);
		if (damage_is_sampled(d, len, 29))
			damage_salvage(d);
		damage_mount(d, status);
		damage_mend(d);
	}
}

Test(fsck_damage, flipped)
{
	damage_run(DAMAGE_CLOSED, flip_tables);
}

Test(fsck_damage, flipped_and_salvaged)
{
	damage_run(DAMAGE_CLOSED, salvage_tables);
}

Test(fsck_damage, flipped_with_sum)
{
	damage_run(DAMAGE_CLOSED, flip_with_sum);
}

Test(fsck_damage, checksum)
{
	damage_run(DAMAGE_CLOSED, damage_to_sum);
}

Test(fsck_damage, cut)
{
	damage_run(DAMAGE_CLOSED, cut_tables);
}

Test(fsck_damage, journal_flipped)
{
	damage_run(DAMAGE_UNCLOSED, flip_journal);
}

Test(fsck_damage, journal_cut)
{
	damage_run(DAMAGE_UNCLOSED, cut_journal);
}
