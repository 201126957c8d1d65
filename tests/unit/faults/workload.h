/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a file system while its disk fails, and a shadow that knows what must be there. */
#ifndef TESTS_UNIT_FAULTS_WORKLOAD_H
#define TESTS_UNIT_FAULTS_WORKLOAD_H

#include <criterion/criterion.h>

#include "unit/faults/drive.h"
#include "unit/faults/faults.h"

struct work {
	struct drive d;
	struct drive *killed; /* its memory stays, and so do threads that wait */
	bool open;
	const char *upper;
	unsigned int how;      /* drive_open() */
	int code;	       /* what injected faults say; 0: there are none */
	struct shadow *s;      /* owned; NULL before the first open */
	bool can_delete;       /* faults are those of a full disk, where deleting works */
	unsigned long refused; /* operations that failed, but should not without faults */
	/* Called after each operation of the workload, with what it returned. */
	void (*after)(void *arg, struct work *w, unsigned int number, const struct shadow_op *op,
		      int result);
	void *arg;
	/* Where something is wrong: the program ends with it. */
	char where[400];
};

/* A directory of its own in memory, which becomes the current one: the layer "l0" and "upper". */
void work_init(struct work *w, char dir[64]);
void work_done(struct work *w, const char *dir);

/*
 * Opens; where that fails for an injected fault, again, and a second time without faults. Then it has to
 * succeed. On the first open the shadow becomes what is shown.
 */
void work_open(struct work *w);
void work_close(struct work *w);
/* As a kill of the process leaves it: nothing is closed, but the descriptors, and locks, are gone. */
void work_kill(struct work *w);
/* One operation on both. */
int work_step(struct work *w, const struct shadow_op *op);
/* The workload: every kind of operation, N_RANDOM more from SEED, closes and opens. Ends open. */
void work_run(struct work *w, unsigned int n_random, unsigned int seed);
/* What is shown is what the shadow says. */
void work_compare(struct work *w, const char *when);
/* The same of another copy of the upper, as it is on the disk now: for the process that is killed. */
void work_compare_copy(struct work *w, const char *copy);
/* After faults: new changes either all work, or all fail with EIO, then false. */
bool work_probe(struct work *w);

/* Ends the process with this text. */
void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * Runs BODY in a process of its own, which is killed after some seconds; 0 when it has returned.
 * Otherwise RET_WHY says what wrong() said, or how it died.
 */
int in_child(void (*body)(void *arg), void *arg, char *ret_why, size_t size);

/* Zeroed memory that children share. */
void *shared(size_t size);

unsigned long number_of(const char *name, unsigned long otherwise);

#endif
