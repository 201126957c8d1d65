/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether listings carry attributes. The kernel asks by READDIRPLUS; an answer may leave the attributes of names out
 * (fuse_direntplus_link() skips them), and who wants those asks by a LOOKUP each, or by a GETATTR where the kernel knows the
 * name already. An answer with them costs a look at each file, one without a message for each file that is looked at.
 * doc/messages.md has the figures.
 */
#ifndef PLYFS_FRONT_PLUS_H
#define PLYFS_FRONT_PLUS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Directories whose names went out without attributes, and are watched. */
#define PLUS_DIRS 64
/* Inodes of the last of those names. */
#define PLUS_INOS 4096

/* plus_init() fills it. Any thread may call the functions below. */
struct plus {
	pthread_mutex_t lock; /* all but the directories and inodes, which are read without it */
	bool off;	      /* attributes are left out */
	unsigned int every;   /* one answer in so many is tried without */
	unsigned int since;   /* answers with attributes since the last that was tried without */
	unsigned int tried;   /* answers without, that were not judged yet */
	uint64_t given;	      /* names in them ... */
	uint64_t asked;	      /* ... and how many of these were looked up, or asked for */
	_Atomic uint64_t dirs[PLUS_DIRS]; /* inode numbers, 0: none; each has one place */
	_Atomic uint64_t inos[PLUS_INOS]; /* likewise */
};

void plus_init(struct plus *p);
void plus_done(struct plus *p);

/* Is the next answer to READDIRPLUS to have attributes? */
bool plus_wanted(struct plus *p);

/* N names of the directory DIR, dots apart, are about to be answered, WITH attributes or without. */
void plus_listed(struct plus *p, uint64_t dir, size_t n, bool with);

/* INO is one of the names that are about to be answered without attributes. Not for directories: they are asked for anyway. */
void plus_left_out(struct plus *p, uint64_t ino);

/* A LOOKUP in the directory DIR has found something. Costs a read of memory when attributes are given. */
void plus_looked_up(struct plus *p, uint64_t dir);

/* A GETATTR of INO. Costs as much. */
void plus_asked_for(struct plus *p, uint64_t ino);

#endif
