/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs waste [OPTION]... IMAGE: which bytes of it nobody sees */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/source.h"
#include "tool/progress.h"

#define TOP 10

struct request {
	const char *source;
	struct fs_options fs;
	struct look look;
};

static void request_done(struct request *q)
{
	fs_options_done(&q->fs);
}
DEFINE_CLEANUP(struct request, request, request_done)

static bool parse_flag(void *request, const char *word)
{
	struct request *q = request;

	if (word_is(word, "--quick"))
		q->look.quick = true;
	else if (word_is(word, "--json"))
		q->look.json = true;
	else if (word_is(word, "--strict"))
		q->fs.image_strict = true;
	else if (word_is(word, "--quiet"))
		progress_line_off();
	else
		return false;
	return true;
}

/* 0: as many as there are. */
static int set_top(struct request *q, const char *value)
{
	uint32_t top = 0;
	int r = word_is(value, "0") ? 0 : source_set_number(&top, value);

	q->look.top = top;
	return r;
}

static int parse_value(void *request, const char *word, const char *value)
{
	struct request *q = request;
	static const char *const known[] = {"-n", "--upto", "--platform", "--cache"};
	size_t i = 0, n = sizeof(known) / sizeof(*known);

	while (i < n && !word_is(word, known[i]))
		i++;
	if (i == n)
		return WORDS_UNKNOWN;
	if (value == NULL)
		return -ENODATA;
	switch (i) {
	case 0:
		return set_top(q, value);
	case 1:
		return source_set_number(&q->fs.image_upto, value);
	case 2:
		return source_set_text(&q->fs.platform, value);
	default:
		return source_set_text(&q->fs.cache, value);
	}
}

static const struct words words = {
	.command = "waste",
	.usage =
		"usage: plyfs waste [-n N] [--quick] [--json] [--upto N] [--platform OS/ARCH] [--cache DIR]\n"
		"                   [--strict] [--quiet] IMAGE\n",
	.status = STATUS_USAGE,
	.flag = parse_flag,
	.value = parse_value,
};

static int run(struct request *q, struct err *err)
{
	CLEANUP(strv) struct strv none = {0};
	CLEANUP(fs) struct fs *fs = NULL;
	CLEANUP(image) struct image *image = NULL;
	int r = source_choose(q->source, &none, &q->fs, err);

	if (r == 0 && q->fs.image == NULL)
		r = err_set(err, EINVAL,
			    "%s is a directory: only an image has layers that hide others",
			    q->source);
	if (r == 0)
		r = fs_open(&q->fs, &fs, err);
	progress_line_end();
	if (r == 0)
		r = source_describe(&q->fs, &q->look, &image, err);
	if (r < 0)
		return r;
	q->look.fs = fs;
	q->look.out = stdout;
	r = look_waste(&q->look, q->source, err);
	if (r == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		r = err_errno(err, errno, "standard output");
	q->look.fs = NULL;
	q->look.image = NULL;
	return r;
}

int cmd_waste(const struct invocation *by, int argc, char **argv)
{
	CLEANUP(request) struct request q = {.look = {.top = TOP}};
	CLEANUP(err) struct err err = {0};
	int status;

	fs_options_init(&q.fs);
	for (int i = 1; i < argc; i++)
		if (word_is(argv[i], "--help"))
			return cmd_help(by, 1, argv);
	status = words_image(&words, &q, argc, argv, 1, &q.source);
	if (status != 0)
		return status;
	if (q.look.json)
		progress_line_off();
	if (run(&q, &err) < 0)
		return complain(&err);
	return q.look.failed ? 1 : 0;
}
