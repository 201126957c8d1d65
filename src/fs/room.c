/* SPDX-License-Identifier: Apache-2.0 */
/* Room on a full disk: what was deleted, and is not given back yet. */
#include <time.h>

#include "base/sys.h"
#include "fs/private.h"

/* For how long an answer of ours may take to its end in the kernel: only a machine that stands still takes longer. */
#define RECENT_SECONDS 10

unsigned int fs_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (unsigned int)now.tv_sec + 1;
}

bool fs_is_recent(unsigned int when)
{
	return when != 0 && fs_seconds() - when <= RECENT_SECONDS;
}

void inode_set_orphan(struct fs *fs, struct inode *inode, bool orphan)
{
	if (orphan)
		atomic_store(&fs->orphaned, fs_seconds());
	if (atomic_exchange(&inode->orphan, orphan) == orphan)
		return;
	if (orphan)
		atomic_fetch_add(&fs->n_orphans, 1);
	else
		atomic_fetch_sub(&fs->n_orphans, 1);
}

/*
 * May room come by itself? The kernel says in a message of its own that nobody uses any more what was
 * unlinked. It is sent before unlink(2) returns, but another thread may be about to read it, or to delete the file.
 */
static bool is_awaited(struct fs *fs)
{
	return atomic_load(&fs->n_orphans) > 0 && fs_is_recent(atomic_load(&fs->orphaned));
}

unsigned int fs_room_wait_ms = 1;

#define WAITS	    4 /* of 1, 4, 16 and 64 ms */
#define WAIT_FACTOR 4

static void nap(unsigned int n)
{
	uint64_t ms = fs_room_wait_ms;
	struct timespec pause;

	while (n-- > 0)
		ms *= WAIT_FACTOR;
	pause = (struct timespec){.tv_sec = (time_t)(ms / 1000),
				  .tv_nsec = (long)(ms % 1000) * 1000000};
	nanosleep(&pause, NULL);
}

bool fs_made_room(struct fs *fs, int result, unsigned int *tries)
{
	bool made = false;

	if (!sys_is_full(result) || fs->data == NULL || fs->read_only)
		return false;
	while (!made && *tries <= WAITS) {
		size_t before = atomic_load(&fs->n_orphans);
		bool recent = fs_is_recent(atomic_load(&fs->orphaned));

		if (*tries > 0 && !is_awaited(fs))
			return false;
		if (*tries > 0)
			nap(*tries - 1);
		++*tries;
		/* Deleted files may wait for a flush that allows to take their room. */
		made = data_reclaim(fs->data);
		made = catalog_settle_space(fs->catalog, recent) || made;
		/* Others have gone by themselves, perhaps since the operation failed. */
		made |= atomic_load(&fs->n_orphans) < before || (*tries == 1 && recent);
	}
	return made;
}
