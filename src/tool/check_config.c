/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs check: does the configuration say what it should, in words that are understood? */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "image/json.h"
#include "tool/check_private.h"

/* What a value is to be: a text, an array, a map, a truth value. */
enum kind { TEXT, LIST, MAP, TRUTH };

struct key {
	const char *name;
	enum kind kind;
};

/* The specification's; Docker's own ones beside them mean nothing to us. */
static const struct key root_keys[] = {
	{"architecture", TEXT}, {"os", TEXT},	   {"os.version", TEXT}, {"os.features", LIST},
	{"variant", TEXT},	{"created", TEXT}, {"author", TEXT},	 {"config", MAP},
	{"rootfs", MAP},	{"history", LIST}, {NULL, TEXT},
};
static const struct key config_keys[] = {
	{"User", TEXT},	      {"ExposedPorts", MAP}, {"Env", LIST},   {"Entrypoint", LIST},
	{"Cmd", LIST},	      {"Volumes", MAP},	     {"Labels", MAP}, {"WorkingDir", TEXT},
	{"StopSignal", TEXT}, {NULL, TEXT},
};
static const struct key rootfs_keys[] = {{"type", TEXT}, {"diff_ids", LIST}, {NULL, TEXT}};
static const struct key history_keys[] = {
	{"created", TEXT}, {"created_by", TEXT},   {"author", TEXT},
	{"comment", TEXT}, {"empty_layer", TRUTH}, {NULL, TEXT},
};

static bool is_kind(const json_t *value, enum kind kind)
{
	switch (kind) {
	case TEXT:
		return json_is_string(value);
	case LIST:
		return json_is_array(value);
	case MAP:
		return json_is_object(value);
	case TRUTH:
		return json_is_boolean(value);
	}
	return false;
}

/* Programs in Go take a key whatever its letters' case. */
static void check_key(struct check *c, const char *where, const char *name, const json_t *value,
		      const struct key *keys)
{
	static const char *const kinds[] = {"text", "list", "map", "true or false"};
	const struct finding ignored = {.done = "it is not read"};
	const struct finding other = {.done = "it is not read here, and is by programs in Go"};

	for (; keys->name != NULL; keys++) {
		if (strcasecmp(name, keys->name) != 0)
			continue;
		if (strcmp(name, keys->name) != 0)
			check_found(c, &other, "%s%.100s should be written %s%s", where, name,
				    where, keys->name);
		else if (!json_is_null(value) && !is_kind(value, keys->kind))
			check_found(c, &ignored, "%s%s is not a %s", where, name,
				    kinds[keys->kind]);
	}
}

static void check_keys(struct check *c, const char *where, json_t *object, const struct key *keys)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		check_key(c, where, name, value, keys);
	}
}

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

static void check_texts(struct check *c, const json_t *config, const char *key, bool pairs)
{
	const json_t *list = json_list(config, key), *value;
	size_t i;

	json_array_foreach(list, i, value)
	{
		const char *text = json_string_value(value);

		if (text == NULL)
			check_found(c, &(struct finding){.done = "it is not read"},
				    "config.%s has a member that is no text", key);
		else if (pairs && (strchr(text, '=') == NULL || *text == '='))
			check_found(c, &(struct finding){.done = "shown as it is"},
				    "config.%s: \"%.100s\" is no NAME=VALUE", key, text);
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
	check_keys(c, "rootfs.", json_map(root, "rootfs"), rootfs_keys);
	check_platform(c, root);
	check_rootfs(c, root);
	check_created(c, "", root);
	check_texts(c, run, "Env", true);
	check_texts(c, run, "Entrypoint", false);
	check_texts(c, run, "Cmd", false);
	check_history(c, root);
	return 0;
}
