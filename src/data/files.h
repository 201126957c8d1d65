/* SPDX-License-Identifier: Apache-2.0 */
/* Data files as such, for those who compare them with the records: after a crash, and for fsck. */
#ifndef PLYFS_DATA_FILES_H
#define PLYFS_DATA_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "data/path.h"

struct data;
struct inode_rec;
struct timespec;

/*
 * Calls EACH for every data file that there is, by the number in its name, in no order. Names that are not
 * those of data files are passed over. An error of EACH ends the walk and is returned; EACH may
 * delete the file that it is given. 0, -EIO, -ENOMEM.
 */
int data_each_file(struct data *d, int (*each)(void *arg, uint64_t ino), void *arg);

/*
 * Names of data files that must be durable before the records that a crash has left are: without a
 * store, which needs the records. Zeroed but for DIRFD, the store's directory (borrowed). Not
 * thread-safe.
 */
struct data_names {
	int dirfd;
	bool dirs[DATA_DIRS]; /* those with names that may not be durable yet */
};
/* 1 when INO has a data file, 0 when not, -errno. */
int data_names_find(struct data_names *n, uint64_t ino);
/* Waits for the disk, for all that were found; after an error, which is returned, for the others. */
int data_names_sync(const struct data_names *n);

/* MTIME is that of REC's data file: makes it what was set, where the file system could not keep that. */
void data_file_mtime(const struct inode_rec *rec, struct timespec *mtime);

/*
 * Removes the data file of an inode that has none by its record, at once: no record that a power cut
 * may bring back can need it. 0 also when there is none.
 */
int data_remove_file(struct data *d, uint64_t ino);

#endif
