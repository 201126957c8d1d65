/* SPDX-License-Identifier: Apache-2.0 */
/* What hangs on inodes: xattrs, bytes in the catalog, chunk maps, marks of orphans. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "attr/acl.h"
#include "tool/private.h"

/* The last segment of the largest map that there can be. */
#define SEGMENTS_MAX (((uint32_t)1 << 22) / CHUNK_SEGMENT_BITS + 1)

static int drop_row(struct fsck *f, enum catalog_table table, const struct catalog_raw *raw,
		    const char *what)
{
	struct place_text place = {"a row"};
	bool can = record_fits(table, raw->key_len, raw->value_len) ||
		   (table != TABLE_XATTR && raw->key_len == INO_KEY_SIZE);

	if (raw->key_len >= INO_KEY_SIZE)
		place = place_of(f, get_be64(raw->key));
	if (can)
		batch_del_raw(&f->batch, table, raw->key, raw->key_len);
	return found(f, &place, can ? "remove it" : NULL, "%s: %s", table_names[table], what);
}

/* All rows of an inode that does not exist, at the first of them. */
static int drop_rows(struct fsck *f, enum catalog_table table, uint64_t ino)
{
	struct place_text place = place_of(f, ino);

	batch_del_all(&f->batch, table, ino);
	return found(f, &place, "remove them", "%s: the inode of these rows does not exist",
		     table_names[table]);
}

/* What a walk over one table carries. */
struct rows {
	struct fsck *f;
	uint64_t dropped; /* rows of this inode are dropped already */
};

/* The row's inode, when it has a record; else the row is dropped, or was, and *RET_NODE is NULL. */
static int owner_of(struct rows *rows, enum catalog_table table, const struct catalog_raw *raw,
		    struct node **ret_node)
{
	uint64_t ino = get_be64(raw->key);
	struct node *n = get_node(rows->f, ino);

	*ret_node = NULL;
	if (n == NULL)
		return -ENOMEM;
	if (n->has_record) {
		*ret_node = n;
		return 0;
	}
	n->has_rows = true;
	if (rows->dropped == ino)
		return 0;
	rows->dropped = ino;
	return drop_rows(rows->f, table, ino);
}

static uint32_t flags_of(const char *name, size_t len)
{
	char text[NAME_SIZE_MAX + 1];
	uint32_t flags = INODE_HAS_XATTRS;

	memcpy(text, name, len);
	text[len] = '\0';
	if (strcmp(text, ACL_XATTR_ACCESS) == 0 || strcmp(text, ACL_XATTR_DEFAULT) == 0)
		flags |= INODE_HAS_ACL;
	if (strcmp(text, "security.capability") == 0)
		flags |= INODE_HAS_CAPS;
	return flags;
}

static int see_xattr(void *arg, const struct catalog_raw *raw)
{
	struct rows *rows = arg;
	struct node *n = NULL;
	const char *name = (const char *)raw->key + INO_KEY_SIZE;
	int r;

	if (!record_fits(TABLE_XATTR, raw->key_len, raw->value_len) ||
	    memchr(name, '\0', raw->key_len - INO_KEY_SIZE) != NULL)
		r = drop_row(rows->f, TABLE_XATTR, raw, "it is no attribute");
	else
		r = owner_of(rows, TABLE_XATTR, raw, &n);
	if (n != NULL)
		n->xattr_flags |= flags_of(name, raw->key_len - INO_KEY_SIZE);
	return r < 0 ? r : step(rows->f);
}

static int see_inline(void *arg, const struct catalog_raw *raw)
{
	struct rows *rows = arg;
	struct node *n;
	int r;

	if (!record_fits(TABLE_INLINE, raw->key_len, raw->value_len)) {
		r = drop_row(rows->f, TABLE_INLINE, raw, "these are no bytes of a file");
		return r < 0 ? r : step(rows->f);
	}
	/* What they are worth is seen when all is known. */
	n = get_node(rows->f, get_be64(raw->key));
	if (n == NULL)
		return -ENOMEM;
	n->has_inline = true;
	n->inline_len = raw->value_len;
	return step(rows->f);
}

static int see_chunks(void *arg, const struct catalog_raw *raw)
{
	struct rows *rows = arg;
	struct node *n = NULL;
	int r;

	if (!record_fits(TABLE_CHUNKS, raw->key_len, raw->value_len) ||
	    __builtin_bswap32(get_le32(raw->key + INO_KEY_SIZE)) >= SEGMENTS_MAX)
		r = drop_row(rows->f, TABLE_CHUNKS, raw, "it is no part of a map");
	else
		r = owner_of(rows, TABLE_CHUNKS, raw, &n);
	if (r == 0 && n != NULL && (!S_ISREG(n->mode) || n->where != BYTES_CHUNKS) &&
	    rows->dropped != n->ino) {
		struct place_text place = place_of(rows->f, n->ino);

		rows->dropped = n->ino;
		batch_del_all(&rows->f->batch, TABLE_CHUNKS, n->ino);
		r = found(rows->f, &place, "remove it", "it has a map of chunks, but no chunks");
	}
	return r < 0 ? r : step(rows->f);
}

static int see_orphan(void *arg, const struct catalog_raw *raw)
{
	struct rows *rows = arg;
	struct node *n = NULL;
	int r;

	if (!record_fits(TABLE_ORPHAN, raw->key_len, raw->value_len))
		r = drop_row(rows->f, TABLE_ORPHAN, raw, "it is no mark");
	else
		r = owner_of(rows, TABLE_ORPHAN, raw, &n);
	if (n != NULL)
		n->has_mark = true;
	return r < 0 ? r : step(rows->f);
}

static int see_sum(void *arg, const struct catalog_raw *raw)
{
	struct rows *rows = arg;
	struct node *n = NULL;
	int r;

	if (!record_fits(TABLE_SUM, raw->key_len, raw->value_len))
		r = drop_row(rows->f, TABLE_SUM, raw, "it is no checksum");
	else
		r = owner_of(rows, TABLE_SUM, raw, &n);
	if (n == NULL)
		return r < 0 ? r : step(rows->f);
	n->has_sum = S_ISREG(n->mode) && (n->where == BYTES_FILE || n->where == BYTES_CHUNKS);
	if (!n->has_sum)
		r = drop_row(rows->f, TABLE_SUM, raw, "there is no data file for this checksum");
	return r < 0 ? r : step(rows->f);
}

/* An attribute that its inode does not know of is not shown. */
static int look_at_flags(struct fsck *f, struct node *n)
{
	struct place_text place;
	int r;

	if (!n->has_record || (n->xattr_flags & ~n->flags) == 0)
		return 0;
	place = place_of(f, n->ino);
	n->flags |= n->xattr_flags;
	r = mend_put(f, n);
	return r < 0 ? r
		     : found(f, &place, "set the flag",
			     "it has attributes that its record does not know of");
}

int pass_attached(struct fsck *f)
{
	static const struct {
		enum catalog_table table;
		int (*see)(void *arg, const struct catalog_raw *raw);
	} tables[] = {
		{TABLE_XATTR, see_xattr},   {TABLE_INLINE, see_inline}, {TABLE_CHUNKS, see_chunks},
		{TABLE_ORPHAN, see_orphan}, {TABLE_SUM, see_sum},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(tables) / sizeof(*tables); i++) {
		struct rows rows = {.f = f};

		r = catalog_walk(f->catalog, tables[i].table, tables[i].see, &rows);
	}
	return r < 0 ? r : each_node(f, look_at_flags);
}
