/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel still has of a mount that is about to lose its server reaches that server. */
#ifndef PLYFS_FRONT_WRITE_BACK_H
#define PLYFS_FRONT_WRITE_BACK_H

#include <stdatomic.h>

struct front;

/* WRITEs out of the kernel's cache. */
struct write_back {
	atomic_uint begun, ended;
};

/*
 * Has the kernel write back what it caches of the mount, and waits until those WRITEs are answered, while the workers serve.
 * Whatever may be lost is said in the log: a sync(1) that failed, WRITEs that do not get on, a program that goes on
 * writing. For the main thread, after guard_leave(); takes ten seconds at most, beside what sync(1) does.
 */
void write_back(struct front *f);

#endif
