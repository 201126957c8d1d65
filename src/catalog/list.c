/* SPDX-License-Identifier: Apache-2.0 */
/* Listings: a cursor walk over the names of one directory. */
#include <errno.h>
#include <string.h>

#include "catalog/internal.h"

void catalog_names_done(struct catalog_names *l)
{
	free(l->names);
	buf_done(&l->text);
	*l = (struct catalog_names){0};
}

static struct catalog_name *add_name(struct catalog_names *l)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 64 : l->cap * 2;
		struct catalog_name *names = reallocarray(l->names, cap, sizeof(*names));

		if (names == NULL)
			return NULL;
		l->names = names;
		l->cap = cap;
	}
	return &l->names[l->n++];
}

static int add_entry(struct catalog_names *l, const MDB_val *key, const MDB_val *value)
{
	const uint8_t *k = key->mv_data;
	struct catalog_name *name;
	struct entry_rec entry;
	int rc = entry_decode(value->mv_data, value->mv_size, &entry);

	if (rc < 0)
		return rc;
	name = add_name(l);
	if (name == NULL)
		return -ENOMEM;
	*name = (struct catalog_name){
		.hash = get_be64(k + 8),
		.entry = entry,
		.name_off = (uint32_t)l->text.len,
		.name_len = (uint16_t)(key->mv_size - ENTRY_KEY_PREFIX),
	};
	buf_put(&l->text, k + ENTRY_KEY_PREFIX, name->name_len);
	return buf_ok(&l->text) ? 0 : -ENOMEM;
}

/* A listing continues after a hash, so names that share one must come together. */
static bool is_full(const struct catalog_names *l, size_t max, uint64_t hash)
{
	return l->n >= max && l->n > 0 && l->names[l->n - 1].hash != hash;
}

static int walk(struct catalog *c, uint64_t parent, uint64_t after, size_t max,
		struct catalog_names *l)
{
	CLEANUP(view) struct view_cursor v = {0};
	uint8_t from[ENTRY_KEY_PREFIX];
	MDB_val key, value;
	int rc;

	put_be64(from, parent);
	put_be64(from + 8, after + 1);
	rc = view_begin(c, TABLE_ENTRY, from, sizeof(from), &v);
	while (rc == 0) {
		rc = view_next(&v, &key, &value);
		if (rc < 0)
			break;
		if (key.mv_size <= ENTRY_KEY_PREFIX)
			return -EUCLEAN;
		if (is_full(l, max, get_be64((const uint8_t *)key.mv_data + 8)))
			return 0;
		rc = add_entry(l, &key, &value);
	}
	l->end = rc == -ENOENT;
	return l->end ? 0 : rc;
}

int catalog_list(struct catalog *c, uint64_t parent, uint64_t after, size_t max,
		 struct catalog_names *ret_names)
{
	int rc;

	ret_names->n = 0;
	ret_names->end = false;
	buf_clear(&ret_names->text);
	if (after == UINT64_MAX) {
		ret_names->end = true;
		return 0;
	}
	pthread_mutex_lock(&c->lock);
	rc = walk(c, parent, after, max, ret_names);
	pthread_mutex_unlock(&c->lock);
	if (rc < 0)
		ret_names->n = 0;
	return rc;
}
