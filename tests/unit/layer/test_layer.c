/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what layer.c does for every backend, of tracing, and of choosing a backend. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "unit/layer/plain.h"

Test(layer, list_grows)
{
	CLEANUP(layer_list) struct layer_list l = {0};
	char name[NAME_MAX + 2];
	size_t i;

	for (i = 0; i < 1000; i++) {
		int len = snprintf(name, sizeof(name), "n%zu", i);

		cr_assert_eq(layer_list_add(&l, name, (size_t)len, i, DT_REG, i % 2 == 0), 0);
	}
	cr_assert_eq(l.n, 1000);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%zu", i);
		cr_assert_str_eq((char *)l.text.data + l.names[i].off, name);
		cr_assert_eq(l.names[i].len, strlen(name));
		cr_assert_eq(l.names[i].ino, i);
		cr_assert_eq(l.names[i].above, i % 2 == 0);
	}
	memset(name, 'x', sizeof(name));
	cr_assert_eq(layer_list_add(&l, name, NAME_MAX + 1, 0, DT_REG, false), -EOVERFLOW);
	cr_assert_eq(l.n, 1000);
	layer_list_done(&l);
	cr_assert_eq(l.n, 0);
	cr_assert_null(l.names);
}

Test(layer, nothing_is_fine)
{
	struct layer_entry e = {0};

	layer_close(NULL);
	layer_file_close(NULL);
	layer_dir_unref(NULL, NULL);
	layer_entry_done(NULL, &e);
	cr_assert_null(e.dir);
}

/* A listing that fails halfway leaves the list as it was. */
static int list_and_fail(struct layer *l, struct layer_dir *dir, struct layer_list *list)
{
	(void)l, (void)dir;
	layer_list_add(list, "half", 4, 1, DT_REG, false);
	return -EIO;
}

static int lookup_and_fail(struct layer *l, struct layer_dir *dir, const char *name,
			   struct layer_entry *ret_entry)
{
	(void)l, (void)dir, (void)name;
	ret_entry->redirect = strdup("to be freed");
	return -EIO;
}

static int dir_entry_and_fail(struct layer *l, struct layer_dir *dir, struct layer_entry *ret_entry)
{
	return lookup_and_fail(l, dir, NULL, ret_entry);
}

Test(layer, failures_leave_outputs_alone)
{
	const struct layer_ops ops = {
		.list = list_and_fail,
		.lookup = lookup_and_fail,
		.dir_entry = dir_entry_and_fail,
	};
	struct layer l = {.ops = &ops};
	CLEANUP(layer_list) struct layer_list list = {0};
	struct layer_entry e = {.flags = 5};

	layer_list_add(&list, "whole", 5, 1, DT_REG, false);
	cr_assert_eq(layer_readdir(&l, NULL, &list), -EIO);
	cr_assert_eq(list.n, 1);
	cr_assert_eq(list.text.len, 6);
	cr_assert_eq(layer_lookup(&l, NULL, "x", &e), -EIO);
	cr_assert_eq(layer_dir_entry(&l, NULL, &e), -EIO);
	cr_assert_eq(e.flags, 5);
	cr_assert_null(e.redirect);
	cr_assert_eq(layer_by_origin(&l, 1, &e), -ENOENT, "optional");
}

Test(trace, wraps_another_layer)
{
	struct layer *inner = NULL, *traced = NULL;
	CLEANUP(err) struct err err = {0};

	cr_assert_eq(layer_open_mem("file f 0644 0:0 data=x", "inside", LAYER_TRUST_METACOPY,
				    &inner, &err),
		     0);
	cr_assert_eq(layer_open_trace(inner, &traced, &err), 0);
	cr_assert_str_eq(traced->ops->kind, "trace");
	cr_assert_str_eq(traced->path, "inside");
	cr_assert_eq(traced->trust, LAYER_TRUST_METACOPY);
	cr_assert_eq(traced->caps, 0);
	layer_close(traced);
}

static int open_auto(struct plain *p, struct layer **ret_layer, struct err *err)
{
	const struct layer_options off = {0};
	int fd = fcntl(p->tmp.fd, F_DUPFD_CLOEXEC, 3);

	if (layer_is_upper(fd))
		return layer_open_upper(fd, p->tmp.path, &off, ret_layer, err);
	return layer_open_dir(fd, p->tmp.path, &off, ret_layer, err);
}

Test(backends, plain_directories_are_recognised)
{
	CLEANUP(plain) struct plain p = {0};
	CLEANUP(layer) struct layer *l = NULL;

	plain_make(&p);
	cr_assert_eq(open_auto(&p, &l, NULL), 0);
	cr_assert_str_eq(l->ops->kind, "dir");
	cr_assert_eq(symlinkat("/tmp", p.tmp.fd, ".plyfs"), 0);
	cr_assert_not(layer_is_upper(p.tmp.fd), "a link is none");
	cr_assert_eq(unlinkat(p.tmp.fd, ".plyfs", 0), 0);
	put_file(&p, ".plyfs", "a file is none");
	cr_assert_not(layer_is_upper(p.tmp.fd));
}

/* A program of an image may have any directory. */
Test(backends, a_directory_of_that_name_is_no_upper)
{
	CLEANUP(plain) struct plain p = {0};
	CLEANUP(layer) struct layer *l = NULL;
	struct layer_entry e = {0};
	struct layer_dir *root;

	plain_make(&p);
	put_dir(&p, ".plyfs");
	put_file(&p, ".plyfs/settings", "x");
	cr_assert_not(layer_is_upper(p.tmp.fd));
	cr_assert_eq(open_auto(&p, &l, NULL), 0);
	cr_assert_str_eq(l->ops->kind, "dir");
	cr_assert_eq(layer_root(l, &root), 0);
	cr_assert_eq(layer_lookup(l, root, ".plyfs", &e), 0);
	layer_entry_done(l, &e);
	layer_dir_unref(l, root);
}

/* Half made, or half lost: any one of its files is enough. */
Test(backends, a_broken_upper_is_no_plain_directory)
{
	static const char *const own[] = {"catalog.mdb", "catalog.mdb.new", "catalog.sum",
					  "journal",	 "journal2",	    "lock",
					  "repairing",	 "spare0"};
	CLEANUP(plain) struct plain p = {0};

	plain_make(&p);
	put_dir(&p, ".plyfs");
	for (size_t i = 0; i <= sizeof(own) / sizeof(own[0]); i++) {
		CLEANUP(err) struct err err = {0};
		struct layer *l = NULL;
		char path[64] = ".plyfs/data";

		if (i < sizeof(own) / sizeof(own[0])) {
			snprintf(path, sizeof(path), ".plyfs/%s", own[i]);
			put_file(&p, path, "");
		} else {
			put_dir(&p, path);
		}
		cr_assert(layer_is_upper(p.tmp.fd), "%s", path);
		cr_assert_lt(open_auto(&p, &l, &err), 0, "%s", path);
		cr_assert_null(l);
		cr_assert_not_null(strstr(err_text(&err), p.tmp.path), "%s", err_text(&err));
		if (i < sizeof(own) / sizeof(own[0]))
			cr_assert_eq(unlinkat(p.tmp.fd, path, 0), 0);
	}
}
