/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs check: does the configuration say what it should, in words that are understood? */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tool/check_private.h"

/* The specification's; Docker's own ones beside them mean nothing to us. */
static const struct check_key root_keys[] = {
	{"architecture", CHECK_TEXT}, {"os", CHECK_TEXT},      {"os.version", CHECK_TEXT},
	{"os.features", CHECK_LIST},  {"variant", CHECK_TEXT}, {"created", CHECK_TEXT},
	{"author", CHECK_TEXT},	      {"config", CHECK_MAP},   {"rootfs", CHECK_MAP},
	{"history", CHECK_LIST},      {NULL, CHECK_TEXT},
};
static const struct check_key config_keys[] = {
	{"User", CHECK_TEXT},	    {"ExposedPorts", CHECK_MAP}, {"Env", CHECK_LIST},
	{"Entrypoint", CHECK_LIST}, {"Cmd", CHECK_LIST},	 {"Volumes", CHECK_MAP},
	{"Labels", CHECK_MAP},	    {"WorkingDir", CHECK_TEXT},	 {"StopSignal", CHECK_TEXT},
	{NULL, CHECK_TEXT},
};
static const struct check_key rootfs_keys[] = {
	{"type", CHECK_TEXT}, {"diff_ids", CHECK_LIST}, {NULL, CHECK_TEXT}};
static const struct check_key history_keys[] = {
	{"created", CHECK_TEXT}, {"created_by", CHECK_TEXT},   {"author", CHECK_TEXT},
	{"comment", CHECK_TEXT}, {"empty_layer", CHECK_TRUTH}, {NULL, CHECK_TEXT},
};

/* "2024-02-29T12:00:00Z", with fractions or another zone; RFC 3339. */
static bool is_time(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd";
	size_t i = 0;

	for (; form[i] != '\0'; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)text[i])
				   : toupper((unsigned char)text[i]) != form[i])
			return false;
	text += i;
	if (*text == '.') {
		if (!isdigit((unsigned char)*++text))
			return false;
		text += strspn(text, "0123456789");
	}
	if (toupper((unsigned char)*text) == 'Z')
		return text[1] == '\0';
	return (*text == '+' || *text == '-') && strlen(text) == 6 && text[3] == ':';
}

static void check_created(struct check *c, const char *where, const json_t *object)
{
	const char *text = json_text(object, "created");

	if (text != NULL && !is_time(text))
		check_found(c, &(struct finding){.done = "shown as it is"},
			    "%screated is no time: %.40s", where, text);
}

static void check_words(struct check *c, const json_t *config, const char *key, bool pairs)
{
	const json_t *list = json_list(config, key), *value;
	char where[32];
	size_t i;

	snprintf(where, sizeof(where), "config.%s", key);
	check_texts(c, where, list);
	json_array_foreach(list, i, value)
	{
		const char *text = json_string_value(value);

		if (pairs && text != NULL && (strchr(text, '=') == NULL || *text == '='))
			check_found(c, &(struct finding){.done = "shown as it is"},
				    "%s: \"%.100s\" is no NAME=VALUE", where, text);
	}
}

static void check_history(struct check *c, const json_t *root)
{
	const json_t *list = json_list(root, "history");
	json_t *step;
	size_t i;

	json_array_foreach(list, i, step)
	{
		char where[48];

		snprintf(where, sizeof(where), "history[%zu].", i);
		check_keys(c, where, step, history_keys);
		check_created(c, where, step);
	}
}

static void check_platform(struct check *c, const json_t *root)
{
	static const char *const keys[] = {"os", "architecture"};
	const struct finding f = {.done = "taken for any platform"};

	for (size_t i = 0; i < 2; i++) {
		const char *text = json_text(root, keys[i]);

		if (text == NULL || *text == '\0')
			check_found(c, &f, "the configuration does not say its %s", keys[i]);
	}
}

static void check_rootfs(struct check *c, const json_t *root)
{
	const char *type = json_text(json_map(root, "rootfs"), "type");

	if (type == NULL || strcmp(type, "layers") != 0)
		check_found(c, &(struct finding){.done = "taken for \"layers\""},
			    "rootfs.type is %.40s, not \"layers\"", type != NULL ? type : "absent");
}

/* That the numbers of layers, DiffIDs and steps agree is seen to by who opens images. */
int check_config(struct check *c, struct err *err)
{
	const struct image_config *config = &c->image->config;
	const struct json_limits limits = JSON_LIMITS_DOCUMENT;
	CLEANUP(json) json_t *root = NULL;
	json_t *run;
	int r;

	if (c->image->n_layers == 0)
		check_found(c, &(struct finding){.broken = true}, "there are no layers");
	if (config->raw == NULL)
		return 0;
	r = json_read(config->raw, config->raw_len, &limits, c->options->ref, &root, err);
	if (r < 0)
		return r;
	run = json_map(root, "config");
	check_keys(c, "", root, root_keys);
	check_keys(c, "config.", run, config_keys);
	check_pairs(c, "config.Labels", json_object_get(run, "Labels"));
	check_keys(c, "rootfs.", json_map(root, "rootfs"), rootfs_keys);
	check_platform(c, root);
	check_rootfs(c, root);
	check_created(c, "", root);
	check_words(c, run, "Env", true);
	check_words(c, run, "Entrypoint", false);
	check_words(c, run, "Cmd", false);
	check_history(c, root);
	return 0;
}
