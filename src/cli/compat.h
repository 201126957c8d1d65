/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of fuse-overlayfs, which is also that of mount.fuse3 and of mount(8). */
#ifndef PLYFS_CLI_COMPAT_H
#define PLYFS_CLI_COMPAT_H

#include "cli/options.h"

/*
 * [-f] [-d] [-o OPTIONS]... [SOURCE] MOUNTPOINT, in any order; the last word that is not an option
 * is the mountpoint, the others are ignored. ARGV[0] is skipped. Fills O (initialised by the
 * caller); when it asks for help or the version, nothing else is checked. PRIVILEGED: the effective
 * uid is 0. -EINVAL and a sentence for what cannot be understood; unknown options are in O->unknown.
 */
int compat_parse(int argc, char **argv, bool privileged, struct mount_options *o, struct err *err);

/* The same with the words of `plyfs mount`: --lower, --upper, ... as the manual page has them. */
int mount_parse(int argc, char **argv, bool privileged, struct mount_options *o, struct err *err);

#endif
