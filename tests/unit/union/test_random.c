/* SPDX-License-Identifier: Apache-2.0 */
/* Random stacks, compared in full with a naive model of the rules. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "unit/union/model.h"
#include "unit/union/support.h"

#define STACKS 3000

static struct stack *build(const struct model *m)
{
	const char *texts[MODEL_LAYERS];
	struct stack *s;

	for (int l = 0; l < m->n; l++)
		texts[l] = model_text(m, l);
	s = stack_of_texts(texts, (size_t)m->n, 0, TRUST_ALL);
	for (int l = 0; l < m->n; l++)
		free((char *)(uintptr_t)texts[l]);
	return s;
}

static void check_dir(const struct model_answer *a, const struct union_ref *ref, const char *where)
{
	cr_assert_eq(a->kind, M_DIR, "%s", where);
	cr_assert_eq(union_dir_parts(ref->dir), (size_t)a->parts, "%s has %zu parts, not %d", where,
		     union_dir_parts(ref->dir), a->parts);
	cr_assert_eq(ref->attr.uid, (uint32_t)a->layer, "%s", where);
	cr_assert_eq(ref->attr.gid, (uint32_t)a->node, "%s", where);
}

static void check_file(struct stack *s, const struct model_answer *a, const struct union_ref *ref,
		       const char *path, const char *where)
{
	char want[32], target[32] = "";
	const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;

	snprintf(want, sizeof(want), "%d:%d", a->bytes_layer, a->bytes_node);
	if (S_ISLNK(ref->attr.mode)) {
		cr_assert_eq(a->kind, M_SYMLINK, "%s", where);
		cr_assert_gt(union_readlink(ref->dir, name, ref->part, target, sizeof(target)), 0);
		cr_assert_str_eq(target, want, "%s", where);
		return;
	}
	cr_assert_eq(a->kind, M_FILE, "%s", where);
	cr_assert_eq(ref->attr.uid, (uint32_t)a->layer, "%s", where);
	cr_assert_eq(ref->attr.gid, (uint32_t)a->node, "%s", where);
	assert_file(s, path, want);
}

/* Is a metacopy without bytes on the way to PATH? Then it is what the walk ends at. */
static bool broken_above(const struct model *m, const char *path)
{
	char prefix[MODEL_PATH];

	for (size_t len = 1; len < strlen(path); len += 2) {
		snprintf(prefix, sizeof(prefix), "%.*s", (int)len, path);
		if (model_find(m, 0, prefix).no_bytes)
			return true;
	}
	return false;
}

/* Everything that the model says of one path. */
static void check_path(struct stack *s, const struct model *m, uint32_t seed, int index)
{
	CLEANUP(union_ref) struct union_ref ref = {0};
	struct model_answer a;
	char path[MODEL_PATH], where[64];
	int r;

	model_path(index, path);
	snprintf(where, sizeof(where), "seed %u, \"%s\"", seed, path);
	a = model_find(m, 0, path);
	r = union_walk(s, path, &ref);
	if (a.kind == M_NONE) {
		cr_assert(r == -ENOENT || r == -ENOTDIR || (r == -EIO && broken_above(m, path)),
			  "%s: %d", where, r);
	} else if (a.no_bytes) {
		cr_assert_eq(r, -EIO, "%s: %d", where, r);
	} else {
		cr_assert_eq(r, 0, "%s: %d", where, r);
		if (attr_is_dir(&ref.attr))
			check_dir(&a, &ref, where);
		else
			check_file(s, &a, &ref, path, where);
	}
}

/* How many names the model sees in the whole tree. */
static size_t count_model(const struct model *m)
{
	size_t n = 0;

	for (int i = 1; i < MODEL_NODES; i++) {
		char path[MODEL_PATH];

		model_path(i, path);
		n += model_find(m, 0, path).kind != M_NONE;
	}
	return n;
}

/* Lines of the tree's text with a path of the model, and not deeper as redirects can lead. */
static size_t count_tree(struct stack *s)
{
	CLEANUP(free) char *text = tree_text(s);
	size_t n = 0;
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		const char *path = strchr(line, ' ') + 1;

		n += strcspn(path, " ") < MODEL_PATH;
	}
	return n;
}

static void check_stack(uint32_t seed)
{
	struct model *m = malloc(sizeof(*m));
	struct stack *s;

	model_make(m, seed);
	s = build(m);
	for (int i = 0; i < MODEL_NODES; i++)
		check_path(s, m, seed, i);
	/* Listings were compared with look-ups by tree_text(); look-ups with the model above. */
	cr_assert_eq(count_tree(s), count_model(m), "seed %u: names listed", seed);
	stack_free(s);
	free(m);
}

Test(random, stacks_show_what_the_model_says)
{
	const char *text = getenv("PLYFS_SEED");
	uint32_t seed = text != NULL ? (uint32_t)strtoul(text, NULL, 10) : 1;

	log_set_level(LOG_LEVEL_ERROR);
	for (uint32_t i = 0; i < (text != NULL ? 1 : STACKS); i++)
		check_stack(seed + i);
}
