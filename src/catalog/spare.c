/* SPDX-License-Identifier: Apache-2.0 */
/* A file without content that is deleted when there is no room to delete: for btrfs. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/sys.h"
#include "catalog/internal.h"

/*
 * Elsewhere blocks that are allocated can be written, come what may. btrfs must have room free for what each write might
 * change in its trees, though it uses next to none of it; at a used-up quota the same. What it always allows is to
 * unlink a file. So this one is unlinked, the write is made, and the file made anew before anybody else has
 * noticed. Until it is there again only what frees space is written.
 */
#define SPARE_BYTES ((off_t)1 << 20)
/* A write that was made with its room may have left less. */
#define SPARE_LEAST ((off_t)256 << 10)

static bool make(const struct catalog *c, off_t size)
{
	CLEANUP(fd) int fd = sys_openat(c->dirfd, SPARE_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);

	if (fd < 0)
		return false;
	while (size >= SPARE_LEAST && sys_fallocate(fd, 0, 0, size) < 0)
		size /= 2;
	if (size < SPARE_LEAST)
		sys_unlinkat(c->dirfd, SPARE_FILE, 0);
	return size >= SPARE_LEAST;
}

static bool take(struct catalog *c, off_t size)
{
	bool has;

	if (!c->wants_spare)
		return true;
	pthread_mutex_lock(&c->spare_lock);
	if (!c->has_spare)
		c->has_spare = make(c, size);
	has = c->has_spare;
	pthread_mutex_unlock(&c->spare_lock);
	return has;
}

bool spare_take(struct catalog *c)
{
	return take(c, SPARE_BYTES);
}

bool spare_regain(struct catalog *c)
{
	/* Not more: somebody may have deleted to have room for something else. */
	return take(c, SPARE_LEAST);
}

bool spare_give(struct catalog *c, int rc)
{
	bool given = false;

	if ((rc != -ENOSPC && rc != -EDQUOT) || !c->wants_spare)
		return false;
	pthread_mutex_lock(&c->spare_lock);
	if (c->has_spare) {
		given = sys_unlinkat(c->dirfd, SPARE_FILE, 0) == 0;
		c->has_spare = false;
	}
	/* Only the file system's own commit makes room of it. */
	if (given)
		(void)syncfs(c->dirfd);
	pthread_mutex_unlock(&c->spare_lock);
	return given;
}

void spare_begin(struct catalog *c)
{
	c->wants_spare = sys_is_btrfs(c->dirfd);
	c->has_spare = c->wants_spare && faccessat(c->dirfd, SPARE_FILE, F_OK, 0) == 0;
	if (c->has_spare && sys_cut_may_fail(c->dirfd))
		(void)spare_give(c, -ENOSPC);
}

void spare_close(struct catalog *c)
{
	/* Where the disk may be full before the next mount, that one shall find it. */
	if (c->wants_spare && !sys_cut_may_fail(c->dirfd))
		sys_unlinkat(c->dirfd, SPARE_FILE, 0);
}

bool catalog_give_spare(struct catalog *c, int rc)
{
	return c->options.mode == CATALOG_WRITE && spare_give(c, rc);
}

void catalog_take_spare(struct catalog *c)
{
	if (c->options.mode == CATALOG_WRITE)
		(void)spare_take(c);
}
