/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs check [OPTION]... IMAGE */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/source.h"
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

static bool parse_flag(void *request, const char *word)
{
	struct request *q = request;

	if (word_is(word, "--strict"))
		q->options.strict = true;
	else if (word_is(word, "--json"))
		q->options.json = true;
	else if (word_is(word, "--plain-http"))
		q->options.image.plain_http = true;
	else if (word_is(word, "--quiet"))
		progress_line_off();
	else
		return false;
	return true;
}

static int parse_value(void *request, const char *word, const char *value);

static const struct words words = {
	.command = "check",
	.usage = "usage: plyfs check [--strict] [--json] [--platform OS/ARCH] [--cache DIR]\n"
		 "                   [--authfile FILE] [--plain-http] [--quiet] IMAGE\n",
	.status = CHECK_USAGE,
	.flag = parse_flag,
	.value = parse_value,
};

static int parse_value(void *request, const char *word, const char *value)
{
	struct request *q = request;

	if (!word_is(word, "--platform") && !word_is(word, "--cache") &&
	    !word_is(word, "--authfile"))
		return WORDS_UNKNOWN;
	if (value == NULL)
		return -ENODATA;
	if (word_is(word, "--platform")) {
		q->options.image.platform = &q->platform;
		return source_set_platform(&words, &q->platform, value);
	}
	if (word_is(word, "--cache"))
		q->cache = value;
	else
		q->options.image.auth_file = value;
	return 0;
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
		if (word_is(argv[i], "--help") || word_is(argv[i], "-h"))
			return cmd_help(by, 1, argv);
	status = words_image(&words, &q, argc, argv, 1, &q.options.ref);
	if (status != 0)
		return status;
	if (q.options.json)
		progress_line_off();
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
