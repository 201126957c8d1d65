/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to the kernel: nobody else calls fuse_reply_*(). */
#ifndef PLYFS_FRONT_REPLY_H
#define PLYFS_FRONT_REPLY_H

#include <sys/types.h>

#include "front/private.h"

/* Every request gets exactly one of these. R is 0 or -errno as fs/ returns it. */

void reply_none(fuse_req_t req);
void reply_result(fuse_req_t req, int r);

/* R < 0: the error; else the entry, whose look-up is given back when the kernel did not get it. */
void reply_entry(fuse_req_t req, struct front *f, int r, const struct fs_entry *entry);
/* As reply_entry(), and -ENOENT is an answer that the kernel remembers. */
void reply_lookup(fuse_req_t req, struct front *f, int r, const struct fs_entry *entry);
/* An entry that is open. */
void reply_opened_entry(fuse_req_t req, struct front *f, int r, const struct fs_entry *entry,
			struct fuse_file_info *fi);

void reply_attr(fuse_req_t req, struct front *f, int r, uint64_t ino, const struct attr *attr);
void reply_readlink(fuse_req_t req, ssize_t r, const char *target);
/* ZERO: "do not ask again"; else an open file or directory that keeps its cache. */
void reply_open(fuse_req_t req, struct front *f, bool zero, struct fuse_file_info *fi);
/* An open file that the kernel reads from backing file ID; OPENS_CACHED: that keeps its cache. 0 when the kernel got it. */
int reply_passed(fuse_req_t req, struct front *f, int id, struct fuse_file_info *fi);
/* R < 0: the error; else R bytes. 0 when the kernel got them, or -errno. */
int reply_bytes(fuse_req_t req, ssize_t r, const void *bytes);
/* The SIZE bytes that are in PIPE. */
void reply_from_pipe(fuse_req_t req, int pipe, size_t size);
/* R < 0: the error; else how many bytes were written. */
void reply_written(fuse_req_t req, ssize_t r);
/* R < 0: the error; SIZE 0: the length R of the value; else its R bytes. */
void reply_xattr(fuse_req_t req, ssize_t r, const void *value, size_t size);
void reply_lseek(fuse_req_t req, off_t r);
void reply_statfs(fuse_req_t req, int r, const struct statvfs *st);

/*
 * Before the answer to a change of attributes that the answer does not tell: older ones that are on their way to
 * somebody else are not to be taken for the new ones (shown.h).
 */
void reply_attr_changed(struct front *f, uint64_t ino);
/* The same, if it may be needed, of an inode of TYPE whose ctime was moved by a change of names. */
void reply_ctime_changed(fuse_req_t req, struct front *f, uint64_t ino, uint32_t type);
/* Attributes that are going to be in the answer; between shown_begin() and shown_end(). */
void reply_note_shown(fuse_req_t req, struct front *f, uint64_t ino, const struct attr *attr);

/* An entry as libfuse wants it. */
void reply_fill_entry(const struct front *f, const struct fs_entry *entry,
		      struct fuse_entry_param *ret_param);

#endif
