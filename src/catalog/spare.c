/* SPDX-License-Identifier: Apache-2.0 */
/* Files without content that are deleted when there is no room to delete: for btrfs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "catalog/internal.h"

/*
 * Elsewhere blocks that are allocated can be written, come what may. btrfs must have room free for what each write might
 * change in its trees, though it uses next to none of it; at a used-up quota the same. What it always allows is to
 * unlink a file. So one of these is unlinked, the write is made, and the file made anew.
 *
 * Making it needs far more room than the write did, several times what it gives back. So there are many: one that cannot
 * be had again now is made when the deleted files have left. Half of them only deletions get; until that half is there
 * again only what frees space is written. The other half must not take what somebody has just deleted to have room: it is
 * lent to a write that finds none.
 */
#define SPARES	    16
#define SPARES_LOW  (SPARES / 2)
#define SPARE_BYTES ((off_t)128 << 10)

struct spare_name {
	char text[16];
};

static struct spare_name name_of(unsigned int i)
{
	struct spare_name name;

	snprintf(name.text, sizeof(name.text), SPARE_FILE, i);
	return name;
}

static int make(const struct catalog *c, unsigned int i)
{
	const int flags = O_RDWR | O_CREAT | O_NOFOLLOW;
	struct spare_name name = name_of(i);
	CLEANUP(fd) int fd = sys_openat(c->dirfd, name.text, flags, 0600);
	int rc = fd < 0 ? fd : sys_fallocate(fd, 0, 0, SPARE_BYTES);

	if (fd >= 0 && rc < 0)
		sys_unlinkat(c->dirfd, name.text, 0);
	return rc;
}

/* Makes them until there are UPTO; false: there are fewer than deletions may need. */
static bool take(struct catalog *c, unsigned int upto)
{
	unsigned int n;
	int rc = 0;

	if (!c->wants_spares || atomic_load(&c->n_spares) >= upto)
		return true;
	pthread_mutex_lock(&c->spare_lock);
	n = atomic_load(&c->n_spares);
	while (n < upto && (rc = make(c, n)) == 0)
		atomic_store(&c->n_spares, ++n);
	pthread_mutex_unlock(&c->spare_lock);
	/* Where they cannot be had for another reason, nothing is gained by refusing to write. */
	return n >= SPARES_LOW || !sys_is_full(rc);
}

void spare_take(struct catalog *c)
{
	(void)take(c, SPARES);
}

bool spare_regain(struct catalog *c)
{
	/* Not more: somebody may have deleted to have room for something else. */
	return take(c, SPARES_LOW);
}

bool spare_give(struct catalog *c, int rc, enum spare_for what)
{
	unsigned int keep = what == SPARE_FOR_DELETION	   ? 0
			    : what == SPARE_FOR_CHECKPOINT ? SPARES_LOW / 2
							   : SPARES_LOW;
	bool given = false;
	unsigned int n;

	if (!sys_is_full(rc) || !c->wants_spares)
		return false;
	pthread_mutex_lock(&c->spare_lock);
	n = atomic_load(&c->n_spares);
	if (n > keep) {
		given = sys_unlinkat(c->dirfd, name_of(n - 1).text, 0) == 0;
		atomic_store(&c->n_spares, n - 1);
	}
	/* Only the file system's own commit makes room of it. */
	if (given)
		(void)syncfs(c->dirfd);
	pthread_mutex_unlock(&c->spare_lock);
	return given;
}

/* How many there are; one that is not whole is none. */
static unsigned int count(const struct catalog *c)
{
	unsigned int n = 0;
	struct stat st;

	while (n < SPARES &&
	       sys_fstatat(c->dirfd, name_of(n).text, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_size == SPARE_BYTES)
		n++;
	return n;
}

void spare_begin(struct catalog *c)
{
	c->wants_spares = sys_is_btrfs(c->dirfd);
	if (!c->wants_spares)
		return;
	atomic_store(&c->n_spares, count(c));
	/* What an open writes is little, but in many places. */
	for (unsigned int i = 0; i < 3 && sys_cut_may_fail(c->dirfd); i++)
		(void)spare_give(c, -ENOSPC, SPARE_FOR_DELETION);
}

void spare_close(struct catalog *c)
{
	unsigned int n = atomic_load(&c->n_spares);

	/* Where the disk may be full before the next mount, that one shall find them. */
	if (!c->wants_spares || sys_cut_may_fail(c->dirfd))
		return;
	while (n > 0)
		sys_unlinkat(c->dirfd, name_of(--n).text, 0);
}

bool catalog_give_spare(struct catalog *c, int rc)
{
	return c->options.mode == CATALOG_WRITE && spare_give(c, rc, SPARE_FOR_OTHERS);
}

void catalog_take_spare(struct catalog *c)
{
	if (c->options.mode == CATALOG_WRITE)
		spare_take(c);
}

bool catalog_lacks_spares(struct catalog *c)
{
	return c->wants_spares &&
	       atomic_load_explicit(&c->n_spares, memory_order_relaxed) < SPARES_LOW;
}

bool catalog_regain_spares(struct catalog *c)
{
	return !catalog_lacks_spares(c) || spare_regain(c);
}

/* What only makes deleting easier goes back to whoever has just deleted. */
static void lend(struct catalog *c)
{
	unsigned int n;

	pthread_mutex_lock(&c->spare_lock);
	for (n = atomic_load(&c->n_spares); n > SPARES_LOW; n--)
		sys_unlinkat(c->dirfd, name_of(n - 1).text, 0);
	atomic_store(&c->n_spares, n);
	pthread_mutex_unlock(&c->spare_lock);
}

bool catalog_settle_space(struct catalog *c, bool lends)
{
	if (!c->wants_spares)
		return false;
	if (lends)
		lend(c);
	return syncfs(c->dirfd) == 0;
}
