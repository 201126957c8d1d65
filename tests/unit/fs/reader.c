/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of directories. */
#include "unit/fs/reader.h"

#include <stdio.h>
#include <string.h>

#include "catalog/catalog.h"
#include "fs/private.h"

static void note_entry(struct reader_state *s, const struct fs_dirent *e)
{
	cr_assert_lt(s->n, sizeof(s->names) / sizeof(*s->names));
	snprintf(s->names[s->n], sizeof(s->names[0]), "%.*s", e->len, e->name);
	cr_assert_eq(e->name[e->len], '\0');
	s->inos[s->n] = e->attr != NULL ? e->ino : 0;
	s->cookies[s->n++] = e->cookie;
	s->cookie = e->cookie;
	cr_assert_lt(e->cookie, (uint64_t)1 << 63);
}

static bool take(void *arg, const struct fs_dirent *entries, size_t n)
{
	struct reader_state *s = arg;

	if (n > s->max - s->taken || (s->alone && n > 1 && s->taken > 0))
		return false;
	for (size_t i = 0; i < n; i++)
		note_entry(s, &entries[i]);
	s->taken = s->alone && n > 1 ? s->max : s->taken + n;
	return true;
}

bool read_some(struct world *w, uint64_t ino, struct reader_state *s, size_t max)
{
	size_t from = s->n;

	s->max = max;
	s->taken = 0;
	ok((s->plus ? fs_readdirplus : fs_readdir)(w->fs, ino, s->cookie, take, s));
	for (size_t i = from; i < s->n; i++)
		if (s->inos[i] != 0)
			fs_forget(w->fs, s->inos[i], 1);
	return s->n > from;
}

size_t count_name(const struct reader_state *s, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += strcmp(s->names[i], name) == 0;
	return n;
}

int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t hash_of(struct world *w, const char *name)
{
	return catalog_name_hash(catalog_seed(w->fs->catalog), name, strlen(name));
}
