/* SPDX-License-Identifier: Apache-2.0 */
/* The kill test: what its files share. */
#ifndef PLYFS_TESTS_CRASH_KILL_H
#define PLYFS_TESTS_CRASH_KILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "crash/kill/model.h"
#include "crash/kill/ops.h"

uint64_t rnd(uint64_t *state);
static inline unsigned int rnd_below(uint64_t *state, unsigned int n)
{
	return (unsigned int)(rnd(state) % n);
}

/* compare.c */

/*
 * Compares MODEL with the directory DIR, exactly; writes each difference to OUT. What the model does not
 * know (a time, an inode number, which of several contents) is learned from the directory where it is
 * one of the allowed ones. Returns the number of differences.
 */
unsigned int compare_tree(struct tree *model, const char *dir, FILE *out);

/* Makes a model of what DIR shows. Exits when it cannot. */
void scan_tree(struct tree *ret_model, const char *dir);

/*
 * No two inodes of the models have the same number; each data file in the upper belongs to an inode
 * that has had so many bytes that it needs one; no journal was put aside as damaged. Returns the number of
 * complaints.
 */
unsigned int check_upper(struct tree *const *models, unsigned int n, const char *upper, FILE *out);

/* moment.c */

/*
 * What a checkpoint does can be seen from outside: the other journal grows, the tables' file changes, a
 * journal is cut off, a compact copy of the tables is made.
 */
enum event { EVENT_SWITCH, EVENT_TABLES, EVENT_CUT, EVENT_COPY, N_EVENTS };
extern const char *const event_names[N_EVENTS];

/* What the files of a catalog looked like. */
struct files {
	struct stat tables, journals[2];
	bool copy;
	int grows; /* the journal that grew last; -1: none yet */
};

void files_look(struct files *f, const char *upper);
/* True when it has happened since the last look; BEFORE becomes what is there now. */
bool files_event(struct files *before, const char *upper, enum event event);

/* daemon.c */

/* The program under test and where it works. */
struct place {
	const char *program;
	char lowers[300], upper[256], mnt[256], log[256];
	pid_t daemon; /* 0: none is running */
};

/* Starts a daemon, without waiting for it. OPTIONS begin with a comma, or are none. */
void daemon_spawn(struct place *p, const char *options);
/* The mount answers, or the program exits with a message. */
void daemon_await(struct place *p);
/* SIGKILL, and the daemon is gone when this returns. */
void daemon_kill(struct place *p);
/* Takes a dead mount away, if there is one. */
void daemon_detach(struct place *p);
/* umount(2), which must succeed. The daemon then ends by itself. */
void daemon_unmount(struct place *p);
/* Waits for the end of a daemon that was unmounted: it must be a clean one. */
void daemon_wait(struct place *p);
/* plyfs fsck: 0, or -1 and what it found is in OUT. */
int upper_check(const struct place *p, FILE *out);

#endif
