/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs image ls|inspect|layers|history|pull [--json] [--platform P] [--strict] IMAGE */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "cli/commands.h"
#include "image/image.h"
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
	char *blob_dir; /* owned */
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
	return 2;
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

/* DIR and the directories above it, where they are missing. */
static int make_dirs(const char *dir, struct err *err)
{
	char path[4096];
	int rc = 0;

	snprintf(path, sizeof(path), "%s", dir);
	for (char *p = path + 1; rc >= 0; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		rc = sys_mkdirat(AT_FDCWD, path, 0755);
		rc = rc == -EEXIST ? 0 : rc;
		*p = c;
		if (c == '\0')
			break;
	}
	return rc < 0 ? err_errno(err, -rc, "%s", dir) : 0;
}

/* Where blobs are kept: DIR/blobs of --cache, or of the user's caches. */
static int find_blob_dir(struct request *q, struct err *err)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n;

	if (q->cache != NULL)
		n = asprintf(&q->blob_dir, "%s/blobs", q->cache);
	else if (xdg != NULL && *xdg == '/')
		n = asprintf(&q->blob_dir, "%s/plyfs/blobs", xdg);
	else if (home != NULL && *home == '/')
		n = asprintf(&q->blob_dir, "%s/.cache/plyfs/blobs", home);
	else
		return err_set(err, ENOENT,
			       "there is no $HOME: say with --cache where blobs are kept");
	if (n < 0) {
		q->blob_dir = NULL;
		return err_errno(err, ENOMEM, "the cache");
	}
	q->options.blob_dir = q->blob_dir;
	return make_dirs(q->blob_dir, err);
}

/* The layers of a registry's image into the cache. */
static int pull(struct request *q, struct err *err)
{
	CLEANUP(image) struct image *image = NULL;
	int rc = find_blob_dir(q, err);

	if (rc == 0)
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
		if (rc == 0 && fflush(stdout) != 0)
			rc = err_errno(&err, errno, "standard output");
		status = rc < 0 ? complain(&err) : 0;
	}
	platform_done(&q.platform);
	free(q.blob_dir);
	return status;
}
