/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of a layer: depth, numbers, threads, lifetimes, and trees that change underneath. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contract/contract.h"
#include "layer/backends.h"

/* 40 levels with names of 200 bytes: a path of 8,000. */
enum { DEEP_LEVELS = 40, DEEP_NAME = 200 };
#define TREE_ROOT "dir . 0755 0:0\n"

/* A tree that is too big for a literal: the text must outlive the case only while it is parsed. */
static struct layer *reopen(struct fixture *f, struct buf *text)
{
	const struct variant *v = f->variant;

	cr_assert_not_null(buf_cstr(text));
	fixture_close(f);
	*f = (struct fixture){0};
	fixture_open(f, v, (const char *)text->data, 0);
	return f->layer;
}

static void put_deep_tree(struct buf *text)
{
	CLEANUP(buf) struct buf path = {0};
	int i, j;

	for (i = 0; i < DEEP_LEVELS; i++) {
		if (i > 0)
			buf_put_str(&path, "/");
		for (j = 0; j < DEEP_NAME; j++)
			buf_put_u8(&path, (uint8_t)('a' + i % 26));
		buf_printf(text, "dir %s 0755 0:0\n", buf_cstr(&path));
	}
	buf_printf(text, "file %s/leaf 0644 0:0 data=bottom xattr:user.deep=yes\n",
		   buf_cstr(&path));
}

/* The last directory of a deep tree, by steps. */
static struct layer_dir *descend(struct layer *l)
{
	struct layer_dir *dir = dir_at(l, "");
	char name[DEEP_NAME + 1];
	int i;

	for (i = 0; i < DEEP_LEVELS; i++) {
		struct layer_entry e = {0};

		memset(name, 'a' + i % 26, DEEP_NAME);
		name[DEEP_NAME] = '\0';
		cr_assert_eq(layer_lookup(l, dir, name, &e), 0);
		layer_dir_unref(l, dir);
		dir = e.dir;
		free(e.redirect);
	}
	return dir;
}

static void set_max_fds(rlim_t max)
{
	struct rlimit lim;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &lim), 0);
	lim.rlim_cur = max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
	layer_dir_keep_fds(max / 8);
}

static void check_leaf(struct layer *l, struct layer_dir *dir, const char *bytes)
{
	CLEANUP(layer_file) struct layer_file *file = NULL;
	char got[64];

	cr_assert_eq(layer_open(l, dir, "leaf", &file), 0);
	cr_assert_eq(layer_file_read(file, got, sizeof(got), 0), (ssize_t)strlen(bytes));
	cr_assert_eq(memcmp(got, bytes, strlen(bytes)), 0);
}

CONTRACT(stress, deeper_than_path_max, TREE_ROOT)
{
	CLEANUP(buf) struct buf text = {0};
	struct layer_dir *dir;
	struct layer *l;
	char value[8];

	put_deep_tree(&text);
	l = reopen(f, &text);
	dir = descend(l);
	check_leaf(l, dir, "bottom");
	cr_assert_eq(layer_getxattr(l, dir, "leaf", "user.deep", value, sizeof(value)), 3);
	layer_dir_unref(l, dir);
}

enum { WIDE = 12, MANY = WIDE * WIDE };

static void put_wide_tree(struct buf *text)
{
	int i, j;

	for (i = 0; i < WIDE; i++) {
		buf_printf(text, "dir p%d 0755 0:0\n", i);
		for (j = 0; j < WIDE; j++)
			buf_printf(text,
				   "dir p%d/c%d 0755 0:0\nfile p%d/c%d/leaf 0644 0:0 data=%d.%d\n",
				   i, j, i, j, i, j);
	}
}

static void hold_all(struct layer *l, struct layer_dir **dirs)
{
	int i, j;

	for (i = 0; i < WIDE; i++) {
		char path[32];

		snprintf(path, sizeof(path), "p%d", i);
		for (j = 0; j < WIDE; j++) {
			snprintf(path, sizeof(path), "p%d/c%d", i, j);
			dirs[i * WIDE + j] = dir_at(l, path);
		}
	}
}

CONTRACT(stress, more_directories_than_descriptors, TREE_ROOT)
{
	CLEANUP(free) struct layer_dir **dirs = calloc(MANY, sizeof(*dirs));
	CLEANUP(buf) struct buf text = {0};
	struct layer *l;
	int i;

	put_wide_tree(&text);
	set_max_fds(64);
	l = reopen(f, &text);
	hold_all(l, dirs);
	/* All of them again, in an order that finds each one's descriptor gone. */
	for (i = 0; i < MANY; i++) {
		int at = i * 55 % MANY;
		char bytes[16];

		snprintf(bytes, sizeof(bytes), "%d.%d", at / WIDE, at % WIDE);
		check_leaf(l, dirs[at], bytes);
	}
	if ((l->caps & LAYER_CAP_FD) != 0)
		cr_assert_lt(count_fds(), 40);
	for (i = 0; i < MANY; i++)
		layer_dir_unref(l, dirs[i]);
}

CONTRACT(stress, deep_with_few_descriptors, TREE_ROOT)
{
	struct layer_dir *dirs[8];
	CLEANUP(buf) struct buf text = {0};
	struct layer *l;
	size_t i, j;

	put_deep_tree(&text);
	set_max_fds(64);
	l = reopen(f, &text);
	for (i = 0; i < 8; i++)
		dirs[i] = descend(l);
	for (j = 0; j < 3; j++) {
		for (i = 0; i < 8; i++)
			check_leaf(l, dirs[i], "bottom");
	}
	for (i = 0; i < 8; i++)
		layer_dir_unref(l, dirs[i]);
}

CONTRACT(stress, directories_outlive_their_parents, NULL)
{
	struct layer_dir *root = dir_at(f->layer, ""), *d, *sub;
	struct layer_entry e = {0};
	struct attr a;

	cr_assert_eq(layer_lookup(f->layer, root, "d", &e), 0);
	layer_dir_unref(f->layer, root);
	d = e.dir;
	free(e.redirect);
	e = (struct layer_entry){0};
	cr_assert_eq(layer_lookup(f->layer, d, "sub", &e), 0);
	layer_dir_unref(f->layer, d);
	sub = layer_dir_ref(f->layer, e.dir);
	layer_entry_done(f->layer, &e);
	cr_assert_eq(layer_getattr(f->layer, sub, NULL, &a), 0);
	cr_assert_eq(a.mode, S_IFDIR | 01777);
	cr_assert_eq(layer_lookup(f->layer, sub, "deep", &e), 0);
	layer_dir_unref(f->layer, sub);
	check_leaf(f->layer, e.dir, "leaf");
	layer_entry_done(f->layer, &e);
}

struct walkers {
	struct layer *layer;
	pthread_barrier_t start;
	atomic_size_t visited;
	atomic_int failed;
};

static void walk(struct walkers *w, struct layer_dir *dir);

static void visit(struct walkers *w, struct layer_dir *dir, const char *name)
{
	struct layer_entry e = {0};
	struct layer_file *file = NULL;
	char bytes[512];

	if (layer_lookup(w->layer, dir, name, &e) < 0) {
		atomic_fetch_add(&w->failed, 1);
		return;
	}
	atomic_fetch_add(&w->visited, 1);
	if (e.dir != NULL) {
		walk(w, e.dir);
	} else if (e.flags == 0 && S_ISREG(e.attr.mode)) {
		if (layer_open(w->layer, dir, name, &file) < 0 ||
		    layer_file_read(file, bytes, sizeof(bytes), 0) < 0)
			atomic_fetch_add(&w->failed, 1);
		layer_file_close(file);
	}
	layer_entry_done(w->layer, &e);
}

static void walk(struct walkers *w, struct layer_dir *dir)
{
	CLEANUP(layer_list) struct layer_list list = {0};
	size_t i;

	if (layer_readdir(w->layer, dir, &list) < 0)
		atomic_fetch_add(&w->failed, 1);
	for (i = 0; i < list.n; i++)
		visit(w, dir, (const char *)list.text.data + list.names[i].off);
}

static void *walker(void *arg)
{
	struct walkers *w = arg;
	struct layer_dir *root = NULL;
	int i;

	pthread_barrier_wait(&w->start);
	for (i = 0; i < 3; i++) {
		if (layer_root(w->layer, &root) < 0)
			return NULL;
		walk(w, root);
		layer_dir_unref(w->layer, root);
	}
	return NULL;
}

enum { THREADS = 4 };

static size_t walk_in_threads(struct layer *l)
{
	struct walkers w = {.layer = l};
	pthread_t threads[THREADS];
	int i;

	pthread_barrier_init(&w.start, NULL, THREADS);
	for (i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, walker, &w), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&w.start);
	cr_assert_eq(atomic_load(&w.failed), 0);
	return atomic_load(&w.visited);
}

CONTRACT(stress, threads_walk, NULL)
{
	size_t visited = walk_in_threads(f->layer);

	cr_assert_gt(visited, 0);
	cr_assert_eq(visited % ((size_t)THREADS * 3), 0, "threads saw different trees");
}

CONTRACT(stress, threads_share_few_descriptors, TREE_ROOT)
{
	CLEANUP(buf) struct buf text = {0};

	put_wide_tree(&text);
	set_max_fds(64);
	reopen(f, &text);
	cr_assert_eq(walk_in_threads(f->layer), (size_t)THREADS * 3 * (WIDE + 2 * MANY));
}

/* Everything that can be asked of DIR fails or answers; nothing crashes. */
static void ask_all(struct layer *l, struct layer_dir *dir)
{
	CLEANUP(layer_list) struct layer_list list = {0};
	CLEANUP(buf) struct buf out = {0};
	struct layer_file *file = NULL;
	struct layer_entry e = {0};
	char text[64];
	struct attr a;

	cr_assert_lt(layer_lookup(l, dir, "deep", &e), 0);
	cr_assert_lt(layer_getattr(l, dir, "deep", &a), 0);
	cr_assert_lt(layer_open(l, dir, "deep", &file), 0);
	cr_assert_lt(layer_readlink(l, dir, "deep", text, sizeof(text)), 0);
	cr_assert_lt(layer_getxattr(l, dir, "deep", "user.x", text, sizeof(text)), 0);
	cr_assert_lt(layer_listxattr(l, dir, "deep", &out), 0);
	layer_getattr(l, dir, NULL, &a);
	layer_listxattr(l, dir, NULL, &out);
	layer_readdir(l, dir, &list);
	cr_assert_eq(list.n, 0);
}

CONTRACT(stress, the_tree_vanishes, NULL)
{
	struct layer_dir *sub;
	CLEANUP(layer_file) struct layer_file *file = NULL;
	CLEANUP(held_dir) struct held_dir d = held_dir_at(f, "d");
	char bytes[8];

	if ((f->variant->traits & ON_DISK) == 0)
		return;
	sub = dir_at(f->layer, "d/sub");
	cr_assert_eq(layer_open(f->layer, d.dir, "f", &file), 0);
	remove_all(f->tmp.fd, "d");
	ask_all(f->layer, sub);
	cr_assert_eq(layer_file_read(file, bytes, 5, 0), 5, "an open file keeps its bytes");
	layer_dir_unref(f->layer, sub);
}

/* Uses so many directories that no older descriptor stays open. */
static void flush_descriptors(struct layer *l)
{
	struct layer_dir *dirs[WIDE];
	char name[16];
	int i, j;

	for (j = 0; j < 3; j++) {
		for (i = 0; i < WIDE; i++) {
			struct attr a;

			snprintf(name, sizeof(name), "p%d", i);
			dirs[i] = dir_at(l, name);
			cr_assert_eq(layer_getattr(l, dirs[i], NULL, &a), 0);
		}
		for (i = 0; i < WIDE; i++)
			layer_dir_unref(l, dirs[i]);
	}
}

CONTRACT(stress, a_directory_is_replaced, TREE_ROOT)
{
	CLEANUP(buf) struct buf text = {0};
	struct layer_dir *dir;
	struct layer_entry e;
	struct attr a;

	if ((f->variant->traits & ON_DISK) == 0)
		return;
	put_wide_tree(&text);
	buf_put_str(&text, "dir d 0755 0:0\ndir d/x 0755 0:0\nfile d/x/leaf 0644 0:0\n");
	set_max_fds(64);
	reopen(f, &text);
	dir = dir_at(f->layer, "d/x");
	flush_descriptors(f->layer);
	cr_assert_eq(layer_getattr(f->layer, dir, NULL, &a), 0, "found again while it is there");
	flush_descriptors(f->layer);

	cr_assert_eq(renameat(f->tmp.fd, "d/x", f->tmp.fd, "d/old"), 0);
	cr_assert_eq(layer_getattr(f->layer, dir, NULL, &a), -ESTALE, "gone");
	cr_assert_eq(mkdirat(f->tmp.fd, "d/x", 0755), 0);
	cr_assert_eq(layer_getattr(f->layer, dir, NULL, &a), -ESTALE, "another one");
	cr_assert_eq(layer_lookup(f->layer, dir, "leaf", &e), -ESTALE);
	cr_assert_eq(unlinkat(f->tmp.fd, "d/x", AT_REMOVEDIR), 0);
	cr_assert_eq(symlinkat("old", f->tmp.fd, "d/x"), 0);
	cr_assert_eq(layer_getattr(f->layer, dir, NULL, &a), -ESTALE, "a link");
	cr_assert_eq(unlinkat(f->tmp.fd, "d/x", 0), 0);
	cr_assert_eq(mknodat(f->tmp.fd, "d/x", S_IFIFO | 0600, 0), 0);
	cr_assert_eq(layer_getattr(f->layer, dir, NULL, &a), -ESTALE, "a fifo");
	layer_dir_unref(f->layer, dir);
}

CONTRACT(stress, a_file_becomes_something_else, NULL)
{
	CLEANUP(held_dir) struct held_dir d = held_dir_at(f, "d");
	struct layer_file *file = NULL;

	if ((f->variant->traits & ON_DISK) == 0)
		return;
	alarm(10);
	cr_assert_eq(unlinkat(f->tmp.fd, "d/f", 0), 0);
	cr_assert_eq(mknodat(f->tmp.fd, "d/f", S_IFIFO | 0600, 0), 0);
	cr_assert_eq(layer_open(f->layer, d.dir, "f", &file), -ESTALE);
	cr_assert_eq(unlinkat(f->tmp.fd, "d/f", 0), 0);
	cr_assert_eq(symlinkat("/etc/passwd", f->tmp.fd, "d/f"), 0);
	cr_assert_eq(layer_open(f->layer, d.dir, "f", &file), -ESTALE, "a link is not followed");
	cr_assert_eq(unlinkat(f->tmp.fd, "d/f", 0), 0);
	cr_assert_eq(mkdirat(f->tmp.fd, "d/f", 0755), 0);
	cr_assert_eq(layer_open(f->layer, d.dir, "f", &file), -EISDIR);
	alarm(0);
}
