/* SPDX-License-Identifier: Apache-2.0 */
/* Owners, modes and types that a plain directory keeps in xattrs. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "layer/dir.h"
#include "layer/dir_xattr.h"

/* Room for the longest value, "UID:GID:MODE:block-MAJ:MIN", and to see that one is longer. */
enum { VALUE_SIZE = 128 };

/* The kinds, the one that counts most first. */
static const enum override_kind kinds[] = {
	OVERRIDE_SECURITY,
	OVERRIDE_CONTAINERS,
	OVERRIDE_USER,
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ARG: the index of the first kind seen so far. */
static int see_kind(const char *xattr, void *arg)
{
	size_t *first = arg;

	for (size_t i = 0; i < *first; i++) {
		if (strcmp(xattr, override_xattr(kinds[i])) == 0)
			*first = i;
	}
	return 0;
}

enum override_kind dir_override_kind(int fd)
{
	size_t first = N_KINDS;

	if (dir_each_xattr(fd, NULL, see_kind, &first) < 0 || first == N_KINDS)
		return OVERRIDE_NONE;
	return kinds[first];
}

/* A directory is a directory, whatever an xattr says: it decides what calls can be made. */
static int apply(const char *value, size_t len, struct attr *a)
{
	struct attr changed = *a;
	int r = override_apply(value, len, &changed);

	if (r == 0 && attr_is_dir(&changed) != attr_is_dir(a))
		r = -EINVAL;
	if (r == 0)
		*a = changed;
	return r;
}

int dir_override(const struct dir_layer *l, int dirfd, const char *name, struct attr *a)
{
	const char *xattr = override_xattr(l->override);
	char value[VALUE_SIZE];
	ssize_t n;

	if (xattr == NULL || (!S_ISREG(a->mode) && !S_ISDIR(a->mode)))
		return 0;
	n = sys_getxattr_at(dirfd, name, xattr, value, sizeof(value));
	if (n == -ENODATA)
		return 0;
	if (n < 0 && n != -ERANGE)
		return (int)n;
	if (n < 0 || apply(value, (size_t)n, a) < 0)
		log_warn("%s: %s: malformed %s ignored", l->base.path, name != NULL ? name : ".",
			 xattr);
	return 0;
}

/* A symlink made by an override keeps its target as the bytes of the file. */
static ssize_t read_target(struct dir_layer *l, int dirfd, const char *name, char *target,
			   size_t size)
{
	CLEANUP(fd) int fd = dir_open_in(l, dirfd, name, O_RDONLY | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = sys_pread_full(fd, target, size, 0);
	if (n < 0)
		return n;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	target[n] = '\0';
	return n;
}

ssize_t dir_override_readlink(struct dir_layer *l, int dirfd, const char *name, char *target,
			      size_t size)
{
	struct stat st;
	struct attr a;
	int r;

	if (l->override == OVERRIDE_NONE)
		return -EINVAL;
	r = sys_fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
	if (r < 0)
		return r;
	attr_from_stat(&st, &a);
	r = dir_override(l, dirfd, name, &a);
	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode) || !S_ISLNK(a.mode))
		return -EINVAL;
	return read_target(l, dirfd, name, target, size);
}
