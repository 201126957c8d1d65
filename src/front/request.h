/* SPDX-License-Identifier: Apache-2.0 */
/* What the loop has to know of a request before it is served: who sent it, and may it take long? */
#ifndef PLYFS_FRONT_REQUEST_H
#define PLYFS_FRONT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

struct request {
	int pid; /* the thread that waits for the answer, in our pid namespace; 0: unknown */
	bool background; /* nobody waits for it: FORGET, RELEASE, or the kernel writing back */
	bool slow;	 /* may wait for a disk, or moves many bytes */
};

/*
 * Reads the header of a request as read(2) on /dev/fuse gave it (struct fuse_in_header and what
 * follows it in linux/fuse.h). BYTES need no alignment; a short one has no sender and is quick.
 */
struct request request_parse(const void *bytes, size_t size);

#endif
