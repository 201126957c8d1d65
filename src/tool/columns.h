/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for people: columns as wide as their widest cell. */
#ifndef PLYFS_TOOL_COLUMNS_H
#define PLYFS_TOOL_COLUMNS_H

#include <stdio.h>

#include "base/cleanup.h"

#define COLUMNS_MAX 8u

struct columns {
	char **cells; /* owned, with their texts; row by row */
	size_t count, cap;
	unsigned int n; /* columns */
	int failed;	/* 0 or -ENOMEM; sticks */
};

void columns_done(struct columns *c); /* zeroed is fine */
DEFINE_CLEANUP(struct columns, columns, columns_done)

/* Adds the next cell; NULL is empty. What could order a terminal about becomes a question mark. */
void columns_add(struct columns *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Writes all rows; the columns whose bit is set in RIGHT are aligned right. 0 or -ENOMEM. */
int columns_print(const struct columns *c, unsigned int right, FILE *out);

/* Writes TEXT so that it cannot order a terminal about. */
void print_clean(FILE *out, const char *text);

/* "1.5 GB" of bytes: powers of 1000. Returns BUF. */
const char *format_size(char buf[static 32], unsigned long long bytes);

#endif
