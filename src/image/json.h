/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreign JSON: parsed within limits, read by total functions, its bytes kept as they came.
 *
 * jansson parses; it allocates some hundred bytes for a value of two, and recurses, so size, depth and the
 * number of values are counted before it sees a byte. A key that occurs twice in an object, bytes
 * that are not UTF-8, an escaped NUL and anything after the value are errors.
 */
#ifndef PLYFS_IMAGE_JSON_H
#define PLYFS_IMAGE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct json_limits {
	size_t bytes;
	size_t depth;
	size_t values;
};

/* Manifests, indexes, configurations: the registries' usual limit. */
#define JSON_LIMITS_DOCUMENT                                                                       \
	((struct json_limits){.bytes = 4u << 20, .depth = 32, .values = 200000})
/* Lists of a whole store. */
#define JSON_LIMITS_STORE ((struct json_limits){.bytes = 64u << 20, .depth = 32, .values = 2000000})

/*
 * Parses LEN bytes within LIMITS. WHAT names them in errors. *RET_ROOT is the caller's: json_decref().
 * -E2BIG: a limit; -EBADMSG: no JSON, or what is said above; -ENOMEM.
 */
int json_read(const void *bytes, size_t len, const struct json_limits *limits, const char *what,
	      json_t **ret_root, struct err *err);

static inline void json_drop(json_t *j)
{
	json_decref(j);
}
DEFINE_CLEANUP_PTR(json_t, json, json_drop)

/* All of these take any value, NULL too, and answer for what is absent or of another type. */

/* The member's text, borrowed, or NULL. */
const char *json_text(const json_t *object, const char *key);
/* The member, an array or an object; NULL otherwise. Borrowed. */
json_t *json_list(const json_t *object, const char *key);
json_t *json_map(const json_t *object, const char *key);
/* Whether the member is there, whatever it is (null counts as absent). */
bool json_has(const json_t *object, const char *key);
/* False unless the member is true. */
bool json_is_set(const json_t *object, const char *key);
/* The member as a size: -EBADMSG for anything but an integer of at least 0. */
int json_size_of(const json_t *object, const char *key, uint64_t *ret_n);

#endif
