/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who reads requests: all threads, or one that leads. Nothing here decides whether an answer is right:
 * a request may be read and served by any thread at any time. doc/loop.md explains it.
 */
#ifndef PLYFS_FRONT_LEAD_H
#define PLYFS_FRONT_LEAD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "front/follow.h"
#include "front/pace.h"

struct front;

/* One thread of the loop. */
struct worker {
	struct front *front;
	pthread_t thread;
	bool idle_class;   /* under SCHED_IDLE; constant */
	sem_t wake;	   /* posted once for each time it was taken out of the parked ones */
	atomic_int tid;	   /* 0 until it runs */
	atomic_uint step;  /* odd while it serves a request */
	atomic_int cpu;	   /* the one it was moved to, or -1 */
	bool parked;	   /* lead.lock */
	unsigned int seen; /* by the guard: step; lead.lock */
	bool ended;	   /* lead.lock */
};

/* lead_init() fills it. */
struct lead {
	pthread_mutex_t lock; /* a leaf; nothing is waited for under it */
	int timer_fd;	      /* the guard's */

	/* Written under the lock, read by each thread before it reads a request. */
	_Atomic(enum pace_mode) mode;
	_Atomic(struct worker *) leader; /* NULL: all threads, or the place is empty */
	atomic_int cpu;			 /* where the leader is to be, -1: anywhere */

	atomic_bool guarded;   /* the guard's timer runs */
	atomic_uint busy;      /* requests in service */
	atomic_uint n_workers; /* grows, under the lock */

	/* Under the lock. */
	struct worker *workers; /* owned; does not move; the idler is behind the last one */
	unsigned int n_wanted, max_workers;
	struct worker *idler; /* the one under SCHED_IDLE, or NULL */
	struct pace pace;
	struct follow follow;
	struct { /* by the guard */
		const struct worker *leader;
		unsigned int step;
		bool waited;	     /* a request was there to be read */
		unsigned int credit; /* turns until a rest */
	} seen;
	uint64_t handovers, rescues;
};

/* Reads the options. Nothing has to be undone but by lead_done(), which accepts a zeroed front. */
int lead_init(struct front *f);
void lead_done(struct front *f);
/* The workers have been started; under the lock. */
void lead_started(struct front *f);

/* For the idler: it is not under SCHED_IDLE, so it must not lead. */
void lead_without_idler(struct front *f);
/* For a worker: waits until it is to read; false: the loop has ended. */
bool lead_await(struct worker *w);
/* Around the service of a request. Before one that may take long, another thread goes to read. */
void lead_begin(struct worker *w, const struct request *r);
void lead_end(struct worker *w, const struct request *r);
/* It does not read any more: the connection has ended. */
void lead_ended(struct worker *w);

/* For the main thread: the timer has expired. */
void lead_guard(struct front *f);
/* All threads read from now on; the guard is not needed any more. */
void lead_settle(struct front *f);
/* Wakes who waits in lead_await(). */
void lead_wake_all(struct front *f);

void lead_to_text(struct front *f, struct buf *out);

#endif
