/* SPDX-License-Identifier: Apache-2.0 */
/* Checking an image: what plyfs check does. */
#ifndef PLYFS_TOOL_CHECK_H
#define PLYFS_TOOL_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "image/image.h"

/* Exit statuses, as plyfs fsck has them; a set. */
enum check_status {
	CHECK_CLEAN = 0,
	CHECK_WARNED = 1, /* something breaks the specification, and is put up with */
	CHECK_BROKEN = 4, /* bytes are not what their digest says, or cannot be used */
	CHECK_FAILED = 8, /* the check itself could not be made; with a sentence */
	CHECK_USAGE = 16,
	CHECK_CANCELLED = 32,
};

struct check_options {
	const char *ref;
	struct image_options image; /* `strict` is not looked at: all of it is wanted to be known */
	bool strict;		    /* what breaks the specification is not put up with */
	bool json;
	FILE *out;		   /* findings, one a line, and a line of sums */
	const atomic_bool *cancel; /* optional */
};

/*
 * Reads all of an image, its documents and the bytes of its layers, whatever is known of them from an earlier time, and keeps
 * nothing. Returns the exit status; ERR has a sentence when CHECK_FAILED is in it. One thread.
 */
int check_run(const struct check_options *options, struct err *err);

#endif
