/* SPDX-License-Identifier: Apache-2.0 */
/* An LMDB file on a file system where it must not be mapped: LMDB has a local copy of it. */
#ifndef PLYFS_CATALOG_MIRROR_H
#define PLYFS_CATALOG_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

/*
 * The file is read once, into a private local one, which is what LMDB opens, maps and changes. After
 * each commit there the changed pages are written to the file proper ("published"), in LMDB's own
 * order: pages, flush, meta page, flush. LMDB never writes to a page that one of the last two
 * commits uses. So until the meta page is changed the file holds the state that was published last,
 * whatever became of the other pages; and that is still so when one commit was not published. When
 * two were not, or the local file was made anew, a whole new file is written and renamed. So is it when the name
 * leads to another file than was published last, or to none after a rename that failed.
 *
 * Threads: one at a time, but for mirror_path() and mirror_fd(), which any thread may call.
 */
struct mirror;

/* True when files in DIRFD must not be mapped. */
bool mirror_wanted(int dirfd);

/*
 * A mirror of the file NAME in DIRFD (borrowed, as long as the mirror lives; NAME is copied): reads
 * all of it. NO_SYNC: never wait for a disk. What is read is not checked. -ENOENT, -ENOSPC (no room
 * for the copy), -EUCLEAN (no regular file) and the errors of the files.
 */
int mirror_open(int dirfd, const char *name, bool no_sync, struct mirror **ret_mirror);

/* The same for a file that is not there yet: the first mirror_publish() makes it. */
int mirror_create(int dirfd, const char *name, bool no_sync, struct mirror **ret_mirror);

/* Frees; what was not published is lost. NULL is fine. */
void mirror_close(struct mirror *m);
DEFINE_CLEANUP_PTR(struct mirror, mirror, mirror_close)

/* The local copy: for LMDB, and for whoever wants to look at its bytes. Both belong to M. */
const char *mirror_path(const struct mirror *m);
int mirror_fd(const struct mirror *m);

/* True when mirror_publish() has nothing to do: LMDB has committed nothing since it succeeded, and the file has its name. */
bool mirror_is_published(const struct mirror *m);

/*
 * Makes the file what the local copy is; LMDB must not be in the middle of a commit. 0: it is, byte
 * for byte, and durable. On failure it holds what it did, or what the copy does, and the next call
 * tries again: -ENOSPC, -EDQUOT, -EIO, -ESTALE and so on. -EUCLEAN: the copy is no LMDB file.
 */
int mirror_publish(struct mirror *m);

/*
 * Makes FD, another local file with an LMDB environment, the copy, and publishes it as a new file
 * under the old name. 0: FD was taken over, and mirror_path() now leads to it; all is durable when
 * mirror_publish() has succeeded, too. On failure the copy is as it was, and the next mirror_publish()
 * makes sure of the file. Who has the old copy open keeps that.
 */
int mirror_replace(struct mirror *m, int fd);

/* What publishing does to files; tests put their own functions here. 0 or -errno. */
struct mirror_calls {
	int (*pwrite)(int fd, const void *bytes, size_t len, off_t off); /* all of it */
	int (*sync)(int fd);						 /* content and size */
	int (*rename)(int dirfd, const char *from, const char *to);
	int (*sync_dir)(int fd); /* names */
};
extern struct mirror_calls mirror_calls;

#endif
