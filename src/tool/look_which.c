/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs which: the layers that have a path, which one shows and what hides the others. */
#include <errno.h>
#include <string.h>

#include "layer/layer.h"
#include "tool/columns.h"
#include "tool/look_private.h"
#include "union/union.h"

/* Those on top of an image are counted on from its last one, whether that is open or not. */
size_t look_layer_number(const struct look *l, size_t position)
{
	if (l->image == NULL)
		return position;
	if (position > l->n_image)
		return l->image->n_layers + position - l->n_image;
	return l->first_layer + position;
}

const char *look_layer_by(const struct look *l, size_t position)
{
	size_t count = stack_count(fs_stack(l->fs));
	const struct image *image = l->image;
	const char *by;
	int history;

	if (image == NULL || position > l->n_image)
		return stack_layer(fs_stack(l->fs), count - position)->path;
	history = image->layers[l->first_layer + position - 1].history;
	by = history >= 0 ? image->history[history].created_by : NULL;
	return by != NULL ? by : "?";
}

/* Nothing is said of what only could have hidden something. */
static bool matters(const struct look_layers *f, size_t index)
{
	const struct look_found *found = &f->v[index];

	if (found->what == LOOK_HAS || found->what == LOOK_WHITEOUT)
		return true;
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].what == LOOK_HAS && !f->v[i].shown && f->v[i].hidden_by == index)
			return true;
	return false;
}

/* Layer I's part in it, in a word for programs. */
static const char *state(const struct look_found *f)
{
	static const char *const hides[] = {"", "deletes", "opaque", "replaces"};

	if (f->what != LOOK_HAS)
		return hides[f->what];
	if (!f->shown)
		return "hidden";
	return f->attrs_only ? "attributes" : "shown";
}

static void row(struct look *l, struct columns *c, const struct look_layers *f, size_t i)
{
	const struct look_found *found = &f->v[i];
	bool has = found->what == LOOK_HAS;

	columns_add(c, "%zu", look_layer_number(l, found->layer));
	if (has && !found->shown)
		columns_add(c, "hidden by %zu", look_layer_number(l, f->v[found->hidden_by].layer));
	else
		columns_add(c, "%s", state(found));
	columns_add(c, "%s", has ? look_type(found->attr.mode) : "-");
	if (has && S_ISREG(found->attr.mode))
		columns_add(c, "%ju", (uintmax_t)found->attr.size);
	else
		columns_add(c, "-");
	columns_add(c, "/%s", found->at);
	columns_add(c, "%s", look_layer_by(l, found->layer));
}

static int table(struct look *l, const struct look_layers *f)
{
	static const char *const titles[] = {"LAYER", "STATE", "TYPE", "SIZE", "PATH", "BY"};
	CLEANUP(columns) struct columns c = {.n = sizeof(titles) / sizeof(*titles)};

	for (unsigned int i = 0; i < c.n; i++)
		columns_add(&c, "%s", titles[i]);
	for (size_t i = 0; i < f->n; i++)
		if (matters(f, i))
			row(l, &c, f, i);
	return columns_print(&c, 1u << 0 | 1u << 3, l->out);
}

static void object(struct look *l, const char *path, const struct look_layers *f)
{
	json_out_object(&l->j, NULL);
	json_out_bytes(&l->j, "path", path);
	json_out_array(&l->j, "layers");
	for (size_t i = 0; i < f->n; i++) {
		const struct look_found *found = &f->v[i];
		CLEANUP(free) char *at = NULL;

		if (!matters(f, i))
			continue;
		json_out_object(&l->j, NULL);
		json_out_size(&l->j, "layer", look_layer_number(l, found->layer));
		json_out_text(&l->j, "state", state(found));
		if (found->what == LOOK_HAS && !found->shown)
			json_out_size(&l->j, "hidden_by",
				      look_layer_number(l, f->v[found->hidden_by].layer));
		if (asprintf(&at, "/%s", found->at) < 0)
			at = NULL;
		json_out_bytes(&l->j, "path", at);
		if (found->what == LOOK_HAS) {
			json_out_text(&l->j, "type", look_type(found->attr.mode));
			json_out_size(&l->j, "size", found->attr.size);
		}
		json_out_bytes(&l->j, "by", look_layer_by(l, found->layer));
		json_out_end(&l->j, '}');
	}
	json_out_end(&l->j, ']');
	json_out_end(&l->j, '}');
}

int look_which(struct look *l, const char *path, struct err *err)
{
	CLEANUP(look_place) struct look_place place = {0};
	CLEANUP(look_layers) struct look_layers found = {0};
	int r = look_resolve(l->fs, path, false, &place);

	/* What no layer shows may still be in one. */
	if (r == -ENOENT || r == -ENOTDIR)
		r = 0;
	if (r == 0)
		r = look_layers_find(l->fs, place.path, &found);
	if (r < 0)
		return err_errno(err, -r, "%s", path);
	if (found.n == 0)
		return err_set(err, ENOENT, "%s: no layer has it", path);
	if (l->json) {
		object(l, place.path, &found);
		return 0;
	}
	if (l->many) {
		fputs(l->began ? "\n" : "", l->out);
		print_clean(l->out, place.path);
		fputs(":\n", l->out);
	}
	l->began = true;
	r = table(l, &found);
	return r < 0 ? err_errno(err, -r, "%s", path) : 0;
}
