/* SPDX-License-Identifier: Apache-2.0 */
/* A plyfs upper as a layer. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/made_upper.h"

#define ROOT CATALOG_ROOT_INO

struct opened {
	struct layer *layer;
	struct layer_dir *root;
};

static struct opened open_layer(struct made_upper *u)
{
	struct opened o = {.layer = made_upper_layer(u)};

	cr_assert_eq(layer_root(o.layer, &o.root), 0);
	return o;
}

static void close_layer(struct opened *o)
{
	layer_dir_unref(o->layer, o->root);
	layer_close(o->layer);
}

Test(upper, never_written_to)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	struct layer_entry e = {0};
	struct layer_list list = {0};
	struct attr attr = {0};
	struct stat st;
	struct opened o;

	made_upper_make(&u);
	made_upper_close(&u);
	cr_assert_eq(fchmod(u.tmp.fd, 0711), 0);
	cr_assert_eq(fstat(u.tmp.fd, &st), 0);
	o = open_layer(&u);
	cr_assert_str_eq(o.layer->ops->kind, "upper");
	cr_assert_eq(layer_dir_entry(o.layer, o.root, &e), 0);
	cr_assert_eq(e.flags, 0, "the layers below show through");
	cr_assert_eq(e.attr.mode, S_IFDIR | 0711);
	cr_assert_eq(e.attr.ino, ROOT);
	cr_assert_not_null(e.dir);
	cr_assert_eq(layer_getattr(o.layer, o.root, NULL, &attr), 0);
	cr_assert_eq(attr.mtime.tv_sec, st.st_mtim.tv_sec);
	layer_entry_done(o.layer, &e);
	cr_assert_eq(layer_lookup(o.layer, o.root, "f", &e), -ENOENT);
	cr_assert_eq(layer_readdir(o.layer, o.root, &list), 0);
	cr_assert_eq(list.n, 0);
	layer_list_done(&list);
	close_layer(&o);
}

Test(upper, marks)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	struct layer_entry e = {0};
	struct opened o;

	made_upper_make(&u);
	made_dir(&u, ROOT, NULL, ROOT, "");
	made_dir(&u, ROOT, "own", 2, NULL);
	made_dir(&u, ROOT, "moved", ABOVE(5), "was/here");
	made_dir(&u, ROOT, "all", ABOVE(6), "");
	made_lower(&u, ROOT, "meta", ABOVE(7), "x", 3, 1);
	made_whiteout(&u, ROOT, "gone");
	made_upper_close(&u);
	o = open_layer(&u);
	cr_assert_eq(layer_dir_entry(o.layer, o.root, &e), 0);
	cr_assert_eq(e.flags & LAYER_OPAQUE, 0);
	cr_assert_eq(e.attr.uid, 11);
	layer_entry_done(o.layer, &e);

	cr_assert_eq(layer_lookup(o.layer, o.root, "own", &e), 0);
	cr_assert_eq(e.flags, LAYER_OPAQUE);
	cr_assert_eq(e.attr.ino, 2);
	cr_assert_not_null(e.dir);
	layer_entry_done(o.layer, &e);

	cr_assert_eq(layer_lookup(o.layer, o.root, "moved", &e), 0);
	cr_assert_eq(e.flags, LAYER_REDIRECT | LAYER_ABOVE);
	cr_assert_str_eq(e.redirect, "/was/here");
	cr_assert_eq(e.attr.ino, ABOVE(5));
	layer_entry_done(o.layer, &e);

	cr_assert_eq(layer_lookup(o.layer, o.root, "all", &e), 0);
	cr_assert_str_eq(e.redirect, "/");
	layer_entry_done(o.layer, &e);

	cr_assert_eq(layer_lookup(o.layer, o.root, "meta", &e), 0);
	cr_assert_eq(e.flags, LAYER_REDIRECT | LAYER_ABOVE | LAYER_METACOPY);
	cr_assert_str_eq(e.redirect, "/x");
	cr_assert_null(e.dir);
	layer_entry_done(o.layer, &e);

	cr_assert_eq(layer_lookup(o.layer, o.root, "gone", &e), 0);
	cr_assert_eq(e.flags, LAYER_WHITEOUT);
	layer_entry_done(o.layer, &e);
	close_layer(&o);
}

Test(upper, root_that_hides_everything)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	struct layer_entry e = {0};
	struct opened o;

	made_upper_make(&u);
	made_dir(&u, ROOT, NULL, ROOT, NULL);
	made_upper_close(&u);
	o = open_layer(&u);
	cr_assert_eq(layer_dir_entry(o.layer, o.root, &e), 0);
	cr_assert_eq(e.flags, LAYER_OPAQUE);
	layer_entry_done(o.layer, &e);
	close_layer(&o);
}

Test(upper, files_links_xattrs)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	CLEANUP(batch) struct batch b = {0};
	struct layer_file *f = NULL;
	struct buf names = {0};
	struct attr attr = {0};
	char text[64] = "";
	struct opened o;

	made_upper_make(&u);
	made_dir(&u, ROOT, NULL, ROOT, "");
	made_dir(&u, ROOT, "d", 2, NULL);
	made_inline(&u, 2, "f", 3, S_IFREG, "hello");
	made_inline(&u, 2, "l", 4, S_IFLNK, "the/target");
	batch_begin(&b, u.catalog);
	batch_put_xattr(&b, 3, "user.x", "abc", 3);
	cr_assert_eq(catalog_commit(u.catalog, &b), 0);
	made_upper_close(&u);
	o = open_layer(&u);

	CLEANUP(layer) struct layer *l = o.layer;
	struct layer_entry d = {0};

	cr_assert_eq(layer_lookup(l, o.root, "d", &d), 0);
	cr_assert_eq(layer_getattr(l, d.dir, "f", &attr), 0);
	cr_assert_eq(attr.size, 5);
	cr_assert_eq(attr.mode, S_IFREG | 0640);
	cr_assert_eq(layer_getattr(l, d.dir, NULL, &attr), 0);
	cr_assert_eq(attr.ino, 2);
	cr_assert_eq(layer_getattr(l, d.dir, "none", &attr), -ENOENT);
	cr_assert_eq(layer_open(l, d.dir, "f", &f), 0);
	cr_assert_eq(layer_file_read(f, text, sizeof(text), 1), 4);
	cr_assert_arr_eq(text, "ello", 4);
	cr_assert_eq(layer_file_read(f, text, sizeof(text), 5), 0);
	cr_assert_eq(layer_file_seek(f, 2, SEEK_DATA), 2);
	cr_assert_eq(layer_file_seek(f, 0, SEEK_HOLE), 5);
	cr_assert_eq(layer_file_seek(f, 5, SEEK_DATA), -ENXIO);
	cr_assert_eq(layer_file_fd(f), -EOPNOTSUPP);
	layer_file_close(f);
	cr_assert_eq(layer_readlink(l, d.dir, "l", text, sizeof(text)), 10);
	cr_assert_str_eq(text, "the/target");
	cr_assert_eq(layer_readlink(l, d.dir, "l", text, 10), -ENAMETOOLONG);
	cr_assert_eq(layer_readlink(l, d.dir, "l", text, 11), 10);
	cr_assert_eq(layer_readlink(l, d.dir, "f", text, sizeof(text)), -EINVAL);
	cr_assert_eq(layer_getxattr(l, d.dir, "f", "user.x", text, sizeof(text)), 3);
	cr_assert_eq(layer_getxattr(l, d.dir, "f", "user.x", NULL, 0), 3);
	cr_assert_eq(layer_getxattr(l, d.dir, "f", "user.x", text, 2), -ERANGE);
	cr_assert_eq(layer_getxattr(l, d.dir, "f", "user.y", text, 2), -ENODATA);
	cr_assert_eq(layer_listxattr(l, d.dir, "f", &names), 0);
	cr_assert_eq(names.len, sizeof("user.x"));
	cr_assert_eq(layer_open(l, o.root, "d", &f), -EISDIR);
	cr_assert_lt(layer_open(l, d.dir, "l", &f), 0);
	buf_done(&names);
	layer_entry_done(l, &d);
	layer_dir_unref(l, o.root);
}

Test(upper, listing_in_pieces)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	struct layer_list list = {0};
	size_t whiteouts = 0, above = 0;
	struct opened o;

	made_upper_make(&u);
	for (unsigned int i = 0; i < 3000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		if (i % 3 == 0)
			made_whiteout(&u, ROOT, name);
		else
			made_name(&u, ROOT, name, i % 3 == 1 ? 2 + i : ABOVE(i), DT_REG);
	}
	o = open_layer(&u);
	cr_assert_eq(layer_readdir(o.layer, o.root, &list), 0);
	cr_assert_eq(list.n, 3000);
	for (size_t i = 0; i < list.n; i++) {
		whiteouts += list.names[i].dtype == DT_WHT;
		above += list.names[i].above;
	}
	cr_assert_eq(whiteouts, 1000);
	cr_assert_eq(above, 1000);
	layer_list_done(&list);
	close_layer(&o);
}

static struct layer_file *open_mem(struct layer **ret_layer, const char *text)
{
	CLEANUP(err) struct err err = {0};
	struct layer_file *f = NULL;
	struct layer_dir *root;

	cr_assert_eq(layer_open_mem(text, "/mem", 0, ret_layer, &err), 0, "%s", err_text(&err));
	cr_assert_eq(layer_root(*ret_layer, &root), 0);
	cr_assert_eq(layer_open(*ret_layer, root, "f", &f), 0);
	layer_dir_unref(*ret_layer, root);
	return f;
}

Test(upper, lower_and_chunks_over_what_is_below)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	CLEANUP(layer) struct layer *mem = NULL;
	CLEANUP(layer) struct layer *again = NULL;
	const uint64_t size = 10 << CHUNK_SHIFT;
	struct layer_file *below, *f = NULL;
	struct attr attr = {0};
	char text[8] = "";
	struct opened o;

	made_upper_make(&u);
	below = open_mem(&mem, "file f 644 0:0 size=40960 data=begin\n");
	made_lower(&u, ROOT, "lower", ABOVE(1), "f", size, 1);
	made_lower(&u, ROOT, "chunks", ABOVE(2), "f", size, 1);
	made_write(&u, ABOVE(2), below, "end", 3, (off_t)size);
	o = open_layer(&u);
	cr_assert_eq(layer_open(o.layer, o.root, "lower", &f), -EIO, "not without what is below");
	cr_assert_eq(layer_open_over(o.layer, o.root, "none", below, &f), -ENOENT);
	cr_assert_eq(layer_open_over(o.layer, o.root, "lower", below, &f), 0);
	cr_assert_eq(layer_file_read(f, text, 5, 0), 5);
	cr_assert_arr_eq(text, "begin", 5);
	layer_file_close(f);

	below = open_mem(&again, "file f 644 0:0 size=40960 data=begin\n");
	cr_assert_eq(layer_getattr(o.layer, o.root, "chunks", &attr), 0);
	cr_assert_eq(attr.size, size + 3);
	cr_assert_eq(layer_open_over(o.layer, o.root, "chunks", below, &f), 0);
	cr_assert_eq(layer_file_read(f, text, 5, 0), 5);
	cr_assert_arr_eq(text, "begin", 5);
	cr_assert_eq(layer_file_read(f, text, 8, (off_t)size), 3);
	cr_assert_arr_eq(text, "end", 3);
	layer_file_close(f);
	close_layer(&o);
}

Test(upper, by_origin)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	struct layer_entry e = {0};
	struct attr attr = {0};
	struct layer_file *f = NULL;
	char text[8] = "";
	struct opened o;

	made_upper_make(&u);
	made_inline(&u, ROOT, "a", ABOVE(1), S_IFREG, "mine");
	made_inline(&u, ROOT, "b", 2, S_IFREG, "new");
	o = open_layer(&u);
	cr_assert(o.layer->caps & LAYER_CAP_BY_ORIGIN);
	cr_assert(o.layer->caps & LAYER_CAP_COMPOSE);
	cr_assert_eq(layer_by_origin(o.layer, ABOVE(9), &e), -ENOENT);
	cr_assert_eq(layer_by_origin(o.layer, 2, &e), -ENOENT, "not a number of a lower file");
	cr_assert_eq(layer_by_origin(o.layer, ABOVE(1), &e), 0);
	cr_assert_eq(e.flags, LAYER_ABOVE);
	cr_assert_eq(e.attr.size, 4);
	cr_assert_not_null(e.dir);
	cr_assert_eq(layer_getattr(o.layer, e.dir, NULL, &attr), 0);
	cr_assert_eq(attr.ino, ABOVE(1));
	cr_assert_eq(layer_open(o.layer, e.dir, NULL, &f), 0);
	cr_assert_eq(layer_file_read(f, text, 8, 0), 4);
	layer_file_close(f);
	layer_entry_done(o.layer, &e);
	close_layer(&o);
}

/* A stranger's upper, whose data files are links to files of ours. */
Test(upper, data_files_that_are_elsewhere)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	struct layer_entry e = {0};
	struct layer_file *f = NULL;
	struct attr attr = {0};
	char bytes[8192] = "secret";
	struct opened o;

	made_upper_make(&u);
	made_inline(&u, ROOT, "f", 2, S_IFREG, "");
	made_write(&u, 2, NULL, bytes, sizeof(bytes), 0);
	made_upper_close(&u);
	o = open_layer(&u);
	cr_assert_eq(layer_open(o.layer, o.root, "f", &f), 0);
	cr_assert_eq(layer_file_read(f, bytes, 6, 0), 6);
	layer_file_close(f);
	close_layer(&o);
	cr_assert_eq(renameat(u.tmp.fd, ".plyfs/data/02", u.tmp.fd, "out"), 0);
	cr_assert_eq(symlinkat("../../out", u.tmp.fd, ".plyfs/data/02"), 0);
	o = open_layer(&u);
	cr_assert_eq(layer_lookup(o.layer, o.root, "f", &e), -EIO);
	cr_assert_eq(layer_getattr(o.layer, o.root, "f", &attr), -EIO);
	cr_assert_lt(layer_open(o.layer, o.root, "f", &f), 0);
	close_layer(&o);
}

Test(upper, is_a_snapshot)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	struct layer_entry e = {0};
	struct opened o;

	made_upper_make(&u);
	made_inline(&u, ROOT, "before", 2, S_IFREG, "x");
	o = open_layer(&u);
	made_inline(&u, ROOT, "after", 3, S_IFREG, "x");
	cr_assert_eq(layer_lookup(o.layer, o.root, "before", &e), 0);
	layer_entry_done(o.layer, &e);
	cr_assert_eq(layer_lookup(o.layer, o.root, "after", &e), -ENOENT);
	close_layer(&o);
}

Test(upper, name_without_a_record_is_damage)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	struct layer_entry e = {0};
	struct attr attr = {0};
	struct opened o;

	made_upper_make(&u);
	made_name(&u, ROOT, "bad", 77, DT_REG);
	o = open_layer(&u);
	cr_assert_eq(layer_lookup(o.layer, o.root, "bad", &e), -EUCLEAN);
	cr_assert_eq(layer_getattr(o.layer, o.root, "bad", &attr), -EUCLEAN);
	close_layer(&o);
}

Test(upper, identity)
{
	CLEANUP(made_upper) struct made_upper u = {0};
	CLEANUP(made_upper) struct made_upper other = {0};
	struct hash128 a, b, c;
	struct opened o;

	made_upper_make(&u);
	made_upper_make(&other);
	o = open_layer(&u);
	cr_assert_eq(layer_identity(o.layer, &a), 0);
	close_layer(&o);
	o = open_layer(&u);
	cr_assert_eq(layer_identity(o.layer, &b), 0);
	close_layer(&o);
	o = open_layer(&other);
	cr_assert_eq(layer_identity(o.layer, &c), 0);
	close_layer(&o);
	cr_assert(a.low == b.low && a.high == b.high);
	cr_assert(a.low != c.low || a.high != c.high);
}

Test(upper, what_is_no_upper)
{
	struct layer_options options = {0};
	CLEANUP(err) struct err err = {0};
	struct layer *l = NULL;
	struct tmpdir tmp;
	int fd;

	tmpdir_make(&tmp);
	cr_assert_not(layer_is_upper(tmp.fd));
	fd = fcntl(tmp.fd, F_DUPFD_CLOEXEC, 3);
	cr_assert_eq(layer_open_upper(fd, "/some/where", &options, &l, &err), -ENOENT);
	cr_assert_not_null(strstr(err_text(&err), "/some/where"));
	cr_assert_eq(fcntl(fd, F_GETFD), -1, "the descriptor is taken over");
	err_done(&err);
	cr_assert_eq(mkdirat(tmp.fd, ".plyfs", 0700), 0);
	cr_assert_eq(mkdirat(tmp.fd, ".plyfs/data", 0700), 0);
	fd = fcntl(tmp.fd, F_DUPFD_CLOEXEC, 3);
	cr_assert_eq(layer_open_upper(fd, "/some/where", &options, &l, &err), -ENOENT);
	cr_assert_null(l);
	tmpdir_done(&tmp);
}
