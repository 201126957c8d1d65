/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs waste: which files have the same bytes. Only those are read that may. */
#include <errno.h>
#include <string.h>

#include "layer/layer.h"
#include "tool/look_waste_private.h"
#include "tool/progress.h"

#define CHUNK ((size_t)1 << 20)
#define BLOCK ((size_t)4096)

/* ---- reading ---- */

static int open_in(struct layer *layer, const char *path, struct layer_file **ret_file)
{
	struct layer_dir *dir = NULL;
	int r = layer_root(layer, &dir);

	while (r == 0 && strchr(path, '/') != NULL) {
		size_t len = strcspn(path, "/");
		CLEANUP(free) char *name = strndup(path, len);
		struct layer_entry e = {0};

		r = name != NULL ? layer_lookup(layer, dir, name, &e) : -ENOMEM;
		if (r == 0 && e.dir == NULL)
			r = -ENOTDIR;
		if (r == 0) {
			layer_dir_unref(layer, dir);
			dir = steal_ptr(&e.dir);
		}
		layer_entry_done(layer, &e);
		path += len + 1;
	}
	if (r == 0)
		r = layer_open(layer, dir, path, ret_file);
	layer_dir_unref(layer, dir);
	return r;
}

struct reading {
	struct waste *w;
	char *bytes; /* owned */
	uint64_t done, total;
};

/*
 * The hash of a content does not tell whether zeros are a hole: before each block that has another byte it has how many
 * zeros there are, in blocks of them, since the one before that, and so at the end.
 */
struct content {
	struct hash128_stream hash;
	uint64_t zeros;
};

static void add_zeros(struct content *c)
{
	hash128_add(&c->hash, &c->zeros, sizeof(c->zeros));
	c->zeros = 0;
}

/* LEN is a number of blocks, except at the end of the file. */
static void add_bytes(struct content *c, const char *bytes, size_t len)
{
	for (size_t n; len > 0; bytes += n, len -= n) {
		n = len < BLOCK ? len : BLOCK;
		if (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0) {
			c->zeros += n;
			continue;
		}
		add_zeros(c);
		hash128_add(&c->hash, bytes, n);
	}
}

static int read_range(struct reading *g, struct layer_file *file, uint64_t off, uint64_t end,
		      struct content *c)
{
	while (off < end) {
		size_t want = end - off < CHUNK ? (size_t)(end - off) : CHUNK;
		ssize_t n = look_read_piece(file, g->bytes, want, off);

		if (n < 0 || (size_t)n < want)
			return n < 0 ? (int)n : -EIO;
		add_bytes(c, g->bytes, want);
		off += want;
		progress_line_show(NULL, "comparing files", g->done + off, g->total);
	}
	return 0;
}

/* Whole blocks of holes are not read. */
static int read_file(struct reading *g, struct waste_file *f)
{
	CLEANUP(layer_file) struct layer_file *file = NULL;
	struct look_range range = {0};
	struct content c = {0};
	uint64_t off = 0, end;
	int r = open_in(stack_layer(g->w->stack, f->layer), f->path, &file);

	hash128_begin(&c.hash);
	for (; r == 0 && off < f->size; off = end) {
		uint64_t data;

		r = look_range_at(file, off, f->size, &range);
		if (r < 0)
			break;
		data = range.data < f->size ? range.data - range.data % BLOCK : f->size;
		end = range.hole + (BLOCK - range.hole % BLOCK) % BLOCK;
		end = end < f->size ? end : f->size;
		c.zeros += data - off;
		r = read_range(g, file, data, end, &c);
	}
	add_zeros(&c);
	f->hash = hash128_end(&c.hash);
	f->known = r == 0;
	return r;
}

/* In the order in which they lie in their layers: a compressed one is then read once. */
static int by_place(const void *a, const void *b, void *arg)
{
	const struct waste *w = arg;
	const struct waste_file *x = &w->files[*(const size_t *)a],
				*y = &w->files[*(const size_t *)b];

	if (x->layer != y->layer)
		return x->layer < y->layer ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int read_wanted(struct waste *w)
{
	struct reading g = {.w = w, .bytes = malloc(CHUNK)};
	size_t n = 0;

	if (g.bytes == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < w->n; i++) {
		if (!w->files[i].is_read)
			continue;
		w->order[n++] = i;
		g.total += w->files[i].size;
	}
	qsort_r(w->order, n, sizeof(*w->order), by_place, w);
	for (size_t i = 0; i < n; i++) {
		struct waste_file *f = &w->files[w->order[i]];
		int r = read_file(&g, f);

		if (r < 0)
			look_complain(w->l, f->path, -r);
		g.done += f->size;
	}
	free(g.bytes);
	return 0;
}

/* ---- choosing ---- */

static int by_size(const void *a, const void *b, void *arg)
{
	const struct waste *w = arg;
	uint64_t x = w->files[*(const size_t *)a].size, y = w->files[*(const size_t *)b].size;

	return x < y ? -1 : x > y;
}

/* The files that are shown, in ORDER. */
static size_t take_shown(struct waste *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->files[i].why == WASTE_SHOWN)
			w->order[n++] = i;
	return n;
}

/* Files that are shown, of a size that others have too. */
static void want_duplicates(struct waste *w)
{
	size_t n = take_shown(w);

	qsort_r(w->order, n, sizeof(*w->order), by_size, w);
	for (size_t i = 0; i + 1 < n; i++) {
		struct waste_file *a = &w->files[w->order[i]], *b = &w->files[w->order[i + 1]];

		if (a->size == b->size)
			a->is_read = b->is_read = true;
	}
}

/* Files that the layer above has of the same size. */
static void want_copies(struct waste *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct waste_file *f = &w->files[i];

		if (f->why == WASTE_REPLACED && f->above != WASTE_NONE &&
		    w->files[f->above].size == f->size)
			f->is_read = w->files[f->above].is_read = true;
	}
}

/* ---- finding ---- */

static bool same_content(const struct waste_file *a, const struct waste_file *b)
{
	return a->known && b->known && a->size == b->size && a->hash.low == b->hash.low &&
	       a->hash.high == b->hash.high;
}

static void find_copies(struct waste *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct waste_file *f = &w->files[i];

		if (f->why != WASTE_REPLACED || f->above == WASTE_NONE ||
		    !same_content(f, &w->files[f->above]))
			continue;
		f->why = WASTE_COPIED;
		f->by = w->files[f->above].layer;
		w->copied += f->size;
	}
}

static int by_content(const void *a, const void *b, void *arg)
{
	const struct waste *w = arg;
	const struct waste_file *x = &w->files[*(const size_t *)a],
				*y = &w->files[*(const size_t *)b];

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	if (x->known != y->known)
		return x->known ? -1 : 1;
	if (x->known && x->hash.low != y->hash.low)
		return x->hash.low < y->hash.low ? -1 : 1;
	if (x->known && x->hash.high != y->hash.high)
		return x->hash.high < y->hash.high ? -1 : 1;
	return strcmp(x->path, y->path);
}

static int by_bytes(const void *a, const void *b)
{
	const struct waste_group *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static int find_duplicates(struct waste *w)
{
	size_t n = take_shown(w), end;

	w->groups = calloc(n / 2 + 1, sizeof(*w->groups));
	if (w->groups == NULL)
		return -ENOMEM;
	qsort_r(w->order, n, sizeof(*w->order), by_content, w);
	for (size_t i = 0; i < n; i = end) {
		const struct waste_file *f = &w->files[w->order[i]];

		for (end = i + 1; end < n && same_content(f, &w->files[w->order[end]]);)
			end++;
		if (end - i < 2)
			continue;
		w->groups[w->n_groups++] = (struct waste_group){i, end - i,
								f->size * (end - i - 1)};
		w->duplicate += f->size * (end - i - 1);
	}
	if (w->n_groups > 0)
		qsort(w->groups, w->n_groups, sizeof(*w->groups), by_bytes);
	return 0;
}

int waste_compare(struct waste *w)
{
	int r;

	w->order = calloc(w->n > 0 ? w->n : 1, sizeof(*w->order));
	if (w->order == NULL)
		return -ENOMEM;
	want_copies(w);
	want_duplicates(w);
	r = read_wanted(w);
	if (r < 0)
		return r;
	find_copies(w);
	return find_duplicates(w);
}
