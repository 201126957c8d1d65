/* SPDX-License-Identifier: Apache-2.0 */
/* Many names, several threads. What each file of the load knows of the others. */
#ifndef PLYFS_TESTS_LONG_STRESS_H
#define PLYFS_TESTS_LONG_STRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "crash/long/long.h"

/*
 * Directories are moved about by one thread, the mover, which knows where each is. The workers reach
 * them by descriptors, so that wherever a directory is, a worker's names in it are its own: it
 * knows of each of its names what must be there, while everybody works in the same directories.
 * A directory has a file `id` in it that says which it is.
 */
#define N_DIRS	      40
#define N_LOWER_DIRS  24
#define N_WORKERS     4
#define N_NAMES	      250 /* a worker's */
#define N_LOWER_NAMES 60  /* of them, in the lower layer at first */
#define SIZE_MAX_FILE 70000
#define ID_FILE	      "id"

/* An inode that a worker made, or began with. */
struct object {
	mode_t mode; /* with the type */
	unsigned int nlink;
	uint64_t seed; /* of the content */
	size_t size;
	uint32_t note; /* user.note; 0: none */
	ino_t ino;     /* 0: not seen yet */
};

struct name {
	struct object *o; /* NULL: nobody has this name */
	int dir;
};

struct worker {
	struct stress *s;
	unsigned int nr;
	pthread_t thread;
	uint64_t rng, ops;
	struct name names[N_NAMES];
};

struct stress {
	int root;
	int dirs[N_DIRS];
	double end;
	struct worker workers[N_WORKERS];
	/* The mover's. */
	uint64_t rng, moves;
	int parent[N_DIRS]; /* -1: the root */
	int named[N_DIRS];  /* in its parent it is called "d<this>" */
	_Atomic uint64_t walked;
	/* What the kernel had cached and the file system says otherwise when asked: see stress_worker.c. */
	_Atomic uint64_t stale_links, stale_lists;
};

/* The name of WORKER's N, and of a directory. */
void name_of(unsigned int worker, unsigned int n, char ret_name[32]);
void dir_name(int i, char ret_name[32]);
/* What a worker's lower name has. */
uint64_t lower_seed(unsigned int worker, unsigned int n);
size_t any_size(uint64_t *rng);

/* stress_dirs.c: threads. */
void *stress_mover(void *arg);
void *stress_walker(void *arg);
/* Opens all directories and makes those that are not in the lower layer. */
void stress_open_dirs(struct stress *s);
/* Finds where each directory is by its `id`. */
void stress_find_dirs(struct stress *s);

/* stress_worker.c */
void *stress_worker(void *arg);
/* The name is as the model says, content and all. */
void check_name(struct worker *w, unsigned int n);

#endif
