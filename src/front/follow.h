/* SPDX-License-Identifier: Apache-2.0 */
/* Where clients run, and whether processors are free: looked up in /proc. */
#ifndef PLYFS_FRONT_FOLLOW_H
#define PLYFS_FRONT_FOLLOW_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "front/pace.h"

/* Owned by one user at a time. follow_init() fills it. */
struct follow {
	int stat_fd; /* /proc/PID/stat of the client looked at last, or -1 */
	int pid;
	int load_fd; /* /proc/loadavg, or -1 */
	long online; /* processors of the machine */
	int cpu;     /* the last one that a client was seen on, -1: none */
	bool usable; /* we may run there */
};

void follow_init(struct follow *f);
void follow_done(struct follow *f);
DEFINE_CLEANUP(struct follow, follow, follow_done)

/* Looks where PID is (f->cpu afterwards) and how many tasks want to run. */
struct pace_seen follow_look(struct follow *f, int pid);

/* The state of one of our own threads as ps(1) shows it, for instance 'R'; '?' when unknown. */
char follow_state(pid_t tid);

/* Parsers. RET_CPU: field 39 of /proc/PID/stat; RET_STATE: field 3. False: nonsense. */
bool follow_parse_stat(const char *text, int *ret_cpu, char *ret_state);
/* The number of runnable tasks in /proc/loadavg, or -1. */
long follow_parse_load(const char *text);

#endif
