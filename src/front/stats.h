/* SPDX-License-Identifier: Apache-2.0 */
/* How many requests of each type there were. */
#ifndef PLYFS_FRONT_STATS_H
#define PLYFS_FRONT_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"

/* One line an operation: the name here, and the name printed. */
#define FRONT_OPS(X)                                                                               \
	X(LOOKUP, "lookup")                                                                        \
	X(FORGET, "forget")                                                                        \
	X(GETATTR, "getattr")                                                                      \
	X(SETATTR, "setattr")                                                                      \
	X(READLINK, "readlink")                                                                    \
	X(MKNOD, "mknod")                                                                          \
	X(MKDIR, "mkdir")                                                                          \
	X(UNLINK, "unlink")                                                                        \
	X(RMDIR, "rmdir")                                                                          \
	X(SYMLINK, "symlink")                                                                      \
	X(RENAME, "rename")                                                                        \
	X(LINK, "link")                                                                            \
	X(TMPFILE, "tmpfile")                                                                      \
	X(OPEN, "open")                                                                            \
	X(RELEASE, "release")                                                                      \
	X(READ, "read")                                                                            \
	X(WRITE, "write")                                                                          \
	X(FSYNC, "fsync")                                                                          \
	X(FALLOCATE, "fallocate")                                                                  \
	X(COPY, "copy_file_range")                                                                 \
	X(LSEEK, "lseek")                                                                          \
	X(OPENDIR, "opendir")                                                                      \
	X(READDIR, "readdir")                                                                      \
	X(READDIRPLUS, "readdirplus")                                                              \
	X(FSYNCDIR, "fsyncdir")                                                                    \
	X(STATFS, "statfs")                                                                        \
	X(SETXATTR, "setxattr")                                                                    \
	X(GETXATTR, "getxattr")                                                                    \
	X(LISTXATTR, "listxattr")                                                                  \
	X(REMOVEXATTR, "removexattr")

enum front_op {
#define FRONT_OP_ENUM(name, text) FRONT_OP_##name,
	FRONT_OPS(FRONT_OP_ENUM)
#undef FRONT_OP_ENUM
		FRONT_OP_COUNT
};

/* Any thread; zeroed memory is a valid start. */
struct front_stats {
	atomic_uint_fast64_t count[FRONT_OP_COUNT];
};

static inline void front_stats_add(struct front_stats *s, enum front_op op)
{
	atomic_fetch_add_explicit(&s->count[op], 1, memory_order_relaxed);
}

/* One line a type that occurred: "request lookup 17". */
void front_stats_to_text(const struct front_stats *s, struct buf *out);

#endif
