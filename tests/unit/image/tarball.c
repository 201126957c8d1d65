/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/image/tarball.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "image/tar_header.h"

static void put_octal(uint8_t *field, size_t len, int64_t n)
{
	char text[32];

	if (n < 0 || n >> (3 * (len - 1)) != 0) { /* GNU's binary form */
		for (size_t i = 0; i < len; i++)
			field[i] = (uint8_t)(n >> (8 * (len - 1 - i > 7 ? 7 : len - 1 - i)));
		if (n >= 0)
			memset(field, 0, len > 8 ? len - 8 : 0);
		field[0] |= 0x80;
		return;
	}
	snprintf(text, sizeof(text), "%0*llo", (int)len - 1, (unsigned long long)n);
	memcpy(field, text, len);
}

static void put_text(uint8_t *field, size_t max, const char *text)
{
	if (text != NULL)
		memcpy(field, text, strnlen(text, max));
}

static void put_checksum(uint8_t *block)
{
	unsigned sum = 0;

	memset(block + TAR_CHECKSUM, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	put_octal(block + TAR_CHECKSUM, 7, sum);
}

void tarball_header(struct buf *t, const struct entry *x)
{
	uint8_t block[TAR_BLOCK] = {0};

	put_text(block + TAR_NAME, 100, x->name);
	put_text(block + TAR_LINK, 100, x->link);
	put_octal(block + TAR_MODE, 8, x->mode);
	put_octal(block + TAR_UID, 8, x->uid);
	put_octal(block + TAR_GID, 8, x->gid);
	put_octal(block + TAR_SIZE, 12, x->size);
	put_octal(block + TAR_MTIME, 12, x->mtime);
	block[TAR_TYPE] = (uint8_t)x->type;
	memcpy(block + TAR_MAGIC, x->magic != NULL ? x->magic : "ustar\00000", 8);
	if (x->type == '3' || x->type == '4') {
		put_octal(block + TAR_MAJOR, 8, x->major);
		put_octal(block + TAR_MINOR, 8, x->minor);
	}
	put_text(block + TAR_PREFIX, 155, x->prefix);
	if (x->patch != NULL)
		x->patch(block);
	put_checksum(block);
	buf_put(t, block, sizeof(block));
}

void tarball_pad(struct buf *t)
{
	static const uint8_t zeros[TAR_BLOCK];

	buf_put(t, zeros, -t->len % TAR_BLOCK);
}

void tarball_bytes(struct buf *t, const void *p, size_t len)
{
	buf_put(t, p, len);
	tarball_pad(t);
}

void tarball_special(struct buf *t, char type, const void *p, size_t len)
{
	struct entry x = {.type = type, .name = "special", .size = (int64_t)len};

	tarball_header(t, &x);
	tarball_bytes(t, p, len);
}

void pax_record(struct buf *pax, const char *key, const void *value, size_t len)
{
	size_t rest = strlen(key) + len + 3, total = rest + 1;
	char number[24];

	/* The length counts its own digits. */
	while ((size_t)snprintf(number, sizeof(number), "%zu", total) + rest != total)
		total++;
	buf_printf(pax, "%zu %s=", total, key);
	buf_put(pax, value, len);
	buf_put(pax, "\n", 1);
}

void pax_text(struct buf *pax, const char *key, const char *value)
{
	pax_record(pax, key, value, strlen(value));
}

void tarball_file(struct buf *t, const char *name, const void *p, size_t len)
{
	struct entry x = {.type = '0', .name = name, .mode = 0644, .size = (int64_t)len};

	tarball_header(t, &x);
	tarball_bytes(t, p, len);
}

void tarball_end(struct buf *t)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	buf_put(t, zeros, sizeof(zeros));
}

/* ---- what is read ----------------------------------------------------------------------- */

static void put_visible(struct buf *b, const void *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = ((const uint8_t *)p)[i];

		if (c > ' ' && c <= '~')
			buf_put_u8(b, c);
		else
			buf_printf(b, "\\%03o", c);
	}
}

static int note_member(void *arg, const struct tar_member *m)
{
	struct buf *b = &((struct transcript *)arg)->text;

	cr_assert_eq(strlen(m->path), m->path_len);
	cr_assert_eq(strlen(m->link), m->link_len);
	buf_printf(b, "%c ", "fhlcbdp"[m->type]);
	put_visible(b, m->path, m->path_len);
	buf_printf(b, " %04o %u %u %llu %lld.%09ld", m->mode, m->uid, m->gid,
		   (unsigned long long)m->size, (long long)m->mtime.tv_sec, m->mtime.tv_nsec);
	if (m->type == TAR_FILE)
		buf_printf(b, " @%llu", (unsigned long long)m->data_off);
	if (m->type == TAR_CHAR || m->type == TAR_BLK)
		buf_printf(b, " %u:%u", m->major, m->minor);
	if (m->link_len > 0) {
		buf_put_str(b, " -> ");
		put_visible(b, m->link, m->link_len);
	}
	for (size_t i = 0; i < m->n_extents; i++)
		buf_printf(b, " [%llu+%llu@%llu]", (unsigned long long)m->extents[i].logical,
			   (unsigned long long)m->extents[i].len,
			   (unsigned long long)m->extents[i].physical);
	for (size_t i = 0; i < m->n_xattrs; i++) {
		buf_printf(b, " %s=", m->xattrs[i].name);
		put_visible(b, m->xattrs[i].value, m->xattrs[i].len);
	}
	buf_put_str(b, m->sparse ? " sparse\n" : "\n");
	return 0;
}

static void note_warning(void *arg, const char *path, const char *text)
{
	buf_printf(&((struct transcript *)arg)->text, "! %s: %s\n", path, text);
}

struct tar_sink transcript_sink(struct transcript *t)
{
	return (struct tar_sink){.member = note_member, .warn = note_warning, .arg = t};
}

void transcript_done(struct transcript *t)
{
	buf_done(&t->text);
}

const char *transcribe(struct transcript *t, const void *p, size_t len, size_t piece,
		       const struct tar_limits *limits, struct err *e, int *ret)
{
	CLEANUP(tar_parser) struct tar_parser *parser = NULL;
	struct tar_sink sink = transcript_sink(t);

	buf_clear(&t->text);
	cr_assert_eq(tar_parser_new(limits, &sink, &parser), 0);
	*ret = 0;
	for (size_t off = 0; off < len && *ret == 0; off += piece)
		*ret = tar_parser_feed(parser, (const char *)p + off,
				       piece < len - off ? piece : len - off, e);
	if (*ret == 0)
		*ret = tar_parser_end(parser, e);
	return buf_cstr(&t->text);
}
