/* SPDX-License-Identifier: Apache-2.0 */
/* Random batches against a model in memory, with closing, dying and damage in between. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "catalog/check.h"
#include "catalog/internal.h"
#include "unit/catalog/helper.h"

/* A small world, so that changes meet each other. */
enum { INOS = 40, NAMES = 30, XATTRS = 4, SEGMENTS = 3, VALUE_MAX = 9000 };

struct value {
	bool is_set;
	uint32_t len;
	uint8_t fill;
};

struct model {
	struct {
		struct entry_rec entry;
		bool is_set;
	} names[INOS][NAMES];
	struct {
		bool is_set;
		uint64_t size;
		char origin[20]; /* "-": none */
	} inodes[INOS];
	struct value xattrs[INOS][XATTRS];
	struct value inlines[INOS];
	struct value chunks[INOS][SEGMENTS];
	bool orphans[INOS];
};

/* Number I as the catalog sees it: half of them are of lower files. */
static uint64_t ino_of(uint64_t i)
{
	return i % 2 == 0 ? i + 1 : CATALOG_FIRST_LOWER_INO + i;
}

static size_t name_of(char *name, uint64_t k)
{
	/* Of all lengths up to 255. */
	size_t len = 1 + k * 254 / (NAMES - 1);

	memset(name, 'a' + (int)(k % 26), len);
	return len;
}

static const char *xattr_of(uint64_t k)
{
	return (const char *[XATTRS]){"user.a", "user.ab", "trusted.b", "s"}[k];
}

static struct value random_value(struct rng *r)
{
	struct value v = {true, (uint32_t)rng_below(r, 100), (uint8_t)rng_next(r)};

	if (rng_below(r, 20) == 0)
		v.len = (uint32_t)rng_below(r, VALUE_MAX);
	return v;
}

static const uint8_t *bytes_of(const struct value *v)
{
	static uint8_t bytes[VALUE_MAX];

	memset(bytes, v->fill, sizeof(bytes));
	return bytes;
}

static void change_name(struct model *m, struct batch *b, struct rng *r, uint64_t i)
{
	uint64_t k = rng_below(r, NAMES), to = rng_below(r, INOS);
	char name[256];
	size_t len = name_of(name, k);

	m->names[i][k].is_set = true;
	switch (rng_below(r, 5)) {
	case 0:
		batch_put_whiteout(b, ino_of(i), name, len);
		m->names[i][k].entry = (struct entry_rec){0, DT_WHT};
		break;
	case 1:
		batch_del_entry(b, ino_of(i), name, len);
		m->names[i][k].is_set = false;
		break;
	default:
		batch_put_entry(b, ino_of(i), name, len, ino_of(to), DT_REG);
		m->names[i][k].entry = (struct entry_rec){ino_of(to), DT_REG};
	}
}

static void change_inode(struct model *m, struct batch *b, struct rng *r, uint64_t i)
{
	struct inode_rec rec = {.attr = {.ino = ino_of(i), .mode = S_IFREG | 0600}};

	rec.attr.size = m->inodes[i].size = rng_next(r);
	m->inodes[i].is_set = true;
	memcpy(m->inodes[i].origin, "-", 2);
	if (rng_below(r, 2)) {
		snprintf(m->inodes[i].origin, sizeof(m->inodes[i].origin), "%.*s",
			 (int)rng_below(r, 19), "usr/share/something");
		rec.origin = m->inodes[i].origin;
	}
	batch_put_inode(b, &rec);
}

static void delete_inode(struct model *m, struct batch *b, uint64_t i)
{
	batch_del_inode(b, ino_of(i));
	memset(&m->inodes[i], 0, sizeof(m->inodes[i]));
	memset(&m->xattrs[i], 0, sizeof(m->xattrs[i]));
	memset(&m->inlines[i], 0, sizeof(m->inlines[i]));
	memset(&m->chunks[i], 0, sizeof(m->chunks[i]));
	m->orphans[i] = false;
}

static void change_values(struct model *m, struct batch *b, struct rng *r, uint64_t i)
{
	struct value v = random_value(r);
	uint64_t k = rng_below(r, XATTRS), s = rng_below(r, SEGMENTS);

	switch (rng_below(r, 8)) {
	case 0:
		batch_del_xattr(b, ino_of(i), xattr_of(k));
		m->xattrs[i][k].is_set = false;
		break;
	case 1:
		v.is_set = v.len > 0;
		batch_put_inline(b, ino_of(i), bytes_of(&v), v.len);
		m->inlines[i] = v;
		break;
	case 2:
		batch_put_chunks(b, ino_of(i), (uint32_t)s, bytes_of(&v));
		m->chunks[i][s] = v;
		break;
	case 3:
		batch_del_chunks(b, ino_of(i));
		memset(&m->chunks[i], 0, sizeof(m->chunks[i]));
		break;
	case 4:
		m->orphans[i] = rng_below(r, 2);
		if (m->orphans[i])
			batch_put_orphan(b, ino_of(i));
		else
			batch_del_orphan(b, ino_of(i));
		break;
	default:
		batch_put_xattr(b, ino_of(i), xattr_of(k), bytes_of(&v), v.len);
		m->xattrs[i][k] = v;
	}
}

static void random_change(struct model *m, struct batch *b, struct rng *r)
{
	uint64_t i = rng_below(r, INOS);

	switch (rng_below(r, 40)) {
	case 0:
		delete_inode(m, b, i);
		break;
	case 1:
		batch_del_entries(b, ino_of(i));
		memset(&m->names[i], 0, sizeof(m->names[i]));
		break;
	case 2 ... 15:
		change_name(m, b, r, i);
		break;
	case 16 ... 25:
		change_inode(m, b, r, i);
		break;
	default:
		change_values(m, b, r, i);
	}
}

static bool same_value(const struct value *v, const uint8_t *bytes, ssize_t len)
{
	return len == (ssize_t)v->len && memcmp(bytes, bytes_of(v), v->len) == 0;
}

static void compare_names(struct model *m, struct catalog *c, uint64_t i)
{
	CLEANUP(catalog_names) struct catalog_names l = {0};
	size_t expected = 0;
	char name[256];

	for (uint64_t k = 0; k < NAMES; k++) {
		struct entry_rec e = {0};
		int rc = catalog_entry(c, ino_of(i), name, name_of(name, k), &e);

		cr_assert_eq(rc, m->names[i][k].is_set ? 0 : -ENOENT);
		if (rc == 0) {
			cr_assert_eq(e.ino, m->names[i][k].entry.ino);
			cr_assert_eq(e.dtype, m->names[i][k].entry.dtype);
			expected++;
		}
	}
	cr_assert_eq(catalog_list(c, ino_of(i), 0, SIZE_MAX, &l), 0);
	cr_assert_eq(l.n, expected);
}

static void compare_inode(struct model *m, struct catalog *c, uint64_t i)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(buf) struct buf names = {0};
	static uint8_t bytes[VALUE_MAX];
	size_t names_len = 0;

	cr_assert_eq(catalog_inode(c, ino_of(i), &rec), m->inodes[i].is_set ? 0 : -ENOENT);
	if (m->inodes[i].is_set) {
		cr_assert_eq(rec.attr.size, m->inodes[i].size);
		cr_assert_str_eq(rec.origin != NULL ? rec.origin : "-", m->inodes[i].origin);
	}
	for (uint64_t k = 0; k < XATTRS; k++) {
		const struct value *v = &m->xattrs[i][k];
		ssize_t n = catalog_xattr(c, ino_of(i), xattr_of(k), bytes, sizeof(bytes));

		cr_assert(v->is_set ? same_value(v, bytes, n) : n == -ENODATA);
		names_len += v->is_set ? strlen(xattr_of(k)) + 1 : 0;
	}
	cr_assert_eq(catalog_xattr_names(c, ino_of(i), &names), 0);
	cr_assert_eq(names.len, names_len);
	cr_assert(same_value(&m->inlines[i], bytes,
			     catalog_inline(c, ino_of(i), 0, bytes, sizeof(bytes))));
	for (uint32_t s = 0; s < SEGMENTS; s++) {
		struct value v = m->chunks[i][s];

		v.len = CHUNK_SEGMENT_BYTES;
		v.fill = v.is_set ? v.fill : 0;
		cr_assert_eq(catalog_chunks(c, ino_of(i), s, bytes), 0);
		cr_assert(same_value(&v, bytes, CHUNK_SEGMENT_BYTES));
	}
}

static void compare(struct model *m, struct catalog *c)
{
	for (uint64_t i = 0; i < INOS; i++) {
		compare_names(m, c, i);
		compare_inode(m, c, i);
	}
}

static void compare_orphans(struct model *m, struct catalog *c)
{
	CLEANUP(free) uint64_t *inos = NULL;
	size_t n, expected = 0;

	cr_assert_eq(catalog_orphans(c, &inos, &n), 0);
	for (uint64_t i = 0; i < INOS; i++) {
		bool found = false;

		for (size_t k = 0; k < n; k++)
			found |= inos[k] == ino_of(i);
		cr_assert_eq(found, m->orphans[i]);
		expected += m->orphans[i];
	}
	cr_assert_eq(n, expected);
}

static void check_whole(const struct dir *d)
{
	int fd = openat(d->fd, CATALOG_FILE, O_RDONLY | O_CLOEXEC);
	const char *why = "";
	struct check_info info;

	cr_assert_eq(check_tree(fd, &info, &why), 0, "%s", why);
	cr_assert_geq(info.pages + 2, info.size / 4096, "LMDB has lost pages");
	close(fd);
}

/* Leaves the catalog without closing it, as a killed process does. */
static void abandon(struct catalog *c)
{
	lock_release(&c->lock_file, false);
	c->options.mode = CATALOG_SNAPSHOT;
	catalog_close(c);
}

/* One of the things that happen between batches. */
static void disturb(struct model *m, const struct dir *d, struct catalog **c, struct rng *r)
{
	switch (rng_below(r, 5)) {
	case 0:
		cr_assert_eq(catalog_checkpoint(*c), 0);
		return;
	case 1:
		(*c)->fail_apply = 1;
		catalog_checkpoint(*c);
		(*c)->fail_apply = 0;
		return;
	case 2: {
		CLEANUP(catalog) struct catalog *s = open_snapshot(d);

		cr_assert_not_null(s);
		compare(m, s);
		return;
	}
	case 3:
		catalog_close(*c);
		break;
	default:
		abandon(*c);
	}
	check_whole(d);
	*c = open_quick(d);
	cr_assert_not_null(*c);
	compare(m, *c);
	compare_orphans(m, *c);
}

Test(model, random_batches)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);
	CLEANUP(batch) struct batch b = {0};
	struct rng r = rng_seeded("random_batches");
	static struct model m;

	cr_assert_not_null(c);
	be_quiet();
	for (int i = 0; i < 20000; i++) {
		batch_begin(&b, c);
		for (uint64_t k = 1 + rng_below(&r, 6); k > 0; k--)
			random_change(&m, &b, &r);
		cr_assert_eq(catalog_commit(c, &b), 0, "batch %d", i);
		if (rng_below(&r, 100) == 0)
			disturb(&m, &d, &c, &r);
	}
	compare(&m, c);
}
