/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of a damaged LMDB file. */
#include "catalog/salvage_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "catalog/lmdb_page.h"
#include "catalog/raw.h"
#include "catalog/record.h"

/* Where no meta page says. */
#define PAGE_SIZE_USUAL 4096u
#define BATCH_BYTES_MAX ((size_t)1 << 20)

struct page {
	uint64_t number;
	unsigned int n_nodes;
	uint8_t bytes[PAGE_SIZE_MAX];
};

struct node {
	const uint8_t *key, *value; /* in the page */
	uint16_t key_len, flags;
	uint32_t value_len;
	uint64_t child; /* in branches */
};

/* A disk that fails is one reason to be here: so nothing is mapped. */
static bool read_bytes_at(const struct salvage *s, uint64_t off, void *bytes, size_t len)
{
	return off <= s->size && len <= s->size - off &&
	       sys_pread_full(s->fd, bytes, len, (off_t)off) == (ssize_t)len;
}

/* The meta page at OFF, without its page's header. */
static bool read_meta(const struct salvage *s, uint64_t off, uint8_t *meta)
{
	return read_bytes_at(s, off + PAGE_HEADER, meta, META_SIZE) &&
	       get_le32(meta) == LMDB_MAGIC && is_page_size(get_le32(meta + 24));
}

int pages_open(struct salvage *s)
{
	uint8_t meta[META_SIZE];
	struct stat st;
	int r = sys_fstat(s->fd, &st);

	if (r < 0)
		return r;
	s->size = (uint64_t)st.st_size;
	s->page_size = PAGE_SIZE_USUAL;
	if (read_meta(s, 0, meta)) {
		s->page_size = get_le32(meta + 24);
	} else {
		/* The second one lies at its own page size. */
		for (uint32_t size = PAGE_SIZE_MIN; size <= PAGE_SIZE_MAX; size *= 2)
			if (read_meta(s, size, meta) && get_le32(meta + 24) == size)
				s->page_size = size;
	}
	s->n_pages = s->size / s->page_size;
	s->counts.pages = s->n_pages;
	s->met = calloc(1, s->n_pages / 8 + 1);
	return s->met == NULL ? -ENOMEM : 0;
}

size_t pages_meta_roots(struct salvage *s, uint64_t *ret_roots)
{
	uint64_t txnid[2] = {0};
	size_t n = 0;

	for (uint64_t i = 0; i < 2; i++) {
		uint8_t meta[META_SIZE];

		if (!read_meta(s, i * s->page_size, meta)) {
			s->counts.bad_pages++;
			continue;
		}
		ret_roots[n] = get_le64(meta + 24 + DB_SIZE + 40);
		txnid[n++] = get_le64(meta + META_SIZE - 8);
	}
	if (n == 2 && txnid[1] > txnid[0]) {
		uint64_t first = ret_roots[0];

		ret_roots[0] = ret_roots[1];
		ret_roots[1] = first;
	}
	return n;
}

/* Page NUMBER, if it is of the kind KIND and its list of nodes lies inside it. */
static bool read_page(const struct salvage *s, uint64_t number, unsigned int kind, struct page *p)
{
	unsigned int lower;

	if (number < 2 || number >= s->n_pages ||
	    !read_bytes_at(s, number * s->page_size, p->bytes, s->page_size))
		return false;
	lower = get_le16(p->bytes + 12);
	if ((get_le16(p->bytes + 10) & PAGE_KINDS) != kind || lower < PAGE_HEADER ||
	    lower > s->page_size)
		return false;
	p->number = number;
	p->n_nodes = (lower - PAGE_HEADER) / 2u;
	return true;
}

static bool read_node(const struct salvage *s, const struct page *p, unsigned int i, bool is_branch,
		      struct node *ret_node)
{
	size_t off = get_le16(p->bytes + PAGE_HEADER + 2 * i), left;
	const uint8_t *at;
	struct node n;

	if (off < PAGE_HEADER || off + NODE_HEADER > s->page_size)
		return false;
	at = p->bytes + off;
	left = s->page_size - off - NODE_HEADER;
	n.flags = get_le16(at + 4);
	n.key_len = get_le16(at + 6);
	n.key = at + NODE_HEADER;
	if (n.key_len > left)
		return false;
	left -= n.key_len;
	n.value = n.key + n.key_len;
	n.value_len = is_branch ? 0 : get_le32(at);
	n.child = get_le32(at) | (uint64_t)n.flags << 32;
	if (!is_branch && ((n.flags & NODE_BIG) ? 8u : n.value_len) > left)
		return false;
	*ret_node = n;
	return true;
}

/* The number of the table that a node of the main tree describes; -1: none. */
static int table_of(const struct node *n)
{
	if (n->flags != NODE_DB || n->value_len != DB_SIZE)
		return -1;
	return table_by_name(n->key, n->key_len);
}

bool pages_names_tables(struct salvage *s, uint64_t number)
{
	struct page p;
	struct node n;

	if (!read_page(s, number, PAGE_LEAF, &p) || get_le64(p.bytes) != number || p.n_nodes < 4 ||
	    p.n_nodes > 2 * N_TABLES)
		return false;
	for (unsigned int i = 0; i < p.n_nodes; i++)
		if (!read_node(s, &p, i, false, &n) || table_of(&n) < 0)
			return false;
	return true;
}

bool pages_read_tables(struct salvage *s, uint64_t number, struct state *state)
{
	struct page p;
	struct node n;

	if (!read_page(s, number, PAGE_LEAF, &p))
		return false;
	for (unsigned int i = 0; i < p.n_nodes; i++) {
		int t = read_node(s, &p, i, false, &n) ? table_of(&n) : -1;

		if (t < 0 || state->has[t])
			continue;
		state->has[t] = true;
		state->n_tables++;
		state->depth[t] = get_le16(n.value + 6);
		state->root[t] = get_le64(n.value + 40);
	}
	return true;
}

void pages_read_super(struct salvage *s, struct state *state)
{
	struct page p;
	struct node n;

	/* Few short values: one leaf, unless others were put there that are long. */
	if (!state->has[TABLE_SUPER] || !read_page(s, state->root[TABLE_SUPER], PAGE_LEAF, &p))
		return;
	for (unsigned int i = 0; i < p.n_nodes; i++) {
		if (!read_node(s, &p, i, false, &n) || n.value_len != 8 || (n.flags & NODE_BIG))
			continue;
		if (n.key_len == strlen(SUPER_SEED) && memcmp(n.key, SUPER_SEED, n.key_len) == 0)
			state->seed = get_le64(n.value);
		if (n.key_len == strlen(SUPER_APPLIED) &&
		    memcmp(n.key, SUPER_APPLIED, n.key_len) == 0)
			state->applied = get_le64(n.value);
	}
}

void salvage_rehash(struct salvage *s, uint8_t *key, size_t key_len)
{
	put_be64(key + 8,
		 catalog_name_hash(catalog_seed(s->into), (const char *)key + ENTRY_KEY_PREFIX,
				   key_len - ENTRY_KEY_PREFIX));
}

/* Has a newer state given this record already? */
static bool is_there(struct salvage *s, enum catalog_table table, const uint8_t *key,
		     size_t key_len)
{
	uint8_t bits[CHUNK_SEGMENT_BYTES], byte;
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	char name[NAME_SIZE_MAX + 1];
	struct entry_rec entry;
	uint64_t ino = get_be64(key);

	switch (table) {
	case TABLE_ENTRY:
		return catalog_entry(s->into, ino, (const char *)key + ENTRY_KEY_PREFIX,
				     key_len - ENTRY_KEY_PREFIX, &entry) != -ENOENT;
	case TABLE_INODE:
		return catalog_inode(s->into, ino, &rec) != -ENOENT;
	case TABLE_XATTR:
		memcpy(name, key + INO_KEY_SIZE, key_len - INO_KEY_SIZE);
		name[key_len - INO_KEY_SIZE] = '\0';
		return catalog_xattr(s->into, ino, name, NULL, 0) >= 0;
	case TABLE_INLINE:
		return catalog_inline(s->into, ino, 0, &byte, 1) > 0;
	case TABLE_CHUNKS:
		if (catalog_chunks(s->into, ino, __builtin_bswap32(get_le32(key + INO_KEY_SIZE)),
				   bits) < 0)
			return false;
		for (size_t i = 0; i < sizeof(bits); i++)
			if (bits[i] != 0)
				return true;
		return false;
	default:
		return true;
	}
}

static int flush(struct salvage *s)
{
	int r = s->batch.n > 0 ? catalog_commit(s->into, &s->batch) : 0;

	batch_begin(&s->batch, s->into);
	return r;
}

static int take(struct salvage *s, enum catalog_table table, const struct node *n,
		const uint8_t *value)
{
	uint8_t key[KEY_SIZE_MAX];

	if (!record_fits(table, n->key_len, n->value_len)) {
		s->counts.bad_pages++;
		return 0;
	}
	memcpy(key, n->key, n->key_len);
	if (s->fills && is_there(s, table, key, n->key_len))
		return 0;
	if (table == TABLE_ENTRY)
		salvage_rehash(s, key, n->key_len);
	if (s->fills)
		s->counts.older++;
	else
		s->counts.records[table]++;
	batch_put_raw(&s->batch, table, key, n->key_len, value, n->value_len);
	return s->batch.body.len > BATCH_BYTES_MAX ? flush(s) : 0;
}

/* A value that has pages of its own: into allocated memory; NULL when it cannot be read. */
static uint8_t *read_long(struct salvage *s, const struct node *n)
{
	uint64_t first = get_le64(n->value);
	uint8_t head[PAGE_HEADER];
	uint8_t *bytes;

	if (n->value_len > SUPER_VALUE_MAX || first < 2 || first >= s->n_pages ||
	    !read_bytes_at(s, first * s->page_size, head, sizeof(head)) ||
	    (get_le16(head + 10) & PAGE_KINDS) != PAGE_OVERFLOW)
		return NULL;
	bytes = malloc(n->value_len + 1u);
	if (bytes != NULL &&
	    read_bytes_at(s, first * s->page_size + PAGE_HEADER, bytes, n->value_len))
		return bytes;
	free(bytes);
	return NULL;
}

static int take_node(struct salvage *s, enum catalog_table table, const struct node *n)
{
	CLEANUP(free) uint8_t *bytes = NULL;

	if (n->flags == 0)
		return take(s, table, n, n->value);
	if (n->flags == NODE_BIG)
		bytes = read_long(s, n);
	if (bytes != NULL)
		return take(s, table, n, bytes);
	s->counts.bad_pages++;
	return 0;
}

static bool meet(struct salvage *s, uint64_t page)
{
	uint8_t bit = (uint8_t)(1u << (page & 7));

	if (page >= s->n_pages || (s->met[page >> 3] & bit))
		return false;
	s->met[page >> 3] |= bit;
	return true;
}

static int take_leaf(struct salvage *s, enum catalog_table table, const struct page *p)
{
	struct node n;
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < p->n_nodes; i++) {
		if (read_node(s, p, i, false, &n))
			r = take_node(s, table, &n);
		else
			s->counts.bad_pages++;
	}
	return r;
}

static int walk_page(struct salvage *s, enum catalog_table table, uint64_t number,
		     unsigned int levels);

static int walk_branch(struct salvage *s, enum catalog_table table, const struct page *p,
		       unsigned int levels)
{
	struct node n;
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < p->n_nodes; i++) {
		if (read_node(s, p, i, true, &n))
			r = walk_page(s, table, n.child, levels - 1);
		else
			s->counts.bad_pages++;
	}
	return r;
}

/* LEVELS: how many the tree has from here down; with 0 there are more than there can be. */
static int walk_page(struct salvage *s, enum catalog_table table, uint64_t number,
		     unsigned int levels)
{
	/* On the heap: a tree may be as deep as its damage says, a stack not. */
	CLEANUP(free) struct page *p = malloc(sizeof(*p));
	int r = s->step != NULL ? s->step(s->arg) : 0;

	if (p == NULL || r < 0)
		return p == NULL ? -ENOMEM : r;
	if (levels == 0 || !meet(s, number)) {
		s->counts.bad_pages++;
		return 0;
	}
	if (read_page(s, number, PAGE_LEAF, p))
		return take_leaf(s, table, p);
	if (read_page(s, number, PAGE_BRANCH, p))
		return walk_branch(s, table, p, levels);
	s->counts.bad_pages++;
	return 0;
}

int pages_walk(struct salvage *s, enum catalog_table table, uint64_t root, uint16_t depth)
{
	int r;

	if (root == NO_PAGE && depth == 0)
		return 0;
	/* Each state has pages of its own, and shares others with those before it. */
	if (s->fills)
		memset(s->met, 0, s->n_pages / 8 + 1);
	r = walk_page(s, table, root, DEPTH_MAX);
	return r < 0 ? r : flush(s);
}

static bool is_xattr_name(const char *name, size_t len)
{
	static const char *const prefixes[] = {"user.", "trusted.", "security.", "system."};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (len > strlen(prefixes[i]) &&
		    memcmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return memchr(name, '\0', len) == NULL;
	return false;
}

static bool is_name(const struct salvage *s, const struct node *n)
{
	struct entry_key key;

	if (n->value_len != ENTRY_VALUE_SIZE || !entry_key_of(n->key, n->key_len, &key))
		return false;
	return s->seed == 0 ? memchr(key.name, '\0', key.len) == NULL
			    : catalog_name_hash(s->seed, key.name, key.len) == key.hash;
}

/* Which table a record looks as if it came from; N_TABLES: none. */
static enum catalog_table looks_like(const struct salvage *s, const struct node *n)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};

	if (n->key_len == INO_KEY_SIZE && n->flags == 0 &&
	    inode_decode(n->value, n->value_len, get_be64(n->key), &rec) == 0)
		return TABLE_INODE;
	if (n->key_len == INO_KEY_SIZE && n->value_len > 0)
		return TABLE_INLINE;
	if (n->key_len == CHUNKS_KEY_SIZE && n->value_len == CHUNK_SEGMENT_BYTES)
		return TABLE_CHUNKS;
	if (is_name(s, n))
		return TABLE_ENTRY;
	if (n->key_len > INO_KEY_SIZE &&
	    is_xattr_name((const char *)n->key + INO_KEY_SIZE, n->key_len - INO_KEY_SIZE))
		return TABLE_XATTR;
	return N_TABLES;
}

int pages_copy_stray(struct salvage *s, uint64_t number)
{
	CLEANUP(free) struct page *p = malloc(sizeof(*p));
	int r = s->step != NULL ? s->step(s->arg) : 0;

	if (p == NULL || r < 0)
		return p == NULL ? -ENOMEM : r;
	if (!meet(s, number) || !read_page(s, number, PAGE_LEAF, p) || get_le64(p->bytes) != number)
		return 0;
	for (unsigned int i = 0; r == 0 && i < p->n_nodes; i++) {
		enum catalog_table table = N_TABLES;
		struct node n;

		if (read_node(s, p, i, false, &n) && !(n.flags & ~NODE_BIG))
			table = looks_like(s, &n);
		if (table != N_TABLES && !s->complete[table])
			r = take_node(s, table, &n);
	}
	return r < 0 ? r : flush(s);
}
