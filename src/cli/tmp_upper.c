/* SPDX-License-Identifier: Apache-2.0 */
/* An upper that goes away with its mount. */
#include "cli/tmp_upper.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define FDS_MAX 16

int tmp_upper_make(struct tmp_upper *t, char **ret_upper, struct err *err)
{
	const char *dir = getenv("TMPDIR");
	char *path;

	if (dir == NULL || dir[0] != '/')
		dir = "/var/tmp";
	if (asprintf(&path, "%s/plyfs-upper-XXXXXX", dir) < 0)
		return err_set(err, ENOMEM, "out of memory");
	if (mkdtemp(path) == NULL) {
		int code = errno;

		free(path);
		return err_errno(err, code, "cannot make a temporary upper in %s", dir);
	}
	t->path = path;
	free(*ret_upper);
	*ret_upper = strdup(path);
	return *ret_upper != NULL ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	if (remove(path) < 0)
		log_warn("cannot remove %s: %s", path, strerror(errno));
	return 0;
}

void tmp_upper_done(struct tmp_upper *t)
{
	if (t->path == NULL)
		return;
	nftw(t->path, remove_one, FDS_MAX, FTW_DEPTH | FTW_PHYS);
	free(t->path);
	t->path = NULL;
}
