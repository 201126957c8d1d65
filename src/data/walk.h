/* SPDX-License-Identifier: Apache-2.0 */
/* Walking over the data files, for those who check or copy an upper. */
#ifndef PLYFS_DATA_WALK_H
#define PLYFS_DATA_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Something that lies in the directory of the data files. */
struct data_file {
	uint64_t ino;	  /* whose data file it is; 0: nobody's, a stray name */
	uint64_t size;	  /* bytes */
	uint64_t space;	  /* bytes that it takes of the disk */
	const char *path; /* below the directory; until EACH returns */
};

/*
 * Calls EACH for every data file in DIRFD (`.plyfs/data`), and for every name there that plyfs never
 * made. The order is none. An error of EACH ends the walk and is returned. 0, -ENOMEM, or what
 * reading a directory says.
 */
int data_walk(int dirfd, int (*each)(void *arg, const struct data_file *file), void *arg);

/* The length of INO's data file: 0, -ENOENT; -EUCLEAN when its name is something else. */
int data_file_size(int dirfd, uint64_t ino, uint64_t *ret_size);

#endif
