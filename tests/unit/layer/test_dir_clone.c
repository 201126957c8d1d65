/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of layers that share a detached mount. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/dir.h"
#include "unit/layer/plain.h"

/* A directory in a mount namespace of our own; mounts in it end with the test. */
#define WITH_MOUNTS(p)                                                                             \
	CLEANUP(plain) struct plain p = {0};                                                       \
	plain_make(&p);                                                                            \
	plain_private_mounts(&p)

static void mount_on(struct plain *p, const char *name, const char *source, const char *type,
		     unsigned long flags)
{
	char path[300], from[300];

	snprintf(path, sizeof(path), "%s/%s", p->tmp.path, name);
	snprintf(from, sizeof(from), "%s/%s", p->tmp.path, source);
	cr_assert_eq(mount(from, path, type, flags, NULL), 0, "%s: %m", name);
}

static int open_dir(struct plain *p, const char *name)
{
	int fd = openat(p->tmp.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s: %m", name);
	return fd;
}

/* FD is taken over. */
static struct layer *open_shared(int fd, struct layer_clones *clones)
{
	const struct layer_options options = {.detach = true, .clones = clones};
	CLEANUP(err) struct err err = {0};
	struct layer *l = NULL;

	cr_assert_eq(layer_open_dir(fd, "layer", &options, &l, &err), 0, "%s", err_text(&err));
	cr_assert(dir_layer_of(l)->detached);
	return l;
}

/* Does the layer have NAME in its directory DIR (NULL: in its root)? */
static bool has(struct layer *l, const char *dir, const char *name)
{
	struct layer_entry d = {0}, e = {0};
	struct layer_dir *root;
	int r;

	cr_assert_eq(layer_root(l, &root), 0);
	if (dir != NULL)
		cr_assert_eq(layer_lookup(l, root, dir, &d), 0, "%s", dir);
	r = layer_lookup(l, dir != NULL ? d.dir : root, name, &e);
	cr_assert(r == 0 || r == -ENOENT, "%s: %d", name, r);
	if (r == 0)
		layer_entry_done(l, &e);
	layer_entry_done(l, &d);
	layer_dir_unref(l, root);
	return r == 0;
}

Test(dir_clone, layers_side_by_side_share_a_mount)
{
	static const char *const names[] = {"1", "2", "ids", "ids/x", "ids/x/diff", "ids/y"};
	struct layer *l[4];
	struct layer_clones clones = {0};
	char path[400];
	WITH_MOUNTS(p);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put_dir(&p, names[i]);
	put_dir(&p, "ids/y/diff");
	put_dir(&p, "1/one");
	put_dir(&p, "2/two");
	put_dir(&p, "2/two/inside");
	put_dir(&p, "ids/x/diff/x");
	put_dir(&p, "ids/y/diff/y");
	l[0] = open_shared(open_dir(&p, "1"), &clones);
	l[1] = open_shared(open_dir(&p, "2"), &clones);
	cr_assert_eq(clones.n, 1);
	cr_assert_geq(clones.v[0].fd, 0);
	l[2] = open_shared(open_dir(&p, "ids/x/diff"), &clones);
	l[3] = open_shared(open_dir(&p, "ids/y/diff"), &clones);
	cr_assert_eq(clones.n, 1, "what lies deeper lies in it as well");
	layer_clones_done(&clones);
	cr_assert_eq(clones.n, 0);
	/* Nothing that is mounted later is seen, neither in a layer nor over all of them. */
	mount_on(&p, "2/two", "", "tmpfs", 0);
	snprintf(path, sizeof(path), "%s", p.tmp.path);
	cr_assert_eq(mount("none", path, "tmpfs", 0, NULL), 0);
	cr_assert(has(l[0], NULL, "one"));
	cr_assert_not(has(l[0], NULL, "two"));
	cr_assert(has(l[1], "two", "inside"));
	cr_assert(has(l[2], NULL, "x"));
	cr_assert(has(l[3], NULL, "y"));
	for (int i = 0; i < 4; i++)
		layer_close(l[i]);
	umount2(path, MNT_DETACH);
	snprintf(path, sizeof(path), "%s/2/two", p.tmp.path);
	umount2(path, MNT_DETACH);
}

/* By the names that lead to them these would be other directories. */
Test(dir_clone, a_layer_is_the_directory_that_was_opened)
{
	struct layer_clones clones = {0};
	struct layer *l[5];
	int fds[5];
	WITH_MOUNTS(p);

	for (char name[2] = "a"; name[0] <= 'f'; name[0]++)
		put_dir(&p, name);
	put_dir(&p, "b/in_b");
	put_dir(&p, "c/in_c");
	put_dir(&p, "d/in_d");
	put_dir(&p, "f/in_f");
	l[0] = open_shared(open_dir(&p, "a"), &clones);
	/* Mounted over while it was open. */
	fds[1] = open_dir(&p, "b");
	mount_on(&p, "b", "", "tmpfs", 0);
	l[1] = open_shared(fds[1], &clones);
	cr_assert(has(l[1], NULL, "in_b"));
	/* A mount, and a directory in it. */
	l[2] = open_shared(open_dir(&p, "b"), &clones);
	cr_assert_not(has(l[2], NULL, "in_b"));
	/* Another directory has its name. */
	fds[3] = open_dir(&p, "c");
	cr_assert_eq(renameat(p.tmp.fd, "c", p.tmp.fd, "moved"), 0);
	put_dir(&p, "c");
	l[3] = open_shared(fds[3], &clones);
	cr_assert(has(l[3], NULL, "in_c"));
	/* The directory of another layer, by another mount of it. */
	mount_on(&p, "e", "d", NULL, MS_BIND);
	l[4] = open_shared(open_dir(&p, "e"), &clones);
	cr_assert(has(l[4], NULL, "in_d"));
	cr_assert_eq(clones.n, 3);
	layer_clones_done(&clones);
	for (int i = 0; i < 5; i++)
		layer_close(l[i]);
}

Test(dir_clone, a_deleted_directory_and_too_many_places)
{
	enum { PLACES = LAYER_CLONES_MAX + 3 };
	struct layer_clones clones = {0};
	struct layer *l[PLACES];
	char name[64];
	int fd;
	WITH_MOUNTS(p);

	put_dir(&p, "gone");
	fd = open_dir(&p, "gone");
	cr_assert_eq(unlinkat(p.tmp.fd, "gone", AT_REMOVEDIR), 0);
	layer_close(open_shared(fd, &clones));
	layer_clones_done(&clones);
	for (int i = 0; i < PLACES; i++) {
		snprintf(name, sizeof(name), "%d", i);
		put_dir(&p, name);
		mount_on(&p, name, "", "tmpfs", 0);
		snprintf(name, sizeof(name), "%d/deep", i);
		put_dir(&p, name);
		snprintf(name, sizeof(name), "%d/deep/layer", i);
		put_dir(&p, name);
		snprintf(name, sizeof(name), "%d/deep/layer/in_%d", i, i);
		put_dir(&p, name);
		snprintf(name, sizeof(name), "%d/deep/layer", i);
		l[i] = open_shared(open_dir(&p, name), &clones);
	}
	cr_assert_eq(clones.n, LAYER_CLONES_MAX);
	layer_clones_done(&clones);
	for (int i = 0; i < PLACES; i++) {
		snprintf(name, sizeof(name), "in_%d", i);
		cr_assert(has(l[i], NULL, name), "%d", i);
		layer_close(l[i]);
	}
}
