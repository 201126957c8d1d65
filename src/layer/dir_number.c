/* SPDX-License-Identifier: Apache-2.0 */
/* Inode numbers of a plain directory: the file system's, or, where those do not last, of the path. */
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

bool dir_numbers_last(int fd, unsigned long type)
{
	switch (type) {
	case MSDOS_SUPER_MAGIC:
	case EXFAT_SUPER_MAGIC:
		return false;
	case FUSE_SUPER_MAGIC:
		return is_known_fuse(fd);
	default:
		return true;
	}
}

uint64_t dir_number(const struct dir_node *parent, const char *name)
{
	return parent == NULL ? ROOT_NUMBER : hash64(name, strlen(name), parent->number);
}

void dir_renumber(const struct dir_node *n, const char *name, struct attr *a)
{
	if (!n->layer->path_numbers)
		return;
	a->ino = name != NULL ? dir_number(n, name) : n->number;
	/* Which names are links of one file only the file system's own numbers could tell. */
	if (!attr_is_dir(a))
		a->nlink = 1;
}
