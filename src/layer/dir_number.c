/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inode numbers of a plain directory: the file system's, or, where those do not last, of the path.
 *
 * A number belongs to one device, and a layer can be of several without any mount in it: subvolumes, and an overlayfs,
 * which keeps the files of its layers apart by st_dev alone. Different files must have different numbers, and st_dev
 * itself does not last. On the device of the layer's root the numbers are the file system's. A directory on another device
 * than the one above it, such as a subvolume's root, has the number of its path, and what is below it on that device, a hash of this
 * and of its own number there: its hard links stay what they are. On an overlayfs devices are mixed in one directory, so that
 * nothing names a device for ever; there paths have numbers, and of the hard links each is a file of its own.
 */
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/hash.h"
#include "layer/dir.h"

#ifndef EXFAT_SUPER_MAGIC
#define EXFAT_SUPER_MAGIC 0x2011BAB0UL
#endif

#define ROOT_NUMBER 1

/* Where a subvolume was when its parent was snapshotted there is an empty directory, each with this number. */
#define BTRFS_NO_SUBVOLUME 2

/* The type of a mount in a line of mountinfo (proc(5)), if the line is of the device DEV. */
static bool type_in_line(const char *line, dev_t dev, char ret_type[64])
{
	const char *dash = strstr(line, " - ");
	unsigned int maj, min;

	return dash != NULL && sscanf(line, "%*d %*d %u:%u ", &maj, &min) == 2 &&
	       maj == major(dev) && min == minor(dev) && sscanf(dash, " - %63s", ret_type) == 1;
}

/* Says which kind of FUSE it is: "fuse.NAME". False when nothing says so. */
static bool fuse_type(int fd, char ret_type[64])
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool found = false;
	size_t size = 0;
	char *line = NULL;
	struct stat st;

	if (f == NULL)
		return false;
	if (fstat(fd, &st) == 0) {
		while (!found && getline(&line, &size, f) >= 0)
			found = type_in_line(line, st.st_dev, ret_type);
	}
	free(line);
	fclose(f);
	return found;
}

/* FUSE file systems that take their numbers from something that lasts. */
static bool is_known_fuse(int fd)
{
	static const char *const lasting[] = {"fuse.plyfs",	 "fuse.fuse-overlayfs",
					      "fuse.squashfuse", "fuse.squashfuse_ll",
					      "fuse.erofsfuse",	 "fuseblk",
					      "virtiofs"};
	char type[64];

	if (!fuse_type(fd, type))
		return false;
	for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
		if (strcmp(type, lasting[i]) == 0)
			return true;
	}
	return false;
}

enum dir_numbering dir_numbering(int fd, unsigned long type)
{
	switch (type) {
	case MSDOS_SUPER_MAGIC:
	case EXFAT_SUPER_MAGIC:
		return DIR_NUMBERS_PATH;
	case FUSE_SUPER_MAGIC:
		return is_known_fuse(fd) ? DIR_NUMBERS_OWN : DIR_NUMBERS_PATH;
	case OVERLAYFS_SUPER_MAGIC:
		return DIR_NUMBERS_OVERLAY;
	case BTRFS_SUPER_MAGIC:
		return DIR_NUMBERS_BTRFS;
	default:
		return DIR_NUMBERS_OWN;
	}
}

uint64_t dir_number(const struct dir_node *parent, const char *name)
{
	return parent == NULL ? ROOT_NUMBER : hash64(name, strlen(name), parent->number);
}

bool dir_has_path_number(const struct dir_node *n, const struct stat *st)
{
	switch (n->layer->numbering) {
	case DIR_NUMBERS_PATH:
		return true;
	case DIR_NUMBERS_OVERLAY:
		/* Where its layers are of several devices it counts directories as they are asked for. */
		return S_ISDIR(st->st_mode) || st->st_dev != n->dev;
	case DIR_NUMBERS_BTRFS:
		return st->st_dev != n->dev || st->st_ino == BTRFS_NO_SUBVOLUME;
	default:
		return st->st_dev != n->dev;
	}
}

uint64_t dir_space(const struct dir_node *n)
{
	if (n->parent == NULL)
		return 0;
	return n->dev == n->parent->dev ? n->parent->space : n->number;
}

/* No name is hashed to the same: eight bytes without a NUL are no inode's number. */
uint64_t dir_number_in(const struct dir_node *n, uint64_t ino)
{
	return n->space == 0 ? ino : hash64(&ino, sizeof(ino), n->space);
}

void dir_renumber(struct dir_node *n, int fd, const char *name, const struct stat *st, bool mount,
		  struct attr *a)
{
	bool by_path = !mount && dir_has_path_number(n, st);

	if (mount)
		a->ino = dir_listed_number(n, fd, name);
	else
		a->ino = by_path ? dir_number(n, name) : dir_number_in(n, st->st_ino);
	/* Which names are links of one file only the file system's own numbers could tell. */
	if ((mount || by_path) && !attr_is_dir(a))
		a->nlink = 1;
}
