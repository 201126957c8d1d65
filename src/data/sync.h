/* SPDX-License-Identifier: Apache-2.0 */
/* Which data files have bytes that are not on the disk yet. */
#ifndef PLYFS_DATA_SYNC_H
#define PLYFS_DATA_SYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/path.h"

struct data;
struct fdref;

/* More files than these are not remembered one by one: then the whole file system is flushed. */
#define UNSYNCED_MAX 1024

struct ino_set {
	uint64_t inos[UNSYNCED_MAX];
	size_t n;
	bool full; /* others were left out */
};

struct unsynced {
	pthread_mutex_t lock;	/* protects `written` and `moved`; innermost */
	_Atomic uint64_t epoch; /* of the set `written`: from 1 up, one more at each flush */
	pthread_mutex_t turn;	/* one flush of a set at a time; protects `busy` */
	struct ino_set written; /* files with new bytes */
	struct ino_set moved;	/* those of them on which records depend that were committed */
	struct ino_set busy;
	atomic_bool dirs[DATA_DIRS]; /* directories with new names */
	atomic_bool seen[DATA_DIRS]; /* directories that had new names since the open */
	atomic_bool root;	     /* directories that may be new themselves */
};

void unsynced_init(struct unsynced *u);
void unsynced_done(struct unsynced *u);

/* REF's file was written. Call after the bytes were. */
void unsynced_written(struct data *d, struct fdref *ref);
/* It was, and a record depends on it. Call before the record is committed. */
void unsynced_moved(struct data *d, struct fdref *ref);
/* A data file was made. */
void unsynced_created(struct data *d, uint64_t ino);

#endif
