/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What owners that never waited for a disk have left. They close cleanly, but the files that they leave are the page cache's
 * alone; the next owner would flush only what it writes itself, and its journal continues tables that a power cut takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sys.h"
#include "catalog/internal.h"

/* The mark stays until somebody has flushed. A full disk is no reason not to mount: files may have to be deleted. */
static int leave_mark(const struct catalog *c, struct err *err)
{
	CLEANUP(fd)
	int fd = sys_openat(c->dirfd, VOLATILE_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);

	if (fd >= 0)
		return 0;
	if (!sys_is_full(fd))
		return err_errno(err, -fd, "cannot make %s/" VOLATILE_FILE,
				 dir_name_of(c->dirfd).text);
	log_warn("%s/" VOLATILE_FILE " cannot be made, as the disk is full: after this mount, call "
		 "sync(1) before the upper layer is mounted without volatile",
		 dir_name_of(c->dirfd).text);
	return 0;
}

/* Data files lie on the same file system: all of it is flushed. */
static int flush_all(const struct catalog *c, struct err *err)
{
	struct stat st;
	int rc = sys_fstatat(c->dirfd, VOLATILE_FILE, &st, AT_SYMLINK_NOFOLLOW);

	if (rc == -ENOENT)
		return 0;
	if (rc == 0 && syncfs(c->dirfd) < 0)
		rc = -errno;
	if (rc < 0)
		return err_errno(err, -rc,
				 "cannot flush to the disk what a volatile mount has left in %s",
				 dir_name_of(c->dirfd).text);
	(void)sys_unlinkat(c->dirfd, VOLATILE_FILE, 0);
	return 0;
}

int volatile_settle(const struct catalog *c, struct err *err)
{
	return c->options.no_sync ? leave_mark(c, err) : flush_all(c, err);
}
