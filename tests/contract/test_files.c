/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of a layer: bytes, links, extended attributes. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "contract/contract.h"

enum { BLOCK = 65536 };

static struct layer_file *open_at(struct fixture *f, const char *path, const char *name)
{
	CLEANUP(held_dir) struct held_dir d = held_dir_at(f, path);
	struct layer_file *file = NULL;
	int r = layer_open(f->layer, d.dir, name, &file);

	cr_assert_eq(r, 0, "%s: %s: %s", f->variant->name, name, strerror(-r));
	cr_assert_eq(file->layer, f->layer);
	return file;
}

CONTRACT(files, read, NULL)
{
	CLEANUP(layer_file) struct layer_file *file = open_at(f, "d", "f");
	char bytes[64];

	cr_assert_eq(layer_file_read(file, bytes, sizeof(bytes), 0), 12);
	cr_assert_eq(memcmp(bytes, "hello, world", 12), 0);
	cr_assert_eq(layer_file_read(file, bytes, 5, 7), 5);
	cr_assert_eq(memcmp(bytes, "world", 5), 0);
	cr_assert_eq(layer_file_read(file, bytes, 5, 10), 2);
	cr_assert_eq(layer_file_read(file, bytes, 5, 12), 0);
	cr_assert_eq(layer_file_read(file, bytes, 5, 1 << 20), 0);
	cr_assert_eq(layer_file_read(file, bytes, 0, 0), 0);
	cr_assert_eq(layer_file_read(file, bytes, 5, -1), -EINVAL);
}

CONTRACT(files, read_empty, NULL)
{
	CLEANUP(layer_file) struct layer_file *file = open_at(f, "", "nothing");
	char byte;

	cr_assert_eq(layer_file_read(file, &byte, 1, 0), 0);
	cr_assert_eq(layer_file_seek(file, 0, SEEK_DATA), -ENXIO);
}

CONTRACT(files, holes, NULL)
{
	CLEANUP(layer_file) struct layer_file *file = open_at(f, "", "sparse");
	char bytes[8] = "xxxxxxxx";

	cr_assert_eq(layer_file_read(file, bytes, 8, BLOCK - 4), 8);
	cr_assert_eq(memcmp(bytes + 4, "\0\0\0\0", 4), 0);
	cr_assert_neq(bytes[3], 0);
	cr_assert_eq(layer_file_seek(file, 0, SEEK_DATA), 0);
	cr_assert_eq(layer_file_seek(file, 100, SEEK_DATA), 100);
	cr_assert_eq(layer_file_seek(file, 0, SEEK_HOLE), BLOCK);
	cr_assert_eq(layer_file_seek(file, BLOCK, SEEK_HOLE), BLOCK);
	cr_assert_eq(layer_file_seek(file, BLOCK, SEEK_DATA), -ENXIO);
	cr_assert_eq(layer_file_seek(file, BLOCK * 10, SEEK_HOLE), -ENXIO);
	cr_assert_eq(layer_file_seek(file, -1, SEEK_DATA), -ENXIO);
	cr_assert_eq(layer_file_seek(file, 0, SEEK_SET), -EINVAL);
}

CONTRACT(files, descriptors, NULL)
{
	CLEANUP(layer_file) struct layer_file *file = open_at(f, "d", "f");
	int fd = layer_file_fd(file);
	char bytes[5];

	if ((f->layer->caps & LAYER_CAP_FD) == 0) {
		cr_assert_eq(fd, -EOPNOTSUPP);
		return;
	}
	cr_assert_geq(fd, 0);
	cr_assert_eq(pread(fd, bytes, 5, 0), 5);
	cr_assert_eq(memcmp(bytes, "hello", 5), 0);
	cr_assert_lt(write(fd, "x", 1), 0, "a layer's file can be written");
}

/* Whoever has an identity: the same for the same file, and no other file has it. */
CONTRACT(files, identities, NULL)
{
	CLEANUP(layer_file) struct layer_file *file = open_at(f, "d", "f");
	CLEANUP(layer_file) struct layer_file *again = open_at(f, "d", "f");
	CLEANUP(layer_file) struct layer_file *other = open_at(f, "", "sparse");
	struct hash128 id, id_again, id_other;
	int r = layer_file_identity(file, &id);

	if (r == -EOPNOTSUPP) {
		cr_assert_eq(f->layer->caps & LAYER_CAP_FD, 0);
		return;
	}
	cr_assert_eq(r, 0);
	cr_assert_eq(layer_file_identity(again, &id_again), 0);
	cr_assert_eq(layer_file_identity(other, &id_other), 0);
	cr_assert_eq(memcmp(&id, &id_again, sizeof(id)), 0);
	cr_assert_neq(memcmp(&id, &id_other, sizeof(id)), 0);
}

CONTRACT(files, only_regular_ones_open, NULL)
{
	static const char *const others[] = {"sym", "dangling", "chr", "blk", "fifo", "sock"};
	CLEANUP(held_dir) struct held_dir root = held_dir_at(f, "");
	struct layer_file *file = NULL;
	size_t i;

	alarm(10); /* opening a fifo without writers must not wait for one */
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct layer_entry e;

		lookup_at(f, "", others[i], &e);
		/* With override_stat these are regular files on disk; nobody asks to open them. */
		if (f->variant->format != NULL && f->variant->format->override != OVERRIDE_NONE &&
		    !S_ISLNK(e.attr.mode))
			continue;
		cr_assert_lt(layer_open(f->layer, root.dir, others[i], &file), 0, "%s", others[i]);
		cr_assert_null(file);
	}
	cr_assert_eq(layer_open(f->layer, root.dir, "d", &file), -EISDIR);
	cr_assert_eq(layer_open(f->layer, root.dir, NULL, &file), -EISDIR);
	alarm(0);
}

CONTRACT(files, not_composed, NULL)
{
	CLEANUP(layer_file) struct layer_file *below = open_at(f, "d", "f");
	CLEANUP(held_dir) struct held_dir root = held_dir_at(f, "");
	struct layer_file *file = NULL;

	if ((f->layer->caps & LAYER_CAP_COMPOSE) != 0)
		return;
	cr_assert_eq(layer_open_over(f->layer, root.dir, "meta", below, &file), -EOPNOTSUPP);
	cr_assert_null(file);
}

CONTRACT(files, outlive_their_directory, NULL)
{
	CLEANUP(layer_file) struct layer_file *file = open_at(f, "d/sub/deep", "leaf");
	char bytes[4];

	cr_assert_eq(layer_file_read(file, bytes, 4, 0), 4);
	cr_assert_eq(memcmp(bytes, "leaf", 4), 0);
}

CONTRACT(files, readlink, NULL)
{
	CLEANUP(held_dir) struct held_dir root = held_dir_at(f, "");
	char target[64];

	cr_assert_eq(layer_readlink(f->layer, root.dir, "sym", target, sizeof(target)), 3);
	cr_assert_str_eq(target, "d/f");
	cr_assert_eq(layer_readlink(f->layer, root.dir, "sym", target, 4), 3);
	cr_assert_eq(layer_readlink(f->layer, root.dir, "sym", target, 3), -ENAMETOOLONG);
	cr_assert_eq(layer_readlink(f->layer, root.dir, "sym", target, 0), -ENAMETOOLONG);
	cr_assert_eq(layer_readlink(f->layer, root.dir, "dangling", target, sizeof(target)), 14);
	cr_assert_str_eq(target, "/no/such/place");
	cr_assert_eq(layer_readlink(f->layer, root.dir, "nothing", target, sizeof(target)),
		     -EINVAL);
	cr_assert_eq(layer_readlink(f->layer, root.dir, "d", target, sizeof(target)), -EINVAL);
	cr_assert_eq(layer_readlink(f->layer, root.dir, NULL, target, sizeof(target)), -EINVAL);
}

static ssize_t get(struct fixture *f, const struct held_dir *d, const char *xattr, void *value,
		   size_t size)
{
	return layer_getxattr(f->layer, d->dir, "f", xattr, value, size);
}

CONTRACT(xattrs, get, NULL)
{
	CLEANUP(held_dir) struct held_dir d = held_dir_at(f, "d");
	char value[64];

	cr_assert_eq(get(f, &d, "user.one", value, sizeof(value)), 1);
	cr_assert_eq(value[0], '1');
	cr_assert_eq(get(f, &d, "user.one", NULL, 0), 1);
	cr_assert_eq(get(f, &d, "user.binary", NULL, 0), 3);
	cr_assert_eq(get(f, &d, "user.binary", value, 3), 3);
	cr_assert_eq(memcmp(value, "\x01\x00\xff", 3), 0);
	cr_assert_eq(get(f, &d, "user.binary", value, 2), -ERANGE);
	cr_assert_eq(get(f, &d, "user.empty", value, sizeof(value)), 0);
	cr_assert_eq(get(f, &d, "user.none", value, sizeof(value)), -ENODATA);
	cr_assert_eq(get(f, &d, "trusted.t", value, sizeof(value)), 1);
	cr_assert_eq(value[0], 'T');
}

CONTRACT(xattrs, of_directories, NULL)
{
	CLEANUP(held_dir) struct held_dir root = held_dir_at(f, "");
	CLEANUP(held_dir) struct held_dir d = held_dir_at(f, "d");
	char value[8];

	cr_assert_eq(layer_getxattr(f->layer, root.dir, NULL, "user.root", value, 8), 3);
	cr_assert_eq(layer_getxattr(f->layer, root.dir, "d", "user.of", value, 8), 3);
	cr_assert_eq(layer_getxattr(f->layer, d.dir, NULL, "user.of", value, 8), 3);
	cr_assert_eq(memcmp(value, "dir", 3), 0);
}

CONTRACT(xattrs, capability, NULL)
{
	CLEANUP(held_dir) struct held_dir root = held_dir_at(f, "");
	char value[64];

	cr_assert_eq(layer_getxattr(f->layer, root.dir, "suid", "security.capability", value,
				    sizeof(value)),
		     20);
	cr_assert_eq(memcmp(value, "\x01\x00\x00\x02\x00\x04", 6), 0);
}

CONTRACT(xattrs, big, NULL)
{
	CLEANUP(held_dir) struct held_dir d = held_dir_at(f, "d");
	char value[2000];

	cr_assert_eq(layer_getxattr(f->layer, d.dir, "big-xattr", "user.big", value, 2000), 2000);
	cr_assert_eq(value[1999], 'A' + 1999 % 26);
	cr_assert_eq(layer_getxattr(f->layer, d.dir, "big-xattr", "user.big", value, 1999),
		     -ERANGE);
}

CONTRACT(xattrs, list_appends, NULL)
{
	CLEANUP(held_dir) struct held_dir root = held_dir_at(f, "");
	CLEANUP(buf) struct buf out = {0};

	buf_put(&out, "first", 6);
	cr_assert_eq(layer_listxattr(f->layer, root.dir, "nothing", &out), 0);
	cr_assert_eq(out.len, 6);
	cr_assert_eq(layer_listxattr(f->layer, root.dir, "suid", &out), 0);
	cr_assert_eq(out.len, 6 + sizeof("security.capability"));
	cr_assert_str_eq((char *)out.data + 6, "security.capability");
}

CONTRACT(xattrs, marks_are_hidden, NULL)
{
	static const char *const marks[] = {
		"trusted.overlay.opaque",
		"user.overlay.opaque",
		"user.fuseoverlayfs.opaque",
		"trusted.overlay.redirect",
		"user.overlay.redirect",
		"trusted.overlay.metacopy",
		"user.containers.override_stat",
		"security.fuseoverlayfs.override_stat",
		"user.fuseoverlayfs.override_stat",
	};
	static const char *const names[] = {"opaque", "moved", "meta", "meta-moved", "d"};
	CLEANUP(held_dir) struct held_dir root = held_dir_at(f, "");
	char value[64];
	size_t i, j;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((f->variant->traits & NO_REDIRECTS) != 0 && names[i][0] == 'm')
			continue;
		for (j = 0; j < sizeof(marks) / sizeof(marks[0]); j++)
			cr_assert_eq(layer_getxattr(f->layer, root.dir, names[i], marks[j], value,
						    sizeof(value)),
				     -ENODATA, "%s: %s", names[i], marks[j]);
	}
}

CONTRACT(xattrs, none_on_others, NULL)
{
	static const char *const names[] = {"sym", "fifo", "chr", "sock"};
	CLEANUP(held_dir) struct held_dir root = held_dir_at(f, "");
	CLEANUP(buf) struct buf out = {0};
	char value[8];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cr_assert_eq(layer_listxattr(f->layer, root.dir, names[i], &out), 0);
		cr_assert_eq(out.len, 0, "%s", names[i]);
		cr_assert_eq(layer_getxattr(f->layer, root.dir, names[i], "user.x", value, 8),
			     -ENODATA, "%s", names[i]);
	}
}
