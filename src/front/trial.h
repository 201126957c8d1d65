/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of two ways of serving is faster here, found out by doing both in turn. Whether a leader wins
 * depends on what waking a processor costs on this machine, on how long requests take, and on what
 * the client does meanwhile: none of it can be asked for, and all of it shows in the time that as
 * many requests take. Pure, as pace.h.
 */
#ifndef PLYFS_FRONT_TRIAL_H
#define PLYFS_FRONT_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

/* Windows that are added up, of either way; the one after a change is not counted. */
#define TRIAL_SAMPLE 8

struct trial {
	bool leader; /* the way that is better, as far as is known */
	bool trying; /* the other one is being done */
	bool fresh;  /* the way has just changed */

	unsigned int n;		     /* windows in `sum` */
	uint64_t sum;		     /* ns */
	uint64_t usual;		     /* of the last full sample of the better way; 0: none yet */
	unsigned int wait, interval; /* samples until the other is tried; the last such number */
};

/* LEADER: what is done until something is known. */
void trial_init(struct trial *t, bool leader);

/* A window took NS, with a leader or without. One of the way that was not asked for is left out. */
void trial_window(struct trial *t, bool leader, uint64_t ns);

/* What to do in the next window. */
static inline bool trial_wants_leader(const struct trial *t)
{
	return t->leader != t->trying;
}

#endif
