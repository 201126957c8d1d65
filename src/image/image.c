/* SPDX-License-Identifier: Apache-2.0 */
/* What an image is made of: growing its parts, and freeing them. */
#include "image/image.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "image/source.h"

int strings_add(struct image_strings *s, const char *text)
{
	char **list = reallocarray(s->list, s->count + 1, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	s->list = list;
	list[s->count] = strdup(text);
	if (list[s->count] == NULL)
		return -ENOMEM;
	s->count++;
	return 0;
}

void strings_done(struct image_strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->list[i]);
	free(s->list);
	*s = (struct image_strings){0};
}

int pairs_add(struct image_pairs *p, const char *name, const char *value)
{
	struct image_pair *list = reallocarray(p->list, p->count + 1, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	p->list = list;
	list[p->count] = (struct image_pair){.name = strdup(name), .value = strdup(value)};
	if (list[p->count].name == NULL || list[p->count].value == NULL) {
		free(list[p->count].name);
		free(list[p->count].value);
		return -ENOMEM;
	}
	p->count++;
	return 0;
}

void pairs_done(struct image_pairs *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->list[i].name);
		free(p->list[i].value);
	}
	free(p->list);
	*p = (struct image_pairs){0};
}

struct image_item *list_add(struct image_list *list)
{
	struct image_item *items = reallocarray(list->items, list->count + 1, sizeof(*items));

	if (items == NULL)
		return NULL;
	list->items = items;
	items[list->count] = (struct image_item){0};
	return &items[list->count++];
}

void image_list_done(struct image_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		strings_done(&list->items[i].names);
		platform_done(&list->items[i].platform);
	}
	free(list->items);
	*list = (struct image_list){0};
}

int image_check_cancel(const struct image_options *o, struct err *err)
{
	if (o->cancelled == NULL || *o->cancelled == 0)
		return 0;
	return err_set(err, ECANCELED, "interrupted");
}

int image_warn(struct image *image, const struct image_options *options, struct err *err,
	       const char *fmt, ...)
{
	char **list, *text;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (rc < 0)
		return err_errno(err, ENOMEM, "%s", image->name);
	if (options->strict) {
		rc = err_set(err, EBADMSG, "%s", text);
		free(text);
		return rc;
	}
	list = reallocarray(image->warnings, image->n_warnings + 1, sizeof(*list));
	if (list == NULL) {
		free(text);
		return err_errno(err, ENOMEM, "%s", image->name);
	}
	image->warnings = list;
	list[image->n_warnings++] = text;
	return 0;
}

int image_make_layers(struct image *image, size_t n, struct err *err)
{
	if (n > IMAGE_LAYERS_MAX)
		return err_set(err, E2BIG,
			       "%s: the image has %zu layers, more than the %u that are read",
			       image->name, n, IMAGE_LAYERS_MAX);
	image->layers = calloc(n > 0 ? n : 1, sizeof(*image->layers));
	if (image->layers == NULL)
		return err_errno(err, ENOMEM, "%s", image->name);
	image->n_layers = n;
	for (size_t i = 0; i < n; i++) {
		image->layers[i].dir_fd = -1;
		image->layers[i].history = -1;
	}
	return 0;
}

int image_set_blob(struct image *image, size_t layer, struct blob *blob,
		   const struct image_options *options, struct err *err)
{
	struct image_layer *l = &image->layers[layer];
	enum compression said = l->compression;
	int rc;

	blob_unref(l->blob);
	l->blob = blob;
	l->size = blob->size;
	l->missing = false;
	rc = compression_detect(blob, &l->compression);
	if (rc < 0)
		return err_errno(err, -rc, "%s: layer %zu cannot be read", image->name, layer + 1);
	if (l->media_type == NULL || said == COMPRESSION_UNKNOWN || said == l->compression)
		return 0;
	return image_warn(image, options, err, "%s: layer %zu is called %.100s, and is not",
			  image->name, layer + 1, l->media_type);
}

int image_check_platform(const struct image *image, const struct image_options *options,
			 struct err *err)
{
	char wanted[PLATFORM_TEXT_MAX], is[PLATFORM_TEXT_MAX];

	if (options->platform == NULL || platform_rank(options->platform, &image->platform) >= 0)
		return 0;
	return err_set(err, ENOENT, "%s is an image for %s, not for %s", image->name,
		       platform_format(&image->platform, is),
		       platform_format(options->platform, wanted));
}

int image_chain_id(const struct image *image, size_t n, struct digest *ret_chain)
{
	char text[2 * DIGEST_TEXT_MAX + 1], above[DIGEST_TEXT_MAX], below[DIGEST_TEXT_MAX];
	struct digest chain;
	int rc, len;

	for (size_t i = 0; i <= n; i++) {
		const struct digest *diff_id = &image->layers[i].diff_id;

		if (diff_id->alg == DIGEST_NONE)
			return -ENODATA;
		if (i == 0) {
			chain = *diff_id;
			continue;
		}
		len = snprintf(text, sizeof(text), "%s %s", digest_format(&chain, below),
			       digest_format(diff_id, above));
		rc = digest_of(DIGEST_SHA256, text, (size_t)len, &chain);
		if (rc < 0)
			return rc;
	}
	*ret_chain = chain;
	return 0;
}

static void layer_done(struct image_layer *l)
{
	blob_unref(l->blob);
	free(l->dir);
	free(l->media_type);
	if (l->dir_fd >= 0)
		close(l->dir_fd);
}

static void history_done(struct image_history *h)
{
	free(h->created);
	free(h->created_by);
	free(h->author);
	free(h->comment);
}

static void config_done(struct image_config *c)
{
	strings_done(&c->env);
	strings_done(&c->entrypoint);
	strings_done(&c->cmd);
	pairs_done(&c->labels);
	pairs_done(&c->volumes);
	pairs_done(&c->ports);
	free(c->user);
	free(c->working_dir);
	free(c->stop_signal);
	free(c->created);
	free(c->author);
	free(c->raw);
}

void image_close(struct image *image)
{
	if (image == NULL)
		return;
	for (size_t i = 0; i < image->n_layers; i++)
		layer_done(&image->layers[i]);
	for (size_t i = 0; i < image->n_history; i++)
		history_done(&image->history[i]);
	for (size_t i = 0; i < image->n_warnings; i++)
		free(image->warnings[i]);
	free(image->layers);
	free(image->history);
	free(image->warnings);
	config_done(&image->config);
	platform_done(&image->platform);
	free(image->manifest_type);
	free(image->name);
	free(image->tag);
	source_close(image->source);
	free(image);
}
