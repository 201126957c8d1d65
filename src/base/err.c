/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences for people, kept beside the errno they explain. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The formatted text, owned by the caller; NULL when memory is short. */
static char *format_text(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

static char *format_text(const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		return NULL;
	return text;
}

/* "A: B" in new memory; frees A. NULL when A is NULL or memory is short. */
static char *join_text(char *a, const char *b)
{
	char *text;

	if (a == NULL)
		return NULL;
	if (asprintf(&text, "%s: %s", a, b) < 0)
		text = NULL;
	free(a);
	return text;
}

/* The old text is freed last: the arguments of the new one may have pointed into it. */
static int replace(struct err *e, int code, char *text)
{
	free(e->text);
	e->text = text;
	e->code = code;
	return -code;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	char *text;

	if (e == NULL)
		return -code;
	va_start(ap, fmt);
	text = format_text(fmt, ap);
	va_end(ap);
	return replace(e, code, text);
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	char *text;

	if (e == NULL)
		return -code;
	va_start(ap, fmt);
	text = format_text(fmt, ap);
	va_end(ap);
	return replace(e, code, join_text(text, strerror(code)));
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int code;

	if (e == NULL)
		return -EIO;
	code = e->code > 0 ? e->code : EIO;
	va_start(ap, fmt);
	text = format_text(fmt, ap);
	va_end(ap);
	text = join_text(text, e->text != NULL ? e->text : strerror(code));
	/* Short of memory, the reason alone is worth more than nothing. */
	if (text == NULL)
		return -code;
	return replace(e, code, text);
}

const char *err_text(const struct err *e)
{
	if (e == NULL)
		return "unknown error";
	if (e->text != NULL)
		return e->text;
	return strerror(e->code);
}

void err_done(struct err *e)
{
	free(e->text);
	*e = (struct err){0};
}
