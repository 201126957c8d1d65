/* SPDX-License-Identifier: Apache-2.0 */
/* The files that are open, and from where the kernel reads each: its cache, or a file of a layer. */
#ifndef PLYFS_FRONT_OPENS_H
#define PLYFS_FRONT_OPENS_H

#include <pthread.h>
#include <stdint.h>

#include "base/table.h"

/* Of the numbers that the kernel gives to backing files; theirs are positive. */
#define OPENS_CACHED 0

/*
 * All opens of an inode have to agree while any of them is open: the kernel fails one that names another backing file,
 * or none, with EIO. So what the first one got is kept until the last one is released. Threads: any.
 */
struct opens {
	pthread_mutex_t lock; /* a leaf */
	struct table table;   /* by inode; protected by `lock` */
};

/* 0 or -ENOMEM. */
int opens_init(struct opens *t);
void opens_done(struct opens *t);

/* One more open of INO, if it is open: 1 and what it has, else 0. */
int opens_join(struct opens *t, uint64_t ino, int *ret_id);

/*
 * One more open of INO, which has ID unless another thread was faster: RET_ID is what it has. When that is not ID, the
 * caller still owns his. 0 or -ENOMEM.
 */
int opens_add(struct opens *t, uint64_t ino, int id, int *ret_id);

/* One open less; an inode that was not open is fine. The id that nobody uses any more, now the caller's, or OPENS_CACHED. */
int opens_drop(struct opens *t, uint64_t ino);

#endif
