/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the plain-directory backend's numbers where a layer is of several devices. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/layer/plain.h"

/* A directory in a mount namespace of our own; mounts in it end with the test. */
#define WITH_MOUNTS(p)                                                                             \
	CLEANUP(plain) struct plain p = {0};                                                       \
	plain_make(&p);                                                                            \
	plain_private_mounts(&p)

enum { FILES = 12 };

/* As DATA of mount(2), with each "@" as the path of the directory. */
static void mount_on(struct plain *p, const char *name, const char *type, const char *data)
{
	char path[300], full[1200] = "";
	size_t len = 0;

	for (; data != NULL && *data != '\0'; data++) {
		if (*data == '@')
			len += (size_t)snprintf(full + len, sizeof(full) - len, "%s", p->tmp.path);
		else
			full[len++] = *data;
		full[len] = '\0';
	}
	snprintf(path, sizeof(path), "%s/%s", p->tmp.path, name);
	cr_assert_eq(mount("none", path, type, 0, full), 0, "%s %s: %m", name, full);
}

static void bind_on(struct plain *p, const char *from, const char *name)
{
	char path[300], source[300];

	snprintf(path, sizeof(path), "%s/%s", p->tmp.path, name);
	snprintf(source, sizeof(source), "%s/%s", p->tmp.path, from);
	cr_assert_eq(mount(source, path, NULL, MS_BIND, NULL), 0, "%s: %m", name);
}

static void unmount(struct plain *p, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", p->tmp.path, name);
	umount2(path, MNT_DETACH);
}

static ino_t number_on_disk(struct plain *p, const char *path)
{
	struct stat st;

	cr_assert_eq(fstatat(p->tmp.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0, "%s: %m", path);
	return st.st_ino;
}

/* The number with which the listing of DIR has NAME. */
static uint64_t listed(struct plain *p, const char *dir, const char *name)
{
	CLEANUP(layer_list) struct layer_list list = {0};
	struct layer_entry e = {0};
	uint64_t ino = 0;

	if (dir[0] != '\0')
		cr_assert_eq(plain_lookup(p, dir, &e), 0, "%s", dir);
	cr_assert_eq(layer_readdir(p->layer, e.dir != NULL ? e.dir : p->root, &list), 0);
	layer_entry_done(p->layer, &e);
	for (size_t i = 0; i < list.n; i++) {
		if (strcmp((const char *)list.text.data + list.names[i].off, name) == 0)
			ino = list.names[i].ino;
	}
	return ino;
}

/* The number of NAME in DIR, which is the same by whatever way it is asked for. */
static uint64_t number(struct plain *p, const char *dir, const char *name)
{
	struct layer_entry e = {0}, d = {0};
	char path[100];
	struct attr a;
	uint64_t ino;

	snprintf(path, sizeof(path), "%s%s%s", dir, dir[0] != '\0' ? "/" : "", name);
	cr_assert_eq(plain_lookup(p, path, &e), 0, "%s", path);
	ino = e.attr.ino;
	cr_assert_neq(ino, 0);
	cr_assert_eq(listed(p, dir, name), ino, "%s is listed with another number", path);
	if (dir[0] != '\0')
		cr_assert_eq(plain_lookup(p, dir, &d), 0, "%s", dir);
	cr_assert_eq(layer_getattr(p->layer, d.dir != NULL ? d.dir : p->root, name, &a), 0);
	cr_assert_eq(a.ino, ino, "%s", path);
	if (e.dir != NULL) {
		cr_assert_eq(layer_getattr(p->layer, e.dir, NULL, &a), 0);
		cr_assert_eq(a.ino, ino, "%s", path);
	}
	layer_entry_done(p->layer, &d);
	layer_entry_done(p->layer, &e);
	return ino;
}

Test(dir_number, one_device_keeps_the_file_system_s)
{
	WITH_MOUNTS(p);
	put_dir(&p, "d");
	put_file(&p, "d/f", "x");
	cr_assert_eq(linkat(p.tmp.fd, "d/f", p.tmp.fd, "g", 0), 0);
	plain_open(&p, NULL);
	cr_assert_eq(number(&p, "", "d"), number_on_disk(&p, "d"));
	cr_assert_eq(number(&p, "d", "f"), number_on_disk(&p, "d/f"));
	cr_assert_eq(number(&p, "", "g"), number_on_disk(&p, "d/f"));
	cr_assert_eq(plain_attr(&p, "g").nlink, 2);
}

/* The roots of many file systems have one number. What is mounted over something is numbered as what it hides. */
Test(dir_number, mounts_have_the_numbers_of_what_they_hide)
{
	static const char *const names[] = {"a", "b", "same", "file", "device", "hidden"};
	ino_t was[6];
	WITH_MOUNTS(p);
	put_dir(&p, "a");
	put_dir(&p, "b");
	put_dir(&p, "same");
	put_dir(&p, "other");
	put_file(&p, "file", "x");
	put_file(&p, "device", "");
	put_file(&p, "hidden", "");
	put_file(&p, "source", "source");
	put_node(&p, "null", S_IFCHR | 0666, 1, 3);
	for (size_t i = 0; i < 6; i++)
		was[i] = number_on_disk(&p, names[i]);
	mount_on(&p, "a", "tmpfs", NULL);
	mount_on(&p, "b", "tmpfs", NULL);
	put_file(&p, "a/f", "of another file system");
	bind_on(&p, "other", "same");
	bind_on(&p, "a/f", "file");
	bind_on(&p, "null", "device");
	bind_on(&p, "source", "hidden");
	plain_open(&p, NULL);
	for (size_t i = 0; i < 6; i++)
		cr_assert_eq(number(&p, "", names[i]), was[i], "%s", names[i]);
	cr_assert_eq(number(&p, "", "other"), number_on_disk(&p, "other"));
	cr_assert_eq(number(&p, "", "source"), number_on_disk(&p, "source"));
	cr_assert_eq(plain_attr(&p, "file").size, strlen("of another file system"));
	plain_close(&p);
	for (size_t i = 0; i < 5; i++)
		unmount(&p, names[i]);
	unmount(&p, "hidden");
}

/* A layer of an overlayfs at ROOT. Made in the same order on two new file systems its files have the same numbers there. */
static void put_overlay_layer(struct plain *p, const char *root, const char *prefix)
{
	char path[64];

	put_dir(p, root);
	snprintf(path, sizeof(path), "%s/d", root);
	put_dir(p, path);
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/d/%s%d", root, prefix, i);
		put_file(p, path, path);
		snprintf(path, sizeof(path), "%s/%s%d", root, prefix, i);
		put_dir(p, path);
	}
	snprintf(path, sizeof(path), "%s/%slink", root, prefix);
	cr_assert_eq(symlinkat("x", p->tmp.fd, path), 0);
}

#define OVERLAY_OPTIONS "lowerdir=@/up/l:@/low/l,xino=off"

static void put_overlay(struct plain *p, bool two_devices)
{
	put_dir(p, "low");
	put_dir(p, "up");
	put_dir(p, "m");
	mount_on(p, "low", "tmpfs", NULL);
	if (two_devices)
		mount_on(p, "up", "tmpfs", NULL);
	put_overlay_layer(p, "low/l", "low");
	if (!two_devices) {
		put_dir(p, "low/up");
		bind_on(p, "low/up", "up");
	}
	put_overlay_layer(p, "up/l", "up");
	cr_assert_eq(linkat(p->tmp.fd, "up/l/d/up0", p->tmp.fd, "up/l/d/more", 0), 0);
	mount_on(p, "m", "overlay", OVERLAY_OPTIONS);
}

static void open_overlay(struct plain *p)
{
	static const struct layer_options off;
	CLEANUP(err) struct err err = {0};
	int fd = openat(p->tmp.fd, "m", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(layer_open_dir(fd, "m", &off, &p->layer, &err), 0, "%s", err_text(&err));
	cr_assert_eq(layer_root(p->layer, &p->root), 0);
}

/* Of the files and the directories of both layers, by turns from the first or the last. */
static void read_numbers(struct plain *p, bool backwards, uint64_t numbers[4 * FILES])
{
	for (int k = 0; k < FILES; k++) {
		int i = backwards ? FILES - 1 - k : k;
		char name[16];

		for (int up = 0; up < 2; up++) {
			snprintf(name, sizeof(name), "%s%d", up ? "up" : "low", i);
			numbers[i * 4 + up] = number(p, "d", name);
			numbers[i * 4 + 2 + up] = number(p, "", name);
		}
	}
}

Test(dir_number, an_overlayfs_of_two_devices)
{
	uint64_t first[4 * FILES], second[4 * FILES];
	struct stat low, up;
	WITH_MOUNTS(p);
	put_overlay(&p, true);
	cr_assert_eq(fstatat(p.tmp.fd, "m/d/low0", &low, 0), 0);
	cr_assert_eq(fstatat(p.tmp.fd, "m/d/up0", &up, 0), 0);
	cr_assert_neq(low.st_dev, up.st_dev);
	cr_assert_eq(low.st_ino, up.st_ino, "which is what this is about");
	open_overlay(&p);
	read_numbers(&p, false, first);
	for (int i = 0; i < 4 * FILES; i++) {
		for (int k = 0; k < i; k++)
			cr_assert_neq(first[i], first[k], "%d and %d", i, k);
	}
	plain_close(&p);
	/* It numbers its devices, and directories, anew. */
	unmount(&p, "m");
	mount_on(&p, "m", "overlay", OVERLAY_OPTIONS);
	open_overlay(&p);
	read_numbers(&p, true, second);
	cr_assert_eq(memcmp(first, second, sizeof(first)), 0);
	plain_close(&p);
	unmount(&p, "m");
	unmount(&p, "up");
	unmount(&p, "low");
}

/* Records of uppers know its files by these numbers, and hard links lead to one record. */
Test(dir_number, files_of_an_overlayfs_of_one_device_keep_its_numbers)
{
	WITH_MOUNTS(p);
	put_overlay(&p, false);
	open_overlay(&p);
	cr_assert_eq(number(&p, "d", "low3"), number_on_disk(&p, "m/d/low3"));
	cr_assert_eq(number(&p, "", "uplink"), number_on_disk(&p, "m/uplink"));
	cr_assert_eq(number(&p, "d", "up0"), number(&p, "d", "more"));
	cr_assert_eq(plain_attr(&p, "d/up0").nlink, 2);
	cr_assert_neq(number(&p, "", "low0"), number(&p, "", "low1"));
	plain_close(&p);
	unmount(&p, "m");
	unmount(&p, "up");
	unmount(&p, "low");
}
