/* SPDX-License-Identifier: Apache-2.0 */
/* Growing arrays of strings, and the texts that command lines split into them. */
#include "cli/strv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void strv_done(struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strv){0};
}

/* Takes TEXT over (NULL: it could not be allocated). */
static int take(struct strv *s, char *text)
{
	char **grown;

	if (text == NULL)
		return -ENOMEM;
	grown = reallocarray(s->v, s->n + 1, sizeof(*grown));
	if (grown == NULL) {
		free(text);
		return -ENOMEM;
	}
	s->v = grown;
	s->v[s->n++] = text;
	return 0;
}

int strv_add(struct strv *s, const char *text)
{
	return take(s, strdup(text));
}

int strv_add_n(struct strv *s, const char *text, size_t len)
{
	return take(s, strndup(text, len));
}

int strv_move(struct strv *s, struct strv *from)
{
	char **grown;

	if (from->n == 0)
		return 0;
	grown = reallocarray(s->v, s->n + from->n, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	memcpy(grown + s->n, from->v, from->n * sizeof(*grown));
	s->v = grown;
	s->n += from->n;
	free(from->v);
	*from = (struct strv){0};
	return 0;
}

/* The closing quote of a value that begins with one; NULL when it is not closed properly. */
static const char *closing_quote(const char *value)
{
	const char *end = strchr(value + 1, '"');

	return end != NULL && (end[1] == ',' || end[1] == '\0') ? end : NULL;
}

/* Copies the option at TEXT to OUT (which is large enough); returns where it ended. */
static const char *next_option(const char *text, char *out)
{
	const char *p = text, *quote;
	bool in_value = false;

	while (*p != '\0' && *p != ',') {
		if (!in_value && *p == '=') {
			in_value = true;
			*out++ = *p++;
			quote = *p == '"' ? closing_quote(p) : NULL;
			if (quote != NULL) {
				memcpy(out, p + 1, (size_t)(quote - p - 1));
				out += quote - p - 1;
				p = quote + 1;
			}
			continue;
		}
		if (*p == '\\' && p[1] == ',')
			p++;
		else if (*p == '\\' && p[1] != '\0')
			*out++ = *p++;
		*out++ = *p++;
	}
	*out = '\0';
	return p;
}

int strv_split_options(struct strv *s, const char *text)
{
	char *option = malloc(strlen(text) + 1);
	int r = option == NULL ? -ENOMEM : 0;

	while (r == 0 && *text != '\0') {
		text = next_option(text, option);
		if (*option != '\0')
			r = strv_add(s, option);
		if (*text == ',')
			text++;
	}
	free(option);
	return r;
}

char *strv_unescape(const char *text)
{
	char *out = malloc(strlen(text) + 1), *p = out;

	if (out == NULL)
		return NULL;
	while (*text != '\0') {
		if (*text == '\\' && text[1] != '\0')
			text++;
		*p++ = *text++;
	}
	*p = '\0';
	return out;
}

static int add_layer(struct strv *lower, struct strv *data, const char *path, bool data_only,
		     struct err *err)
{
	int r;

	if (!data_only && data->n > 0)
		return err_set(err, EINVAL,
			       "lowerdir: %s follows a data-only layer, so it must be one, too: "
			       "put \"::\" before it",
			       path);
	r = strv_add(data_only ? data : lower, path);
	return r < 0 ? err_errno(err, -r, "lowerdir") : 0;
}

int strv_split_layers(struct strv *lower, struct strv *data, const char *text, struct err *err)
{
	bool data_only = false;
	int r = 0;

	while (r == 0 && *text != '\0') {
		const char *end = text;
		char *raw, *path;

		while (*end != '\0' && *end != ':')
			end += *end == '\\' && end[1] != '\0' ? 2 : 1;
		raw = strndup(text, (size_t)(end - text));
		path = raw == NULL ? NULL : strv_unescape(raw);
		free(raw);
		if (path == NULL)
			return err_errno(err, ENOMEM, "lowerdir");
		if (*path != '\0')
			r = add_layer(lower, data, path, data_only, err);
		free(path);
		data_only = end[0] == ':' && end[1] == ':';
		text = end + (end[0] == ':') + data_only;
	}
	return r;
}

int strv_read_layers(struct strv *lower, struct strv *data, const char *file, struct err *err)
{
	FILE *f = fopen(file, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int r = 0;

	if (f == NULL)
		return err_errno(err, errno, "cannot read the layers file %s", file);
	while (r == 0 && (errno = 0, len = getline(&line, &size, f)) >= 0) {
		bool data_only = strncmp(line, "::", 2) == 0;

		if (len > 0 && line[len - 1] == '\n')
			line[--len] = '\0';
		if (line[data_only ? 2 : 0] != '\0')
			r = add_layer(lower, data, line + (data_only ? 2 : 0), data_only, err);
	}
	if (r == 0 && ferror(f))
		r = err_errno(err, errno != 0 ? errno : EIO, "cannot read the layers file %s",
			      file);
	free(line);
	fclose(f);
	return r;
}
