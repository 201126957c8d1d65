/* SPDX-License-Identifier: Apache-2.0 */
/* An image's configuration: what to run, the history, and the DiffIDs. */
#include <errno.h>
#include <string.h>

#include "image/source.h"

#define HISTORY_MAX 65536u

static int copy_text(const json_t *object, const char *key, char **ret)
{
	const char *text = json_text(object, key);

	free(*ret);
	*ret = NULL;
	if (text == NULL || *text == '\0')
		return 0;
	*ret = strdup(text);
	return *ret != NULL ? 0 : -ENOMEM;
}

/* An array of texts. Docker's own first images have a single text for a command; that is one word. */
static int copy_strings(const json_t *object, const char *key, struct image_strings *ret)
{
	json_t *list = json_list(object, key), *member;
	const char *only = json_text(object, key);
	size_t i;

	if (only != NULL)
		return strings_add(ret, only);
	json_array_foreach(list, i, member)
	{
		if (json_is_string(member) && strings_add(ret, json_string_value(member)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int copy_pairs(const json_t *object, const char *key, struct image_pairs *ret)
{
	json_t *map = json_map(object, key), *member;
	const char *name;

	json_object_foreach(map, name, member)
	{
		if (pairs_add(ret, name, json_is_string(member) ? json_string_value(member) : "") <
		    0)
			return -ENOMEM;
	}
	return 0;
}

static int take_runtime(struct image_config *c, const json_t *config)
{
	if (copy_strings(config, "Env", &c->env) < 0 || copy_strings(config, "Cmd", &c->cmd) < 0 ||
	    copy_strings(config, "Entrypoint", &c->entrypoint) < 0 ||
	    copy_pairs(config, "Labels", &c->labels) < 0 ||
	    copy_pairs(config, "Volumes", &c->volumes) < 0 ||
	    copy_pairs(config, "ExposedPorts", &c->ports) < 0 ||
	    copy_text(config, "User", &c->user) < 0 ||
	    copy_text(config, "WorkingDir", &c->working_dir) < 0 ||
	    copy_text(config, "StopSignal", &c->stop_signal) < 0)
		return -ENOMEM;
	return 0;
}

static int take_step(struct image_history *h, const json_t *step)
{
	h->layer = -1;
	if (copy_text(step, "created", &h->created) < 0 ||
	    copy_text(step, "created_by", &h->created_by) < 0 ||
	    copy_text(step, "author", &h->author) < 0 ||
	    copy_text(step, "comment", &h->comment) < 0)
		return -ENOMEM;
	return 0;
}

static int take_history(struct image *image, const json_t *root, struct err *err)
{
	json_t *list = json_list(root, "history");
	size_t n = json_array_size(list);

	if (n > HISTORY_MAX)
		return err_set(err, E2BIG,
			       "%s: a history of %zu steps, more than the %u that are read",
			       image->name, n, HISTORY_MAX);
	image->history = calloc(n > 0 ? n : 1, sizeof(*image->history));
	if (image->history == NULL)
		return -ENOMEM;
	image->n_history = n;
	for (size_t i = 0; i < n; i++)
		if (take_step(&image->history[i], json_array_get(list, i)) < 0)
			return -ENOMEM;
	return 0;
}

static int take(struct image *image, const struct document *d, struct err *err)
{
	struct image_config *c = &image->config;
	int rc;

	if (take_runtime(c, json_map(d->root, "config")) < 0 ||
	    copy_text(d->root, "created", &c->created) < 0 ||
	    copy_text(d->root, "author", &c->author) < 0)
		return -ENOMEM;
	rc = platform_copy(json_text(d->root, "os"), json_text(d->root, "architecture"),
			   json_text(d->root, "variant"), &image->platform);
	return rc < 0 ? rc : take_history(image, d->root, err);
}

int image_take_config(struct image *image, struct document *config, struct err *err)
{
	int rc;

	if (!json_is_object(config->root) || !json_has(config->root, "rootfs"))
		return err_set(err, EBADMSG,
			       "%s: %s is no configuration of an image: it has no rootfs",
			       image->name, config->name);
	rc = take(image, config, err);
	if (rc == -ENOMEM)
		return err_errno(err, ENOMEM, "%s", image->name);
	if (rc < 0)
		return rc;
	image->id = config->digest;
	image->config.raw_len = config->len;
	image->config.raw = steal_ptr(&config->bytes);
	return 0;
}

static int take_diff_ids(struct image *image, const json_t *config, struct err *err)
{
	json_t *list = json_list(json_map(config, "rootfs"), "diff_ids");

	if (json_array_size(list) != image->n_layers)
		return err_set(
			err, EBADMSG,
			"%s: the manifest has %zu layers, and the configuration has DiffIDs of %zu",
			image->name, image->n_layers, json_array_size(list));
	for (size_t i = 0; i < image->n_layers; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (text == NULL || digest_parse(text, strlen(text), &image->layers[i].diff_id) < 0)
			return err_set(err, EBADMSG,
				       "%s: the DiffID of layer %zu is no digest: %.140s",
				       image->name, i + 1, text != NULL ? text : "(absent)");
	}
	return 0;
}

static size_t count_steps_with_layers(const json_t *history)
{
	size_t n = 0, i;
	json_t *step;

	json_array_foreach(history, i, step)
	{
		n += !json_is_set(step, "empty_layer");
	}
	return n;
}

int image_tie(struct image *image, const json_t *config, const struct image_options *options,
	      struct err *err)
{
	json_t *history = json_list(config, "history");
	size_t steps = count_steps_with_layers(history), layer = 0;
	int rc = take_diff_ids(image, config, err);

	if (rc < 0 || image->n_history == 0)
		return rc;
	if (steps != image->n_layers)
		return image_warn(
			image, options, err,
			"%s: the history tells of %zu layers, the image has %zu; which is whose is "
			"not known",
			image->name, steps, image->n_layers);
	for (size_t i = 0; i < image->n_history; i++) {
		if (json_is_set(json_array_get(history, i), "empty_layer"))
			continue;
		image->history[i].layer = (int)layer;
		image->layers[layer++].history = (int)i;
	}
	return 0;
}
