/* SPDX-License-Identifier: Apache-2.0 */
/* The one line that a failure is worth. */
#include <stdio.h>

#include "cli/commands.h"
#include "tool/progress.h"

int complain(const struct err *err)
{
	progress_line_end();
	fprintf(stderr, "plyfs: %s\n", err_text(err));
	return 1;
}
