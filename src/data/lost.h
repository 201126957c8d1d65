/* SPDX-License-Identifier: Apache-2.0 */
/* Data files whose records are lost, by damage: put where nobody deletes or overwrites them. */
#ifndef PLYFS_DATA_LOST_H
#define PLYFS_DATA_LOST_H

#include <stdbool.h>
#include <stdint.h>

#include "data/walk.h"

struct catalog;
struct err;

/* Beside the directory of the data files; made when there is something to put into it. */
#define LOST_DIR "lost"

struct lost_count {
	uint64_t files, bytes;
};

/*
 * Moves every data file that no record of C needs, and that is not empty, from "data" to LOST_DIR, both in DIRFD
 * (`.plyfs`). Where records are lost nobody can tell a file that has lost its own from one that a crash has left, and a number
 * that no record has is given to the next new file. Those of deleted files that were in use go along: what
 * is lost may have given them a name. A file whose record cannot be read stays. Unless NO_SYNC the moves are
 * durable, and so are those of earlier calls that failed. 0, or -errno and a sentence: then some may have been moved, and it
 * can be called again for the others. Adds to COUNT. While nobody uses the store.
 */
int lost_keep(int dirfd, struct catalog *c, bool no_sync, struct lost_count *count,
	      struct err *err);

/*
 * The same sentence for whoever could not do WHAT ("looked for") with such files, for R (-errno), which is returned: nothing
 * may be written then, as new files can get their numbers, and their places.
 */
int lost_refuse(int r, const char *what, struct err *err);

/* Calls EACH for the files in LOST_DIR of DIRFD; their paths are below DIRFD, `ino` is the number that each had.
 * An error of EACH ends the walk and is returned. EACH may move the file. */
int lost_walk(int dirfd, int (*each)(void *arg, const struct data_file *file), void *arg);

/*
 * A repair mends, among other things, what tells that records are lost, before it comes to the data files that these were about.
 * As long as this mark is in DIRFD one may have ended half-way: a data file that no record needs is then no left-over.
 */
#define REPAIR_MARK "repairing"

/* Puts the mark, durably; takes it away; asks for it. */
int lost_mark(int dirfd);
int lost_unmark(int dirfd);
bool lost_is_marked(int dirfd);

#endif
