/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay family of marks: kernel overlayfs, privileged and not, and fuse-overlayfs. */
#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "attr/xattr.h"
#include "base/sys.h"
#include "layer/dir_xattr.h"
#include "layer/whiteout.h"

void overlay_marks_done(struct overlay_marks *m)
{
	free(m->redirect);
	*m = (struct overlay_marks){0};
}

bool overlay_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

bool overlay_may_be_whiteout(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_size == 0;
}

bool overlay_is_hollow(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_size > 0 && st->st_blocks == 0;
}

/* What is being read: the inode, and where its marks go. */
struct reading {
	int dirfd;
	const char *name;
	struct overlay_marks *marks;
};

static int read_opaque(const struct reading *rd, const char *xattr)
{
	char value[2];
	ssize_t n = sys_getxattr_at(rd->dirfd, rd->name, xattr, value, sizeof(value));

	/* A longer value is none of overlayfs' own, and neither is a mark that has just vanished. */
	if (n == -ENODATA || n == -ERANGE)
		return 0;
	if (n < 0)
		return (int)n;
	if (n == 1 && value[0] == 'y')
		rd->marks->opaque = true;
	else if (n == 1 && value[0] == 'x')
		rd->marks->xwhiteout = true;
	return 0;
}

static int read_redirect(const struct reading *rd, const char *xattr)
{
	char value[PATH_MAX];
	ssize_t n = sys_getxattr_at(rd->dirfd, rd->name, xattr, value, sizeof(value) - 1);

	if (n == -ENODATA)
		return 0;
	if (n == -ERANGE || n == 0)
		return -EUCLEAN;
	if (n < 0)
		return (int)n;
	if (memchr(value, 0, (size_t)n) != NULL)
		return -EUCLEAN;
	value[n] = '\0';
	free(rd->marks->redirect);
	rd->marks->redirect = strdup(value);
	return rd->marks->redirect == NULL ? -ENOMEM : 0;
}

static int read_mark(const char *xattr, void *arg)
{
	const struct reading *rd = arg;

	rd->marks->any = true;
	switch (xattr_mark(xattr)) {
	case XATTR_MARK_OPAQUE:
		return read_opaque(rd, xattr);
	case XATTR_MARK_REDIRECT:
		/* With two spellings the privileged one counts, in whatever order they come. */
		if (rd->marks->redirect != NULL && strncmp(xattr, "trusted.", 8) != 0)
			return 0;
		return read_redirect(rd, xattr);
	case XATTR_MARK_WHITEOUT:
		rd->marks->whiteout = true;
		return 0;
	case XATTR_MARK_METACOPY:
		rd->marks->metacopy = true;
		return 0;
	default:
		return 0;
	}
}

int overlay_read_marks(int dirfd, const char *name, struct overlay_marks *ret_marks)
{
	CLEANUP(overlay_marks) struct overlay_marks marks = {0};
	struct reading rd = {.dirfd = dirfd, .name = name, .marks = &marks};
	int r = dir_each_xattr(dirfd, name, read_mark, &rd);

	if (r < 0)
		return r;
	*ret_marks = marks;
	marks.redirect = NULL;
	return 0;
}

static int is_metacopy_mark(const char *xattr, void *arg)
{
	(void)arg;
	return xattr_mark(xattr) == XATTR_MARK_METACOPY;
}

int overlay_is_metacopy(int fd)
{
	int r = dir_each_xattr(fd, NULL, is_metacopy_mark, NULL);

	/* Names that are too many to be listed, and who must not list any: a file like any other. */
	return r == -E2BIG || r == -EPERM || r == -EACCES || r == -ENOSYS ? 0 : r;
}
