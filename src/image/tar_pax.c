/* SPDX-License-Identifier: Apache-2.0 */
/* pax headers: records "LENGTH KEY=VALUE\n", LENGTH being that of the whole record. */
#include <string.h>

#include "image/tar_private.h"

#define XATTR_PREFIX "SCHILY.xattr."
#define XATTRS_MAX   1024u

struct record {
	char *key; /* NUL-terminated in place */
	size_t key_len;
	char *value; /* the same */
	size_t value_len;
};

bool tar_decimal(const char *text, size_t len, int64_t *ret_n)
{
	int64_t n = 0;
	bool negative = len > 0 && text[0] == '-';
	size_t i = negative ? 1 : 0;

	if (i == len)
		return false;
	for (; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, text[i] - '0', &n))
			return false;
	}
	*ret_n = negative ? -n : n;
	return true;
}

/* "SECONDS" or "SECONDS.FRACTION", both perhaps negative; digits past the ninth are cut off. */
static bool parse_time(const char *text, size_t len, struct timespec *ret_t)
{
	const char *dot = memchr(text, '.', len);
	size_t whole = dot != NULL ? (size_t)(dot - text) : len;
	int64_t sec;
	long nsec = 0;

	if (!tar_decimal(text, whole, &sec))
		return false;
	for (size_t i = whole + 1, unit = 100000000; i < len; i++, unit /= 10) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		nsec += (long)unit * (text[i] - '0');
	}
	if (text[0] == '-' && nsec > 0) {
		if (__builtin_sub_overflow(sec, 1, &sec))
			return false;
		nsec = 1000000000 - nsec;
	}
	*ret_t = (struct timespec){.tv_sec = sec, .tv_nsec = nsec};
	return true;
}

/* Takes the next record off the text. False when it is malformed. */
static bool next_record(char **text, size_t *left, struct record *ret_r)
{
	char *space = memchr(*text, ' ', *left < 20 ? *left : 20);
	char *equals;
	int64_t len;
	size_t head;

	if (space == NULL || !tar_decimal(*text, (size_t)(space - *text), &len))
		return false;
	head = (size_t)(space - *text) + 1;
	if (len < (int64_t)head + 2 || (uint64_t)len > *left || (*text)[len - 1] != '\n')
		return false;
	ret_r->key = space + 1;
	equals = memchr(ret_r->key, '=', (size_t)len - 1 - head);
	if (equals == NULL || equals == ret_r->key)
		return false;
	ret_r->key_len = (size_t)(equals - ret_r->key);
	ret_r->value = equals + 1;
	ret_r->value_len = (size_t)(*text + len - 1 - ret_r->value);
	ret_r->key[ret_r->key_len] = '\0';
	ret_r->value[ret_r->value_len] = '\0';
	*text += len;
	*left -= (size_t)len;
	return strlen(ret_r->key) == ret_r->key_len;
}

/* ---- what records mean ------------------------------------------------------------------ */

static int take_xattr(struct tar_parser *p, const struct record *r)
{
	struct tar_pax *pax = &p->pax;
	const char *name = r->key + strlen(XATTR_PREFIX);
	struct tar_xattr x = {.name = name, .value = r->value, .len = r->value_len};

	if (name[0] == '\0' || strlen(name) > TAR_XATTR_NAME_MAX ||
	    r->value_len > TAR_XATTR_VALUE_MAX) {
		tar_warn(p, "", "an extended attribute that no Linux can have is left out");
		return 0;
	}
	for (size_t i = 0; i < pax->n_xattrs; i++) {
		if (strcmp(pax->xattrs[i].name, name) == 0) {
			pax->xattrs[i] = x;
			return 0;
		}
	}
	if (pax->n_xattrs == XATTRS_MAX)
		return -E2BIG;
	if (pax->n_xattrs == pax->cap_xattrs) {
		size_t cap = pax->cap_xattrs > 0 ? 2 * pax->cap_xattrs : 8;
		void *bigger = reallocarray(pax->xattrs, cap, sizeof(*pax->xattrs));

		if (bigger == NULL)
			return -ENOMEM;
		pax->xattrs = bigger;
		pax->cap_xattrs = cap;
	}
	pax->xattrs[pax->n_xattrs++] = x;
	return 0;
}

static int take_text(const struct record *r, const char **ret_text, size_t *ret_len)
{
	if (strlen(r->value) != r->value_len)
		return -EBADMSG;
	*ret_text = r->value;
	*ret_len = r->value_len;
	return 0;
}

static int take_number(const struct record *r, bool *ret_has, int64_t *ret_n)
{
	if (!tar_decimal(r->value, r->value_len, ret_n))
		return -EBADMSG;
	*ret_has = true;
	return 0;
}

/* Format 0.0 says an extent in two records, GNU.sparse.offset and then GNU.sparse.numbytes. */
static int take_extent_part(struct tar_parser *p, const struct record *r, int64_t *offset)
{
	int64_t n;

	if (!tar_decimal(r->value, r->value_len, &n) || n < 0)
		return -EBADMSG;
	if (strcmp(r->key, "GNU.sparse.offset") == 0) {
		if (*offset >= 0)
			return -EBADMSG;
		*offset = n;
		return 0;
	}
	if (*offset < 0)
		return -EBADMSG;
	p->pax.sparse = true;
	n = tar_map_add(p, (uint64_t)*offset, (uint64_t)n);
	*offset = -1;
	return (int)n;
}

static int take_sparse(struct tar_parser *p, const struct record *r, int64_t *offset)
{
	struct tar_pax *pax = &p->pax;
	const char *key = r->key + strlen("GNU.sparse.");

	if (strcmp(key, "offset") == 0 || strcmp(key, "numbytes") == 0)
		return take_extent_part(p, r, offset);
	if (strcmp(key, "name") == 0)
		return take_text(r, &pax->sparse_name, &pax->sparse_name_len);
	if (strcmp(key, "realsize") == 0 || strcmp(key, "size") == 0)
		return take_number(r, &pax->has_realsize, &pax->realsize);
	if (strcmp(key, "map") == 0) {
		pax->sparse = true;
		p->map.n = 0;
		return tar_map_add_list(p, r->value, r->value_len);
	}
	if (strcmp(key, "major") == 0)
		pax->sparse = pax->sparse_in_content = strcmp(r->value, "1") == 0;
	return 0;
}

static int take(struct tar_parser *p, const struct record *r, int64_t *offset)
{
	struct tar_pax *pax = &p->pax;

	if (strncmp(r->key, XATTR_PREFIX, strlen(XATTR_PREFIX)) == 0)
		return take_xattr(p, r);
	if (r->value_len == 0) /* unsets a global header's value, and none is used */
		return 0;
	if (strcmp(r->key, "path") == 0)
		return take_text(r, &pax->path, &pax->path_len);
	if (strcmp(r->key, "linkpath") == 0)
		return take_text(r, &pax->link, &pax->link_len);
	if (strcmp(r->key, "size") == 0)
		return take_number(r, &pax->has_size, &pax->size);
	if (strcmp(r->key, "uid") == 0)
		return take_number(r, &pax->has_uid, &pax->uid);
	if (strcmp(r->key, "gid") == 0)
		return take_number(r, &pax->has_gid, &pax->gid);
	if (strcmp(r->key, "mtime") == 0) {
		pax->has_mtime = parse_time(r->value, r->value_len, &pax->mtime);
		return pax->has_mtime ? 0 : -EBADMSG;
	}
	if (strncmp(r->key, "GNU.sparse.", strlen("GNU.sparse.")) == 0)
		return take_sparse(p, r, offset);
	return 0; /* comments, user names, access times, others' extensions */
}

int tar_pax_parse(struct tar_parser *p, struct buf *bytes, struct err *e)
{
	char *text = (char *)bytes->data;
	size_t left = bytes->len;
	int64_t offset = -1;

	while (left > 0) {
		struct record r;
		int result;

		if (!next_record(&text, &left, &r))
			return tar_bad(p, e, "a pax header has a malformed record");
		result = take(p, &r, &offset);
		if (result == -EBADMSG)
			return tar_bad(p, e, "a pax header has a value that cannot be");
		if (result == -E2BIG)
			return tar_too_much(p, e, "attributes or parts");
		if (result < 0)
			return err_errno(e, -result, "a pax header");
	}
	return 0;
}

void tar_pax_clear(struct tar_pax *pax)
{
	*pax = (struct tar_pax){.xattrs = pax->xattrs, .cap_xattrs = pax->cap_xattrs};
}
