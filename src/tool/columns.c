/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for people. */
#include "tool/columns.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

void columns_done(struct columns *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->cells[i]);
	free(c->cells);
	*c = (struct columns){0};
}

/* Controls of one byte, and those of two in UTF-8. */
static void clean(char *text)
{
	for (char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p, next = (unsigned char)p[1];

		if (c < 0x20 || c == 0x7f)
			*p = '?';
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			p[0] = p[1] = '?';
	}
}

void columns_add(struct columns *c, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int rc;

	if (c->failed != 0)
		return;
	va_start(ap, fmt);
	rc = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (rc >= 0 && c->count == c->cap) {
		size_t cap = c->cap > 0 ? 2 * c->cap : 64;
		char **cells = reallocarray(c->cells, cap, sizeof(*cells));

		if (cells == NULL) {
			free(text);
			rc = -1;
		} else {
			c->cells = cells;
			c->cap = cap;
		}
	}
	if (rc < 0) {
		c->failed = -ENOMEM;
		return;
	}
	clean(text);
	c->cells[c->count++] = text;
}

/* How many columns of a terminal TEXT takes, when every character takes one. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

int columns_print(const struct columns *c, unsigned int right, FILE *out)
{
	size_t widest[COLUMNS_MAX] = {0};

	if (c->failed != 0)
		return c->failed;
	for (size_t i = 0; i < c->count; i++)
		if (width(c->cells[i]) > widest[i % c->n])
			widest[i % c->n] = width(c->cells[i]);
	for (size_t i = 0; i < c->count; i++) {
		const size_t column = i % c->n;
		const int pad = (int)(widest[column] - width(c->cells[i]));
		const int last = column + 1 == c->n;

		if (right & 1u << column)
			fprintf(out, "%*s%s", pad, "", c->cells[i]);
		else
			fprintf(out, "%s%*s", c->cells[i], last ? 0 : pad, "");
		fputs(last ? "\n" : "  ", out);
	}
	return 0;
}

void print_clean(FILE *out, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return;
	clean(copy);
	fputs(copy, out);
	free(copy);
}

const char *format_size(char buf[static 32], unsigned long long bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double n = (double)bytes;
	size_t unit = 0;

	for (; n >= 999.5 && unit + 1 < sizeof(units) / sizeof(*units); unit++)
		n /= 1000;
	snprintf(buf, 32, unit > 0 && n < 99.95 ? "%.1f %s" : "%.0f %s", n, units[unit]);
	return buf;
}
