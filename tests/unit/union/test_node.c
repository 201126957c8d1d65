/* SPDX-License-Identifier: Apache-2.0 */
/* Directories in memory: one node a directory, from any thread. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "unit/union/support.h"

Test(node, two_lookups_give_one)
{
	struct stack *s = STACK("dir d 755 0:0\ndir d/e 755 0:0\n", "dir d 755 0:0\n");
	struct union_ref a = {0}, b = {0}, c = {0};

	cr_assert_eq(union_walk(s, "d", &a), 0);
	cr_assert_eq(union_walk(s, "d", &b), 0);
	cr_assert_eq(a.dir, b.dir);
	cr_assert_eq(a.attr.ino, b.attr.ino);
	cr_assert_eq(a.attr.nlink, 1);
	cr_assert_eq(b.attr.nlink, 1);
	cr_assert_eq(union_walk(s, "d/e", &c), 0);
	cr_assert_neq(a.dir, c.dir);
	union_ref_done(&a);
	union_ref_done(&b);
	/* A node keeps its parents. */
	cr_assert_str_eq(union_dir_name(union_dir_parent(c.dir)), "d");
	cr_assert_eq(union_walk(s, "d", &a), 0);
	cr_assert_eq(union_dir_parent(c.dir), a.dir);
	union_ref_done(&c);
	union_ref_done(&a);
	stack_free(s);
}

#define THREADS 4
#define ROUNDS	4000

struct worker {
	pthread_t thread;
	struct stack *stack;
	unsigned int seed;
	const char *wrong; /* what went wrong first */
};

static const char *const paths[] = {"a", "a/b", "a/b/c", "a/x", "r", "r/c", "a/b/f", "m", "none"};

static const char *check_path(struct stack *s, size_t which)
{
	struct union_ref ref = {0}, again = {0};
	struct buf path = {0};
	const char *wrong = NULL;
	int r = union_walk(s, paths[which], &ref);

	if (which == 8)
		return r == -ENOENT ? NULL : "none";
	if (r < 0)
		return paths[which];
	if (attr_is_dir(&ref.attr)) {
		/* While one is held, every look-up gives that one. */
		if (union_walk(s, paths[which], &again) < 0 || again.dir != ref.dir)
			wrong = "another node";
		union_ref_done(&again);
		if (union_path(ref.dir, NULL, &path) < 0 ||
		    strcmp(buf_cstr(&path), paths[which]) != 0)
			wrong = "path";
	} else if (strcmp(paths[which], "m") == 0 && ref.data == NULL) {
		wrong = "data";
	}
	buf_done(&path);
	union_ref_done(&ref);
	return wrong;
}

static const char *check_list(struct stack *s, unsigned int which)
{
	const struct union_list *l;
	struct union_ref ref = {0};
	const char *wrong = NULL;

	if (union_walk(s, which % 2 ? "a" : "r", &ref) < 0 || union_list_get(ref.dir, &l) < 0)
		return "list";
	if (l->n != (which % 2 ? 2 : 3))
		wrong = "listing";
	union_list_put(ref.dir, l);
	if (which % 7 == 0)
		stack_trim(s);
	union_ref_done(&ref);
	return wrong;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < ROUNDS && w->wrong == NULL; i++) {
		unsigned int n = (unsigned int)rand_r(&w->seed);

		w->wrong = n % 5 == 0 ? check_list(w->stack, n / 5)
				      : check_path(w->stack, n / 5 % 9);
	}
	return NULL;
}

Test(node, threads)
{
	struct worker workers[THREADS];
	struct stack *s = STACK("dir a 755 0:0\ndir a/b 755 0:0\ndir r 755 0:0 redirect=/a/b\n"
				"file m 644 0:0 metacopy redirect=/a/b/f\nfile r/own 644 0:0\n",
				"dir a 755 0:0\ndir a/b 755 0:0\ndir a/b/c 755 0:0\n"
				"file a/b/f 644 0:0 data=f\ndir a/x 755 0:0\n");

	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.stack = s, .seed = i + 1};
		cr_assert_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		cr_assert_null(workers[i].wrong, "%s", workers[i].wrong);
	}
	stack_free(s);
}

/* Two look-ups that are both in the layer before either has made its node. */
static pthread_barrier_t both_inside;
static const struct layer_ops *inner;

static int slow_lookup(struct layer *l, struct layer_dir *dir, const char *name,
		       struct layer_entry *ret_entry)
{
	pthread_barrier_wait(&both_inside);
	return inner->lookup(l, dir, name, ret_entry);
}

static void *look_up(void *arg)
{
	struct union_dir *dir = NULL;
	struct union_ref ref = {0};

	if (union_walk(arg, "d", &ref) == 0)
		dir = union_dir_ref(ref.dir);
	union_ref_done(&ref);
	return dir;
}

Test(node, two_lookups_at_once_give_one)
{
	struct stack *s = STACK("dir d 755 0:0\n");
	struct layer *l = stack_layer(s, 0);
	struct layer_ops ops = *l->ops;
	void *a = NULL, *b = NULL;
	pthread_t one, two;

	inner = l->ops;
	ops.lookup = slow_lookup;
	l->ops = &ops;
	pthread_barrier_init(&both_inside, NULL, 2);
	cr_assert_eq(pthread_create(&one, NULL, look_up, s), 0);
	cr_assert_eq(pthread_create(&two, NULL, look_up, s), 0);
	pthread_join(one, &a);
	pthread_join(two, &b);
	cr_assert_not_null(a);
	cr_assert_eq(a, b);
	union_dir_unref(a);
	union_dir_unref(b);
	l->ops = inner;
	stack_free(s);
	pthread_barrier_destroy(&both_inside);
}
