/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs diff [OPTION]... A B [PATH]: what is different about two trees that are not mounted */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/source.h"
#include "tool/look_diff.h"
#include "tool/progress.h"

/* Exit statuses, as diff(1) has them. */
#define SAME	  0
#define DIFFERENT 1
#define TROUBLE	  2

struct request {
	struct strv operands, upper;
	uint32_t first_layer, last_layer; /* --layer; 0: not given */
	struct fs_options fs[2];
	struct look_diff diff;
	const char *path;
};

static void request_done(struct request *q)
{
	strv_done(&q->operands);
	strv_done(&q->upper);
	fs_options_done(&q->fs[0]);
	fs_options_done(&q->fs[1]);
}
DEFINE_CLEANUP(struct request, request, request_done)

/* ---- the command line ---- */

static bool parse_flag(void *request, const char *word)
{
	struct request *q = request;
	struct look_diff *d = &q->diff;

	if (word_is(word, "-q") || word_is(word, "--brief"))
		d->quiet = true;
	else if (word_is(word, "--stat"))
		d->totals = true;
	else if (word_is(word, "--mtime"))
		d->times = true;
	else if (word_is(word, "--json"))
		d->l.json = true;
	else if (word_is(word, "--strict"))
		q->fs[0].image_strict = q->fs[1].image_strict = true;
	else if (word_is(word, "--quiet"))
		progress_line_off();
	else
		return false;
	return true;
}

/* N or N-M. */
static int set_range(struct request *q, const char *value)
{
	CLEANUP(free) char *first = strndup(value, strcspn(value, "-"));
	const char *dash = strchr(value, '-');
	int r = first != NULL ? source_set_number(&q->first_layer, first) : -ENOMEM;

	if (r == 0)
		r = source_set_number(&q->last_layer, dash != NULL ? dash + 1 : first);
	return r == 0 && q->last_layer < q->first_layer ? -EINVAL : r;
}

static int set_both(char **a, char **b, const char *value)
{
	int r = source_set_text(a, value);

	return r == 0 ? source_set_text(b, value) : r;
}

static int parse_value(void *request, const char *word, const char *value)
{
	struct request *q = request;
	static const char *const known[] = {"--layer",	 "--upper",  "--platform", "--cache",
					    "--a-layer", "--a-upto", "--b-layer",  "--b-upto"};
	size_t i = 0, n = sizeof(known) / sizeof(*known);

	while (i < n && !word_is(word, known[i]))
		i++;
	if (i == n)
		return WORDS_UNKNOWN;
	if (value == NULL)
		return -ENODATA;
	switch (i) {
	case 0:
		return set_range(q, value);
	case 1:
		return strv_add(&q->upper, value);
	case 2:
		return set_both(&q->fs[0].platform, &q->fs[1].platform, value);
	case 3:
		return set_both(&q->fs[0].cache, &q->fs[1].cache, value);
	case 4:
		return source_set_number(&q->fs[0].image_layer, value);
	case 5:
		return source_set_number(&q->fs[0].image_upto, value);
	case 6:
		return source_set_number(&q->fs[1].image_layer, value);
	default:
		return source_set_number(&q->fs[1].image_upto, value);
	}
}

static int add_operand(void *request, const char *word)
{
	struct request *q = request;

	return strv_add(&q->operands, word);
}

static const struct words words = {
	.command = "diff",
	.usage =
		"usage: plyfs diff [OPTION]... [--a-layer N | --a-upto N] [--b-layer N | --b-upto N] A B "
		"[PATH]\n"
		"       plyfs diff [OPTION]... --layer N[-M] IMAGE [PATH]\n"
		"       plyfs diff [OPTION]... --upper DIR... SOURCE [PATH]\n"
		"options: [-q] [--stat] [--mtime] [--json] [--platform OS/ARCH] [--cache DIR] [--strict]\n"
		"         [--quiet]\n",
	.status = TROUBLE,
	.flag = parse_flag,
	.value = parse_value,
	.operand = add_operand,
};

/* One source of which there are two states, or two. */
static bool is_one(const struct request *q)
{
	return q->first_layer > 0 || q->upper.n > 0;
}

static int check(struct request *q)
{
	size_t n = is_one(q) ? 1 : 2;
	bool parts = false;

	for (size_t i = 0; i < 2; i++) {
		parts |= q->fs[i].image_layer > 0 || q->fs[i].image_upto > 0;
		if (q->fs[i].image_layer > 0 && q->fs[i].image_upto > 0)
			return words_wrong(&words,
					   "one layer and those up to another cannot both be meant",
					   "");
	}
	if (q->first_layer > 0 && (q->upper.n > 0 || parts))
		return words_wrong(&words, "--layer says all that is compared", "");
	if (q->upper.n > 0 && parts)
		return words_wrong(&words, "--upper compares a whole source", "");
	if (q->operands.n < n)
		return words_wrong(&words,
				   n == 1 ? "no image or directory is given"
					  : "two images or directories are needed",
				   "");
	if (q->operands.n > n + 1)
		return words_wrong(&words, "one path at a time: ", q->operands.v[n + 1]);
	q->path = q->operands.n > n ? q->operands.v[n] : "/";
	return 0;
}

static int parse(struct request *q, int argc, char **argv)
{
	int status = words_all(&words, q, argc, argv);

	return status != 0 ? status : check(q);
}

/* ---- what is compared ---- */

/* An upper is compared with what it lies on. */
static int choose_upper(struct request *q, struct err *err)
{
	const char *a = q->operands.v[0], *b = q->operands.v[1];

	if (!source_is_upper(b) || source_is_upper(a))
		return 0;
	if (q->fs[1].image_layer > 0 || q->fs[1].image_upto > 0)
		return err_set(err, EINVAL, "%s is an upper: it has no layers to choose from", b);
	q->fs[1].image_layer = q->fs[0].image_layer;
	q->fs[1].image_upto = q->fs[0].image_upto;
	return strv_add(&q->upper, b) < 0 ? err_errno(err, ENOMEM, "%s", b) : 0;
}

static int open_side(struct request *q, size_t i, const char *source, struct strv *above,
		     struct fs **ret_fs, struct err *err)
{
	int r = source_choose(source, above, &q->fs[i], err);

	if (r == 0)
		r = fs_open(&q->fs[i], ret_fs, err);
	progress_line_end();
	return r;
}

static int open_both(struct request *q, struct fs **ret_a, struct fs **ret_b, struct err *err)
{
	CLEANUP(strv) struct strv none = {0};
	const char *a = q->operands.v[0], *b = q->operands.v[is_one(q) ? 0 : 1];
	int r = is_one(q) ? 0 : choose_upper(q, err);

	if (r < 0)
		return r;
	if (q->upper.n > 0)
		b = a;
	if (q->first_layer > 0) {
		q->fs[0].image_upto = q->first_layer - 1;
		q->fs[1].image_upto = q->last_layer;
	}
	/* Below the lowest layer there is nothing. */
	if (q->first_layer != 1)
		r = open_side(q, 0, a, &none, ret_a, err);
	return r == 0 ? open_side(q, 1, b, &q->upper, ret_b, err) : r;
}

static int run(struct request *q, struct err *err)
{
	CLEANUP(fs) struct fs *a = NULL;
	CLEANUP(fs) struct fs *b = NULL;
	struct look_diff *d = &q->diff;
	int r = open_both(q, &a, &b, err);

	if (r < 0)
		return r;
	d->a = a;
	d->b = b;
	d->l.out = stdout;
	r = look_diff(d, q->path, err);
	if (r == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		r = err_errno(err, errno, "standard output");
	return r;
}

int cmd_diff(const struct invocation *by, int argc, char **argv)
{
	CLEANUP(request) struct request q = {0};
	CLEANUP(err) struct err err = {0};
	int status;

	fs_options_init(&q.fs[0]);
	fs_options_init(&q.fs[1]);
	for (int i = 1; i < argc; i++)
		if (word_is(argv[i], "--help"))
			return cmd_help(by, 1, argv);
	status = parse(&q, argc, argv);
	if (status != 0)
		return status;
	if (q.diff.l.json)
		progress_line_off();
	if (run(&q, &err) < 0) {
		complain(&err);
		return TROUBLE;
	}
	return q.diff.l.failed ? TROUBLE : q.diff.differs ? DIFFERENT : SAME;
}
