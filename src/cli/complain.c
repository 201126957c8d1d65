/* SPDX-License-Identifier: Apache-2.0 */
/* The one line that a failure is worth. */
#include <stdio.h>

#include "cli/commands.h"

int complain(const struct err *err)
{
	fprintf(stderr, "plyfs: %s\n", err_text(err));
	return 1;
}
