/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs check [OPTION]... IMAGE */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "layer/indexed_cache.h"
#include "tool/check.h"
#include "tool/progress.h"

static volatile sig_atomic_t cancelled;
static atomic_bool cancel_scan;

static void cancel(int signal)
{
	(void)signal;
	cancelled = 1;
	cancel_scan = true;
}

struct request {
	struct check_options options;
	struct platform platform; /* owned */
	const char *cache;
};

static void request_done(struct request *q)
{
	platform_done(&q->platform);
}
DEFINE_CLEANUP(struct request, request, request_done)

static int usage(const char *what, const char *word)
{
	fprintf(stderr, "plyfs: check: %s%s\n", what, word);
	fputs("usage: plyfs check [--strict] [--json] [--platform OS/ARCH] [--cache DIR]\n"
	      "                   [--authfile FILE] [--plain-http] [--quiet] IMAGE\n",
	      stderr);
	return CHECK_USAGE;
}

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool parse_flag(struct request *q, const char *word)
{
	if (is(word, "--strict"))
		q->options.strict = true;
	else if (is(word, "--json"))
		q->options.json = true;
	else if (is(word, "--plain-http"))
		q->options.image.plain_http = true;
	else if (is(word, "--quiet"))
		progress_line_off();
	else
		return false;
	return true;
}

static int set_platform(struct request *q, const char *text)
{
	CLEANUP(err) struct err err = {0};

	platform_done(&q->platform);
	if (platform_parse(text, &q->platform, &err) < 0)
		return usage(err_text(&err), "");
	q->options.image.platform = &q->platform;
	return 0;
}

/* 0, or an exit status. */
static int parse_option(struct request *q, int argc, char **argv, int *i)
{
	const char *word = argv[*i];

	if (parse_flag(q, word))
		return 0;
	if (!is(word, "--platform") && !is(word, "--cache") && !is(word, "--authfile"))
		return usage("unknown option ", word);
	if (++*i == argc)
		return usage(word, " needs an argument");
	if (is(word, "--platform"))
		return set_platform(q, argv[*i]);
	if (is(word, "--cache"))
		q->cache = argv[*i];
	else
		q->options.image.auth_file = argv[*i];
	return 0;
}

static int parse(struct request *q, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int status = 0;

		if (argv[i][0] == '-' && argv[i][1] != '\0')
			status = parse_option(q, argc, argv, &i);
		else if (q->options.ref != NULL)
			status = usage("one image at a time: ", argv[i]);
		else
			q->options.ref = argv[i];
		if (status != 0)
			return status;
	}
	return q->options.ref != NULL ? 0 : usage("no image is given", "");
}

/* A registry's layers go where they are kept for other commands too; nothing else of the cache is used. */
static int run(struct request *q, struct err *err)
{
	CLEANUP(indexed_cache) struct indexed_cache *cache = NULL;

	if (indexed_cache_open(q->cache, NULL, &cache, err) < 0)
		return CHECK_FAILED;
	q->options.image.blob_dir = indexed_cache_blob_dir(cache);
	return check_run(&q->options, err);
}

int cmd_check(const struct invocation *by, int argc, char **argv)
{
	CLEANUP(err) struct err err = {0};
	CLEANUP(request)
	struct request q = {
		.options = {.out = stdout,
			    .cancel = &cancel_scan,
			    .image = {.cancelled = &cancelled}},
	};
	const struct sigaction action = {.sa_handler = cancel};
	int status;

	for (int i = 1; i < argc; i++)
		if (is(argv[i], "--help") || is(argv[i], "-h"))
			return cmd_help(by, 1, argv);
	status = parse(&q, argc, argv);
	if (status != 0)
		return status;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = run(&q, &err);
	if (!(status & CHECK_FAILED) && (fflush(stdout) != 0 || ferror(stdout))) {
		err_errno(&err, errno, "standard output");
		status |= CHECK_FAILED;
	}
	if (status & CHECK_FAILED)
		complain(&err);
	return status;
}
