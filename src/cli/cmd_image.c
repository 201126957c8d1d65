/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs image ls|inspect|layers|history|pull [--json] [--platform P] [--strict] IMAGE */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
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

static int usage(const char *what, const char *word)
{
	fprintf(stderr, "plyfs: image: %s%s\n", what, word);
	fputs("usage: plyfs image ls|inspect|layers|history|pull [--json] [--raw]\n"
	      "                   [--platform OS/ARCH] [--strict] [--cache DIR] [--authfile FILE]\n"
	      "                   [--plain-http] [--quiet] IMAGE\n",
	      stderr);
	return STATUS_USAGE;
}

static int parse_platform(struct request *q, const char *text)
{
	CLEANUP(err) struct err err = {0};

	platform_done(&q->platform);
	if (platform_parse(text, &q->platform, &err) < 0)
		return usage(err_text(&err), "");
	q->options.platform = &q->platform;
	return 0;
}

/* The option at argv[*i], and its argument. 0, or an exit status. */
static int parse_option(struct request *q, int argc, char **argv, int *i)
{
	const char *option = argv[*i];
	bool takes = strcmp(option, "--platform") == 0 || strcmp(option, "--authfile") == 0 ||
		     strcmp(option, "--cache") == 0;

	if (takes && ++*i == argc)
		return usage(option, " needs an argument");
	if (strcmp(option, "--json") == 0)
		q->json = true;
	else if (strcmp(option, "--raw") == 0)
		q->raw = true;
	else if (strcmp(option, "--strict") == 0)
		q->options.strict = true;
	else if (strcmp(option, "--quiet") == 0)
		progress_line_off();
	else if (strcmp(option, "--plain-http") == 0)
		q->options.plain_http = true;
	else if (strcmp(option, "--platform") == 0)
		return parse_platform(q, argv[*i]);
	else if (strcmp(option, "--authfile") == 0)
		q->options.auth_file = argv[*i];
	else if (strcmp(option, "--cache") == 0)
		q->cache = argv[*i];
	else
		return usage("unknown option ", option);
	return 0;
}

static int parse(int argc, char **argv, struct request *q)
{
	q->action = ACTION_NONE;
	if (argc < 2)
		return usage("what of the image is not said", "");
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (strcmp(argv[1], actions[i]) == 0)
			q->action = (enum action)i;
	if (q->action == ACTION_NONE)
		return usage("no such command: ", argv[1]);
	for (int i = 2; i < argc; i++) {
		int status = 0;

		if (argv[i][0] == '-' && argv[i][1] != '\0')
			status = parse_option(q, argc, argv, &i);
		else if (q->ref != NULL)
			status = usage("one image at a time: ", argv[i]);
		else
			q->ref = argv[i];
		if (status != 0)
			return status;
	}
	if (q->ref == NULL)
		return usage("no image is given", "");
	if (q->raw && q->action != ACTION_INSPECT)
		return usage("--raw is for inspect", "");
	return 0;
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
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return cmd_help(by, 1, argv);
	status = parse(argc, argv, &q);
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
