/* SPDX-License-Identifier: Apache-2.0 */
/* A file system with little in it: a directory shown through FUSE, with chosen things left out. */
#ifndef PLYFS_TESTS_CRIPPLED_H
#define PLYFS_TESTS_CRIPPLED_H

#include <stdbool.h>

#define CRIPPLED_MEDIA 400000

/* What is left out. The word on the command line is the field's name. */
struct lacks {
	bool xattr;   /* EOPNOTSUPP */
	bool link;    /* EPERM, as vfat */
	bool symlink; /* EPERM */
	bool node;    /* devices, fifos, sockets: EPERM */
	bool chown;   /* EPERM, and all belongs to root */
	bool chmod;   /* no error and no effect, as vfat; all modes are 0755 */
	bool holes;   /* no SEEK_HOLE, no punching, no fallocate: EOPNOTSUPP */
	bool seek;    /* SEEK_HOLE and SEEK_DATA: EINVAL, as some network file systems */
	bool flags;   /* rename with flags: EINVAL */
	bool locks;   /* ENOLCK */
	bool nolocks; /* the same in other words: ENOSYS */
	bool dirsync; /* fsync of a directory: EINVAL */
	bool nanos;   /* times are even seconds, as on vfat */
	bool ino;     /* inodes are numbered anew after each mount, as they are asked for */
	bool mmap;    /* direct_io: nothing can be mapped shared */
	bool media;   /* the bytes from CRIPPLED_MEDIA on cannot be read: EIO */
};

extern struct lacks lacks;

#endif
