/* SPDX-License-Identifier: Apache-2.0 */
/* Everything a mount can be told, and the table of the options that tell it. */
#ifndef PLYFS_CLI_OPTIONS_H
#define PLYFS_CLI_OPTIONS_H

#include <stdbool.h>

#include "cli/owner.h"
#include "cli/strv.h"
#include "front/options.h"
#include "fs/options.h"

struct mount_options {
	struct fs_options fs;
	struct front_options front;
	bool foreground;
	bool debug;
	bool strict;	/* unknown options are refused */
	bool quiet;	/* no progress is shown */
	bool remount;	/* change the flags of a mount that is there */
	bool tmp_upper; /* an upper of its own, which goes away with the mount */
	enum owner_shown owner;
	bool help;
	bool version;
	struct strv lower, data; /* layers so far: mount_options_finish() moves them to fs */
	struct strv unknown;	 /* options that nobody knows, in their order */
	bool no_atime;		 /* the last option about access times said noatime */
};

void mount_options_init(struct mount_options *o);
void mount_options_done(struct mount_options *o);
DEFINE_CLEANUP(struct mount_options, mount_options, mount_options_done)

/*
 * One option, "NAME" or "NAME=VALUE". An unknown one goes to O->unknown. -EINVAL and a sentence: its
 * value is missing or makes no sense.
 */
int mount_options_set(struct mount_options *o, const char *option, struct err *err);

/* As many, separated by commas (strv_split_options()). */
int mount_options_set_all(struct mount_options *o, const char *text, struct err *err);

/*
 * After the last option: adds what is meant when nothing is said (PRIVILEGED: for effective uid 0),
 * completes `fs` and `front`, and refuses what cannot be mounted.
 */
int mount_options_finish(struct mount_options *o, bool privileged, struct err *err);

#endif
