/* SPDX-License-Identifier: Apache-2.0 */
/* Files of ours that a crash left half made. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "catalog/internal.h"

/* Each is renamed when it is whole: under these names it never is. */
static const char *const half_made[] = {CATALOG_FILE_NEW, SUM_FILE_NEW};

void catalog_remove_leftovers(struct catalog *c)
{
	if (c->options.mode != CATALOG_WRITE)
		return;
	for (size_t i = 0; i < sizeof(half_made) / sizeof(*half_made); i++) {
		int rc;

		/* It is ours, and empty. */
		if (c->has_new && strcmp(half_made[i], CATALOG_FILE_NEW) == 0)
			continue;
		rc = sys_unlinkat(c->dirfd, half_made[i], 0);
		if (rc < 0 && rc != -ENOENT)
			log_warn("%s/%s is left over and cannot be removed: %s",
				 dir_name_of(c->dirfd).text, half_made[i], strerror(-rc));
	}
}
