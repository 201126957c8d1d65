/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the cache of directory descriptors. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "layer/dir.h"
#include "support/timed.h"
#include "unit/layer/plain.h"

/* Many more than are kept with so few descriptors allowed. */
enum { OTHERS = 100, MANY = 1000, FEW_FDS = 64 };

static void allow_few_fds(void)
{
	struct rlimit lim;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &lim), 0);
	lim.rlim_cur = FEW_FDS;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
	layer_dir_keep_fds(FEW_FDS / 8);
}

static void make_numbered(struct plain *p, int n)
{
	char name[16];
	int i;

	plain_make(p);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%d", i);
		put_dir(p, name);
	}
	allow_few_fds();
	plain_open(p, NULL);
}

static struct dir_node *node_at(struct plain *p, const char *name)
{
	struct layer_entry e;

	cr_assert_eq(plain_lookup(p, name, &e), 0, "%s", name);
	return dir_node_of(e.dir);
}

static void visit_others(struct plain *p)
{
	char name[16];
	int i;

	for (i = 1; i < OTHERS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		dir_node_unref(node_at(p, name));
	}
}

/* As visit_others(), while all of them are referenced. */
static void visit_others_together(struct plain *p)
{
	struct dir_node *nodes[OTHERS];
	char name[16];
	int i;

	for (i = 1; i < OTHERS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		nodes[i] = node_at(p, name);
	}
	for (i = 1; i < OTHERS; i++)
		dir_node_unref(nodes[i]);
}

Test(dir_fds, taken_ones_stay)
{
	CLEANUP(plain) struct plain p = {0};
	struct dir_node *n;
	struct stat st;
	int fd;

	make_numbered(&p, OTHERS);
	n = node_at(&p, "0");
	fd = dir_fd_get(n);
	cr_assert_geq(fd, 0);
	visit_others_together(&p);
	visit_others_together(&p);
	cr_assert_eq(fstat(fd, &st), 0, "closed while in use");
	cr_assert_eq(st.st_ino, n->ino);
	cr_assert_eq(dir_fd_get(n), fd, "the same for everybody");
	cr_assert_eq(atomic_load(&n->users), 2);
	dir_fd_put(n);
	dir_fd_put(n);
	dir_node_unref(n);
}

Test(dir_fds, unused_ones_go_and_come_back)
{
	CLEANUP(plain) struct plain p = {0};
	struct dir_node *n;
	struct stat st;
	int fd;

	make_numbered(&p, OTHERS);
	n = node_at(&p, "0");
	cr_assert_eq(atomic_load(&n->users), 0);
	visit_others(&p);
	cr_assert_eq(atomic_load(&n->users), 0, "nobody needed the room");
	visit_others_together(&p);
	cr_assert_eq(atomic_load(&n->users), DIR_FD_CLOSED);
	cr_assert_lt(count_fds(), FEW_FDS / 2);
	fd = dir_fd_get(n);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(st.st_ino, n->ino);
	dir_fd_put(n);
	dir_node_unref(n);
}

Test(dir_fds, the_root_s_stays)
{
	CLEANUP(plain) struct plain p = {0};
	int fd;

	make_numbered(&p, OTHERS);
	fd = dir_node_of(p.root)->fd;
	visit_others_together(&p);
	cr_assert_eq(dir_node_of(p.root)->fd, fd);
	cr_assert_eq(atomic_load(&dir_node_of(p.root)->users), 1);
}

/* A call that kept its descriptor would fill the cache with ones that cannot be closed. */
Test(dir_fds, every_call_gives_back)
{
	CLEANUP(plain) struct plain p = {0};
	CLEANUP(layer_list) struct layer_list list = {0};
	CLEANUP(buf) struct buf out = {0};
	static const char *const names[] = {"f", "none", "fifo", "l", "sub", NULL};
	char text[16];
	struct dir_node *n;
	size_t i;

	plain_make(&p);
	put_dir(&p, "d");
	put_dir(&p, "d/sub");
	put_file(&p, "d/f", "x");
	put_node(&p, "d/fifo", S_IFIFO, 0, 0);
	cr_assert_eq(symlinkat("f", p.tmp.fd, "d/l"), 0);
	plain_open(&p, NULL);
	n = node_at(&p, "d");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct layer_dir *dir = dir_node_handle(n);
		struct layer_file *file = NULL;
		struct layer_entry e = {0};
		struct attr a;

		if (names[i] != NULL)
			layer_lookup(p.layer, dir, names[i], &e);
		layer_entry_done(p.layer, &e);
		layer_getattr(p.layer, dir, names[i], &a);
		layer_readlink(p.layer, dir, names[i], text, sizeof(text));
		layer_getxattr(p.layer, dir, names[i], "user.x", text, sizeof(text));
		layer_listxattr(p.layer, dir, names[i], &out);
		layer_open(p.layer, dir, names[i], &file);
		layer_file_close(file);
		layer_readdir(p.layer, dir, &list);
		layer_dir_entry(p.layer, dir, &e);
		layer_entry_done(p.layer, &e);
		cr_assert_eq(atomic_load(&n->users), 0, "%s",
			     names[i] != NULL ? names[i] : "(itself)");
		cr_assert_eq(atomic_load(&n->refs), 1);
	}
	dir_node_unref(n);
}

Test(dir_fds, makes_room_when_the_process_has_none)
{
	CLEANUP(plain) struct plain p = {0};
	int taken[FEW_FDS];
	struct layer_file *file;
	struct dir_node *d;
	size_t n = 0;

	plain_make(&p);
	put_dir(&p, "d");
	put_file(&p, "d/f", "");
	put_dir(&p, "e");
	allow_few_fds();
	plain_open(&p, NULL);
	d = node_at(&p, "d");
	while ((taken[n] = fcntl(p.tmp.fd, F_DUPFD_CLOEXEC, 3)) >= 0)
		n++;
	cr_assert_eq(errno, EMFILE);
	/* The only descriptor left to give up is d's own, which is in use while d is listed. */
	cr_assert_eq(layer_open(p.layer, p.root, "none", &file), -ENOENT);
	cr_assert_eq(plain_flags(&p, "e"), 0, "d's was closed for it");
	while (n > 0)
		close(taken[--n]);
	cr_assert_eq(layer_open(p.layer, dir_node_handle(d), "f", &file), 0);
	layer_file_close(file);
	dir_node_unref(d);
}

TIMED_TEST(dir_fds, a_thousand_directories, 120)
{
	CLEANUP(plain) struct plain p = {0};
	static struct dir_node *nodes[MANY];
	char name[16];
	int i;

	make_numbered(&p, MANY);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%d", i);
		nodes[i] = node_at(&p, name);
	}
	cr_assert_lt(count_fds(), FEW_FDS / 2);
	for (i = 0; i < MANY; i++) {
		struct dir_node *n = nodes[i * 7 % MANY];
		struct attr a;

		cr_assert_eq(layer_getattr(p.layer, dir_node_handle(n), NULL, &a), 0);
		cr_assert_eq(a.ino, n->ino);
	}
	for (i = 0; i < MANY; i++)
		dir_node_unref(nodes[i]);
}
