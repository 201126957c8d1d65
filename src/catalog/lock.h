/* SPDX-License-Identifier: Apache-2.0 */
/* The lock file: one owner at a time, and the gate between checkpoints and snapshots. */
#ifndef PLYFS_CATALOG_LOCK_H
#define PLYFS_CATALOG_LOCK_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Locks are open file description locks on single bytes of the file: they belong to the descriptor,
 * not to the process, so a fork (daemonising) hands them on, closing another descriptor of the file
 * does not lose them, and the kernel releases them when the last holder dies. What the file
 * contains, "pid host boot-id", is for messages, and for file systems that have no locks.
 */
struct lock_file {
	int fd;		/* owned; -1: none */
	bool has_locks; /* the file system has locks */
	bool was_owned; /* an owner died, and nobody has recovered what it left yet */
};

/*
 * Becomes the owner: 0; -EBUSY (the sentence names the owner); -ENOLCK when nobody can tell whether
 * there is one (the sentence says what to do); -EROFS, -EACCES, -ENOSPC. A lock
 * whose owner has died is free. Waits for an owner that is closing, and a second for one
 * that does not know yet that it should.
 */
int lock_own(struct lock_file *l, int dirfd, struct err *err);
/* Writes who has it now: after a fork. */
int lock_write_owner(struct lock_file *l);
/* Tells who wants to own it that this owner is about to let go: they wait for it. */
void lock_announce_closing(struct lock_file *l);
/* Empties the file and lets go. UNCLEAN: leaves word in it instead, so that the next owner finds was_owned. */
void lock_release(struct lock_file *l, bool unclean);

/* A checkpoint or a copy takes a fraction of a second; who waits longer waits for a stopped process. */
#define GATE_WAIT_MS	10000
#define GATE_BRIEFLY_MS 200

/* The gate: the owner shuts it while catalog.mdb and the journals change together. 0; -EBUSY when
 * somebody still copies after so many milliseconds. */
int gate_shut(struct lock_file *l, int wait_ms);
void gate_open(struct lock_file *l);

/* For a snapshot: keeps checkpoints out until the returned descriptor is closed. -ENOLCK where
 * there are no locks, -ENOENT where there never was an owner, -EBUSY after waiting too long. */
int gate_hold(int dirfd);
int gate_hold_for(int dirfd, int wait_ms);

/* Tests: every lock fails as on a file system that has none. */
extern bool lock_without_locks;

#endif
