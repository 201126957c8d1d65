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

struct request;

struct command {
	const char *name;
	int (*run)(struct look *l, const char *path, struct err *err);
	const char *usage;
	const char *operands; /* in brackets: without a PATH the root is meant */
};

#define FIND_TESTS                                                                                 \
	"[-name PATTERN] [-path PATTERN]\n             [-type bcdflps] [-size [+-]N[ckMG]]"

static const struct command commands[] = {
	{"ls", look_ls, "[-l] [-R] [-d]", "[PATH...]"},
	{"cat", look_cat, "", "PATH..."},
	{"stat", look_stat, "", "PATH..."},
	{"find", look_find, "", "[PATH...] " FIND_TESTS},
	{"du", look_du, "[-s] [-h]", "[PATH...]"},
	{"which", look_which, "", "PATH..."},
	{"extract", look_extract, "", "PATH... DEST"},
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

static int usage(const struct command *c, const char *what, const char *word)
{
	fprintf(stderr, "plyfs: %s: %s%s\n", c->name, what, word);
	fprintf(stderr,
		"usage: plyfs %s %s%s[--json] [--upper DIR | --lower DIR]... [--layer N | --upto N]\n"
		"             [--platform OS/ARCH] [--cache DIR] [--strict] [--quiet] SOURCE %s\n",
		c->name, c->usage, *c->usage != '\0' ? " " : "", c->operands);
	return STATUS_USAGE;
}

/* ---- the command line ---- */

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* A word without an argument. False: it is none that C knows. */
static bool parse_flag(struct request *q, const char *word)
{
	struct look *l = &q->look;
	bool ls = is(q->command->name, "ls"), du = is(q->command->name, "du");

	if (is(word, "--strict"))
		q->fs.image_strict = true;
	else if (is(word, "--quiet"))
		progress_line_off();
	else if (is(word, "--json") && q->command->run != look_cat &&
		 q->command->run != look_extract)
		l->json = true;
	else if (ls && is(word, "-l"))
		l->long_form = true;
	else if (ls && is(word, "-R"))
		l->recursive = true;
	else if (ls && is(word, "-d"))
		l->itself = true;
	else if (du && is(word, "-s"))
		l->summary = true;
	else if (du && is(word, "-h"))
		l->human = true;
	else
		return false;
	return true;
}

/* Several letters after one dash. */
static bool parse_flags(struct request *q, const char *word)
{
	char flag[3] = "-";

	if (parse_flag(q, word))
		return true;
	if (word[0] != '-' || word[1] == '-' || strlen(word) < 3)
		return false;
	for (const char *p = word + 1; *p != '\0'; p++) {
		flag[1] = *p;
		if (!parse_flag(q, flag))
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

/* A word and its argument (NULL: there is none). 1: no such word. */
static int parse_value(struct request *q, const char *word, const char *value)
{
	static const char *const known[] = {"--upper", "--lower", "--layer", "--upto", "--platform",
					    "--cache", "-name",	  "-path",   "-type",  "-size"};
	bool find = is(q->command->name, "find");
	size_t i = 0, n = find ? 10 : 6;

	while (i < n && !is(word, known[i]))
		i++;
	if (i == n)
		return 1;
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

static int parse_option(struct request *q, int argc, char **argv, int *i)
{
	const char *word = argv[*i];
	int r;

	if (parse_flags(q, word))
		return 0;
	r = parse_value(q, word, *i + 1 < argc ? argv[*i + 1] : NULL);
	if (r == 1)
		return usage(q->command, "unknown option ", word);
	if (r == -ENODATA)
		return usage(q->command, word, " needs an argument");
	if (r < 0)
		return usage(q->command, word, " cannot be that");
	++*i;
	return 0;
}

static int parse(struct request *q, int argc, char **argv)
{
	bool words = true;
	int status = 0, r = 0;

	for (int i = 1; i < argc && status == 0 && r == 0; i++) {
		if (words && is(argv[i], "--"))
			words = false;
		else if (words && argv[i][0] == '-' && argv[i][1] != '\0')
			status = parse_option(q, argc, argv, &i);
		else if (q->source == NULL)
			q->source = argv[i];
		else
			r = strv_add(&q->paths, argv[i]);
	}
	if (status != 0 || r < 0)
		return status != 0 ? status : usage(q->command, "out of memory", "");
	if (q->source == NULL)
		return usage(q->command, "no image, layer or directory is given", "");
	if (q->command->run == look_extract) {
		if (q->paths.n < 2)
			return usage(q->command, "a path and a directory are needed", "");
		q->look.dest = q->paths.v[q->paths.n - 1];
	}
	if (q->paths.n == 0 && *q->command->operands != '[')
		return usage(q->command, "no path is given", "");
	if (q->paths.n == 0 && strv_add(&q->paths, "/") < 0)
		return usage(q->command, "out of memory", "");
	if (q->fs.image_layer > 0 && q->fs.image_upto > 0)
		return usage(q->command, "--layer and --upto cannot both be given", "");
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
		if (is(argv[0], commands[i].name))
			q.command = &commands[i];
	for (int i = 1; i < argc; i++)
		if (is(argv[i], "--help"))
			return cmd_help(by, 1, argv);
	status = parse(&q, argc, argv);
	return status != 0 ? status : run(&q);
}
