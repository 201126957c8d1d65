/* SPDX-License-Identifier: Apache-2.0 */
/* The space that the LMDB file takes: giving free pages back, and keeping blocks for a full disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "catalog/internal.h"
#include "catalog/private.h"

/*
 * On a full disk a checkpoint is made in small steps. Pages that one gives back serve the next but one, so
 * two to three times what one needs is enough, which is a dozen for the smallest. Small file systems lose
 * a sixty-fourth.
 */
#define RESERVE_MIN ((uint64_t)256 << 10)
#define RESERVE_MAX ((uint64_t)1 << 20)

/* A file system with less than this may be full before the upper is next opened. */
#define TIGHT_BYTES ((uint64_t)64 << 20)

static uint64_t reserve_bytes(int dirfd)
{
	struct statvfs st;
	uint64_t size;

	if (fstatvfs(dirfd, &st) < 0)
		return RESERVE_MAX;
	size = (uint64_t)st.f_blocks * st.f_frsize / 64;
	return size < RESERVE_MIN ? RESERVE_MIN : size > RESERVE_MAX ? RESERVE_MAX : size;
}

/* 0, -ENOSPC, -EDQUOT; 0 too where blocks cannot be allocated ahead. */
static int allocate_behind(struct catalog *c)
{
	CLEANUP(fd) int fd = sys_openat(c->dirfd, CATALOG_FILE, O_RDWR | O_NOFOLLOW, 0);
	uint64_t bytes = reserve_bytes(c->dirfd);
	struct stat st;
	int rc = fd < 0 ? fd : sys_fstat(fd, &st);

	if (rc < 0)
		return 0;
	if (c->reserved >= (uint64_t)st.st_size + bytes)
		return 0;
	rc = sys_fallocate(fd, FALLOC_FL_KEEP_SIZE, st.st_size, (off_t)bytes);
	if (rc == 0)
		c->reserved = (uint64_t)st.st_size + bytes;
	return sys_is_full(rc) ? rc : 0;
}

bool reserve_space(struct catalog *c)
{
	bool has = allocate_behind(c) == 0;

	pthread_mutex_lock(&c->lock);
	c->no_reserve = !has;
	pthread_mutex_unlock(&c->lock);
	return has;
}

bool space_is_tight(const struct catalog *c)
{
	struct statvfs st;

	return fstatvfs(c->dirfd, &st) < 0 || (uint64_t)st.f_bavail * st.f_frsize < TIGHT_BYTES;
}

static bool has_room_for(const struct catalog *c, uint64_t bytes)
{
	struct statvfs st;

	/* Half as much again: nobody else is to be pushed against the wall. */
	return fstatvfs(c->dirfd, &st) == 0 &&
	       (uint64_t)st.f_bavail * st.f_frsize > bytes + bytes / 2 + RESERVE_MAX;
}

static bool is_worth(struct catalog *c, uint64_t least)
{
	struct store_space space;
	int rc;

	pthread_mutex_lock(&c->lock);
	rc = store_space(&c->store, &space);
	pthread_mutex_unlock(&c->lock);
	return rc == 0 && space.free * space.page_size >= least && space.free > space.pages / 2 &&
	       has_room_for(c, (space.pages - space.free) * space.page_size);
}

void prepare_compaction(struct catalog *c)
{
	struct stat st;

	if (c->mirror != NULL || c->has_new || c->closing ||
	    sys_fstatat(c->dirfd, CATALOG_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if ((uint64_t)st.st_size >= COMPACT_CLOSE_BYTES)
		c->has_new = create_new(c) == 0;
}

void forget_compaction(struct catalog *c)
{
	if (c->has_new)
		sys_unlinkat(c->dirfd, CATALOG_FILE_NEW, 0);
	c->has_new = false;
}

/* The copy FD takes the file's place, on the disk. */
static int publish(const struct catalog *c, int fd)
{
	/* Fails where one of the names is gone: none is made. */
	unsigned int flags = c->closing ? RENAME_EXCHANGE : 0;
	int rc = c->options.no_sync ? 0 : sys_fdatasync(fd);

	if (rc == 0)
		rc = sys_renameat(c->dirfd, CATALOG_FILE_NEW, c->dirfd, CATALOG_FILE, flags);
	return rc;
}

/* Makes the copy and opens it; it has no name that counts yet. */
static int make_copy(struct catalog *c, struct store *ret_store, int *ret_fd)
{
	char path[PRIVATE_PATH_MAX];
	int rc = 0, fd;

	if (!c->closing) {
		c->has_new = false;
		rc = create_new(c);
	}
	if (rc < 0)
		return rc;
	fd = sys_openat(c->dirfd, CATALOG_FILE_NEW, O_RDWR | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	private_path(fd, path);
	rc = before_change(c);
	if (rc == 0)
		rc = store_copy(&c->store, path, c->map_size);
	if (rc == 0)
		rc = open_store(c, path, false, ret_store);
	if (rc < 0)
		sys_unlinkat(c->dirfd, CATALOG_FILE_NEW, 0);
	return rc;
}

static int compact(struct catalog *c)
{
	struct store fresh, old;
	CLEANUP(fd) int fd = -1;
	int rc = c->mirror != NULL ? mirrored_compact(c, &fresh) : make_copy(c, &fresh, &fd);

	if (rc < 0)
		return rc;
	rc = c->mirror != NULL ? 0 : publish(c, fd);
	if (rc < 0) {
		store_close(&fresh);
		sys_unlinkat(c->dirfd, CATALOG_FILE_NEW, 0);
		return rc;
	}
	c->reserved = 0;
	/*
	 * The old file has the same tables, so the rename need not be durable yet. It must be before the
	 * next change, or a sum of the new file.
	 */
	if (c->mirror == NULL)
		c->is_behind = !c->options.no_sync && sys_fsync_dir(c->dirfd) < 0;
	pthread_mutex_lock(&c->lock);
	old = c->store;
	c->store = fresh;
	c->stats.compactions++;
	pthread_mutex_unlock(&c->lock);
	store_close(&old);
	return 0;
}

void compact_if_worth(struct catalog *c, uint64_t least)
{
	int rc;

	if ((c->closing && c->mirror == NULL && !c->has_new) || !is_worth(c, least))
		return;
	rc = compact(c);
	/*
	 * The file system cannot exchange names, as each close would tell. A plain rename could make a name that somebody
	 * who removes the upper has just removed; the checkpoints of a mount, which may make names, keep the file in bounds.
	 */
	if (rc == -EINVAL && c->closing && c->mirror == NULL)
		log_debug("the catalog was not made smaller: names cannot be exchanged here");
	else if (rc < 0)
		log_info("the catalog was not made smaller: %s", strerror(-rc));
}
