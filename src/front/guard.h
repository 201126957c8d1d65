/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard: the main thread sees each few milliseconds that requests are taken and served, whenever
 * anything but "all usual threads read, and one of them has time" is the case. doc/loop.md.
 *
 * All of this is for the main thread only.
 */
#ifndef PLYFS_FRONT_GUARD_H
#define PLYFS_FRONT_GUARD_H

#include "front/lead.h"

/* The guard waits for its timer from now on: a thread may lead. */
void guard_watch(struct front *f);
/* It is about to do something else, which may take time: all threads read until guard_watch(). */
void guard_leave(struct front *f);

/* The timer has expired. */
void guard_turn(struct front *f);

/* All threads read from now on, and the idler does not. */
void guard_settle(struct front *f);

/* lead.lock, also when a thread that holds it waits for a processor under SCHED_IDLE. */
void guard_lock(struct lead *l);

#endif
