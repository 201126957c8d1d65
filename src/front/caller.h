/* SPDX-License-Identifier: Apache-2.0 */
/* Who sent a request, and what the protocol does not tell about him. */
#ifndef PLYFS_FRONT_CALLER_H
#define PLYFS_FRONT_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "front/private.h"

struct fs_caller caller_of(fuse_req_t req);

/*
 * True when the caller has CAP_FSETID in his own user namespace, which is what changes of attributes ask for. A caller that
 * cannot be looked at (another pid namespace, a thread that has ended) has it when he is root.
 */
bool caller_has_fsetid(fuse_req_t req);

/*
 * True when what the caller does to the bytes of a file leaves its set-id bits: the kernel wants CAP_FSETID in the first
 * user namespace, as in one of his own anybody has it. The protocol says so for writes and truncation only. False for a
 * caller that cannot be looked at.
 */
bool caller_keeps_set_id(fuse_req_t req, const struct front *f);

/*
 * True when the caller may know of attributes called trusted.*: root of the first user namespace with CAP_SYS_ADMIN, as
 * the kernel lets nobody else read them.
 */
bool caller_is_trusted(fuse_req_t req, const struct front *f);

/* True when the caller is in group GID. */
bool caller_in_group(fuse_req_t req, uint32_t gid);

/*
 * Clears the set-id bits of INO that go when the caller, who may not keep them, changes its bytes.
 * The kernel does not look at the mode again after requests that it takes for changes of bytes
 * only, and would go on executing the file with the old bits: it is told. To be called before the
 * request is answered. 0 or -errno.
 */
int caller_kill_suidgid(fuse_req_t req, struct front *f, uint64_t ino);

/* Which bits those are: of enum fs_set, 0 when it has none. */
uint32_t caller_kill_bits(fuse_req_t req, struct front *f, uint64_t ino);

#endif
