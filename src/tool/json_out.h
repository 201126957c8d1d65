/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON for programs: one value at a time, nested as it is called. */
#ifndef PLYFS_TOOL_JSON_OUT_H
#define PLYFS_TOOL_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_OUT_DEPTH 32u

/*
 * Begin with {.out = FILE}. Every value takes a key first: a member's name in an object, NULL in an array and at the
 * top. Two spaces a level, a newline at the end of the outermost value. Errors of writing are the stream's own.
 */
struct json_out {
	FILE *out; /* borrowed */
	unsigned int depth;
	bool more[JSON_OUT_DEPTH]; /* per level: something was written there */
};

void json_out_object(struct json_out *j, const char *key);
void json_out_array(struct json_out *j, const char *key);
/* Ends the innermost object or array; CLOSE is '}' or ']'. */
void json_out_end(struct json_out *j, char close);

/*
 * NULL is null. What is UTF-8 goes out as it is but for controls; a byte that is no part of UTF-8 as U+FFFD, for JSON can
 * say text only.
 */
void json_out_text(struct json_out *j, const char *key, const char *text);
/*
 * The same of what may be any bytes: a path, a link's target. When TEXT is no UTF-8 a member "KEY_base64" with its very
 * bytes comes after it. KEY is not NULL.
 */
void json_out_bytes(struct json_out *j, const char *key, const char *text);
void json_out_number(struct json_out *j, const char *key, int64_t n);
void json_out_size(struct json_out *j, const char *key, uint64_t n);
void json_out_bool(struct json_out *j, const char *key, bool b);

#endif
