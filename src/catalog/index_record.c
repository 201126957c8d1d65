/* SPDX-License-Identifier: Apache-2.0 */
/* Records of an index: attributes as numbers of variable length. Pure. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "catalog/index_format.h"
#include "catalog/record.h"

/* What a record has that most have not. On disk: never reuse a bit; the lower ones are enum index_flags. */
enum {
	REC_NSEC = 1 << 8,
	REC_RDEV = 1 << 9,
	REC_EXTENTS = 1 << 10,
	REC_KNOWN = 0x7ff & ~(7 << 5),
};
#define REC_FLAGS 0xffu

void index_rec_done(struct index_rec *rec)
{
	free(rec->text);
	free(rec->extents);
	*rec = (struct index_rec){0};
}

void varint_put(struct buf *out, uint64_t v)
{
	while (v >= 0x80) {
		buf_put_u8(out, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	buf_put_u8(out, (uint8_t)v);
}

uint64_t varint_read(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte = read_u8(r);

		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return v;
	}
	r->bad = true;
	return 0;
}

/* Signed numbers near zero stay short. */
static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1 ^ (~(v & 1) + 1));
}

static bool has_bytes(const struct attr *a)
{
	return S_ISREG(a->mode);
}

static void put_extents(const struct index_rec *rec, struct buf *out)
{
	uint64_t at = 0;

	varint_put(out, rec->n_extents);
	for (size_t i = 0; i < rec->n_extents; i++) {
		const struct index_extent *e = &rec->extents[i];

		varint_put(out, e->logical - at);
		varint_put(out, e->physical);
		varint_put(out, e->len);
		at = e->logical + e->len;
	}
}

void index_rec_encode(const struct index_rec *rec, struct buf *out)
{
	const struct attr *a = &rec->attr;
	uint32_t bits = rec->flags & REC_FLAGS;

	if (a->mtime.tv_nsec != 0)
		bits |= REC_NSEC;
	if (a->rdev_major != 0 || a->rdev_minor != 0)
		bits |= REC_RDEV;
	if (rec->extents != NULL)
		bits |= REC_EXTENTS;
	varint_put(out, bits);
	varint_put(out, a->mode);
	varint_put(out, a->nlink);
	varint_put(out, a->uid);
	varint_put(out, a->gid);
	varint_put(out, zigzag(a->mtime.tv_sec));
	if (bits & REC_NSEC)
		varint_put(out, (uint64_t)a->mtime.tv_nsec);
	if (bits & REC_RDEV) {
		varint_put(out, a->rdev_major);
		varint_put(out, a->rdev_minor);
	}
	if (has_bytes(a)) {
		varint_put(out, a->size);
		varint_put(out, rec->data_off);
	}
	if (bits & REC_EXTENTS)
		put_extents(rec, out);
	if (rec->flags & INDEX_LOWER)
		varint_put(out, rec->union_ino);
	if (rec->text != NULL)
		buf_put_str(out, rec->text);
}

static uint32_t read_id(struct reader *r)
{
	uint64_t v = varint_read(r);

	if (v > UINT32_MAX)
		r->bad = true;
	return (uint32_t)v;
}

/* Extents are in order and inside the file; that they are inside the archive is seen when they are read. */
static int read_extents(struct reader *r, struct index_rec *rec)
{
	uint64_t n = varint_read(r), at = 0;

	/* Each takes at least three bytes. */
	if (r->bad || n > ATTR_EXTENTS_MAX || n > r->left / 3)
		return -EUCLEAN;
	rec->extents = calloc(n + 1, sizeof(*rec->extents));
	if (rec->extents == NULL)
		return -ENOMEM;
	rec->n_extents = n;
	for (uint64_t i = 0; i < n; i++) {
		struct index_extent *e = &rec->extents[i];
		uint64_t skip = varint_read(r);

		e->physical = varint_read(r);
		e->len = varint_read(r);
		if (r->bad || skip > rec->attr.size - at || e->len > rec->attr.size - at - skip ||
		    e->physical > INT64_MAX)
			return -EUCLEAN;
		e->logical = at + skip;
		at = e->logical + e->len;
	}
	return 0;
}

static int read_text(struct reader *r, struct index_rec *rec)
{
	size_t len = r->left;
	const void *text = read_bytes(r, len);

	if (len == 0 || memchr(text, 0, len) != NULL)
		return -EUCLEAN;
	rec->text = strndup(text, len);
	return rec->text != NULL ? 0 : -ENOMEM;
}

static void read_numbers(struct reader *r, uint32_t bits, struct index_rec *rec)
{
	struct attr *a = &rec->attr;

	a->mode = read_id(r);
	a->nlink = read_id(r);
	a->uid = read_id(r);
	a->gid = read_id(r);
	a->mtime.tv_sec = unzigzag(varint_read(r));
	if (bits & REC_NSEC)
		a->mtime.tv_nsec = read_id(r);
	if (a->mtime.tv_nsec > 999999999)
		r->bad = true;
	a->atime = a->ctime = a->mtime;
	if (bits & REC_RDEV) {
		a->rdev_major = read_id(r);
		a->rdev_minor = read_id(r);
	}
	if (has_bytes(a)) {
		a->size = varint_read(r);
		rec->data_off = varint_read(r);
	}
	if (!mode_has_type(a->mode) || (a->mode & ~(uint32_t)(S_IFMT | 07777)) != 0 ||
	    a->size > INT64_MAX || rec->data_off > INT64_MAX)
		r->bad = true;
}

static int decode(struct reader *r, uint32_t bits, struct index_rec *rec)
{
	int rc = 0;

	read_numbers(r, bits, rec);
	if (bits & REC_EXTENTS)
		rc = r->bad ? -EUCLEAN : read_extents(r, rec);
	if (bits & INDEX_LOWER)
		rec->union_ino = varint_read(r);
	if (rc < 0 || r->bad)
		return rc < 0 ? rc : -EUCLEAN;
	if (S_ISLNK(rec->attr.mode) || (bits & (INDEX_LOWER | INDEX_PENDING)) != 0) {
		rc = read_text(r, rec);
		if (rc == 0 && S_ISLNK(rec->attr.mode))
			rec->attr.size = strlen(rec->text);
	}
	rec->attr.blocks = (rec->attr.size + 511) / 512;
	return rc == 0 && !reader_end(r) ? -EUCLEAN : rc;
}

int index_rec_decode(struct reader *r, uint64_t ino, struct index_rec *ret_rec)
{
	CLEANUP(index_rec) struct index_rec rec = {.attr.ino = ino, .attr.blksize = 4096};
	uint64_t bits = varint_read(r);
	int rc;

	if (r->bad || (bits & ~(uint64_t)REC_KNOWN) != 0)
		return -EUCLEAN;
	rec.flags = bits & REC_FLAGS;
	rc = decode(r, (uint32_t)bits, &rec);
	if (rc < 0)
		return rc;
	*ret_rec = rec;
	rec = (struct index_rec){0};
	return 0;
}
