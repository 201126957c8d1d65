/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign JSON within limits. */
#include "image/json.h"

#include <errno.h>
#include <string.h>

/*
 * A look at the bytes before they are parsed: how deep, and how many values. It need not know whether they
 * are JSON. Outside of strings a value begins after each comma, '[' and '{', which counts too many by
 * the empty ones only.
 */
static int count(const char *p, size_t len, const struct json_limits *limits)
{
	size_t depth = 0, values = 1;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				quoted = false;
			continue;
		}
		switch (p[i]) {
		case '"':
			quoted = true;
			break;
		case '[':
		case '{':
			values++;
			if (++depth > limits->depth)
				return -E2BIG;
			break;
		case ']':
		case '}':
			depth -= depth > 0;
			break;
		case ',':
			if (++values > limits->values)
				return -E2BIG;
			break;
		default:
			break;
		}
	}
	return 0;
}

int json_read(const void *bytes, size_t len, const struct json_limits *limits, const char *what,
	      json_t **ret_root, struct err *err)
{
	json_error_t error;
	json_t *root;

	if (len > limits->bytes)
		return err_set(err, E2BIG,
			       "%s has %zu bytes of JSON, more than the %zu that are read", what,
			       len, limits->bytes);
	if (count(bytes, len, limits) < 0)
		return err_set(
			err, E2BIG,
			"%s is JSON of more than %zu levels or %zu values, which is not read", what,
			limits->depth, limits->values);
	root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL && json_error_code(&error) == json_error_out_of_memory)
		return err_errno(err, ENOMEM, "%s", what);
	if (root == NULL)
		return err_set(err, EBADMSG, "%s is not valid JSON: line %d: %s", what, error.line,
			       error.text);
	*ret_root = root;
	return 0;
}

const char *json_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

json_t *json_list(const json_t *object, const char *key)
{
	json_t *member = json_object_get(object, key);

	return json_is_array(member) ? member : NULL;
}

json_t *json_map(const json_t *object, const char *key)
{
	json_t *member = json_object_get(object, key);

	return json_is_object(member) ? member : NULL;
}

bool json_has(const json_t *object, const char *key)
{
	const json_t *member = json_object_get(object, key);

	return member != NULL && !json_is_null(member);
}

bool json_is_set(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

int json_size_of(const json_t *object, const char *key, uint64_t *ret_n)
{
	const json_t *member = json_object_get(object, key);

	if (!json_is_integer(member) || json_integer_value(member) < 0)
		return -EBADMSG;
	*ret_n = (uint64_t)json_integer_value(member);
	return 0;
}
