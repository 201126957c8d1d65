/* SPDX-License-Identifier: Apache-2.0 */
/* The one line that a failure is worth. */
#include <stdio.h>

#include "cli/commands.h"
#include "tool/columns.h"
#include "tool/progress.h"

int complain(const struct err *err)
{
	progress_line_end();
	fputs("plyfs: ", stderr);
	print_clean(stderr, err_text(err)); /* it may name what is in an archive */
	fputc('\n', stderr);
	return 1;
}
