/* SPDX-License-Identifier: Apache-2.0 */
/* Files without a name, on this machine: what may be mapped, and nobody else sees. */
#ifndef PLYFS_CATALOG_PRIVATE_H
#define PLYFS_CATALOG_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* True when FD is on a file system whose bytes are, or may be, on another machine. */
bool private_is_remote(int fd);

/*
 * An empty file without a name: in TMPDIR, /var/tmp or /tmp, whichever can and is on this machine,
 * else in memory. The descriptor is the caller's; reading and writing. -errno.
 */
int private_file(void);

#define PRIVATE_PATH_MAX 32
/* The path by which this process can open the file FD again. */
void private_path(int fd, char path[PRIVATE_PATH_MAX]);

#endif
