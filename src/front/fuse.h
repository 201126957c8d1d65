/* SPDX-License-Identifier: Apache-2.0 */
/* libfuse's low-level interface, and which of its newer features this build has. */
#ifndef PLYFS_FRONT_FUSE_H
#define PLYFS_FRONT_FUSE_H

#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>

/* libfuse 3.18: 64-bit capabilities, kill_suidgid of a write, O_TMPFILE, FUSE over io_uring. */
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
#define FRONT_FUSE_3_18 1
#else
#define FRONT_FUSE_3_18 0
#endif

#endif
