/* SPDX-License-Identifier: Apache-2.0 */
/* Images for people: tables and short forms. */
#include "tool/image_show.h"

#include <string.h>

#include "tool/columns.h"
#include "tool/image_json.h"

#define SHORT_ID 12

/* The first digits of a digest, as clients show it; "-" for none. */
static const char *short_id(const struct digest *d, char buf[static DIGEST_TEXT_MAX])
{
	if (d->alg == DIGEST_NONE)
		return "-";
	digest_hex(d, buf);
	buf[SHORT_ID] = '\0';
	return buf;
}

static const char *or_dash(const char *text)
{
	return text != NULL && *text != '\0' ? text : "-";
}

static void head(struct columns *c, const char *const *titles)
{
	for (; *titles != NULL; titles++) {
		columns_add(c, "%s", *titles);
		c->n++;
	}
}

static void list_row(struct columns *c, const struct image_item *item, const char *name)
{
	char id[DIGEST_TEXT_MAX], manifest[DIGEST_TEXT_MAX], platform[PLATFORM_TEXT_MAX], size[32];

	columns_add(c, "%s", name);
	columns_add(c, "%s",
		    item->platform.os != NULL ? platform_format(&item->platform, platform) : "-");
	columns_add(c, "%s", short_id(&item->id, id));
	columns_add(c, "%s", short_id(&item->manifest, manifest));
	columns_add(c, "%zu", item->n_layers);
	columns_add(c, "%s", item->missing ? "not there" : format_size(size, item->size));
}

int show_list(const struct image_list *list, bool json, FILE *out)
{
	static const char *const titles[] = {"NAME",   "PLATFORM", "ID", "MANIFEST",
					     "LAYERS", "SIZE",	   NULL};
	CLEANUP(columns) struct columns c = {0};

	if (json)
		return json_list_images(list, out);
	head(&c, titles);
	for (size_t i = 0; i < list->count; i++) {
		const struct image_item *item = &list->items[i];

		if (item->names.count == 0)
			list_row(&c, item, "-");
		for (size_t k = 0; k < item->names.count; k++)
			list_row(&c, item, item->names.list[k]);
	}
	return columns_print(&c, 1u << 4 | 1u << 5, out);
}

/* ---- one image ------------------------------------------------------------------------------- */

static void line(FILE *out, const char *title, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	fprintf(out, "%-12s ", title);
	print_clean(out, text);
	fputc('\n', out);
}

static void line_digest(FILE *out, const char *title, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];

	if (d->alg != DIGEST_NONE)
		line(out, title, digest_format(d, text));
}

/* The words of a command as a shell would want them, near enough to be read. */
static void line_words(FILE *out, const char *title, const struct image_strings *words)
{
	if (words->count == 0)
		return;
	fprintf(out, "%-12s", title);
	for (size_t i = 0; i < words->count; i++) {
		const char *word = words->list[i];
		const char *quote = *word == '\0' || strpbrk(word, " \t\"'$\\;&|<>()") != NULL ? "'"
											       : "";

		fprintf(out, " %s", quote);
		print_clean(out, word);
		fputs(quote, out);
	}
	fputc('\n', out);
}

static void lines(FILE *out, const char *title, const struct image_strings *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		line(out, i == 0 ? title : "", texts->list[i]);
}

static void lines_pairs(FILE *out, const char *title, const struct image_pairs *pairs, bool values)
{
	for (size_t i = 0; i < pairs->count; i++) {
		fprintf(out, "%-12s ", i == 0 ? title : "");
		print_clean(out, pairs->list[i].name);
		if (values) {
			fputc('=', out);
			print_clean(out, pairs->list[i].value);
		}
		fputc('\n', out);
	}
}

static uint64_t total_size(const struct image *image)
{
	uint64_t size = 0;

	for (size_t i = 0; i < image->n_layers; i++)
		if (__builtin_add_overflow(size, image->layers[i].size, &size))
			return UINT64_MAX;
	return size;
}

int show_image(const struct image *image, bool json, FILE *out)
{
	const struct image_config *c = &image->config;
	char platform[PLATFORM_TEXT_MAX], size[32];

	if (json)
		return json_image(image, out);
	line(out, "Name", image->name);
	line(out, "Tag", image->tag);
	line(out, "Source", transport_name(image->transport));
	line_digest(out, "Id", &image->id);
	line_digest(out, "Manifest", &image->manifest);
	line(out, "Platform",
	     image->platform.os != NULL ? platform_format(&image->platform, platform) : NULL);
	line(out, "Created", c->created);
	line(out, "Author", c->author);
	fprintf(out, "%-12s %zu, %s\n", "Layers", image->n_layers,
		format_size(size, total_size(image)));
	line_words(out, "Entrypoint", &c->entrypoint);
	line_words(out, "Cmd", &c->cmd);
	line(out, "User", c->user);
	line(out, "WorkingDir", c->working_dir);
	line(out, "StopSignal", c->stop_signal);
	lines(out, "Env", &c->env);
	lines_pairs(out, "Labels", &c->labels, true);
	lines_pairs(out, "Volumes", &c->volumes, false);
	lines_pairs(out, "Ports", &c->ports, false);
	for (size_t i = 0; i < image->n_warnings; i++)
		line(out, "Warning", image->warnings[i]);
	return 0;
}

static const char *state_of(const struct image_layer *l)
{
	if (l->dir != NULL)
		return "directory";
	if (l->missing)
		return l->foreign ? "elsewhere" : "not there";
	return compression_name(l->compression);
}

int show_layers(const struct image *image, bool json, FILE *out)
{
	static const char *const titles[] = {"LAYER", "DIFF ID",    "DIGEST", "SIZE",
					     "FORM",  "CREATED BY", NULL};
	CLEANUP(columns) struct columns c = {0};

	if (json)
		return json_layers(image, out);
	head(&c, titles);
	for (size_t i = 0; i < image->n_layers; i++) {
		const struct image_layer *l = &image->layers[i];
		char diff_id[DIGEST_TEXT_MAX], digest[DIGEST_TEXT_MAX], size[32];
		const char *by = l->history >= 0 ? image->history[l->history].created_by : "?";

		columns_add(&c, "%zu", i + 1);
		columns_add(&c, "%s", short_id(&l->diff_id, diff_id));
		columns_add(&c, "%s", short_id(&l->digest, digest));
		columns_add(&c, "%s", format_size(size, l->size));
		columns_add(&c, "%s", state_of(l));
		columns_add(&c, "%s", or_dash(by));
	}
	return columns_print(&c, 1u << 0 | 1u << 3, out);
}

int show_history(const struct image *image, bool json, FILE *out)
{
	static const char *const titles[] = {"LAYER",	   "CREATED", "SIZE",
					     "CREATED BY", "COMMENT", NULL};
	CLEANUP(columns) struct columns c = {0};

	if (json)
		return json_history(image, out);
	head(&c, titles);
	for (size_t i = 0; i < image->n_history; i++) {
		const struct image_history *h = &image->history[i];
		char size[32];

		if (h->layer >= 0)
			columns_add(&c, "%d", h->layer + 1);
		else
			columns_add(&c, "-");
		columns_add(&c, "%.19s", or_dash(h->created));
		columns_add(&c, "%s",
			    h->layer >= 0 ? format_size(size, image->layers[h->layer].size) : "-");
		columns_add(&c, "%s", or_dash(h->created_by));
		columns_add(&c, "%s", or_dash(h->comment));
	}
	return columns_print(&c, 1u << 0 | 1u << 2, out);
}
