/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at the machine: what keeps plyfs from working, and what would make it faster. */
#ifndef PLYFS_FRONT_DOCTOR_H
#define PLYFS_FRONT_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_HINT,   /* it works; something would be faster, or is not to be had */
	DOCTOR_BROKEN, /* plyfs cannot mount */
};

/* Whom and what to look at. doctor_here() fills it for this process. */
struct doctor {
	const char *root;      /* put before each absolute path; "" but for tests */
	const char *path;      /* where programs are looked for; NULL: nowhere */
	const char *user;      /* the name of UID, or "" */
	uid_t uid;	       /* effective */
	uint64_t caps;	       /* effective capabilities */
	bool first_userns;     /* not inside a user namespace */
	uint64_t nice, nofile; /* hard limits RLIMIT_NICE and RLIMIT_NOFILE */
	int libfuse;	       /* major * 100 + minor that it was built with */
};

void doctor_here(struct doctor *ret_doctor);

/*
 * Looks, and appends a line or two for each finding to OUT, or with JSON one object. Returns the worst
 * state.
 */
enum doctor_state doctor_run(const struct doctor *d, bool json, struct buf *out);

#endif
