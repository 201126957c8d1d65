/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of upper files: inline in the catalog, in data files, or composed by chunk maps. */
#ifndef PLYFS_DATA_DATA_H
#define PLYFS_DATA_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "catalog/catalog.h"

/*
 * A file begins inline (or as the bytes of a lower file) and moves to a data file of its own when
 * it outgrows DATA_INLINE_MAX. A large lower file moves by chunks: a write copies only the chunks
 * that it touches in part, into a sparse data file as long as the file; the chunk map says which
 * chunks are there. Small lower files, and all where the file systems can reflink, move whole.
 *
 * Whatever is moved is invisible until the caller commits: these functions put bytes into the data
 * file first and the records that make them visible into the caller's batch. So a crash between
 * the two, or a commit that fails, leaves the old content. Bytes that are in a data file already
 * are changed in place, in FILE and in CHUNKS: there a crash can leave a write half done. One that
 * made a CHUNKS file longer is taken back by data_truncate() to the old length, which needs no
 * record.
 *
 * Calling rules. The caller holds the inode's data lock: shared for functions marked [S],
 * exclusive for [X]. Functions that take a `struct batch` may change REC (where, attr.size,
 * lower_size, chunk_shift) and add to the batch, and say so in RET_CHANGED: then the caller puts
 * REC into the same batch and commits it before anything else is done to the file. On failure REC
 * and the batch are as they were. When that commit fails a data file that REC had not before is
 * the caller's to remove (files.h). mtime, ctime of INLINE and LOWER files are the caller's; the mtime of
 * FILE and CHUNKS is the data file's own, which moves their ctime, too.
 */
struct data;

#define DATA_INLINE_MAX 4096

/* The lower file under a LOWER or CHUNKS record; borrowed. Reading past its end returns 0. */
struct data_source {
	ssize_t (*read)(void *arg, void *bytes, size_t size, off_t off);
	/* SEEK_DATA or SEEK_HOLE, as lseek(2) or -errno; one that cannot tell says -EOPNOTSUPP. */
	off_t (*seek)(void *arg, off_t off, int whence);
	void *arg;
	int fd; /* for reflink and copy_file_range; -1 when it has none */
};

struct data_options {
	bool read_only;
	bool keep_sums;	     /* remember which files are written, for data/sums.h */
	bool no_sync;	     /* volatile: never wait for a disk */
	size_t max_fds;	     /* descriptors kept open; 0: 64 */
	uint8_t chunk_shift; /* 0: the default (128 KiB chunks); tests use small ones */
	uint32_t whole_max;  /* lower files up to this size are copied whole; 0: one chunk */
};

/*
 * Opens the store in the directory DIRFD (`.plyfs/data`, borrowed). C outlives it. A writable store
 * that is not volatile needs its hooks in C from the first change on.
 */
int data_open(int dirfd, struct catalog *c, const struct data_options *options,
	      struct data **ret_data, struct err *err);
/*
 * NULL is fine. What was written and not synced is left to the kernel. Before, the hooks are taken
 * away, catalog_sync() lets the queue of deletions run empty, and the threads of C have ended.
 */
void data_close(struct data *d);
DEFINE_CLEANUP_PTR(struct data, data, data_close)

/* From now on N descriptors are kept open, besides those in use; N is at least 1. */
void data_keep_fds(struct data *d, size_t n);

/*
 * For catalog_set_hooks(). With them each flush of records, whoever asks for it, first flushes the
 * data files on which the records depend, so that no record survives a power cut without the bytes
 * that it makes visible; and then data files are deleted that no record on the disk needs any more.
 */
struct catalog_hooks data_hooks(struct data *d);

/* Starts the thread that deletes data files; without it the flush that allows it does it. In the
 * process that serves, after a fork. 0 or -EAGAIN, which does no harm. */
int data_start(struct data *d);

/* True when REC's bytes can be written by data_write() under the shared lock. */
bool data_is_plain(const struct inode_rec *rec);

/* [S] Bytes read, short only at the end of the file, or -errno. SRC as REC needs it, else NULL. */
ssize_t data_read(struct data *d, const struct inode_rec *rec, const struct data_source *src,
		  void *bytes, size_t size, off_t off);

/*
 * [S] The data file that has all bytes of REC, from offset 0, for who reads or maps it himself; to be given back by
 * fdcache_put(). -EOPNOTSUPP unless data_is_plain().
 */
struct fdref;
int data_file(struct data *d, const struct inode_rec *rec, struct fdref **ret_ref);

/*
 * [X], or [S] when data_is_plain(). Writes all SIZE bytes or fails: -ENOSPC, -EFBIG, -EIO... After
 * a failure the length is the old one; bytes before it that were to be replaced in place may be.
 */
int data_write(struct data *d, struct inode_rec *rec, const struct data_source *src,
	       const void *bytes, size_t size, off_t off, struct batch *b, bool *ret_changed);

/*
 * The same of bytes that the kernel has had in its cache: the mtime of a FILE or CHUNKS file, also of one that becomes
 * that by it (then it is REC's), stays as it is (kept.h).
 */
int data_write_back(struct data *d, struct inode_rec *rec, const struct data_source *src,
		    const void *bytes, size_t size, off_t off, struct batch *b, bool *ret_changed);

/* [X] Sets the length. Shrinking a lower file, or growing it, copies nothing. */
int data_truncate(struct data *d, struct inode_rec *rec, const struct data_source *src,
		  uint64_t size, struct batch *b, bool *ret_changed);

/*
 * [X] fallocate(2) with mode 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE[|KEEP_SIZE]; where the
 * backing file system has no such mode, zeros are written; others are -EOPNOTSUPP. When RET_CHANGED is true
 * and REC was BYTES_CHUNKS it has made zeros only where nobody sees them yet: commit, and call it once
 * more. So a commit that fails has changed nothing.
 */
int data_fallocate(struct data *d, struct inode_rec *rec, const struct data_source *src, int mode,
		   off_t off, off_t len, struct batch *b, bool *ret_changed);

/* [S] SEEK_DATA or SEEK_HOLE. */
off_t data_seek(struct data *d, const struct inode_rec *rec, const struct data_source *src,
		off_t off, int whence);

/*
 * [S] Completes A (size, blocks, and for FILE and CHUNKS mtime and ctime). The ctime is the record's, or the mtime when
 * that is later and not the record's, so that it was set without it. The data file's own ctime says nothing: setting the
 * mtime moves it, and nobody can set it.
 */
int data_attr(struct data *d, const struct inode_rec *rec, struct attr *a);

/*
 * [X] REC is to be committed with another mtime, and data_set_mtime() is to follow: notes in REC which one the data file has
 * until then. Without it a kill in between would leave the old mtime under the new ctime.
 */
int data_mark_mtime(struct data *d, struct inode_rec *rec);
/* [S] Sets the mtime of a FILE or CHUNKS file; nothing for others, where it is the record's. */
int data_set_mtime(struct data *d, const struct inode_rec *rec, const struct timespec *mtime);
/*
 * [X] The same where that is all it takes to show this mtime and this ctime, so that no record has to be written. 1: it is not;
 * do both.
 */
int data_set_own_mtime(struct data *d, const struct inode_rec *rec, const struct timespec *mtime,
		       const struct timespec *ctime);

/* Is an mtime of INO kept that its data file does not have (kept.h)? */
bool data_keeps_mtime(struct data *d, uint64_t ino);
/* [S] Gives it to the file, too, so that a sync makes it durable; nothing when none is kept. */
int data_put_mtime(struct data *d, uint64_t ino);
/* [X] The same, for good. */
void data_settle_mtime(struct data *d, uint64_t ino);
/* All of them, before the end: nobody else uses D any more. */
void data_put_mtimes(struct data *d);

/*
 * [S] fsync(2) of the data file, or fdatasync(2), with its name; 0 at once when there is none. A
 * file that has lost bytes by a failed flush, its own or any other, is -EIO from then on, until it
 * is emptied or written anew as a whole.
 */
int data_sync(struct data *d, const struct inode_rec *rec, bool datasync);
/*
 * All data files written since they were last synced. A failed flush is returned once, by the next
 * call: all others are on the disk then.
 */
int data_sync_all(struct data *d);

/*
 * INO's name is about to take the place of another: a flush of records, even one under way, makes the
 * bytes durable first (order.c). Call before the commit. After it, data_write_soon() has the kernel begin with them.
 */
void data_replacing(struct data *d, uint64_t ino);
void data_write_soon(struct data *d, uint64_t ino);

/*
 * [X] INO has lost its last name, as was committed: takes over its data file, if any, and closes
 * the descriptor. The file is deleted when no power cut can bring the name back: at once, or after
 * a flush. On failure nothing has happened.
 */
int data_delete(struct data *d, uint64_t ino);
/* On a full disk: deletes at once what waits for a flush, which it asks for. False when there is
 * nothing. Call it without locks. */
bool data_reclaim(struct data *d);
/* What data_reclaim() would give back. */
uint64_t data_doomed_bytes(const struct data *d);

/*
 * Copies LEN bytes between descriptors: by reflink, copy_file_range(2), or reading and writing.
 * Holes stay holes. -EIO when FROM ends early; -EINVAL for ranges of one file that overlap.
 */
int data_copy_range(int from, off_t from_off, int to, off_t to_off, uint64_t len);

/* Statistics: open descriptors, hits, misses. */
void data_to_text(struct data *d, struct buf *out);

#endif
