/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How requests are to be served, decided from what was seen of them. Pure: no clock, no system call,
 * no lock; the caller (lead.c) brings the time and serialises. doc/loop.md has the reasons.
 */
#ifndef PLYFS_FRONT_PACE_H
#define PLYFS_FRONT_PACE_H

#include <stdint.h>

#include "front/options.h"
#include "front/request.h"
#include "front/trial.h"

enum pace_mode {
	PACE_THREADS,	  /* all threads read: at rest, for several clients, for slow operations */
	PACE_FOLLOW,	  /* one thread reads, on its client's CPU */
	PACE_FOLLOW_IDLE, /* the same under SCHED_IDLE */
	PACE_MODES
};

/* Requests of a window; at its end it is decided anew. Background requests do not count. */
#define PACE_WINDOW 16

#define PACE_MS UINT64_C(1000000)

/* pace_init() fills it. Times are nanoseconds of any clock that does not go backwards. */
struct pace {
	enum front_loop loop;
	bool may_idle; /* there is a thread under SCHED_IDLE */
	enum pace_mode mode;

	/* the window */
	uint64_t began;
	unsigned int n, turns, slow;
	int last; /* who sent the last request */

	/* what the windows add up to */
	unsigned int several; /* windows in a row with requests of several clients */
	unsigned int crowded; /* 0: processors to spare ... PACE_CROWDED_MAX: none for long */

	struct trial trial; /* whether a leader is faster at all */

	/* A leader that was stuck: none before HOLD_UNTIL. One that starved: no SCHED_IDLE. */
	uint64_t hold_until, hold_ns;
	uint64_t ban_until, ban_ns;

	uint64_t served[PACE_MODES]; /* requests counted in each mode */
};

/* What was looked at for pace_decide(). */
struct pace_seen {
	bool reachable; /* the last client's CPU is known, and one that we may run on */
	bool crowded;	/* as many other tasks want to run as there are processors */
};

void pace_init(struct pace *p, enum front_loop loop, bool may_idle, uint64_t now);

/* A request was served. True: the window is full, pace_decide() is due; p->last is the client. */
bool pace_request(struct pace *p, const struct request *r);

/* Ends the window. Returns (and keeps) the mode. */
enum pace_mode pace_decide(struct pace *p, const struct pace_seen *seen, uint64_t now);

/*
 * The leader did not get on with its work: STARVED, it waits for a processor; otherwise for a disk or
 * a lock. The caller goes to PACE_THREADS, and sets p->mode to what it went to whenever it does.
 */
void pace_stuck(struct pace *p, bool starved, uint64_t now);

const char *pace_mode_name(enum pace_mode mode);

#endif
