/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ahead of a walk. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "union/listing.h"
#include "unit/union/support.h"

#define WIDTH	4
#define WAIT_MS 60000
#define DEPTH	5

/* WIDTH directories and as many files in each directory, DEPTH deep. */
static void describe(struct buf *text, const char *path, int depth)
{
	for (int i = 0; i < WIDTH; i++) {
		char sub[64];

		buf_printf(text, "file %s%sf%d 644 %d:%d\n", path, *path ? "/" : "", i, i, depth);
		if (depth == DEPTH)
			continue;
		snprintf(sub, sizeof(sub), "%s%sd%d", path, *path ? "/" : "", i);
		buf_printf(text, "dir %s 755 0:0\n", sub);
		describe(text, sub, depth + 1);
	}
}

static struct stack *make(void)
{
	CLEANUP(buf) struct buf text = {0};
	struct stack *s;

	describe(&text, "", 0);
	cr_assert(buf_ok(&text));
	s = STACK("file f0 600 0:0\n", buf_cstr(&text));
	union_start(s);
	return s;
}

/*
 * What a client that lists DIR with attributes sees; sub-directories are kept for it in RET_SUBS, which is as
 * long as is returned; or -1, something was wrong. (Criterion asserts in its own thread only.)
 */
static int list(struct union_dir *dir, struct union_dir **ret_subs)
{
	const struct union_list *l = NULL;
	bool wrong = false, any_dir;
	int n = 0;

	if (union_list_get(dir, &l) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		CLEANUP(union_ref) struct union_ref ref = {0};

		if (union_lookup_listed(dir, l, &l->names[i], &ref) < 0 ||
		    attr_dtype(ref.attr.mode) != l->names[i].dtype)
			wrong = true;
		else if (l->names[i].dtype == DT_DIR)
			ret_subs[n++] = union_dir_ref(ref.dir);
	}
	any_dir = l->any_dir;
	union_list_end(dir, l);
	union_walked(dir, any_dir);
	wrong = wrong || any_dir != (n > 0);
	for (int i = 0; wrong && i < n; i++)
		union_dir_unref(ret_subs[i]);
	return wrong ? -1 : n;
}

/* How many names of DIR are known beforehand. */
static size_t count_known(struct union_dir *dir)
{
	const struct union_list *l = NULL;
	size_t n = 0;

	cr_assert_eq(union_list_get(dir, &l), 0);
	for (size_t i = 0; i < l->n; i++) {
		const struct listing_known *k = listing_find_known(l, &l->names[i]);
		CLEANUP(union_ref) struct union_ref ref = {0};

		if (k == NULL)
			continue;
		n++;
		cr_assert_eq(union_lookup(dir, l->names[i].name, &ref), 0);
		cr_assert_eq(ref.attr.ino, k->attr.ino);
		cr_assert_eq(ref.attr.uid, k->attr.uid);
		cr_assert_eq(ref.attr.gid, k->attr.gid);
		cr_assert_eq(ref.part, k->part);
	}
	union_list_put(dir, l);
	return n;
}

static void sleep_ms(long ms)
{
	struct timespec t = {.tv_nsec = ms * 1000000};

	nanosleep(&t, NULL);
}

static void drop(struct union_dir **dirs, int n)
{
	for (int i = 0; i < n; i++)
		union_dir_unref(dirs[i]);
}

/* Down the first directory of each level; SUBS are those of the deepest that was listed. */
static int go_down(struct union_dir *root, int levels, struct union_dir **subs)
{
	struct union_dir *dir = union_dir_ref(root);
	int n = 0;

	for (int i = 0; i < levels; i++) {
		drop(subs, n);
		n = list(dir, subs);
		cr_assert_eq(n, WIDTH);
		union_dir_unref(dir);
		dir = union_dir_ref(subs[0]);
	}
	union_dir_unref(dir);
	return n;
}

Test(ahead, what_comes_next_is_known)
{
	struct stack *s = make();
	CLEANUP(union_dir) struct union_dir *root = union_root(s);
	struct union_dir *subs[WIDTH];
	int n = go_down(root, 4, subs);

	for (int i = 0; i < n; i++)
		for (int ms = 0; count_known(subs[i]) < WIDTH; ms++) {
			cr_assert_lt(ms, WAIT_MS);
			sleep_ms(1);
		}
	/* Directories are nodes, which their users keep. */
	cr_expect_eq(count_known(subs[0]), WIDTH);
	drop(subs, n);
	union_dir_unref(steal_ptr(&root));
	stack_free(s);
}

/* A look into a directory or two is no walk. */
Test(ahead, nothing_is_read_without_a_walk)
{
	struct stack *s = make();
	CLEANUP(union_dir) struct union_dir *root = union_root(s);
	struct union_dir *subs[WIDTH];
	int n = go_down(root, 2, subs);

	sleep_ms(50);
	for (int i = 0; i < n; i++)
		cr_expect_eq(count_known(subs[i]), 0);
	cr_expect_eq(s->ahead.n, 0);
	drop(subs, n);
	union_dir_unref(steal_ptr(&root));
	stack_free(s);
}

/* Does the thread have nothing left to do? */
static bool is_done(struct stack *s)
{
	bool done;

	pthread_mutex_lock(&s->ahead.lock);
	done = s->ahead.n == 0;
	pthread_mutex_unlock(&s->ahead.lock);
	return done;
}

static void wait_until_done(struct stack *s)
{
	for (int ms = 0; !is_done(s); ms++) {
		cr_assert_lt(ms, WAIT_MS);
		sleep_ms(1);
	}
}

/* A second walk, more than some seconds later, while the first one's directories still wait. */
Test(ahead, a_directory_that_waits_already)
{
	struct stack *s = make();
	CLEANUP(union_dir) struct union_dir *root = union_root(s);
	struct union_dir *subs[WIDTH];
	int n = go_down(root, 4, subs);
	struct union_dir *dir = union_dir_parent(subs[0]);

	wait_until_done(s);
	/* It cannot get at a listing. */
	pthread_mutex_lock(&s->lists.lock);
	for (int i = 0; i < 3; i++) {
		atomic_store(&dir->walked, 0);
		union_walked(dir, true);
	}
	cr_expect_eq(s->ahead.n, 1);
	pthread_mutex_unlock(&s->lists.lock);
	wait_until_done(s);
	drop(subs, n);
	union_dir_unref(steal_ptr(&root));
	stack_free(s);
}

/* Nothing comes next, but it is a part of the walk. */
Test(ahead, a_directory_without_directories)
{
	struct stack *s = make();
	CLEANUP(union_dir) struct union_dir *root = union_root(s);
	struct union_dir *subs[WIDTH];
	int n = go_down(root, DEPTH, subs);

	wait_until_done(s);
	pthread_mutex_lock(&s->lists.lock);
	atomic_store(&subs[0]->walked, 0);
	union_walked(subs[0], false);
	cr_expect_eq(s->ahead.n, 0);
	cr_expect_neq(atomic_load(&subs[0]->walked), 0);
	pthread_mutex_unlock(&s->lists.lock);
	drop(subs, n);
	union_dir_unref(steal_ptr(&root));
	stack_free(s);
}

/* All of it below DIR; false: something was wrong. */
static bool walk(struct union_dir *dir)
{
	struct union_dir *subs[WIDTH];
	int n = list(dir, subs);
	bool right = n >= 0;

	for (int i = 0; i < n; i++)
		right &= walk(subs[i]);
	drop(subs, n);
	return right;
}

static void *walk_main(void *arg)
{
	return walk(arg) ? arg : NULL;
}

/* The end comes at any moment, and finds nothing that is still held. */
Test(ahead, several_walks_and_the_end)
{
	for (int round = 0; round < 20; round++) {
		struct stack *s = make();
		struct union_dir *root = union_root(s);
		pthread_t threads[3];

		for (int i = 0; i < 3; i++)
			cr_assert_eq(pthread_create(&threads[i], NULL, walk_main, root), 0);
		for (int i = 0; i < 3; i++) {
			void *right = NULL;

			pthread_join(threads[i], &right);
			cr_expect_not_null(right);
		}
		union_dir_unref(root);
		stack_free(s);
	}
}

/* Listings that nobody came for are not piled up. */
Test(ahead, there_is_a_limit)
{
	struct stack *s = make();
	CLEANUP(union_dir) struct union_dir *root = union_root(s);
	struct union_dir *subs[WIDTH];
	int n;

	pthread_mutex_lock(&s->lists.lock);
	s->lists.unread += SIZE_MAX / 2;
	pthread_mutex_unlock(&s->lists.lock);
	n = go_down(root, 4, subs);
	wait_until_done(s);
	for (int i = 0; i < n; i++)
		cr_expect_eq(count_known(subs[i]), 0);
	drop(subs, n);
	union_dir_unref(steal_ptr(&root));
	stack_free(s);
}
