/* SPDX-License-Identifier: Apache-2.0 */
/* A line that tells how far long work is, on a terminal. */
#include "tool/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tool/columns.h"

#define INTERVAL_NSEC 100000000

/* One process has one terminal. */
static bool shown, off;
static int64_t last_nsec;

static bool is_due(void)
{
	struct timespec t;
	int64_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec * 1000000000 + t.tv_nsec;
	/* What is done within a moment needs no line. */
	if (last_nsec == 0)
		last_nsec = now;
	if (now - last_nsec < INTERVAL_NSEC)
		return false;
	last_nsec = now;
	return true;
}

void progress_line_show(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)arg;
	if (off || !is_due() || !isatty(STDERR_FILENO))
		return;
	fputs("\r\033[K", stderr);
	print_clean(stderr, what);
	if (total > 0)
		fprintf(stderr, ": %u%% of %ju MB", (unsigned int)(done * 100 / total),
			(uintmax_t)(total / 1000000));
	else
		fprintf(stderr, ": %ju MB", (uintmax_t)(done / 1000000));
	fflush(stderr);
	shown = true;
}

void progress_line_off(void)
{
	off = true;
}

void progress_line_end(void)
{
	if (shown)
		fputs("\r\033[K", stderr);
	shown = false;
}
