/* SPDX-License-Identifier: Apache-2.0 */
/* As much of TOML as storage.conf needs: tables, keys, strings, arrays of strings, comments. */
#include "image/toml.h"

#include <errno.h>
#include <string.h>

#include "image/source.h"

static const char *skip_blank(const char *p)
{
	return p + strspn(p, " \t\r");
}

static const char *next_line(const char *p)
{
	p += strcspn(p, "\n");
	return *p == '\n' ? p + 1 : p;
}

/* White space, newlines and comments, as they may stand between the values of a list. */
static const char *skip_between(const char *p)
{
	for (;;) {
		p += strspn(p, " \t\r\n,");
		if (*p != '#')
			return p;
		p += strcspn(p, "\n");
	}
}

/* The string at *P, added to RET; *P is moved behind it. In double quotes a backslash takes what follows as it is. */
static int take_string(const char **p, struct image_strings *ret)
{
	const char quote = **p, *in = *p + 1;
	char *text = strdup(in), *out = text;
	int rc = -EBADMSG;

	if (text == NULL)
		return -ENOMEM;
	while (*in != '\0' && *in != '\n' && *in != quote) {
		if (quote == '"' && *in == '\\' && in[1] != '\0' && in[1] != '\n')
			in++;
		*out++ = *in++;
	}
	*out = '\0';
	if (*in == quote) {
		*p = in + 1;
		rc = strings_add(ret, text);
	}
	free(text);
	return rc;
}

static int take_value(const char **p, struct image_strings *ret)
{
	int rc = 0;

	if (**p == '"' || **p == '\'')
		return take_string(p, ret);
	if (**p != '[')
		return 0;
	for (*p = skip_between(*p + 1); rc == 0 && **p != ']'; *p = skip_between(*p)) {
		if (**p != '"' && **p != '\'')
			return -EBADMSG;
		rc = take_string(p, ret);
	}
	return rc;
}

static bool is_table(const char *p, const char *table)
{
	size_t len = strlen(table);

	p = skip_blank(p + 1);
	return strncmp(p, table, len) == 0 && *skip_blank(p + len) == ']';
}

int toml_texts(const char *text, const char *table, const char *key, struct image_strings *ret)
{
	struct image_strings other = {0};
	bool inside = false;
	int rc = 0;

	for (const char *p = text; rc == 0 && *p != '\0'; p = next_line(p)) {
		size_t len;

		p = skip_blank(p);
		if (*p == '[') {
			inside = is_table(p, table);
			continue;
		}
		len = strcspn(p, " \t\r\n=#");
		if (len == 0 || *skip_blank(p + len) != '=')
			continue;
		/* Values of other keys are read too: they may be lists of several lines. */
		bool ours = inside && strlen(key) == len && memcmp(p, key, len) == 0;

		p = skip_blank(skip_blank(p + len) + 1);
		rc = take_value(&p, ours ? ret : &other);
		strings_done(&other);
	}
	return rc;
}
