/* SPDX-License-Identifier: Apache-2.0 */
/* Walking up from directories, each one once. */
#include "fs/ancestry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/sys.h"

void ancestry_done(struct ancestry *a)
{
	free(a->outside.ids);
}

static int identify(int fd, struct place_id *ret_id)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO | STATX_MNT_ID, &stx) < 0)
		return -errno;
	*ret_id = (struct place_id){
		.dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
		.ino = stx.stx_ino,
		/* Linux before 5.8 does not tell. */
		.mount = stx.stx_mask & STATX_MNT_ID ? stx.stx_mnt_id : 0,
	};
	return 0;
}

static bool same_place(const struct place_id *a, const struct place_id *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->mount == b->mount;
}

static int add(struct place_ids *l, const struct place_id *id)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 32 : l->cap * 2;
		struct place_id *grown = reallocarray(l->ids, cap, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		l->ids = grown;
		l->cap = cap;
	}
	l->ids[l->n++] = *id;
	return 0;
}

static bool holds(const struct place_ids *l, const struct place_id *id)
{
	/* The newest first: the parents of the layer before this one. */
	for (size_t i = l->n; i-- > 0;) {
		if (same_place(&l->ids[i], id))
			return true;
	}
	return false;
}

static bool is_same(const struct ancestry *a, const struct place_id *id)
{
	return a->self.ino == id->ino && a->self.dev == id->dev;
}

/*
 * Adds FD, which is ID, and what it lies in to those outside, from the inside out, until one that is known to be or the end.
 */
static int walk_up(struct ancestry *a, int fd, const struct place_id *id)
{
	CLEANUP(fd) int at = -1;
	struct place_id here = *id, last;

	do {
		int up, r;

		if (is_same(a, &here))
			return ANCESTRY_INSIDE;
		if (holds(&a->outside, &here))
			return ANCESTRY_OUTSIDE;
		r = add(&a->outside, &here);
		if (r < 0)
			return r;
		up = sys_openat(at >= 0 ? at : fd, "..", O_PATH | O_DIRECTORY, 0);
		/* What lies above and may not be searched cannot be compared. */
		if (up < 0)
			return up == -EACCES ? ANCESTRY_OUTSIDE : up;
		if (at >= 0)
			close(at);
		at = up;
		last = here;
		r = identify(at, &here);
		if (r < 0)
			return r;
	} while (!same_place(&here, &last));
	return ANCESTRY_OUTSIDE;
}

int ancestry_init(struct ancestry *a, int fd)
{
	return identify(fd, &a->self);
}

int ancestry_of(struct ancestry *a, int fd)
{
	size_t n = a->outside.n;
	struct place_id id;
	int r = identify(fd, &id);

	if (r < 0)
		return r;
	if (is_same(a, &id))
		return ANCESTRY_SAME;
	r = walk_up(a, fd, &id);
	/* What was passed on the way is not outside. */
	if (r != ANCESTRY_OUTSIDE)
		a->outside.n = n;
	return r;
}
