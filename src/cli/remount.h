/* SPDX-License-Identifier: Apache-2.0 */
/* mount -o remount: other flags for a mount that is there. */
#ifndef PLYFS_CLI_REMOUNT_H
#define PLYFS_CLI_REMOUNT_H

#include "base/err.h"

/*
 * The flags of mount(2) after OPTIONS (names such as "ro", "nodev"; others are no flags) are
 * applied to FLAGS in their order.
 */
unsigned long remount_flags(unsigned long flags, char *const *options, size_t n);

/*
 * Sets the flags that OPTIONS name on the FUSE mount at MOUNTPOINT; the others stay.
 */
int remount(const char *mountpoint, char *const *options, size_t n, struct err *err);

#endif
