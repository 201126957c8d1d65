/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs image ls|inspect|layers|history|pull [--json] [--platform P] [--strict] IMAGE */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/source.h"
#include "image/image.h"
#include "layer/indexed_cache.h"
#include "tool/image_show.h"
#include "tool/progress.h"

static volatile sig_atomic_t cancelled;

static void cancel(int signal)
{
	(void)signal;
	cancelled = 1;
}

enum action { ACTION_LS, ACTION_INSPECT, ACTION_LAYERS, ACTION_HISTORY, ACTION_PULL, ACTION_NONE };

static const char *const actions[] = {"ls", "inspect", "layers", "history", "pull"};

struct request {
	enum action action;
	const char *ref, *cache;
	bool json, raw;
	struct platform platform; /* owned */
	struct image_options options;
};

static bool parse_flag(void *request, const char *word)
{
	struct request *q = request;

	if (word_is(word, "--json"))
		q->json = true;
	else if (word_is(word, "--raw"))
		q->raw = true;
	else if (word_is(word, "--strict"))
		q->options.strict = true;
	else if (word_is(word, "--quiet"))
		progress_line_off();
	else if (word_is(word, "--plain-http"))
		q->options.plain_http = true;
	else
		return false;
	return true;
}

static int parse_value(void *request, const char *word, const char *value);

static const struct words words = {
	.command = "image",
	.usage =
		"usage: plyfs image ls|inspect|layers|history|pull [--json] [--raw]\n"
		"                   [--platform OS/ARCH] [--strict] [--cache DIR] [--authfile FILE]\n"
		"                   [--plain-http] [--quiet] IMAGE\n",
	.status = STATUS_USAGE,
	.flag = parse_flag,
	.value = parse_value,
};

static int parse_value(void *request, const char *word, const char *value)
{
	struct request *q = request;

	if (!word_is(word, "--platform") && !word_is(word, "--authfile") &&
	    !word_is(word, "--cache"))
		return WORDS_UNKNOWN;
	if (value == NULL)
		return -ENODATA;
	if (word_is(word, "--platform")) {
		q->options.platform = &q->platform;
		return source_set_platform(&words, &q->platform, value);
	}
	if (word_is(word, "--cache"))
		q->cache = value;
	else
		q->options.auth_file = value;
	return 0;
}

static int parse(int argc, char **argv, struct request *q)
{
	int status;

	q->action = ACTION_NONE;
	if (argc < 2)
		return words_wrong(&words, "what of the image is not said", "");
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (word_is(argv[1], actions[i]))
			q->action = (enum action)i;
	if (q->action == ACTION_NONE)
		return words_wrong(&words, "no such command: ", argv[1]);
	status = words_image(&words, q, argc, argv, 2, &q->ref);
	if (status == 0 && q->raw && q->action != ACTION_INSPECT)
		return words_wrong(&words, "--raw is for inspect", "");
	return status;
}

static int list(const struct request *q, struct err *err)
{
	CLEANUP(image_list) struct image_list all = {0};
	int rc = image_list(q->ref, &q->options, &all, err);

	return rc < 0 ? rc : show_list(&all, q->json, stdout);
}

/* The layers of a registry's image into the cache. */
static int pull(struct request *q, struct err *err)
{
	CLEANUP(image) struct image *image = NULL;
	CLEANUP(indexed_cache) struct indexed_cache *cache = NULL;
	int rc = indexed_cache_open(q->cache, NULL, &cache, err);

	if (rc < 0)
		return rc;
	q->options.blob_dir = indexed_cache_blob_dir(cache);
	rc = image_open(q->ref, &q->options, &image, err);
	if (rc == 0)
		rc = image_fetch(image, &q->options, err);
	return rc < 0 ? rc : show_layers(image, q->json, stdout);
}

/* The configuration as it was written. */
static int show_raw(const struct image *image, struct err *err)
{
	if (image->config.raw == NULL)
		return err_set(err, ENODATA, "%s is a layer: it has no configuration", image->name);
	fwrite(image->config.raw, 1, image->config.raw_len, stdout);
	return 0;
}

static int show(const struct request *q, struct err *err)
{
	CLEANUP(image) struct image *image = NULL;
	int rc = image_open(q->ref, &q->options, &image, err);

	if (rc < 0)
		return rc;
	if (q->raw)
		return show_raw(image, err);
	if (q->action == ACTION_LAYERS)
		return show_layers(image, q->json, stdout);
	if (q->action == ACTION_HISTORY)
		return show_history(image, q->json, stdout);
	return show_image(image, q->json, stdout);
}

static int run(struct request *q, struct err *err)
{
	switch (q->action) {
	case ACTION_LS:
		return list(q, err);
	case ACTION_PULL:
		return pull(q, err);
	default:
		return show(q, err);
	}
}

int cmd_image(const struct invocation *by, int argc, char **argv)
{
	CLEANUP(err) struct err err = {0};
	const struct sigaction action = {.sa_handler = cancel};
	struct request q = {
		.options = {.cancelled = &cancelled, .progress = progress_line_show},
	};
	int status, rc;

	for (int i = 1; i < argc; i++)
		if (word_is(argv[i], "--help") || word_is(argv[i], "-h"))
			return cmd_help(by, 1, argv);
	status = parse(argc, argv, &q);
	if (q.json)
		progress_line_off();
	if (status == 0) {
		sigaction(SIGINT, &action, NULL);
		sigaction(SIGTERM, &action, NULL);
		rc = run(&q, &err);
		progress_line_end();
		if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
			rc = err_errno(&err, errno, "standard output");
		status = rc < 0 ? complain(&err) : 0;
	}
	platform_done(&q.platform);
	return status;
}
