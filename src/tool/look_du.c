/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs du: how many bytes the files below a directory have. */
#include <errno.h>
#include <inttypes.h>

#include "base/hash.h"
#include "base/table.h"
#include "tool/columns.h"
#include "tool/look_private.h"

struct sum {
	uint64_t bytes, files;
};

struct sums {
	struct look *l;
	struct sum *v; /* owned; of the directories from the top down to where we are */
	size_t n, cap;
	struct table seen; /* files with several names */
};

struct seen {
	struct table_node node;
	uint64_t ino;
};

static void free_seen(struct table_node *node, void *arg)
{
	(void)arg;
	free(table_entry(node, struct seen, node));
}

static void sums_done(struct sums *s)
{
	table_each(&s->seen, free_seen, NULL);
	table_done(&s->seen);
	free(s->v);
}
DEFINE_CLEANUP(struct sums, sums, sums_done)

/* 1: another name of a file that was counted; 0: a new one. */
static int seen_before(struct sums *s, uint64_t ino)
{
	uint64_t hash = hash_number(ino);
	struct seen *seen;

	for (struct table_node *n = table_first(&s->seen, hash); n != NULL; n = table_next(n))
		if (table_entry(n, struct seen, node)->ino == ino)
			return 1;
	seen = malloc(sizeof(*seen));
	if (seen == NULL)
		return -ENOMEM;
	seen->ino = ino;
	table_add(&s->seen, &seen->node, hash);
	return 0;
}

static int push(struct sums *s)
{
	if (s->n == s->cap) {
		size_t cap = s->cap > 0 ? 2 * s->cap : 16;
		struct sum *grown = reallocarray(s->v, cap, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		s->v = grown;
		s->cap = cap;
	}
	s->v[s->n++] = (struct sum){0};
	return 0;
}

static void show(struct look *l, const char *path, const struct sum *sum)
{
	char size[32];

	if (l->json) {
		json_out_object(&l->j, NULL);
		json_out_bytes(&l->j, "path", path);
		json_out_size(&l->j, "size", sum->bytes);
		json_out_size(&l->j, "files", sum->files);
		json_out_end(&l->j, '}');
		return;
	}
	if (l->human)
		fprintf(l->out, "%s\t", format_size(size, sum->bytes));
	else
		fprintf(l->out, "%" PRIu64 "\t", sum->bytes);
	print_clean(l->out, path);
	fputc('\n', l->out);
}

static int count(void *arg, const struct look_item *item)
{
	struct sums *s = arg;
	const struct attr *a = item->attr;
	struct sum one = {S_ISREG(a->mode) ? a->size : 0, 1};
	int r = 0;

	if (attr_is_dir(a))
		return push(s);
	if (a->nlink > 1)
		r = seen_before(s, item->ino);
	if (r < 0)
		return r;
	if (item->depth == 0)
		show(s->l, item->path, &one);
	else if (r == 0) {
		s->v[s->n - 1].bytes += one.bytes;
		s->v[s->n - 1].files++;
	}
	return 0;
}

static int sum_up(void *arg, const struct look_item *item)
{
	struct sums *s = arg;
	struct sum sum = s->v[--s->n];

	if (item->depth == 0 || !s->l->summary)
		show(s->l, item->path, &sum);
	if (s->n > 0) {
		s->v[s->n - 1].bytes += sum.bytes;
		s->v[s->n - 1].files += sum.files;
	}
	return 0;
}

int look_du(struct look *l, const char *path, struct err *err)
{
	CLEANUP(look_place) struct look_place place = {0};
	CLEANUP(sums) struct sums s = {.l = l};
	const struct look_visitor visitor = {.enter = count, .leave = sum_up, .arg = &s};
	int r = look_at(l->fs, path, false, &place, err);

	if (r < 0)
		return r;
	r = table_init(&s.seen);
	if (r == 0)
		r = look_walk(l, &place, path, &visitor);
	return r < 0 ? err_errno(err, -r, "%s", path) : 0;
}
