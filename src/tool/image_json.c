/* SPDX-License-Identifier: Apache-2.0 */
/* Images as JSON: the same names as the clients use where they have one. */
#include "tool/image_json.h"

#include "tool/json_out.h"

static void put_digest(struct json_out *j, const char *key, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];

	json_out_text(j, key, d->alg != DIGEST_NONE ? digest_format(d, text) : NULL);
}

static void put_platform(struct json_out *j, const struct platform *p)
{
	json_out_object(j, "platform");
	json_out_text(j, "os", p->os);
	json_out_text(j, "architecture", p->arch);
	if (p->variant != NULL)
		json_out_text(j, "variant", p->variant);
	json_out_end(j, '}');
}

static void put_strings(struct json_out *j, const char *key, const struct image_strings *s)
{
	json_out_array(j, key);
	for (size_t i = 0; i < s->count; i++)
		json_out_text(j, NULL, s->list[i]);
	json_out_end(j, ']');
}

static void put_pairs(struct json_out *j, const char *key, const struct image_pairs *p)
{
	json_out_object(j, key);
	for (size_t i = 0; i < p->count; i++)
		json_out_text(j, p->list[i].name, p->list[i].value);
	json_out_end(j, '}');
}

/* The keys of a set. */
static void put_names(struct json_out *j, const char *key, const struct image_pairs *p)
{
	json_out_array(j, key);
	for (size_t i = 0; i < p->count; i++)
		json_out_text(j, NULL, p->list[i].name);
	json_out_end(j, ']');
}

int json_list_images(const struct image_list *list, FILE *out)
{
	struct json_out j = {.out = out};

	json_out_array(&j, NULL);
	for (size_t i = 0; i < list->count; i++) {
		const struct image_item *item = &list->items[i];

		json_out_object(&j, NULL);
		put_strings(&j, "names", &item->names);
		put_digest(&j, "id", &item->id);
		put_digest(&j, "manifest", &item->manifest);
		put_platform(&j, &item->platform);
		json_out_size(&j, "layers", item->n_layers);
		json_out_size(&j, "size", item->size);
		json_out_bool(&j, "missing", item->missing);
		json_out_end(&j, '}');
	}
	json_out_end(&j, ']');
	return 0;
}

static void put_layer(struct json_out *j, const struct image *image, const struct image_layer *l)
{
	json_out_object(j, NULL);
	put_digest(j, "diffId", &l->diff_id);
	put_digest(j, "digest", &l->digest);
	json_out_size(j, "size", l->size);
	json_out_text(j, "mediaType", l->media_type);
	if (l->dir != NULL)
		json_out_text(j, "directory", l->dir);
	else
		json_out_text(j, "compression", compression_name(l->compression));
	json_out_text(j, "createdBy",
		      l->history >= 0 ? image->history[l->history].created_by : NULL);
	json_out_bool(j, "foreign", l->foreign);
	json_out_bool(j, "missing", l->missing);
	json_out_end(j, '}');
}

static void put_layers(struct json_out *j, const char *key, const struct image *image)
{
	json_out_array(j, key);
	for (size_t i = 0; i < image->n_layers; i++)
		put_layer(j, image, &image->layers[i]);
	json_out_end(j, ']');
}

static void put_config(struct json_out *j, const struct image_config *c)
{
	json_out_object(j, "config");
	put_strings(j, "env", &c->env);
	put_strings(j, "entrypoint", &c->entrypoint);
	put_strings(j, "cmd", &c->cmd);
	json_out_text(j, "user", c->user);
	json_out_text(j, "workingDir", c->working_dir);
	json_out_text(j, "stopSignal", c->stop_signal);
	put_pairs(j, "labels", &c->labels);
	put_names(j, "volumes", &c->volumes);
	put_names(j, "exposedPorts", &c->ports);
	json_out_end(j, '}');
}

int json_image(const struct image *image, FILE *out)
{
	struct json_out j = {.out = out};

	json_out_object(&j, NULL);
	json_out_text(&j, "name", image->name);
	json_out_text(&j, "tag", image->tag);
	json_out_text(&j, "transport", transport_name(image->transport));
	put_digest(&j, "id", &image->id);
	put_digest(&j, "manifest", &image->manifest);
	json_out_text(&j, "mediaType", image->manifest_type);
	put_platform(&j, &image->platform);
	json_out_text(&j, "created", image->config.created);
	json_out_text(&j, "author", image->config.author);
	put_config(&j, &image->config);
	put_layers(&j, "layers", image);
	json_out_array(&j, "warnings");
	for (size_t i = 0; i < image->n_warnings; i++)
		json_out_text(&j, NULL, image->warnings[i]);
	json_out_end(&j, ']');
	json_out_end(&j, '}');
	return 0;
}

int json_layers(const struct image *image, FILE *out)
{
	struct json_out j = {.out = out};

	put_layers(&j, NULL, image);
	return 0;
}

int json_history(const struct image *image, FILE *out)
{
	struct json_out j = {.out = out};

	json_out_array(&j, NULL);
	for (size_t i = 0; i < image->n_history; i++) {
		const struct image_history *h = &image->history[i];

		json_out_object(&j, NULL);
		if (h->layer >= 0)
			json_out_number(&j, "layer", h->layer + 1);
		else
			json_out_text(&j, "layer", NULL);
		json_out_text(&j, "created", h->created);
		json_out_text(&j, "createdBy", h->created_by);
		json_out_text(&j, "author", h->author);
		json_out_text(&j, "comment", h->comment);
		json_out_end(&j, '}');
	}
	json_out_end(&j, ']');
	return 0;
}
