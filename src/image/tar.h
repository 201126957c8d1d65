/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading tar archives: members with the places of their bytes, never the bytes themselves. Names
 * and values come as they are stored; nothing is normalised, joined or followed.
 *
 * Where programs differ we do as Go's archive/tar does, which Docker, containerd, podman and umoci
 * are built on: links, devices and directories have no content whatever their size says, GNU's long
 * names win over pax, and pax global headers change nothing.
 */
#ifndef PLYFS_IMAGE_TAR_H
#define PLYFS_IMAGE_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "image/blob.h"

enum tar_type {
	TAR_FILE,
	TAR_HARDLINK,
	TAR_SYMLINK,
	TAR_CHAR,
	TAR_BLK,
	TAR_DIR,
	TAR_FIFO,
};

/* Bytes LOGICAL .. LOGICAL + LEN of a sparse file are at PHYSICAL of the archive. */
struct tar_extent {
	uint64_t logical, physical, len;
};

struct tar_xattr {
	const char *name; /* not empty, at most 255 bytes */
	const void *value;
	size_t len; /* at most 64 KiB */
};

/* Valid during the call that gets it. */
struct tar_member {
	enum tar_type type;
	const char *path; /* NUL-terminated, PATH_LEN bytes without a NUL among them; may be empty */
	size_t path_len;
	const char *link; /* the target of a hard or symbolic link, else "" */
	size_t link_len;
	uint32_t mode; /* permission bits, 07777 */
	uint32_t uid, gid;
	uint32_t major, minor; /* of devices */
	struct timespec mtime; /* tv_nsec is in 0 .. 999999999, also before 1970 */
	uint64_t size;	       /* of a file, with its holes; 0 of everything else */
	uint64_t data_off;   /* in the archive: a file's first byte; SIZE follow when not sparse */
	uint64_t header_off; /* in the archive: the first of its header blocks */
	bool sparse;	     /* what the extents leave out is zeros */
	const struct tar_extent *extents; /* sorted, none empty, none overlapping */
	size_t n_extents;
	const struct tar_xattr *xattrs; /* in the order stored, no name twice */
	size_t n_xattrs;
};

/* More than these is an error (-E2BIG). 0 stands for the default. */
struct tar_limits {
	uint64_t members;     /* default 16 Mi */
	uint64_t name_bytes;  /* paths and link targets, all together; 4 GiB */
	uint64_t xattr_bytes; /* names and values, all together; 1 GiB */
	uint64_t extents;     /* of one sparse file; 1 Mi */
};

struct tar_sink {
	/* A member. A value < 0 ends the reading with it. */
	int (*member)(void *arg, const struct tar_member *m);
	/* Optional: something odd that can be read over. PATH may be "" . */
	void (*warn)(void *arg, const char *path, const char *text);
	void *arg;
};

/* ---- of a stream ------------------------------------------------------------------------ */

/* One thread at a time. Failures are -EBADMSG (no tar, or broken), -E2BIG, -ENOMEM, the sink's. */
struct tar_parser;

int tar_parser_new(const struct tar_limits *limits, const struct tar_sink *sink,
		   struct tar_parser **ret_p);
void tar_parser_free(struct tar_parser *p);
DEFINE_CLEANUP_PTR(struct tar_parser, tar_parser, tar_parser_free)

/* The next LEN bytes. After a failure the parser can only be freed. */
int tar_parser_feed(struct tar_parser *p, const void *data, size_t len, struct err *e);

/* How many of the next bytes the parser would only count. */
uint64_t tar_parser_skippable(const struct tar_parser *p);

/* Passes over N of them, N <= tar_parser_skippable(). */
void tar_parser_skip(struct tar_parser *p, uint64_t n);

/* No more bytes. -EBADMSG when a member is cut off; missing end blocks are only warned of. */
int tar_parser_end(struct tar_parser *p, struct err *e);

/* How many members the sink has got. */
uint64_t tar_parser_members(const struct tar_parser *p);

/* ---- of a blob -------------------------------------------------------------------------- */

/* Reads the headers of an archive and passes over the content. LIMITS may be NULL. */
int tar_list(struct blob *b, const struct tar_limits *limits, const struct tar_sink *sink,
	     struct err *e);

#endif
