/* SPDX-License-Identifier: Apache-2.0 */
/* Data files as such, for those who compare them with the records: after a crash, and for fsck. */
#ifndef PLYFS_DATA_FILES_H
#define PLYFS_DATA_FILES_H

#include <stdint.h>

struct data;

/*
 * Calls EACH for every data file that there is, by the number in its name, in no order. Names that are not
 * those of data files are passed over. An error of EACH ends the walk and is returned; EACH may
 * delete the file that it is given. 0, -EIO, -ENOMEM.
 */
int data_each_file(struct data *d, int (*each)(void *arg, uint64_t ino), void *arg);

/* 1 when INO has a data file, 0 when not, -errno. */
int data_has_file(struct data *d, uint64_t ino);

/* An empty data file for INO, in place of what there is. */
int data_make_file(struct data *d, uint64_t ino);

/*
 * Removes the data file of an inode that has none by its record, at once: no record that a power cut
 * may bring back can need it. 0 also when there is none.
 */
int data_remove_file(struct data *d, uint64_t ino);

#endif
