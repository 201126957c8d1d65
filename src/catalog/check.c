/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the pages of an LMDB file without LMDB, by the published layout. */
#include "catalog/check.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "catalog/lmdb_page.h"
#include "catalog/record.h"

/* The free list's description also keeps the flags that the file was made with. */
enum { DB_INTEGER_KEYS = 8, DB_FLAGS = 0x3f };

/* No catalog is near this; a bitmap of its pages still fits. */
#define FILE_PAGES_MAX ((uint64_t)1 << 28)

/* A page that no tree and no list knows costs its space and nothing else. */
#define LOST_PAGES_MAX 1024

/* The file, and which pages have been met: each belongs to one tree or to the free list, once. */
struct walk {
	const uint8_t *map;
	uint64_t map_len;
	uint32_t page_size;
	uint64_t last_page; /* as the meta page says; free pages may lie behind the end of the file */
	uint64_t txnid;
	uint8_t *met;
	uint64_t n_met;
	uint64_t n_behind;		 /* of them, behind the end of the file: free ones */
	unsigned int n_known, n_unknown; /* tables by their names */
	const char *why;
};

struct db {
	uint16_t flags, depth;
	uint64_t root;
};

/* A key, or with NULL no bound. */
struct key {
	const uint8_t *p;
	size_t len;
};

/* The tree that is being walked. */
struct tree {
	bool is_free_list;
	bool has_dbs; /* values are named databases */
	uint16_t depth;
};

struct node {
	struct key key;
	uint32_t size; /* of the value */
	uint16_t flags;
	uint64_t child; /* in branches */
	const uint8_t *value;
};

static int bad(struct walk *w, const char *why)
{
	w->why = why;
	return -EUCLEAN;
}

static bool meet(struct walk *w, uint64_t page)
{
	uint8_t bit = (uint8_t)(1u << (page & 7));

	if (page < 2 || page > w->last_page || (w->met[page >> 3] & bit))
		return false;
	w->met[page >> 3] |= bit;
	w->n_met++;
	w->n_behind += page >= w->map_len / w->page_size;
	return true;
}

static const uint8_t *page_at(const struct walk *w, uint64_t page)
{
	if (page >= w->map_len / w->page_size)
		return NULL;
	return w->map + page * w->page_size;
}

static int compare_keys(const struct tree *t, const struct key *a, const struct key *b)
{
	if (t->is_free_list) {
		uint64_t x = get_le64(a->p), y = get_le64(b->p);

		return (x > y) - (x < y);
	}
	return key_compare(a->p, a->len, b->p, b->len);
}

/* Decodes node I of a page whose header was checked; its end must lie inside the page. */
static bool read_node(const struct walk *w, const uint8_t *page, unsigned int i, bool is_branch,
		      struct node *ret_node, size_t *used)
{
	size_t off = get_le16(page + PAGE_HEADER + 2 * i);
	const uint8_t *p = page + off;
	struct node n;
	size_t size;

	if ((off & 1) || off < get_le16(page + 14) || off + NODE_HEADER > w->page_size)
		return false;
	n.flags = get_le16(p + 4);
	n.key = (struct key){p + NODE_HEADER, get_le16(p + 6)};
	n.size = is_branch ? 0 : get_le32(p);
	n.child = get_le32(p) | (uint64_t)n.flags << 32;
	n.value = n.key.p + n.key.len;
	size = NODE_HEADER + n.key.len;
	if (!is_branch)
		size += (n.flags & NODE_BIG) ? 8 : (size_t)n.size;
	if (size > w->page_size - off || n.key.len > KEY_SIZE_MAX * 2)
		return false;
	*used += (size + 1) & ~(size_t)1;
	*ret_node = n;
	return true;
}

static int check_overflow(struct walk *w, const struct node *n, const uint8_t **ret_value)
{
	uint64_t first = get_le64(n->value);
	uint64_t needed = ((uint64_t)PAGE_HEADER - 1 + n->size) / w->page_size + 1, count;
	const uint8_t *page = page_at(w, first);

	if (page == NULL)
		return bad(w, "a value lies behind the end of the file");
	/* A shorter value may have been written over a longer one. */
	count = get_le32(page + 12);
	if (get_le64(page) != first || (get_le16(page + 10) & PAGE_KINDS) != PAGE_OVERFLOW ||
	    count < needed)
		return bad(w, "a long value has a wrong header");
	if (count > w->map_len / w->page_size - first)
		return bad(w, "a value lies behind the end of the file");
	for (uint64_t i = 0; i < count; i++) {
		if (!meet(w, first + i))
			return bad(w, "a page is used twice");
	}
	*ret_value = page + PAGE_HEADER;
	return 0;
}

/* A list of free pages: their count, then their numbers, descending, u64 each. */
static int check_free(struct walk *w, const struct key *key, const uint8_t *value, uint32_t size)
{
	uint64_t count, last = UINT64_MAX;

	if (get_le64(key->p) > w->txnid || size < 8)
		return bad(w, "a wrong record in the free list");
	count = get_le64(value);
	if (count > size / 8 - 1)
		return bad(w, "a free list is longer than its record");
	for (uint64_t i = 1; i <= count; i++) {
		uint64_t page = get_le64(value + 8 * i);

		if (page >= last || !meet(w, page))
			return bad(w, "a wrong page in the free list");
		last = page;
	}
	return 0;
}

static int check_db(struct walk *w, const uint8_t *value, bool is_free_list, bool has_dbs);

static int check_value(struct walk *w, const struct tree *t, const struct node *n)
{
	const uint8_t *value = n->value;

	if (n->flags & ~(t->has_dbs ? NODE_DB : NODE_BIG))
		return bad(w, "a node of a kind that is not used here");
	if (n->flags & NODE_BIG) {
		int rc = check_overflow(w, n, &value);

		if (rc < 0)
			return rc;
	}
	if (t->has_dbs) {
		if (n->flags != NODE_DB || n->size != DB_SIZE)
			return bad(w, "a table's record has a wrong size");
		if (table_by_name(n->key.p, n->key.len) >= 0)
			w->n_known++;
		else
			w->n_unknown++;
		return check_db(w, value, false, false);
	}
	return t->is_free_list ? check_free(w, &n->key, value, n->size) : 0;
}

static int check_page(struct walk *w, const struct tree *t, uint64_t number, unsigned int level,
		      const struct key *from, const struct key *to);

/* Branches: the subtree of node I holds the keys from the node's on, up to the next node's. */
static int check_child(struct walk *w, const struct tree *t, const uint8_t *page, unsigned int i,
		       unsigned int count, unsigned int level, const struct key *from,
		       const struct key *to)
{
	struct node n, next;
	size_t unused = 0;
	const struct key *low = from, *high = to;

	if (!read_node(w, page, i, true, &n, &unused))
		return bad(w, "a node lies outside its page");
	if (i > 0)
		low = &n.key;
	if (i + 1 < count) {
		if (!read_node(w, page, i + 1, true, &next, &unused))
			return bad(w, "a node lies outside its page");
		high = &next.key;
	}
	return check_page(w, t, n.child, level + 1, low, high);
}

/* The nodes of one page: inside it, packed, in order, within the bounds. */
static int check_nodes(struct walk *w, const struct tree *t, const uint8_t *page, bool is_branch,
		       const struct key *from, const struct key *to)
{
	unsigned int count = (get_le16(page + 12) - PAGE_HEADER) / 2u;
	struct node n, before = {0};
	size_t used = 0;

	for (unsigned int i = 0; i < count; i++) {
		if (!read_node(w, page, i, is_branch, &n, &used))
			return bad(w, "a node lies outside its page");
		/* The first key of a branch stands for everything below the second. */
		if (is_branch && i == 0)
			continue;
		if (t->is_free_list ? n.key.len != 8 : n.key.len == 0)
			return bad(w, "a key has a wrong length");
		if ((from->p != NULL && compare_keys(t, &n.key, from) < 0) ||
		    (to->p != NULL && compare_keys(t, &n.key, to) >= 0) ||
		    (before.key.p != NULL && compare_keys(t, &before.key, &n.key) >= 0))
			return bad(w, "keys are out of order");
		before = n;
	}
	if (used != w->page_size - get_le16(page + 14))
		return bad(w, "nodes overlap");
	return 0;
}

static int check_page(struct walk *w, const struct tree *t, uint64_t number, unsigned int level,
		      const struct key *from, const struct key *to)
{
	const uint8_t *page = page_at(w, number);
	bool is_branch = level < t->depth;
	unsigned int lower, upper, count;
	int rc;

	if (page == NULL)
		return bad(w, "a page lies behind the end of the file");
	if (!meet(w, number))
		return bad(w, "a page is used twice");
	lower = get_le16(page + 12);
	upper = get_le16(page + 14);
	if (get_le64(page) != number || lower < PAGE_HEADER || (lower & 1) || lower > upper ||
	    upper > w->page_size ||
	    (get_le16(page + 10) & PAGE_KINDS) != (is_branch ? PAGE_BRANCH : PAGE_LEAF))
		return bad(w, "a page has a wrong header");
	count = (lower - PAGE_HEADER) / 2;
	/* LMDB asserts two in a branch, but not in the free list, where one may be left. */
	if (count < (is_branch && !t->is_free_list ? 2u : 1u))
		return bad(w, "a page is empty");
	rc = check_nodes(w, t, page, is_branch, from, to);
	for (unsigned int i = 0; rc == 0 && i < count; i++) {
		struct node n;
		size_t unused = 0;

		if (is_branch)
			rc = check_child(w, t, page, i, count, level, from, to);
		else if (read_node(w, page, i, false, &n, &unused))
			rc = check_value(w, t, &n);
	}
	return rc;
}

static int check_db(struct walk *w, const uint8_t *value, bool is_free_list, bool has_dbs)
{
	struct db db = {.flags = get_le16(value + 4),
			.depth = get_le16(value + 6),
			.root = get_le64(value + 40)};
	struct tree t = {.is_free_list = is_free_list, .has_dbs = has_dbs, .depth = db.depth};
	struct key none = {0};

	if ((db.flags & (is_free_list ? DB_FLAGS : 0xffff)) !=
		    (is_free_list ? DB_INTEGER_KEYS : 0) ||
	    db.depth > DEPTH_MAX)
		return bad(w, "a tree's description makes no sense");
	if (db.root == NO_PAGE)
		return db.depth == 0 ? 0 : bad(w, "a tree has lost its root");
	if (db.depth == 0)
		return bad(w, "a tree has no depth");
	return check_page(w, &t, db.root, 1, &none, &none);
}

/* The meta page at OFF; NULL when it is not one. */
static const uint8_t *meta_at(const struct walk *w, uint64_t off, bool *ret_other_version)
{
	const uint8_t *page = w->map + off, *meta = page + PAGE_HEADER;

	if (off + PAGE_HEADER + META_SIZE > w->map_len || !(get_le16(page + 10) & PAGE_META) ||
	    get_le32(meta) != LMDB_MAGIC)
		return NULL;
	if (get_le32(meta + 4) != LMDB_VERSION) {
		*ret_other_version = true;
		return NULL;
	}
	return meta;
}

/* LMDB refuses the file unless both meta pages are good, and then takes the newer one. */
static int check_meta(struct walk *w, const uint8_t **ret_meta)
{
	const uint8_t *first, *second, *newer;
	bool other_version = false;

	first = meta_at(w, 0, &other_version);
	if (other_version)
		return -EPROTONOSUPPORT;
	if (first == NULL)
		return bad(w, "its first page is not LMDB's");
	w->page_size = get_le32(first + 24);
	if (!is_page_size(w->page_size))
		return bad(w, "its page size makes no sense");
	second = meta_at(w, w->page_size, &other_version);
	if (other_version)
		return -EPROTONOSUPPORT;
	if (second == NULL || get_le32(second + 24) != w->page_size)
		return bad(w, "its second page is not LMDB's");
	newer = get_le64(second + META_SIZE - 8) > get_le64(first + META_SIZE - 8) ? second : first;
	w->last_page = get_le64(newer + META_SIZE - 16);
	w->txnid = get_le64(newer + META_SIZE - 8);
	if (w->last_page < 1 || w->last_page >= FILE_PAGES_MAX)
		return bad(w, "its number of pages makes no sense");
	*ret_meta = newer;
	return 0;
}

static int check_map(struct walk *w)
{
	CLEANUP(free) uint8_t *met = NULL;
	const uint8_t *meta;
	uint64_t pages;
	int rc = check_meta(w, &meta);

	if (rc < 0)
		return rc;
	met = calloc(1, w->last_page / 8 + 1);
	if (met == NULL)
		return -ENOMEM;
	w->met = met;
	rc = check_db(w, meta + 24, true, false);
	if (rc == 0)
		rc = check_db(w, meta + 24 + DB_SIZE, false, true);
	w->met = NULL;
	if (rc < 0)
		return rc;
	/* An older program's file lacks some, a newer one's has more: one that has both is neither. A
	 * file with other tables only is no catalog, which is for others to say. */
	if (w->n_unknown > 0 && w->n_known > 0 && w->n_known < N_TABLES)
		return bad(w, "the name of a table is damaged");
	pages = w->map_len / w->page_size;
	/* LMDB never writes pages that it frees again at once, but then they are in its list. */
	if (w->last_page >= pages && w->last_page + 1 - pages > w->n_behind + LOST_PAGES_MAX)
		return bad(w, "pages at its end are missing");
	return 0;
}

int check_tree(int fd, struct check_info *ret_info, const char **ret_why)
{
	struct walk w = {0};
	struct stat st;
	void *map;
	int rc = sys_fstat(fd, &st);

	if (rc < 0)
		return rc;
	*ret_why = "it is too short";
	if (!S_ISREG(st.st_mode) || st.st_size < 2 * PAGE_SIZE_MIN)
		return -EUCLEAN;
	w.map_len = (uint64_t)st.st_size;
	map = mmap(NULL, w.map_len, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	w.map = map;
	rc = check_map(&w);
	munmap(map, w.map_len);
	if (rc < 0) {
		*ret_why = w.why;
		return rc;
	}
	*ret_info = (struct check_info){.txnid = w.txnid, .size = w.map_len, .pages = w.n_met};
	return 0;
}
