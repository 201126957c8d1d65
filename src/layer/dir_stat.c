/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of names in a plain directory, where other mounts can be in it. */
#include <fcntl.h>

#include "base/sys.h"
#include "layer/dir.h"

#define STAT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)

/* Is something mounted on NAME? Nothing is asked of any file system. False also before Linux 5.8, which does not tell. */
static bool is_mountpoint(int fd, const char *name)
{
	struct statx stx;

	return statx(fd, name, STAT_FLAGS | AT_STATX_DONT_SYNC, 0, &stx) == 0 &&
	       (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/*
 * In a layer without a mount of its own NAME can be where our own mount is, and this the only thread that could answer for
 * its attributes: of a mount those will do that the kernel has. A local file system has no others.
 */
int dir_stat(const struct dir_layer *l, int fd, const char *name, struct stat *ret_st,
	     bool *ret_mount)
{
	int flags = STAT_FLAGS;

	*ret_mount = false;
	if (l->detached)
		return sys_fstatat(fd, name, ret_st, flags);
	if (l->local || is_mountpoint(fd, name))
		flags |= AT_STATX_DONT_SYNC;
	return sys_fstatat_mount(fd, name, ret_st, flags, ret_mount);
}
