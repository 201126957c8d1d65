/* SPDX-License-Identifier: Apache-2.0 */
/* The maps of sparse files, in the four ways that GNU tar has written them. */
#include <string.h>

#include "image/tar_private.h"

int tar_map_add(struct tar_parser *p, uint64_t logical, uint64_t len)
{
	struct tar_map *map = &p->map;

	if (map->n == p->limits.extents)
		return -E2BIG;
	if (map->n == map->cap) {
		size_t cap = map->cap > 0 ? 2 * map->cap : 16;
		void *bigger = reallocarray(map->at, cap, sizeof(*map->at));

		if (bigger == NULL)
			return -ENOMEM;
		map->at = bigger;
		map->cap = cap;
	}
	map->at[map->n++] = (struct tar_extent){.logical = logical, .len = len};
	return 0;
}

int tar_map_add_old(struct tar_parser *p, const uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++, at += 24) {
		int64_t logical, len;
		int r;

		if (at[0] == '\0')
			return 0;
		if (!tar_number(at, 12, &logical) || !tar_number(at + 12, 12, &len) ||
		    logical < 0 || len < 0)
			return -EBADMSG;
		r = tar_map_add(p, (uint64_t)logical, (uint64_t)len);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The number up to END_CHAR, or to the end of the text when LAST_MAY_END; moves past it. */
static bool next_number(const char **text, size_t *left, char end_char, bool last_may_end,
			int64_t *ret_n)
{
	const char *end = memchr(*text, end_char, *left);
	size_t len = end != NULL ? (size_t)(end - *text) : *left;

	if ((end == NULL && !last_may_end) || !tar_decimal(*text, len, ret_n) || *ret_n < 0)
		return false;
	*text += end != NULL ? len + 1 : len;
	*left -= end != NULL ? len + 1 : len;
	return true;
}

int tar_map_add_list(struct tar_parser *p, const char *text, size_t len)
{
	if (text[len - 1] == ',')
		return -EBADMSG;
	while (len > 0) {
		int64_t logical, size;
		int r;

		if (!next_number(&text, &len, ',', false, &logical) ||
		    !next_number(&text, &len, ',', true, &size))
			return -EBADMSG;
		r = tar_map_add(p, (uint64_t)logical, (uint64_t)size);
		if (r < 0)
			return r;
	}
	return 0;
}

/* 1: the map is whole and added; 0: more is needed; -errno. */
static int map_parse(struct tar_parser *p)
{
	const char *text = (const char *)p->map_text.data;
	size_t left = p->map_text.len;
	int64_t n, logical, size;

	if (p->map_lines == 0)
		return left < 64 ? 0 : -EBADMSG;
	if (!next_number(&text, &left, '\n', false, &n))
		return -EBADMSG;
	if ((uint64_t)n > p->limits.extents)
		return -E2BIG;
	if (p->map_lines < 1 + 2 * (uint64_t)n) /* a number has at most 20 digits */
		return p->map_text.len < 64 + (uint64_t)n * 42 ? 0 : -EBADMSG;
	for (; n > 0; n--) {
		int r;

		if (!next_number(&text, &left, '\n', false, &logical) ||
		    !next_number(&text, &left, '\n', false, &size))
			return -EBADMSG;
		r = tar_map_add(p, (uint64_t)logical, (uint64_t)size);
		if (r < 0)
			return r;
	}
	return 1;
}

int tar_map_add_block(struct tar_parser *p, const uint8_t *b)
{
	for (size_t i = 0; i < TAR_BLOCK; i++)
		p->map_lines += b[i] == '\n';
	buf_put(&p->map_text, b, TAR_BLOCK);
	return buf_ok(&p->map_text) ? map_parse(p) : -ENOMEM;
}

int tar_map_finish(struct tar_parser *p)
{
	struct tar_map *map = &p->map;
	uint64_t physical = p->m.data_off, end = 0;
	size_t kept = 0;

	for (size_t i = 0; i < map->n; i++) {
		struct tar_extent x = map->at[i];

		if (x.logical < end || __builtin_add_overflow(x.logical, x.len, &end) ||
		    end > p->m.size)
			return -EBADMSG;
		x.physical = physical;
		physical += x.len; /* the sum is at most the size */
		if (x.len > 0)
			map->at[kept++] = x;
	}
	map->n = kept;
	if (physical - p->m.data_off != p->stored)
		return -EBADMSG;
	p->m.sparse = true;
	p->m.extents = map->at;
	p->m.n_extents = kept;
	return 0;
}
