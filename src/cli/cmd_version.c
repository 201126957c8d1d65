/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs version: of the program, its libraries and the protocol. */
#include <stdio.h>

#include "catalog/catalog.h"
#include "cli/commands.h"
#include "front/session.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

/* The release of fuse-overlayfs whose options are understood; its callers look at the line. */
#define COMPATIBLE_WITH "1.15"

int cmd_version(const struct invocation *by, int argc, char **argv)
{
	if (by->as_fuse_overlayfs)
		printf("fuse-overlayfs: version %s\n", COMPATIBLE_WITH);
	printf("plyfs: version %s\n", PACKAGE_VERSION);
	printf("lmdb: %s\n", catalog_library_version());
	front_print_version();
	return fflush(stdout) == 0 ? 0 : 1;
}
