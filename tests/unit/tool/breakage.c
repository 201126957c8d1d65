/* SPDX-License-Identifier: Apache-2.0 */
/* One rule of the format broken. */
#include "unit/tool/breakage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* The findings in TEXT: without notes, and without ": done" at the ends of lines. */
static char *findings(const char *text)
{
	CLEANUP(buf) struct buf out = {0};

	while (*text != '\0') {
		size_t len = strcspn(text, "\n");
		const char *note = strstr(text, ": note: ");

		if (note == NULL || note > text + len) {
			bool done = len > 6 && memcmp(text + len - 6, ": done", 6) == 0;

			buf_put(&out, text, done ? len - 6 : len);
			buf_put_u8(&out, '\n');
		}
		text += len + (text[len] == '\n');
	}
	cr_assert_not_null(buf_cstr(&out));
	return (char *)steal_ptr(&out.data);
}

static void reopen(struct made_upper *u)
{
	struct catalog_options options = {.mode = CATALOG_WRITE, .no_threads = true};
	CLEANUP(err) struct err err = {0};
	int dir = openat(u->tmp.fd, ".plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(catalog_open(dir, &options, &u->catalog, &err), 0, "%s", err_text(&err));
	close(dir);
}

void run_breakage(const struct breakage *b)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	CLEANUP(free) char *before = NULL, *broken = NULL, *same = NULL, *after = NULL;
	CLEANUP(free) char *said = NULL, *found = NULL, *said_again = NULL, *found_again = NULL;
	CLEANUP(free) char *nothing = NULL;

	sample_make(&u);
	made_upper_close(&u);
	before = sample_dump(&u);
	reopen(&u);
	b->break_it(&u);
	made_upper_close(&u);
	broken = sample_dump(&u);
	cr_assert_eq(sample_fsck(&u, false, &said), b->clean ? FSCK_CLEAN : FSCK_ERRORS_LEFT, "%s",
		     said);
	found = findings(said);
	cr_assert_str_eq(found, b->finds);
	same = sample_dump(&u);
	cr_assert_str_eq(same, broken, "a check changes nothing");
	cr_assert_eq(sample_fsck(&u, true, &said_again), b->clean ? FSCK_CLEAN : FSCK_CORRECTED,
		     "%s", said_again);
	found_again = findings(said_again);
	cr_assert_str_eq(found_again, b->finds, "a repair finds the same");
	cr_assert_eq(sample_fsck(&u, false, &nothing), FSCK_CLEAN, "%s", nothing);
	cr_assert_str_eq(nothing, "");
	after = sample_dump(&u);
	if (!b->changes)
		cr_assert_str_eq(after, before);
	reopen(&u);
	if (b->look != NULL)
		b->look(&u);
}

uint64_t ino_at(struct made_upper *u, uint64_t parent, const char *name)
{
	struct entry_rec entry;

	cr_assert_eq(catalog_entry(u->catalog, parent, name, strlen(name), &entry), 0, "%s", name);
	return entry.ino;
}

uint64_t lost(struct made_upper *u, const char *name)
{
	return ino_at(u, ino_at(u, 1, "lost+found"), name);
}

void assert_gone(struct made_upper *u, uint64_t parent, const char *name)
{
	struct entry_rec entry;

	cr_assert_eq(catalog_entry(u->catalog, parent, name, strlen(name), &entry), -ENOENT);
}

void assert_whiteout(struct made_upper *u, uint64_t parent, const char *name)
{
	struct entry_rec entry;

	cr_assert_eq(catalog_entry(u->catalog, parent, name, strlen(name), &entry), 0);
	cr_assert(entry_is_whiteout(&entry));
}

struct inode_rec record(struct made_upper *u, uint64_t ino)
{
	struct inode_rec rec;

	cr_assert_eq(catalog_inode(u->catalog, ino, &rec), 0);
	free(rec.origin);
	rec.origin = NULL;
	return rec;
}
