/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs check: whether the members of a document are of the types that they should be. */
#include <string.h>
#include <strings.h>

#include "tool/check_private.h"

static const struct finding ignored = {.done = "it is not read"};

static const char *const kinds[] = {
	[CHECK_TEXT] = "text", [CHECK_LIST] = "list",		[CHECK_MAP] = "map",
	[CHECK_ANY] = "value", [CHECK_TRUTH] = "true or false",
};

static bool is_kind(const json_t *value, enum check_kind kind)
{
	switch (kind) {
	case CHECK_TEXT:
		return json_is_string(value);
	case CHECK_LIST:
		return json_is_array(value);
	case CHECK_MAP:
		return json_is_object(value);
	case CHECK_ANY:
		return true;
	case CHECK_TRUTH:
		return json_is_boolean(value);
	}
	return false;
}

/* Programs in Go take a key whatever its letters' case. */
static void check_key(struct check *c, const char *where, const char *name, const json_t *value,
		      const struct check_key *keys)
{
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

void check_keys(struct check *c, const char *where, json_t *object, const struct check_key *keys)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		check_key(c, where, name, value, keys);
	}
}

void check_pairs(struct check *c, const char *where, json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		if (!json_is_string(value))
			check_found(c, &ignored, "%s: the value of \"%.100s\" is not a text", where,
				    name);
	}
}

void check_texts(struct check *c, const char *where, const json_t *list)
{
	const json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
	{
		if (!json_is_string(value))
			check_found(c, &ignored, "%s has a member that is no text", where);
	}
}
