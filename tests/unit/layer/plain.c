/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the plain-directory backend share. */
#include "unit/layer/plain.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

void plain_make(struct plain *p)
{
	tmpdir_make(&p->tmp);
}

void plain_open(struct plain *p, const struct layer_options *options)
{
	static const struct layer_options off;
	CLEANUP(err) struct err err = {0};
	int fd = fcntl(p->tmp.fd, F_DUPFD_CLOEXEC, 3);

	cr_assert_eq(layer_open_dir(fd, p->tmp.path, options != NULL ? options : &off, &p->layer,
				    &err),
		     0, "%s", err_text(&err));
	cr_assert_eq(layer_root(p->layer, &p->root), 0);
}

void plain_close(struct plain *p)
{
	if (p->layer != NULL)
		layer_dir_unref(p->layer, p->root);
	layer_close(p->layer);
	p->layer = NULL;
	p->root = NULL;
}

void plain_done(struct plain *p)
{
	plain_close(p);
	tmpdir_done(&p->tmp);
}

void plain_private_mounts(struct plain *p)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("cannot mount here: %m");
	close(p->tmp.fd);
	p->tmp.fd = open(p->tmp.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(p->tmp.fd, 0);
}

void put_dir(struct plain *p, const char *path)
{
	cr_assert_eq(mkdirat(p->tmp.fd, path, 0755), 0, "%s: %m", path);
}

void put_file(struct plain *p, const char *path, const char *bytes)
{
	int fd = openat(p->tmp.fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0, "%s: %m", path);
	cr_assert_eq(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
	close(fd);
}

void put_node(struct plain *p, const char *path, mode_t mode, unsigned int major,
	      unsigned int minor)
{
	cr_assert_eq(mknodat(p->tmp.fd, path, mode, makedev(major, minor)), 0, "%s: %m", path);
}

void put_xattr(struct plain *p, const char *path, const char *xattr, const char *value)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", p->tmp.path, path);
	cr_assert_eq(lsetxattr(full, xattr, value, strlen(value), 0), 0, "%s %s: %m", path, xattr);
}

/* The directory that holds PATH's last component, which *RET_NAME points to; a new reference. */
static int walk(struct plain *p, const char *path, struct layer_dir **ret_dir,
		const char **ret_name)
{
	struct layer_dir *dir = layer_dir_ref(p->layer, p->root);
	const char *slash;

	for (; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		struct layer_entry e = {0};
		char name[NAME_MAX + 1];
		int r;

		snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
		r = layer_lookup(p->layer, dir, name, &e);
		layer_dir_unref(p->layer, dir);
		if (r < 0)
			return r;
		dir = e.dir;
		cr_assert_not_null(dir, "%s", name);
		free(e.redirect);
	}
	*ret_dir = dir;
	*ret_name = path;
	return 0;
}

int plain_lookup(struct plain *p, const char *path, struct layer_entry *ret_entry)
{
	struct layer_dir *dir;
	const char *name;
	int r = walk(p, path, &dir, &name);

	*ret_entry = (struct layer_entry){0};
	if (r < 0)
		return r;
	r = layer_lookup(p->layer, dir, name, ret_entry);
	layer_dir_unref(p->layer, dir);
	return r;
}

int plain_flags(struct plain *p, const char *path)
{
	struct layer_entry e;
	int r = plain_lookup(p, path, &e);

	if (r < 0)
		return r;
	r = (int)e.flags;
	layer_entry_done(p->layer, &e);
	return r;
}

struct attr plain_attr(struct plain *p, const char *path)
{
	struct layer_entry e;
	struct attr a;

	cr_assert_eq(plain_lookup(p, path, &e), 0, "%s", path);
	a = e.attr;
	layer_entry_done(p->layer, &e);
	return a;
}

/* The listing of PATH. */
static void list_path(struct plain *p, const char *path, struct layer_list *list)
{
	struct layer_entry e = {0};

	if (path[0] != '\0')
		cr_assert_eq(plain_lookup(p, path, &e), 0, "%s", path);
	cr_assert_eq(layer_readdir(p->layer, e.dir != NULL ? e.dir : p->root, list), 0);
	layer_entry_done(p->layer, &e);
}

int plain_listed(struct plain *p, const char *path, const char *name)
{
	CLEANUP(layer_list) struct layer_list list = {0};
	int found = -ENOENT;
	size_t i;

	list_path(p, path, &list);
	for (i = 0; i < list.n; i++) {
		if (strcmp((const char *)list.text.data + list.names[i].off, name) != 0)
			continue;
		cr_assert_eq(found, -ENOENT, "%s is listed twice", name);
		found = list.names[i].dtype;
	}
	return found;
}

size_t plain_count(struct plain *p, const char *path)
{
	CLEANUP(layer_list) struct layer_list list = {0};

	list_path(p, path, &list);
	return list.n;
}
