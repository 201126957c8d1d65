/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the tar parser: its state, pax records, maps of sparse files. */
#ifndef PLYFS_IMAGE_TAR_PRIVATE_H
#define PLYFS_IMAGE_TAR_PRIVATE_H

#include "base/buf.h"
#include "image/tar.h"
#include "image/tar_header.h"

/* Of a pax header or a long name: what Go allows. */
#define TAR_SPECIAL_MAX	    (1u << 20)
#define TAR_XATTR_NAME_MAX  255u
#define TAR_XATTR_VALUE_MAX 65536u

enum tar_state {
	AT_HEADER,
	IN_SPECIAL,  /* the content of a pax header or of a long name */
	IN_EXTENDED, /* blocks with more extents of GNU's old sparse format */
	IN_MAP,	     /* the map that content begins with in GNU's sparse format 1.0 */
	IN_CONTENT,
	AT_END, /* after a block of zeros */
};

/* Extents as they are collected, their physical places not yet known. */
struct tar_map {
	struct tar_extent *at; /* owned */
	size_t n, cap;
};

/* What the pax header before a member says. Texts are borrowed from its bytes. */
struct tar_pax {
	const char *path, *link, *sparse_name; /* NULL: not said */
	size_t path_len, link_len, sparse_name_len;
	bool has_size, has_uid, has_gid, has_mtime, has_realsize;
	int64_t size, uid, gid, realsize;
	struct timespec mtime;
	bool sparse,
		sparse_in_content; /* a GNU.sparse map is here; or the content begins with it */
	struct tar_xattr *xattrs;  /* owned; names are NUL-terminated inside the header's bytes */
	size_t n_xattrs, cap_xattrs;
};

struct tar_parser {
	struct tar_limits limits;
	struct tar_sink sink;
	enum tar_state state;
	uint64_t off; /* of the next byte */
	uint8_t block[TAR_BLOCK];
	size_t have; /* bytes of a block not yet whole */

	char special; /* 'x', 'L' or 'K': what the bytes of IN_SPECIAL are */
	struct buf special_bytes;
	uint64_t special_left;

	bool has_headers; /* the member under way has had header blocks, from first_off on */
	uint64_t first_off;
	struct buf pax_bytes; /* of the pax header before the member */
	struct tar_pax pax;
	bool has_long_path, has_long_link;
	struct buf long_path, long_link;

	struct buf path, link; /* of the member, when they come from the header block */
	struct tar_member m;
	struct tar_map map;
	struct buf map_text;   /* of IN_MAP */
	uint64_t map_lines;    /* of it */
	uint64_t stored;       /* bytes of content that follow */
	uint64_t content_left; /* of the content, */
	uint64_t pad_left;     /* and of what fills its last block */

	uint64_t zeros; /* blocks of zeros at the end */
	bool odd_end;	/* said that something follows */
	uint64_t members, name_bytes, xattr_bytes;
};

/* ---- tar_pax.c --- */

/* Reads the records of a pax header into PAX, extents into MAP. BYTES is changed and borrowed from. */
int tar_pax_parse(struct tar_parser *p, struct buf *bytes, struct err *e);
void tar_pax_clear(struct tar_pax *pax);

/* A decimal number that fits; the whole text. */
bool tar_decimal(const char *text, size_t len, int64_t *ret_n);

/* ---- tar_sparse.c --- */

int tar_map_add(struct tar_parser *p, uint64_t logical, uint64_t len);
/* N extents as GNU's old format has them in headers; stops at the first unused one. */
int tar_map_add_old(struct tar_parser *p, const uint8_t *at, size_t n);
/* "LOGICAL,LEN,LOGICAL,LEN..." of format 0.1. */
int tar_map_add_list(struct tar_parser *p, const char *text, size_t len);
/* The next block of a map of format 1.0. 1: it is whole; 0: more is needed; -errno. */
int tar_map_add_block(struct tar_parser *p, const uint8_t *b);
/* Checks and completes the extents of the member, whose content begins at data_off. */
int tar_map_finish(struct tar_parser *p);

/* ---- tar.c --- */

/* Says that the archive is broken at the header under way, and why. */
int tar_bad(struct tar_parser *p, struct err *e, const char *why);
/* Says that there is more of WHAT than the limits allow. */
int tar_too_much(struct tar_parser *p, struct err *e, const char *what);
void tar_warn(struct tar_parser *p, const char *path, const char *text);

#endif
