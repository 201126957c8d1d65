/* SPDX-License-Identifier: Apache-2.0 */
/* Data files that are to be deleted as soon as no power cut can bring their records back. */
#ifndef PLYFS_DATA_REAPER_H
#define PLYFS_DATA_REAPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct data;

/* With more than these bytes in the queue the flush that frees them is asked for. */
#define REAPER_BYTES ((uint64_t)64 << 20)

struct reaper {
	pthread_mutex_t lock; /* protects the queue and what is below it */
	struct doomed {
		uint64_t ino;
		uint64_t seq;	/* the batch that must be durable before */
		uint64_t bytes; /* that it takes of the disk */
	} * queue;		/* owned; a ring */
	size_t head, n, cap;
	bool complained;
	pthread_cond_t wake;
	pthread_t thread;
	bool has_thread, stop;
	bool work; /* for the thread */

	pthread_mutex_t turn;	/* outside `lock`: the first of the queue is being deleted */
	_Atomic uint64_t bytes; /* of the queue */
	_Atomic size_t count;
};

void reaper_init(struct reaper *r);
/* Deletes what may be deleted; the rest is left to the next open. */
void reaper_done(struct data *d);

/* Takes a file over. -ENOMEM. */
int reaper_add(struct data *d, uint64_t ino, uint64_t seq, uint64_t bytes);
/* Records have been flushed. */
void reaper_flushed(struct data *d);
/* INO is about to get a data file: returns when an old one is out of the queue. */
void reaper_finish(struct data *d, uint64_t ino);

#endif
