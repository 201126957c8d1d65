/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To whom attributes were shown lately. They are valid without an end, and a change of names only makes the kernel forget what
 * it has of the directory and of what was renamed: fuse_dir_changed() and fuse_update_ctime() do not raise fi->attr_version
 * (Linux 6.18, fs/fuse/dir.c). An answer to somebody else that was made before the change, and gets there after it, brings the
 * old ones back for good. Telling the kernel of the change (FUSE_NOTIFY_INVAL_INODE) raises the version, and such answers are
 * ignored. That is one call more, so it is done where somebody else was shown them.
 */
#ifndef PLYFS_FRONT_SHOWN_H
#define PLYFS_FRONT_SHOWN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SHOWN_PLACES 4096

/* Zeroed it is ready. Any thread may call the functions below; there is no lock. */
struct shown {
	atomic_uint looking; /* answers with attributes that are being made */
	_Atomic uint64_t places[SHOWN_PLACES];
};

/* Around the look at attributes and all that is noted of it. */
void shown_begin(struct shown *s);
void shown_end(struct shown *s);

/* INO goes into an answer for the thread PID (0: not known) at NOW, seconds of any clock. Between the two. */
void shown_note(struct shown *s, uint64_t ino, pid_t pid, unsigned int now);

/*
 * INO was renamed, or the names in it were changed, for PID; that is committed. May somebody else have attributes from before
 * that have not got to the kernel yet? Now and then says so for no reason, never the other way round, if answers get there within ten seconds.
 */
bool shown_to_others(struct shown *s, uint64_t ino, pid_t pid, unsigned int now);

#endif
