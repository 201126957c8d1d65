/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs waste: what was found, for people and for programs. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "tool/columns.h"
#include "tool/look_waste_private.h"

static const char *const whys[] = {"shown", "deleted", "replaced", "copied"};

/* As a mount would count it. */
static size_t number_of(const struct waste *w, size_t layer)
{
	return look_layer_number(w->l, w->n_layers - layer);
}

static const char *made_by(const struct waste *w, size_t layer)
{
	return look_layer_by(w->l, w->n_layers - layer);
}

/* In thousandths of the bytes stored. */
static uint64_t efficiency(const struct waste *w)
{
	return w->bytes > 0
		       ? (uint64_t)((double)(w->bytes - w->hidden) * 1000 / (double)w->bytes + 0.5)
		       : 1000;
}

static size_t shown_at_most(const struct waste *w, size_t n)
{
	return w->l->top > 0 && n > w->l->top ? w->l->top : n;
}

/* ---- hidden files, the largest first ---- */

struct hidden {
	const struct waste_file **v; /* owned */
	size_t n;
};

static void hidden_done(struct hidden *h)
{
	free(h->v);
}
DEFINE_CLEANUP(struct hidden, hidden, hidden_done)

static int compare_hidden(const void *a, const void *b)
{
	const struct waste_file *x = *(const struct waste_file *const *)a,
				*y = *(const struct waste_file *const *)b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	if (strcmp(x->path, y->path) != 0)
		return strcmp(x->path, y->path);
	return x->layer < y->layer ? -1 : x->layer > y->layer;
}

static int find_hidden(const struct waste *w, struct hidden *ret_hidden)
{
	struct hidden h = {.v = calloc(w->n > 0 ? w->n : 1, sizeof(struct waste_file *))};

	if (h.v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < w->n; i++)
		if (w->files[i].why != WASTE_SHOWN)
			h.v[h.n++] = &w->files[i];
	qsort(h.v, h.n, sizeof(*h.v), compare_hidden);
	*ret_hidden = h;
	return 0;
}

/* ---- for people ---- */

static void put_title(const struct waste *w, const char *what, size_t n, uint64_t bytes)
{
	FILE *out = w->l->out;
	char size[32];

	fprintf(out, "\n%s: %zu, %s", what, n, format_size(size, bytes));
	if (shown_at_most(w, n) < n)
		fprintf(out, "; the largest %zu", shown_at_most(w, n));
	fputs("\n", out);
}

static int layers_table(const struct waste *w)
{
	static const char *const titles[] = {"LAYER", "SIZE", "HIDDEN", "NAMES", "BY"};
	CLEANUP(columns) struct columns c = {.n = sizeof(titles) / sizeof(*titles)};
	char size[32];

	for (unsigned int i = 0; i < c.n; i++)
		columns_add(&c, "%s", titles[i]);
	for (size_t i = w->n_layers; i-- > 0;) {
		const struct waste_layer *layer = &w->layers[i];

		columns_add(&c, "%zu", number_of(w, i));
		columns_add(&c, "%s", format_size(size, layer->bytes));
		columns_add(&c, "%s", format_size(size, layer->hidden));
		columns_add(&c, "%" PRIu64, layer->hidden_names);
		columns_add(&c, "%s", made_by(w, i));
	}
	return columns_print(&c, 0xf, w->l->out);
}

static int hidden_table(const struct waste *w, const struct hidden *h)
{
	static const char *const titles[] = {"SIZE", "LAYER", "WHY", "BY", "PATH"};
	CLEANUP(columns) struct columns c = {.n = sizeof(titles) / sizeof(*titles)};
	char size[32];

	for (unsigned int i = 0; i < c.n; i++)
		columns_add(&c, "%s", titles[i]);
	for (size_t i = 0; i < shown_at_most(w, h->n); i++) {
		const struct waste_file *f = h->v[i];

		columns_add(&c, "%s", format_size(size, f->size));
		columns_add(&c, "%zu", number_of(w, f->layer));
		columns_add(&c, "%s", whys[f->why]);
		columns_add(&c, "%zu", number_of(w, f->by));
		columns_add(&c, "/%s", f->path);
	}
	return columns_print(&c, 1u << 0 | 1u << 1 | 1u << 3, w->l->out);
}

/* A row for each path; the first one has the numbers. */
static void group_rows(const struct waste *w, const struct waste_group *g, struct columns *c)
{
	size_t n = shown_at_most(w, g->n);
	char size[32];

	for (size_t i = 0; i < n; i++) {
		const struct waste_file *f = &w->files[w->order[g->first + i]];

		columns_add(c, "%s", i == 0 ? format_size(size, f->size) : "");
		if (i == 0)
			columns_add(c, "%zu", g->n);
		else
			columns_add(c, "%s", "");
		columns_add(c, "%zu", number_of(w, f->layer));
		columns_add(c, "/%s", f->path);
	}
	if (n == g->n)
		return;
	for (int i = 0; i < 3; i++)
		columns_add(c, "%s", "");
	columns_add(c, "and %zu more", g->n - n);
}

static int duplicates_table(const struct waste *w)
{
	static const char *const titles[] = {"SIZE", "COPIES", "LAYER", "PATH"};
	CLEANUP(columns) struct columns c = {.n = sizeof(titles) / sizeof(*titles)};

	for (unsigned int i = 0; i < c.n; i++)
		columns_add(&c, "%s", titles[i]);
	for (size_t i = 0; i < shown_at_most(w, w->n_groups); i++)
		group_rows(w, &w->groups[i], &c);
	return columns_print(&c, 1u << 0 | 1u << 1 | 1u << 2, w->l->out);
}

static int tables(const struct waste *w, const struct hidden *h)
{
	uint64_t share = efficiency(w);
	char size[2][32];
	int r = layers_table(w);

	fprintf(w->l->out, "\nefficiency %" PRIu64 ".%" PRIu64 " %%: %s of %s are hidden\n",
		share / 10, share % 10, format_size(size[0], w->hidden),
		format_size(size[1], w->bytes));
	if (w->copied > 0)
		fprintf(w->l->out, "%s of them were copied to change attributes only\n",
			format_size(size[0], w->copied));
	if (r == 0 && h->n > 0) {
		put_title(w, "hidden files", h->n, w->hidden);
		r = hidden_table(w, h);
	}
	if (r == 0 && w->n_groups > 0) {
		put_title(w, "contents that several files have", w->n_groups, w->duplicate);
		r = duplicates_table(w);
	}
	return r;
}

/* ---- for programs ---- */

static void put_path(struct json_out *j, const char *path)
{
	CLEANUP(free) char *whole = NULL;

	if (asprintf(&whole, "/%s", path) < 0)
		whole = NULL;
	json_out_bytes(j, "path", whole);
}

static void put_layers(const struct waste *w, struct json_out *j)
{
	json_out_array(j, "layers");
	for (size_t i = w->n_layers; i-- > 0;) {
		json_out_object(j, NULL);
		json_out_size(j, "layer", number_of(w, i));
		json_out_bytes(j, "by", made_by(w, i));
		json_out_size(j, "bytes", w->layers[i].bytes);
		json_out_size(j, "hidden", w->layers[i].hidden);
		json_out_size(j, "hidden_names", w->layers[i].hidden_names);
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void put_hidden(const struct waste *w, struct json_out *j, const struct hidden *h)
{
	json_out_array(j, "hidden_files");
	for (size_t i = 0; i < shown_at_most(w, h->n); i++) {
		const struct waste_file *f = h->v[i];

		json_out_object(j, NULL);
		put_path(j, f->path);
		json_out_size(j, "size", f->size);
		json_out_size(j, "layer", number_of(w, f->layer));
		json_out_text(j, "why", whys[f->why]);
		json_out_size(j, "by", number_of(w, f->by));
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void put_duplicates(const struct waste *w, struct json_out *j)
{
	json_out_array(j, "duplicates");
	for (size_t g = 0; g < shown_at_most(w, w->n_groups); g++) {
		const struct waste_group *group = &w->groups[g];

		json_out_object(j, NULL);
		json_out_size(j, "size", w->files[w->order[group->first]].size);
		json_out_array(j, "files");
		for (size_t i = 0; i < group->n; i++) {
			const struct waste_file *f = &w->files[w->order[group->first + i]];

			json_out_object(j, NULL);
			put_path(j, f->path);
			json_out_size(j, "layer", number_of(w, f->layer));
			json_out_end(j, '}');
		}
		json_out_end(j, ']');
		json_out_end(j, '}');
	}
	json_out_end(j, ']');
}

static void document(const struct waste *w, const struct hidden *h)
{
	struct json_out j = {.out = w->l->out};

	json_out_object(&j, NULL);
	json_out_size(&j, "bytes", w->bytes);
	json_out_size(&j, "hidden", w->hidden);
	json_out_size(&j, "copied", w->copied);
	json_out_size(&j, "duplicate", w->duplicate);
	json_out_size(&j, "efficiency_permille", efficiency(w));
	put_layers(w, &j);
	json_out_size(&j, "n_hidden_files", h->n);
	put_hidden(w, &j, h);
	json_out_size(&j, "n_duplicates", w->n_groups);
	put_duplicates(w, &j);
	json_out_end(&j, '}');
}

int waste_show(struct waste *w)
{
	CLEANUP(hidden) struct hidden h = {0};
	int r = find_hidden(w, &h);

	if (r < 0)
		return r;
	if (!w->l->json)
		return tables(w, &h);
	document(w, &h);
	return 0;
}
