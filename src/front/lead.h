/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who reads requests: all threads, or one that leads. Nothing here decides whether an answer is right:
 * a request may be read and served by any thread at any time. doc/loop.md explains it, and why a request
 * that waits is always taken.
 */
#ifndef PLYFS_FRONT_LEAD_H
#define PLYFS_FRONT_LEAD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

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
	atomic_uint step;  /* odd while it serves a request, or looks at its client */
	atomic_int cpu;	   /* the one it was moved to, or -1 */
	bool parked;	   /* lead.lock */
	unsigned int seen; /* by the guard: step; lead.lock */
	bool ended;	   /* lead.lock */
};

/* lead_init() fills it. */
struct lead {
	/* A leaf. Nothing that can wait is done under it: no look at /proc, no new thread. */
	pthread_mutex_t lock;
	int timer_fd; /* the guard's */
	int queue_fd; /* borrowed: where requests are read */

	/* Written under the lock, read by each thread before it reads a request. */
	_Atomic(enum pace_mode) mode;
	_Atomic(struct worker *) leader; /* NULL: all threads, and only then */
	atomic_int cpu;			 /* where the leader is to be, -1: anywhere */

	atomic_bool guarded;   /* the guard's timer runs */
	atomic_uint busy;      /* requests in service */
	atomic_uint n_workers; /* grows, by the main thread, under the lock */

	/* Under the lock. */
	struct worker *workers; /* owned; does not move; the idler is behind the last one */
	unsigned int n_wanted, max_workers;
	struct worker *idler; /* the one under SCHED_IDLE, or NULL */
	struct pace pace;
	uint64_t spawn_after; /* for the main thread only: no thread is made before */
	bool watched;	      /* the guard has nothing else to do; nobody leads otherwise */
	enum pace_mode left;  /* the mode when it began to do something else */
	bool looking;	      /* a thread has FOLLOW for its own */
	struct {	      /* by the guard */
		const struct worker *leader;
		unsigned int step, steps; /* the leader's, everybody's */
		bool waited;		  /* a request was there to be read */
		unsigned int credit;	  /* turns until a rest */
	} seen;
	uint64_t handovers, rescues;

	struct follow follow;
	struct pace_seen (*look)(struct follow *f, int pid); /* follow_look(), or a test's */
};

/* The time that `pace` counts in. */
static inline uint64_t lead_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 * PACE_MS + (uint64_t)t.tv_nsec;
}

/* Less than a second. */
static inline void lead_pause(uint64_t ns)
{
	struct timespec t = {.tv_nsec = (long)ns};

	nanosleep(&t, NULL);
}

/* Reads the options. Nothing has to be undone but by lead_done(), which accepts a zeroed front. */
int lead_init(struct front *f);
void lead_done(struct front *f);

/* For the main thread: W has been started, and is one of the workers from now on. */
void lead_add(struct front *f, struct worker *w);
/* There is no idler: it could not be started, or (for the idler) is not under SCHED_IDLE. */
void lead_without_idler(struct front *f);

/* For a worker: waits until it is to read; false: the loop has ended. */
bool lead_await(struct worker *w);
/* Around the service of a request. Before one that may take long, another thread goes to read. */
void lead_begin(struct worker *w, const struct request *r);
void lead_end(struct worker *w, const struct request *r);
/* It does not read any more: the connection has ended. */
void lead_ended(struct worker *w);

/* Wakes who waits in lead_await(). */
void lead_wake_all(struct front *f);
/* For the main thread, after guard_leave(). */
void lead_to_text(struct front *f, struct buf *out);

/* Is a request there to be read? Any thread. */
bool lead_is_pending(const struct lead *l);

/* ---- for guard.c; under the lock --------------------------------------------------------- */

/* All usual threads read. */
void lead_to_threads(struct lead *l);
/* The guard is to come in a turn, if it is not to already. Also without the lock. */
void lead_call_guard(struct lead *l);
/* The idler is on its way to park: until then it may take a request though it does not lead. */
bool lead_is_astray(struct lead *l);

#endif
