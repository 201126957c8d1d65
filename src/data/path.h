/* SPDX-License-Identifier: Apache-2.0 */
/* Names of data files: two hex digits of the low byte, then the inode number in sixteen. */
#ifndef PLYFS_DATA_PATH_H
#define PLYFS_DATA_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* "ff/00000000000000ff" and its NUL. */
#define DATA_PATH_SIZE 20
/* Data files are spread over this many directories, made when they are first needed. */
#define DATA_DIRS 256

static inline unsigned int data_path_dir(uint64_t ino)
{
	return (unsigned int)(ino % DATA_DIRS);
}

/* The path of INO's data file, relative to the store's directory. */
void data_path(uint64_t ino, char ret_path[DATA_PATH_SIZE]);

/* The name of one of the directories. */
void data_path_dir_name(unsigned int dir, char ret_name[3]);

/*
 * Makes INO's data file, empty and new: one that a crash has left there is removed first. RET_FD
 * is open for reading and writing. Any thread, but one at a time for an INO.
 */
int data_path_create(int dirfd, uint64_t ino, int *ret_fd);

/*
 * Opens INO's data file; -ENOENT when it has none. -EUCLEAN: what is there is no regular file, or in no directory of ours.
 * No symbolic link is followed, not even one that somebody puts there just now.
 */
int data_path_open(int dirfd, uint64_t ino, bool read_only, int *ret_fd);
/* Looks at it; the errors are the same. Who exchanges directories meanwhile can have another file looked at. */
int data_path_stat(int dirfd, uint64_t ino, struct stat *ret_st);

/* Opens one of the directories, to be flushed or listed: a descriptor or -errno. */
int data_path_open_dir(int dirfd, unsigned int dir);

/* Makes the directory that INO's data file is in; 0 also when it is there. */
int data_path_make_dir(int dirfd, uint64_t ino);

/* Makes the file FROM of FROM_DIR INO's data file, in the place of one that it may have. The directory must be there. */
int data_path_move(int from_dir, const char *from, int dirfd, uint64_t ino);

/* Removes it; 0 also when there is none. */
int data_path_remove(int dirfd, uint64_t ino);

#endif
