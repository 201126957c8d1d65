/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs ls|cat|stat|find|du|which|extract SOURCE PATH...: looking into a tree that is not mounted */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/source.h"
#include "tool/look.h"
#include "tool/progress.h"

struct command {
	struct words words;
	int (*run)(struct look *l, const char *path, struct err *err);
	bool whole; /* without a PATH the root is meant */
};

static bool parse_flags(void *request, const char *word);
static int parse_value(void *request, const char *word, const char *value);
static int add_operand(void *request, const char *word);

/* FLAGS are followed by a space. */
#define COMMAND(NAME, FLAGS, OPERANDS, RUN, WHOLE)                                                 \
	{                                                                                          \
		.words = {NAME,                                                                    \
			  "usage: plyfs " NAME " " FLAGS                                           \
			  "[--json] [--upper DIR | --lower DIR]... [--layer N | --upto N]\n"       \
			  "             [--platform OS/ARCH] [--cache DIR] [--strict] [--quiet] "  \
			  "SOURCE " OPERANDS "\n",                                                 \
			  STATUS_USAGE,                                                            \
			  parse_flags,                                                             \
			  parse_value,                                                             \
			  add_operand},                                                            \
		.run = RUN, .whole = WHOLE,                                                        \
	}

#define FIND_TESTS                                                                                 \
	"[-name PATTERN] [-path PATTERN]\n             [-type bcdflps] [-size [+-]N[ckMG]]"

static const struct command commands[] = {
	COMMAND("ls", "[-l] [-R] [-d] ", "[PATH...]", look_ls, true),
	COMMAND("cat", "", "PATH...", look_cat, false),
	COMMAND("stat", "", "PATH...", look_stat, false),
	COMMAND("find", "", "[PATH...] " FIND_TESTS, look_find, true),
	COMMAND("du", "[-s] [-h] ", "[PATH...]", look_du, true),
	COMMAND("which", "", "PATH...", look_which, false),
	COMMAND("extract", "", "PATH... DEST", look_extract, false),
};

struct request {
	const struct command *command;
	const char *source;
	struct strv paths, lower;
	struct fs_options fs;
	struct look look;
};

static void request_done(struct request *q)
{
	strv_done(&q->paths);
	strv_done(&q->lower);
	fs_options_done(&q->fs);
}
DEFINE_CLEANUP(struct request, request, request_done)

/* ---- the command line ---- */

/* A word without an argument. False: it is none that C knows. */
static bool parse_flag(struct request *q, const char *word)
{
	struct look *l = &q->look;
	bool ls = q->command->run == look_ls, du = q->command->run == look_du;

	if (word_is(word, "--strict"))
		q->fs.image_strict = true;
	else if (word_is(word, "--quiet"))
		progress_line_off();
	else if (word_is(word, "--json") && q->command->run != look_cat &&
		 q->command->run != look_extract)
		l->json = true;
	else if (ls && word_is(word, "-l"))
		l->long_form = true;
	else if (ls && word_is(word, "-R"))
		l->recursive = true;
	else if (ls && word_is(word, "-d"))
		l->itself = true;
	else if (du && word_is(word, "-s"))
		l->summary = true;
	else if (du && word_is(word, "-h"))
		l->human = true;
	else
		return false;
	return true;
}

/* Several letters after one dash. */
static bool parse_flags(void *request, const char *word)
{
	char flag[3] = "-";

	if (parse_flag(request, word))
		return true;
	if (word[0] != '-' || word[1] == '-' || strlen(word) < 3)
		return false;
	for (const char *p = word + 1; *p != '\0'; p++) {
		flag[1] = *p;
		if (!parse_flag(request, flag))
			return false;
	}
	return true;
}

static int set_type(char *field, const char *value)
{
	if (value[0] == '\0' || value[1] != '\0' || strchr("bcdflps", value[0]) == NULL)
		return -EINVAL;
	*field = value[0];
	return 0;
}

static int set_string(const char **field, const char *value)
{
	*field = value;
	return 0;
}

static int parse_value(void *request, const char *word, const char *value)
{
	static const char *const known[] = {"--upper", "--lower", "--layer", "--upto", "--platform",
					    "--cache", "-name",	  "-path",   "-type",  "-size"};
	struct request *q = request;
	size_t i = 0, n = q->command->run == look_find ? 10 : 6;

	while (i < n && !word_is(word, known[i]))
		i++;
	if (i == n)
		return WORDS_UNKNOWN;
	if (value == NULL)
		return -ENODATA;
	switch (i) {
	case 0:
	case 1:
		return strv_add(&q->lower, value);
	case 2:
		return source_set_number(&q->fs.image_layer, value);
	case 3:
		return source_set_number(&q->fs.image_upto, value);
	case 4:
		return source_set_text(&q->fs.platform, value);
	case 5:
		return source_set_text(&q->fs.cache, value);
	case 6:
		return set_string(&q->look.name, value);
	case 7:
		return set_string(&q->look.path, value);
	case 8:
		return set_type(&q->look.type, value);
	default:
		return look_size_parse(value, &q->look.size);
	}
}

static int add_operand(void *request, const char *word)
{
	struct request *q = request;

	if (q->source != NULL)
		return strv_add(&q->paths, word);
	q->source = word;
	return 0;
}

static int parse(struct request *q, int argc, char **argv)
{
	const struct words *w = &q->command->words;
	int status = words_all(w, q, argc, argv);

	if (status != 0)
		return status;
	if (q->source == NULL)
		return words_wrong(w, "no image, layer or directory is given", "");
	if (q->command->run == look_extract) {
		if (q->paths.n < 2)
			return words_wrong(w, "a path and a directory are needed", "");
		q->look.dest = q->paths.v[q->paths.n - 1];
	}
	if (q->paths.n == 0 && !q->command->whole)
		return words_wrong(w, "no path is given", "");
	if (q->paths.n == 0 && strv_add(&q->paths, "/") < 0)
		return words_wrong(w, "out of memory", "");
	if (q->fs.image_layer > 0 && q->fs.image_upto > 0)
		return words_wrong(w, "--layer and --upto cannot both be given", "");
	return 0;
}

static int run(struct request *q)
{
	CLEANUP(err) struct err err = {0};
	CLEANUP(fs) struct fs *fs = NULL;
	CLEANUP(image) struct image *image = NULL;
	struct look *l = &q->look;
	int r = source_choose(q->source, &q->lower, &q->fs, &err);
	size_t n;

	if (r == 0)
		r = fs_open(&q->fs, &fs, &err);
	progress_line_end();
	if (r == 0 && (q->command->run == look_which || q->command->run == look_stat))
		r = source_describe(&q->fs, l, &image, &err);
	if (r < 0)
		return complain(&err);
	l->fs = fs;
	l->out = stdout;
	n = q->paths.n - (l->dest != NULL);
	l->many = n > 1;
	look_begin(l);
	for (size_t i = 0; i < n; i++) {
		CLEANUP(err) struct err one = {0};

		if (q->command->run(l, q->paths.v[i], &one) < 0) {
			complain(&one);
			l->failed = true;
		}
	}
	progress_line_end();
	look_end(l);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		err_errno(&err, errno, "standard output");
		return complain(&err);
	}
	return l->failed ? 1 : 0;
}

int cmd_look(const struct invocation *by, int argc, char **argv)
{
	CLEANUP(request) struct request q = {0};
	int status;

	fs_options_init(&q.fs);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (word_is(argv[0], commands[i].words.command))
			q.command = &commands[i];
	for (int i = 1; i < argc; i++)
		if (word_is(argv[i], "--help"))
			return cmd_help(by, 1, argv);
	status = parse(&q, argc, argv);
	if (q.look.json)
		progress_line_off();
	return status != 0 ? status : run(&q);
}
