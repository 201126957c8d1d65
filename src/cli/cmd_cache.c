/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs cache ls|prune: what is kept of images from one mount to the next */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/words.h"
#include "layer/indexed_cache.h"
#include "layer/indexed_usage.h"
#include "tool/columns.h"
#include "tool/json_out.h"

#define SHORT_DIGEST 12
#define DAY	     86400
/* What nobody has used for that long goes when nothing else is said. */
#define OLD (30 * DAY)

struct request {
	const char *cache, *operand; /* borrowed */
	bool prune, all, dry, json, aged;
	struct cached_policy policy;
};

/* ---- the command line ---- */

/* The number at the beginning of TEXT times what the unit after it, one of UNITS, is worth. */
static bool parse_amount(const char *text, const char *units, const uint64_t *worth,
			 uint64_t *ret_n)
{
	const char *unit;
	char *end;
	uint64_t n;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0)
		return false;
	unit = *end != '\0' ? strchr(units, *end) : NULL;
	if (*end == '\0')
		*ret_n = n;
	return *end == '\0' || (unit != NULL && end[1] == '\0' &&
				!__builtin_mul_overflow(n, worth[unit - units], ret_n));
}

/* "12h". A number alone would be of nobody knows what. */
static bool parse_age(const char *text, int64_t *ret_seconds)
{
	static const uint64_t worth[] = {1, 60, 3600, DAY, 7 * DAY};
	uint64_t n;

	if (strspn(text, "0123456789") == strlen(text) && strcmp(text, "0") != 0)
		return false;
	if (!parse_amount(text, "smhdw", worth, &n) || n > INT64_MAX / 2)
		return false;
	*ret_seconds = (int64_t)n;
	return true;
}

/* "10G", in powers of 1000 as sizes are shown. */
static bool parse_size(const char *text, uint64_t *ret_bytes)
{
	static const uint64_t worth[] = {1000, 1000, 1000000, 1000000000, 1000000000000};

	return parse_amount(text, "kKMGT", worth, ret_bytes);
}

static bool parse_flag(void *request, const char *word)
{
	struct request *q = request;

	if (word_is(word, "--json"))
		q->json = true;
	else if (q->prune && word_is(word, "--all"))
		q->all = true;
	else if (q->prune && (word_is(word, "--dry-run") || word_is(word, "-n")))
		q->dry = true;
	else
		return false;
	return true;
}

static int parse_value(void *request, const char *word, const char *value);

static int parse_operand(void *request, const char *word)
{
	struct request *q = request;

	q->operand = word;
	return 0;
}

static const struct words words = {
	.command = "cache",
	.usage =
		"usage: plyfs cache ls [--json] [--cache DIR]\n"
		"       plyfs cache prune [--all | --older AGE] [--keep-storage SIZE] [--dry-run]\n"
		"                         [--json] [--cache DIR]\n",
	.status = STATUS_USAGE,
	.flag = parse_flag,
	.value = parse_value,
	.operand = parse_operand,
};

static int parse_value(void *request, const char *word, const char *value)
{
	struct request *q = request;
	bool age = q->prune && word_is(word, "--older"),
	     size = q->prune && word_is(word, "--keep-storage");

	if (!age && !size && !word_is(word, "--cache"))
		return WORDS_UNKNOWN;
	if (value == NULL)
		return -ENODATA;
	if (age) {
		q->aged = parse_age(value, &q->policy.older);
		return q->aged ? 0
			       : words_wrong(&words,
					     "an age is a number and one of s, m, h, d, w, not ",
					     value);
	}
	if (size) {
		q->policy.sized = parse_size(value, &q->policy.keep);
		return q->policy.sized ? 0
				       : words_wrong(&words,
						     "a size is a number and perhaps one of k, M, "
						     "G, T, not ",
						     value);
	}
	q->cache = value;
	return 0;
}

static int parse(int argc, char **argv, struct request *q)
{
	int status;

	if (argc < 2)
		return words_wrong(&words, "ls or prune?", "");
	q->prune = word_is(argv[1], "prune");
	if (!q->prune && !word_is(argv[1], "ls"))
		return words_wrong(&words, "no such command: ", argv[1]);
	status = words_all(&words, q, argc - 1, argv + 1);
	if (status != 0)
		return status;
	if (q->operand != NULL)
		return words_wrong(&words, "unknown argument ", q->operand);
	if (q->all && q->aged)
		return words_wrong(&words, "--all and --older cannot both be", "");
	if (!q->all && !q->aged && !q->policy.sized)
		q->policy.older = OLD;
	return 0;
}

/* ---- showing ---- */

/* For programs by RFC 3339, for people to the minute. UTC. */
static const char *format_time(int64_t seconds, bool json, char buf[static 32])
{
	const time_t t = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || (json ? strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm)
					       : strftime(buf, 32, "%Y-%m-%d %H:%M", &tm)) == 0)
		return "?";
	return buf;
}

static void add_row(struct columns *c, const struct cached *e)
{
	char digest[DIGEST_TEXT_MAX], size[32], when[32];

	columns_add(c, "%s", cached_kind_name(e->kind));
	columns_add(c, "%.*s", SHORT_DIGEST,
		    e->digest.alg != DIGEST_NONE ? digest_hex(&e->digest, digest) : "-");
	columns_add(c, "%s", format_size(size, e->size));
	columns_add(c, "%s", format_time(e->used, false, when));
	columns_add(c, "%s", e->in_use ? "yes" : "no");
	columns_add(c, "%s", e->path);
}

static void put_entry(struct json_out *j, const struct cached *e)
{
	char digest[DIGEST_TEXT_MAX], when[32];

	json_out_object(j, NULL);
	json_out_text(j, "kind", cached_kind_name(e->kind));
	json_out_text(j, "digest",
		      e->digest.alg != DIGEST_NONE ? digest_format(&e->digest, digest) : NULL);
	json_out_size(j, "size", e->size);
	json_out_text(j, "lastUse", format_time(e->used, true, when));
	json_out_bool(j, "inUse", e->in_use);
	json_out_text(j, "path", e->path);
	json_out_end(j, '}');
}

/* The chosen ones, or all; a last line for people counts them. */
static int show(const struct request *q, const char *dir, const struct cached_list *l)
{
	CLEANUP(columns) struct columns c = {.n = 6};
	struct json_out j = {.out = stdout};
	uint64_t bytes = 0;
	size_t n = 0;
	char size[32];

	if (q->json)
		json_out_array(&j, NULL);
	for (const char *const *title = (const char *const[]){"KIND", "DIGEST", "SIZE", "LAST USE",
							      "IN USE", "FILE", NULL};
	     *title != NULL; title++)
		columns_add(&c, "%s", *title);
	for (size_t i = 0; i < l->n; i++) {
		if (q->prune && !l->v[i].chosen)
			continue;
		n++;
		bytes += l->v[i].size;
		if (q->json)
			put_entry(&j, &l->v[i]);
		else
			add_row(&c, &l->v[i]);
	}
	if (q->json) {
		json_out_end(&j, ']');
		return 0;
	}
	if (n > 0 && columns_print(&c, 1u << 2, stdout) < 0)
		return -ENOMEM;
	format_size(size, bytes);
	if (q->prune)
		printf("%s %zu of %zu, %s\n", q->dry ? "would remove" : "removed", n, l->n, size);
	else
		printf("%zu in %s, %s\n", n, dir, size);
	return 0;
}

/* ---- the work ---- */

/* Removes what is chosen; what turns out to be needed is chosen no more. */
static int remove_all(const char *dir, struct cached_list *l, struct err *err)
{
	int failed = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct cached *e = &l->v[i];
		int r = e->chosen ? cached_remove(dir, e) : 0;

		if (r == 0)
			continue;
		e->chosen = false;
		e->in_use = r == -EBUSY;
		if (r != -EBUSY && r != -ENOENT && failed == 0)
			failed = err_errno(err, -r, "%s/%s cannot be removed", dir, e->path);
	}
	return failed;
}

static int run(const struct request *q, struct err *err)
{
	CLEANUP(indexed_cache) struct indexed_cache *cache = NULL;
	CLEANUP(cached_list) struct cached_list l = {0};
	int r = indexed_cache_open(q->cache, NULL, &cache, err), failed = 0;
	const char *dir;

	if (r < 0)
		return r;
	dir = indexed_cache_dir(cache);
	if (dir == NULL)
		return err_set(err, ENOENT,
			       "there is no cache: neither $HOME nor $XDG_CACHE_HOME is set; say "
			       "with --cache where it is");
	r = cached_list(dir, &l, err);
	if (r < 0)
		return r;
	if (q->prune)
		cached_choose(&l, &q->policy, time(NULL));
	if (q->prune && !q->dry)
		failed = remove_all(dir, &l, err);
	r = show(q, dir, &l);
	if (r == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		r = -errno;
	return r < 0 ? err_errno(err, -r, "standard output") : failed;
}

int cmd_cache(const struct invocation *by, int argc, char **argv)
{
	CLEANUP(err) struct err err = {0};
	struct request q = {0};
	int status;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return cmd_help(by, 1, argv);
	status = parse(argc, argv, &q);
	if (status != 0)
		return status;
	return run(&q, &err) < 0 ? complain(&err) : 0;
}
