/* SPDX-License-Identifier: Apache-2.0 */
/* An upper that goes away with its mount. */
#ifndef PLYFS_CLI_TMP_UPPER_H
#define PLYFS_CLI_TMP_UPPER_H

#include "base/cleanup.h"
#include "base/err.h"

struct tmp_upper {
	char *path; /* owned; NULL: there is none */
};

/* Makes one in $TMPDIR, or /var/tmp; RET_UPPER (freed first) becomes a copy of its path. */
int tmp_upper_make(struct tmp_upper *t, char **ret_upper, struct err *err);
/* Removes it with all that is in it. */
void tmp_upper_done(struct tmp_upper *t);
DEFINE_CLEANUP(struct tmp_upper, tmp_upper, tmp_upper_done)

#endif
