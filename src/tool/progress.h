/* SPDX-License-Identifier: Apache-2.0 */
/* A line that tells how far long work is, on a terminal: a bar, bytes, their rate and the time that remains. */
#ifndef PLYFS_TOOL_PROGRESS_H
#define PLYFS_TOOL_PROGRESS_H

#include <stdint.h>
#include <stdio.h>

/*
 * Shows it on standard error if that is a terminal and standard output no pipe, not more than ten times a second. Another WHAT is other work: its rate and
 * time begin anew. TOTAL 0: nobody knows. As fs_options.progress; one thread at a time.
 */
void progress_line_show(void *arg, const char *what, uint64_t done, uint64_t total);
/* From now on there is none. */
void progress_line_off(void);
/* Takes the line away, if there is one. To be called before anything is written to the terminal. */
void progress_line_end(void);

/* ---- what the line says ---- */

struct progress_view {
	const char *what;
	uint64_t done, total; /* bytes; TOTAL 0: not known */
	double rate;	      /* bytes a second; 0: not known yet */
	unsigned int width; /* columns; what does not fit is left out, the least important first */
};

/* Writes the line, without an end and never wider than V->width. Pure. */
void progress_put(FILE *out, const struct progress_view *v);

#endif
