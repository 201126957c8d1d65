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

/* FD, or NAME in it. */
static int identify(int fd, const char *name, struct place_id *ret_id)
{
	const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
	struct statx stx;

	if (statx(fd, name, flags, STATX_INO | STATX_MNT_ID, &stx) < 0)
		return -errno;
	*ret_id = (struct place_id){
		.dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
		.ino = stx.stx_ino,
		/* Linux before 5.8 does not tell. */
		.mount = stx.stx_mask & STATX_MNT_ID ? stx.stx_mnt_id : 0,
	};
	return 0;
}

int ancestry_place(int fd, struct place_id *ret_id)
{
	return identify(fd, "", ret_id);
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

/* The directory above AT, opened, if it is none that is known to be outside: *RET_FD is -1 then. */
static int open_above(const struct ancestry *a, int at, int *ret_fd)
{
	struct place_id above;
	int r = identify(at, "..", &above);

	if (r == 0 && holds(&a->outside, &above)) {
		*ret_fd = -1;
		return 0;
	}
	if (r == 0)
		r = sys_openat(at, "..", O_PATH | O_DIRECTORY, 0);
	if (r < 0)
		return r;
	*ret_fd = r;
	return 0;
}

/*
 * Adds FD, which is ID, and what it lies in to those outside, from the inside out, until one that is known to be or the end,
 * which is its own parent.
 */
static int walk_up(struct ancestry *a, int fd, const struct place_id *id)
{
	CLEANUP(fd) int at = -1;
	struct place_id here = *id;

	for (;;) {
		int up, r;

		if (is_same(a, &here))
			return ANCESTRY_INSIDE;
		if (holds(&a->outside, &here))
			return ANCESTRY_OUTSIDE;
		r = add(&a->outside, &here);
		if (r < 0)
			return r;
		r = open_above(a, at >= 0 ? at : fd, &up);
		/* What lies above and may not be searched cannot be compared. */
		if (r < 0)
			return r == -EACCES ? ANCESTRY_OUTSIDE : r;
		if (up < 0)
			return ANCESTRY_OUTSIDE;
		if (at >= 0)
			close(at);
		at = up;
		r = identify(at, "", &here);
		if (r < 0)
			return r;
	}
}

int ancestry_init(struct ancestry *a, int fd)
{
	return ancestry_place(fd, &a->self);
}

int ancestry_of(struct ancestry *a, int fd, const struct place_id *id)
{
	size_t n = a->outside.n;
	int r;

	if (is_same(a, id))
		return ANCESTRY_SAME;
	r = walk_up(a, fd, id);
	/* What was passed on the way is not outside. */
	if (r != ANCESTRY_OUTSIDE)
		a->outside.n = n;
	return r;
}
