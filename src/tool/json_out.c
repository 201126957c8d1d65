/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON. */
#include "tool/json_out.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static void indent(const struct json_out *j)
{
	fputc('\n', j->out);
	for (unsigned int i = 0; i < j->depth; i++)
		fputs("  ", j->out);
}

/* The length of the UTF-8 character at P, 0 when there is none: too long forms and surrogates are none. */
static size_t utf8_length(const unsigned char *p)
{
	size_t n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : 4;

	if (n == 1)
		return 1;
	if (*p < 0xc2 || *p > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] >= 0x90))
		return 0;
	return n;
}

static void put_string(FILE *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	fputc('"', out);
	while (*p != '\0') {
		size_t n = utf8_length(p);

		if (n == 0)
			fputs("\xef\xbf\xbd", out);
		else if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f || (n == 2 && *p == 0xc2 && p[1] < 0xa0))
			fprintf(out, "\\u%04x", n == 2 ? p[1] : *p);
		else
			fwrite(p, 1, n, out);
		p += n > 0 ? n : 1;
	}
	fputc('"', out);
}

static void begin(struct json_out *j, const char *key)
{
	if (j->depth > 0) {
		if (j->more[j->depth])
			fputc(',', j->out);
		j->more[j->depth] = true;
		indent(j);
	}
	if (key != NULL) {
		put_string(j->out, key);
		fputs(": ", j->out);
	}
}

static void finish(const struct json_out *j)
{
	if (j->depth == 0)
		fputc('\n', j->out);
}

static void enter(struct json_out *j, const char *key, char open)
{
	begin(j, key);
	fputc(open, j->out);
	assert(j->depth + 1 < JSON_OUT_DEPTH);
	j->more[++j->depth] = false;
}

void json_out_object(struct json_out *j, const char *key)
{
	enter(j, key, '{');
}

void json_out_array(struct json_out *j, const char *key)
{
	enter(j, key, '[');
}

void json_out_end(struct json_out *j, char close)
{
	bool any = j->more[j->depth--];

	if (any)
		indent(j);
	fputc(close, j->out);
	finish(j);
}

void json_out_text(struct json_out *j, const char *key, const char *text)
{
	begin(j, key);
	if (text != NULL)
		put_string(j->out, text);
	else
		fputs("null", j->out);
	finish(j);
}

static bool is_utf8(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = 1;

	for (; *p != '\0' && n > 0; p += n)
		n = utf8_length(p);
	return n > 0;
}

/* RFC 4648, with padding. */
static void put_base64(FILE *out, const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)text;

	for (size_t left = strlen(text); left > 0; left -= left < 3 ? left : 3, p += 3) {
		uint32_t bits = (uint32_t)p[0] << 16;

		if (left > 1)
			bits |= (uint32_t)p[1] << 8;
		if (left > 2)
			bits |= p[2];
		fputc(digits[bits >> 18], out);
		fputc(digits[bits >> 12 & 63], out);
		fputc(left > 1 ? digits[bits >> 6 & 63] : '=', out);
		fputc(left > 2 ? digits[bits & 63] : '=', out);
	}
}

void json_out_bytes(struct json_out *j, const char *key, const char *text)
{
	char bytes_key[64];

	json_out_text(j, key, text);
	if (text == NULL || is_utf8(text))
		return;
	snprintf(bytes_key, sizeof(bytes_key), "%s_base64", key);
	begin(j, bytes_key);
	fputc('"', j->out);
	put_base64(j->out, text);
	fputc('"', j->out);
}

void json_out_number(struct json_out *j, const char *key, int64_t n)
{
	begin(j, key);
	fprintf(j->out, "%" PRId64, n);
	finish(j);
}

void json_out_size(struct json_out *j, const char *key, uint64_t n)
{
	begin(j, key);
	fprintf(j->out, "%" PRIu64, n);
	finish(j);
}

void json_out_bool(struct json_out *j, const char *key, bool b)
{
	begin(j, key);
	fputs(b ? "true" : "false", j->out);
	finish(j);
}
