/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount can be told apart from its file system; filled by cli/, read by front/. */
#ifndef PLYFS_FRONT_OPTIONS_H
#define PLYFS_FRONT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

/* Seconds that never pass: the mount is the only one that changes its tree. */
#define FRONT_TIMEOUT_ENDLESS 1e9

#define FRONT_MAX_THREADS 256

/* How requests are taken from the kernel; doc/loop.md. */
enum front_loop {
	FRONT_LOOP_AUTO,    /* by what is seen of the requests and the machine */
	FRONT_LOOP_FOLLOW,  /* always one thread, which follows its client */
	FRONT_LOOP_THREADS, /* always all threads */
};

/* Who reads the bytes of files; doc/messages.md. */
enum front_io {
	FRONT_IO_AUTO,	      /* what is faster: the cache, by all that was measured */
	FRONT_IO_CACHE,	      /* the kernel asks us, and keeps them in its cache */
	FRONT_IO_PASSTHROUGH, /* the kernel reads the layers' files, where it can */
};

/* front_options_init() gives the defaults. */
struct front_options {
	char *mountpoint; /* owned; a directory, or /dev/fd/N: a /dev/fuse already mounted */
	char *fsname;	  /* owned; the source shown by mount(8); NULL: plyfs */
	char *subtype;	  /* owned; the type shown is fuse.SUBTYPE; NULL: plyfs */
	char **mount;	  /* owned array of owned mount options for the kernel or libfuse */
	size_t n_mount;
	double timeout; /* seconds that names and attributes stay valid; 0: never cached */
	enum front_loop loop;
	enum front_io io;
	unsigned int threads; /* 0: by the number of processors, and more when all wait for disks */
	unsigned int max_read; /* bytes; 0: as the kernel likes */
	bool acl;	       /* the kernel checks POSIX ACLs */
	bool no_xattr;	       /* there are no extended attributes to be asked for */
	bool writeback;	       /* the kernel gathers writes */
	bool io_uring;	       /* requests come by io_uring where library and kernel can */
	bool no_fsync;	       /* of a directory: there is nothing to be synced */
	bool debug;	       /* every request is logged */
};

void front_options_init(struct front_options *o);
void front_options_done(struct front_options *o);

/* Adds a mount option (copied). 0 or -ENOMEM. */
int front_options_add(struct front_options *o, const char *option);

DEFINE_CLEANUP(struct front_options, front_options, front_options_done)

#endif
