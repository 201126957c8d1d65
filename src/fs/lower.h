/* SPDX-License-Identifier: Apache-2.0 */
/* Open lower files, kept for as long as they are used often. */
#ifndef PLYFS_FS_LOWER_H
#define PLYFS_FS_LOWER_H

#include <pthread.h>

#include "base/table.h"
#include "data/data.h"
#include "fs/inode.h"

/* Threads: any; a file in use is never closed. */
struct lower_files {
	pthread_mutex_t lock;
	struct table table;		    /* by ino */
	struct lower_file *newest, *oldest; /* least recently used first to go */
	size_t max;
};

struct lower_file;

int lower_files_init(struct lower_files *t);
/* So many stay open without being used: before the first one is, none. */
void lower_files_keep(struct lower_files *t, size_t max);
void lower_files_done(struct lower_files *t);

/* The bytes of INODE's lower file, opened when they are not. -EIO when it has none. */
int lower_file_get(struct lower_files *t, const struct inode *inode, struct lower_file **ret_file);
void lower_file_put(struct lower_files *t, struct lower_file *f); /* NULL is fine */
/* Forgets the file of a forgotten inode. */
void lower_file_drop(struct lower_files *t, uint64_t ino);

ssize_t lower_file_read(struct lower_file *f, void *bytes, size_t size, off_t off);
off_t lower_file_seek(struct lower_file *f, off_t off, int whence);
/* The file as the data folder wants it. */
void lower_file_source(struct lower_file *f, struct data_source *ret_source);

/* A file held by an operation. */
struct lower_held {
	struct lower_files *files;
	struct lower_file *file;
};
static inline void lower_held_put(struct lower_held *h)
{
	lower_file_put(h->files, h->file);
}
DEFINE_CLEANUP(struct lower_held, lower_held, lower_held_put)
/* Holds INODE's lower file; a borrowed descriptor of the plain file that has its bytes, or -errno; -EOPNOTSUPP: there is none. */
int lower_held_fd(struct lower_held *h, const struct inode *inode);

#endif
