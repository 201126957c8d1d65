/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of tests/support/shadow.h on a file system without FUSE, by path. */
#ifndef TESTS_UNIT_FAULTS_DRIVE_H
#define TESTS_UNIT_FAULTS_DRIVE_H

#include "fs/fs.h"
#include "support/shadow.h"

/* A file system under test: the lower layer "l0" and an upper of the current directory. */
struct drive {
	struct fs_options o;
	struct fs *fs;
	/* Numbers that a held file had, so that it lives on without a name. */
	uint64_t held[8];
	size_t n_held;
};

enum {
	DRIVE_THREADS = 1, /* with the background thread */
	DRIVE_NO_SYNC = 2, /* volatile */
};

/* 0, or -errno and a sentence in ERR. HOW: of DRIVE_... */
int drive_open(struct drive *d, const char *upper, unsigned int how, struct err *err);
void drive_close(struct drive *d);

/* No thread from now on: checkpoints are then made by commits. */
struct catalog;
void catalog_be_quiet(struct catalog *c);

int drive_apply(struct drive *d, const struct shadow_op *op);
/* A look-up of PATH that lives until drive_close(). */
int drive_hold(struct drive *d, const char *path);
/* What it shows; ARG is the drive. */
extern const struct shadow_view drive_view;

#endif
