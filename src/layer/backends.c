/* SPDX-License-Identifier: Apache-2.0 */
/* Which backend a directory is for. */
#include "layer/backends.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/sys.h"

/*
 * What only an upper has in its directory, the usual first. One alone is enough: an upper that has lost its catalog, or
 * whose catalog was not finished, must not be shown as a plain directory.
 */
static const char *const own_files[] = {
	"catalog.mdb", "journal", "journal2",  "lock",	 "data",     "catalog.mdb.new",
	"catalog.sum", "lost",	  "repairing", "spare0", "volatile",
};

bool layer_is_upper(int fd)
{
	struct stat st;
	char name[64];

	if (sys_fstatat(fd, ".plyfs", &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
		return false;
	for (size_t i = 0; i < sizeof(own_files) / sizeof(own_files[0]); i++) {
		snprintf(name, sizeof(name), ".plyfs/%s", own_files[i]);
		/* What cannot be looked at may be one. */
		if (sys_fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != -ENOENT)
			return true;
	}
	return false;
}
