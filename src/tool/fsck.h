/* SPDX-License-Identifier: Apache-2.0 */
/* Checking an upper layer, mending it, and getting out of it what can be read. */
#ifndef PLYFS_TOOL_FSCK_H
#define PLYFS_TOOL_FSCK_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

/* Exit statuses, as e2fsck has them; a set. */
enum fsck_status {
	FSCK_CLEAN = 0,
	FSCK_CORRECTED = 1,
	FSCK_ERRORS_LEFT = 4,
	FSCK_FAILED = 8, /* the check itself could not be made; with a sentence */
	FSCK_USAGE = 16,
	FSCK_CANCELLED = 32,
};

struct fsck_options {
	const char *upper;
	bool repair;
	FILE *out;				/* findings, one a line */
	FILE *progress;				/* a terminal, or NULL */
	const volatile sig_atomic_t *cancelled; /* NULL: never */
};

/*
 * Checks what can be checked without the lower layers. Without `repair` nothing is changed, and an
 * upper that is in use is checked as it was a moment ago. Returns the exit status; ERR has a
 * sentence when FSCK_FAILED is in it.
 */
int fsck_run(const struct fsck_options *options, struct err *err);

/*
 * Writes what can be read of the upper into the directory TO, which is made, or is empty: without
 * LMDB, so of a catalog that LMDB cannot open, too. The upper is not changed. FSCK_CLEAN when
 * nothing is missing, FSCK_ERRORS_LEFT when something is.
 */
int fsck_salvage(const struct fsck_options *options, const char *to, struct err *err);

#endif
