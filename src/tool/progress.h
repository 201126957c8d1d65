/* SPDX-License-Identifier: Apache-2.0 */
/* A line that tells how far long work is, on a terminal. */
#ifndef PLYFS_TOOL_PROGRESS_H
#define PLYFS_TOOL_PROGRESS_H

#include <stdint.h>

/* Shows it on standard error if that is a terminal, not more than ten times a second. As fs_options.progress. */
void progress_line_show(void *arg, const char *what, uint64_t done, uint64_t total);
/* From now on there is none. */
void progress_line_off(void);
/* Takes the line away, if there is one. */
void progress_line_end(void);

#endif
