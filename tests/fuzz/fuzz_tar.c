/* SPDX-License-Identifier: Apache-2.0 */
/* The tar parser: any bytes, whole and in pieces, give the same members, and only sensible ones. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "image/tar.h"
#include "image/tar_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void check_extents(const struct tar_member *m)
{
	uint64_t end = 0, physical = m->data_off;

	for (size_t i = 0; i < m->n_extents; i++) {
		const struct tar_extent *x = &m->extents[i];

		must(x->len > 0 && x->logical >= end && x->physical == physical);
		end = x->logical + x->len;
		physical += x->len;
		must(end > x->logical && end <= m->size);
	}
	must(m->n_extents == 0 || m->sparse);
}

/* The members read so far, as one number. */
static int note(void *arg, const struct tar_member *m)
{
	struct hash128_stream *h = arg;
	const uint64_t numbers[] = {m->type,
				    m->mode,
				    m->uid,
				    m->gid,
				    m->major,
				    m->minor,
				    m->size,
				    m->data_off,
				    m->header_off,
				    m->n_xattrs,
				    m->n_extents,
				    (uint64_t)m->mtime.tv_sec,
				    (uint64_t)m->mtime.tv_nsec};

	must(strlen(m->path) == m->path_len && strlen(m->link) == m->link_len);
	must(m->mode <= 07777 && m->uid < UINT32_MAX && m->gid < UINT32_MAX);
	must(m->mtime.tv_nsec >= 0 && m->mtime.tv_nsec < 1000000000);
	must(m->type == TAR_FILE || (m->size == 0 && m->n_extents == 0));
	check_extents(m);
	hash128_add(h, numbers, sizeof(numbers));
	hash128_add(h, m->path, m->path_len + 1);
	hash128_add(h, m->link, m->link_len + 1);
	for (size_t i = 0; i < m->n_xattrs; i++) {
		must(m->xattrs[i].name[0] != '\0' && strlen(m->xattrs[i].name) <= 255);
		hash128_add(h, m->xattrs[i].value, m->xattrs[i].len);
	}
	return 0;
}

static uint64_t parse(const uint8_t *data, size_t size, size_t piece, int *ret)
{
	const struct tar_limits limits = {.members = 1000, .extents = 1000};
	struct hash128_stream h;
	struct tar_sink sink = {.member = note, .arg = &h};
	CLEANUP(tar_parser) struct tar_parser *p = NULL;
	CLEANUP(err) struct err e = {0};

	hash128_begin(&h);
	must(tar_parser_new(&limits, &sink, &p) == 0);
	*ret = 0;
	for (size_t off = 0; off < size && *ret == 0; off += piece)
		*ret = tar_parser_feed(p, data + off, piece < size - off ? piece : size - off, &e);
	if (*ret == 0)
		*ret = tar_parser_end(p, &e);
	must(*ret == 0 || e.text != NULL);
	return hash128_end(&h).low;
}

/* Right checksums, or few inputs would get past them. */
static void sum_blocks(uint8_t *copy, size_t size)
{
	for (size_t off = 0; off + TAR_BLOCK <= size; off += TAR_BLOCK) {
		uint8_t *b = copy + off;
		char text[8];
		unsigned sum = 0;

		if (b[TAR_CHECKSUM] != '0') /* content, or what wants to be wrong */
			continue;
		memset(b + TAR_CHECKSUM, ' ', 8);
		for (size_t i = 0; i < TAR_BLOCK; i++)
			sum += b[i];
		snprintf(text, sizeof(text), "%06o", sum & 0777777);
		memcpy(b + TAR_CHECKSUM, text, 7);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(free) uint8_t *copy = malloc(size + 1);
	uint64_t whole;
	int r, again;

	must(copy != NULL);
	memcpy(copy, data, size);
	sum_blocks(copy, size);
	whole = parse(copy, size, size + 1, &r);
	must(parse(copy, size, 100, &again) == whole && again == r);
	return 0;
}
