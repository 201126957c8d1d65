/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs diff: what is different about two inodes of one type. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/hash.h"
#include "layer/layer.h"
#include "tool/look_diff_private.h"
#include "tool/look_private.h"
#include "tool/progress.h"

#define CHUNK ((size_t)256 << 10)

/* A file of one tree that has several names, and which file of the other one has the same. */
struct twin {
	struct table_node node;
	uint64_t ino, other;
};

static void free_twin(struct table_node *node, void *arg)
{
	(void)arg;
	free(table_entry(node, struct twin, node));
}

void differ_done(struct differ *d)
{
	for (size_t i = 0; i < 2; i++) {
		table_each(&d->twins[i], free_twin, NULL);
		table_done(&d->twins[i]);
		free(d->bytes[i]);
	}
}

int differ_init(struct differ *d)
{
	for (size_t i = 0; i < 2; i++) {
		int r = table_init(&d->twins[i]);

		if (r < 0)
			return r;
		d->bytes[i] = malloc(CHUNK);
		if (d->bytes[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* ---- hard links ---- */

static const struct twin *find_twin(const struct table *t, uint64_t ino)
{
	uint64_t hash = hash_number(ino);

	for (struct table_node *n = table_first(t, hash); n != NULL; n = table_next(n))
		if (table_entry(n, struct twin, node)->ino == ino)
			return table_entry(n, struct twin, node);
	return NULL;
}

static int add_twin(struct table *t, uint64_t ino, uint64_t other)
{
	struct twin *twin = malloc(sizeof(*twin));

	if (twin == NULL)
		return -ENOMEM;
	twin->ino = ino;
	twin->other = other;
	table_add(t, &twin->node, hash_number(ino));
	return 0;
}

/*
 * Names that are one file in A are to be one file in B, and the other way round; so the first name of a file says
 * which one its twin is. Another name that only one of the trees has is a difference of its own.
 */
static int compare_links(struct differ *d, const struct diff_pair *p, struct diff_reasons *ret)
{
	const struct attr *a = &p->ref[0]->attr, *b = &p->ref[1]->attr;
	const struct twin *of_a, *of_b;
	int r;

	if (attr_is_dir(a) || (a->nlink <= 1 && b->nlink <= 1))
		return 0;
	of_a = find_twin(&d->twins[0], a->ino);
	of_b = find_twin(&d->twins[1], b->ino);
	if (of_a == NULL && of_b == NULL) {
		r = add_twin(&d->twins[0], a->ino, b->ino);
		return r == 0 ? add_twin(&d->twins[1], b->ino, a->ino) : r;
	}
	if (of_a == NULL || of_b == NULL || of_a->other != b->ino || of_b->other != a->ino)
		ret->set |= DIFF_LINKS;
	return 0;
}

/* ---- content ---- */

/* At OFF, of SIZE bytes, for one that is in a range of A or B. Up to where both ranges end, if that is near. */
static size_t piece_size(uint64_t off, const struct look_range *a, const struct look_range *b)
{
	uint64_t end_a = a->data <= off ? a->hole : off, end_b = b->data <= off ? b->hole : off;
	uint64_t end = end_a > end_b ? end_a : end_b;

	return end - off < CHUNK ? (size_t)(end - off) : CHUNK;
}

/* The bytes at OFF: how many are the same, at least one; 0: they are not; -errno. */
static ssize_t compare_piece(struct differ *d, struct layer_file *a, struct layer_file *b,
			     uint64_t off, size_t size)
{
	ssize_t n = look_read_piece(a, d->bytes[0], size, off), m;

	if (n < 0)
		return n;
	m = look_read_piece(b, d->bytes[1], size, off);
	if (m < 0)
		return m;
	if (n != m || memcmp(d->bytes[0], d->bytes[1], (size_t)n) != 0)
		return 0;
	/* Both are shorter than they said. */
	return n > 0 ? n : -EIO;
}

/* 1: the same, 0: not, -errno. What is a hole in both is not read. */
static int same_bytes(struct differ *d, struct layer_file *a, struct layer_file *b, uint64_t size)
{
	struct look_range of_a = {0}, of_b = {0};
	ssize_t n;

	for (uint64_t off = 0; off < size; off += (uint64_t)n) {
		uint64_t next;
		int r = look_range_at(a, off, size, &of_a);

		if (r == 0)
			r = look_range_at(b, off, size, &of_b);
		if (r < 0)
			return r;
		next = of_a.data < of_b.data ? of_a.data : of_b.data;
		n = next > off ? (ssize_t)(next - off)
			       : compare_piece(d, a, b, off, piece_size(off, &of_a, &of_b));
		if (n <= 0)
			return (int)n;
		d->compared += (uint64_t)n;
		progress_line_show(NULL, "comparing", d->compared, 0);
	}
	return 1;
}

/* Without reading. */
static bool surely_same(struct layer_file *a, struct layer_file *b)
{
	struct hash128 of_a, of_b;

	return layer_file_identity(a, &of_a) == 0 && layer_file_identity(b, &of_b) == 0 &&
	       of_a.low == of_b.low && of_a.high == of_b.high;
}

static int compare_content(struct differ *d, const struct diff_pair *p, struct diff_reasons *ret)
{
	const struct union_ref *a = p->ref[0], *b = p->ref[1];
	CLEANUP(layer_file) struct layer_file *file_a = NULL;
	CLEANUP(layer_file) struct layer_file *file_b = NULL;
	int r;

	if (a->attr.size != b->attr.size) {
		ret->set |= DIFF_SIZE;
		return 0;
	}
	if (a->attr.size == 0)
		return 0;
	r = union_open(a->dir, p->name, a->part, a->data, &file_a);
	if (r == 0)
		r = union_open(b->dir, p->name, b->part, b->data, &file_b);
	if (r < 0 || surely_same(file_a, file_b))
		return r;
	r = same_bytes(d, file_a, file_b, a->attr.size);
	if (r == 0)
		ret->set |= DIFF_CONTENT;
	return r < 0 ? r : 0;
}

static int compare_target(const struct diff_pair *p, struct diff_reasons *ret)
{
	char target[2][PATH_MAX];

	for (size_t i = 0; i < 2; i++) {
		const struct union_ref *r = p->ref[i];
		ssize_t n = union_readlink(r->dir, p->name, r->part, target[i], PATH_MAX);

		if (n < 0)
			return (int)n;
	}
	if (strcmp(target[0], target[1]) != 0)
		ret->set |= DIFF_TARGET;
	return 0;
}

/* ---- extended attributes ---- */

struct value {
	void *bytes; /* owned */
	size_t len;
};

static void value_done(struct value *v)
{
	free(v->bytes);
}
DEFINE_CLEANUP(struct value, value, value_done)

static int read_value(const struct union_ref *r, const char *name, const char *xattr,
		      struct value *ret_value)
{
	const char *last = diff_name(r, name);
	ssize_t len = union_getxattr(r->dir, last, r->part, xattr, NULL, 0);

	if (len < 0)
		return (int)len;
	ret_value->bytes = malloc(len > 0 ? (size_t)len : 1);
	if (ret_value->bytes == NULL)
		return -ENOMEM;
	if (len > 0)
		len = union_getxattr(r->dir, last, r->part, xattr, ret_value->bytes, (size_t)len);
	ret_value->len = len > 0 ? (size_t)len : 0;
	return len < 0 ? (int)len : 0;
}

static bool has_name(const struct buf *names, const char *name)
{
	for (size_t at = 0; at < names->len; at += strlen((const char *)names->data + at) + 1)
		if (strcmp((const char *)names->data + at, name) == 0)
			return true;
	return false;
}

static void note_xattr(struct diff_reasons *ret, char how, const char *name)
{
	ret->set |= DIFF_XATTR;
	buf_put_u8(&ret->xattrs, (uint8_t)how);
	buf_put(&ret->xattrs, name, strlen(name) + 1);
}

static int compare_value(const struct diff_pair *p, const char *xattr, struct diff_reasons *ret)
{
	CLEANUP(value) struct value a = {0};
	CLEANUP(value) struct value b = {0};
	int r = read_value(p->ref[0], p->name, xattr, &a);

	if (r == 0)
		r = read_value(p->ref[1], p->name, xattr, &b);
	if (r == 0 && (a.len != b.len || memcmp(a.bytes, b.bytes, a.len) != 0))
		note_xattr(ret, '~', xattr);
	return r;
}

static int list_xattrs(const struct union_ref *r, const char *name, struct buf *out)
{
	int rc = union_listxattr(r->dir, diff_name(r, name), r->part, out);

	return rc == -EOPNOTSUPP ? 0 : rc;
}

static int compare_xattrs(const struct diff_pair *p, struct diff_reasons *ret)
{
	CLEANUP(buf) struct buf a = {0};
	CLEANUP(buf) struct buf b = {0};
	int r = list_xattrs(p->ref[0], p->name, &a);

	if (r == 0)
		r = list_xattrs(p->ref[1], p->name, &b);
	for (size_t at = 0; r == 0 && at < a.len;) {
		const char *name = (const char *)a.data + at;

		if (has_name(&b, name))
			r = compare_value(p, name, ret);
		else
			note_xattr(ret, '-', name);
		at += strlen(name) + 1;
	}
	for (size_t at = 0; r == 0 && at < b.len;) {
		const char *name = (const char *)b.data + at;

		if (!has_name(&a, name))
			note_xattr(ret, '+', name);
		at += strlen(name) + 1;
	}
	return r == 0 && !buf_ok(&ret->xattrs) ? -ENOMEM : r;
}

/* ---- all of it ---- */

/* A link has no mode of its own. */
static void compare_attrs(const struct differ *d, const struct attr *a, const struct attr *b,
			  struct diff_reasons *ret)
{
	if (!S_ISLNK(a->mode) && a->mode != b->mode)
		ret->set |= DIFF_MODE;
	if (a->uid != b->uid || a->gid != b->gid)
		ret->set |= DIFF_OWNER;
	if (d->times && timespec_cmp(&a->mtime, &b->mtime) != 0)
		ret->set |= DIFF_TIME;
	if ((S_ISCHR(a->mode) || S_ISBLK(a->mode)) &&
	    (a->rdev_major != b->rdev_major || a->rdev_minor != b->rdev_minor))
		ret->set |= DIFF_DEVICE;
}

int differ_compare(struct differ *d, const struct diff_pair *pair, struct diff_reasons *ret)
{
	const struct attr *a = &pair->ref[0]->attr, *b = &pair->ref[1]->attr;
	int r, r2;

	ret->set = 0;
	buf_clear(&ret->xattrs);
	compare_attrs(d, a, b, ret);
	r = compare_links(d, pair, ret);
	r2 = S_ISREG(a->mode)	? compare_content(d, pair, ret)
	     : S_ISLNK(a->mode) ? compare_target(pair, ret)
				: 0;
	r = r < 0 ? r : r2;
	r2 = compare_xattrs(pair, ret);
	return r < 0 ? r : r2;
}
