/* SPDX-License-Identifier: Apache-2.0 */
/* Growing arrays of strings, and the texts that command lines split into them. */
#ifndef PLYFS_CLI_STRV_H
#define PLYFS_CLI_STRV_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

/* Owns its strings. Zeroed memory is empty. Functions return 0 or -ENOMEM unless told otherwise. */
struct strv {
	char **v;
	size_t n;
};

void strv_done(struct strv *s);
DEFINE_CLEANUP(struct strv, strv, strv_done)

/* Adds a copy of TEXT; of its first LEN bytes. */
int strv_add(struct strv *s, const char *text);
int strv_add_n(struct strv *s, const char *text, size_t len);
/* Moves all of FROM to the end of S. */
int strv_move(struct strv *s, struct strv *from);

/*
 * Splits mount options at their commas. "\," is a comma; any other backslash stays, with the
 * character after it, for whoever reads the value. A value in double quotes (NAME="VALUE") may
 * hold commas and loses the quotes. Empty options are left out.
 */
int strv_split_options(struct strv *s, const char *text);

/*
 * Splits the value of lowerdir= at its colons: layers to LOWER, data-only ones (each after "::") to
 * DATA. A backslash makes the character after it part of the path. Empty paths at the ends are left
 * out. -EINVAL: a layer after a data-only one.
 */
int strv_split_layers(struct strv *lower, struct strv *data, const char *text, struct err *err);

/* One path a line, added as by strv_split_layers() but with nothing to escape; "::PATH" is data-only. */
int strv_read_layers(struct strv *lower, struct strv *data, const char *file, struct err *err);

/* TEXT without its backslashes: each stands for the character after it. NULL: no memory. */
char *strv_unescape(const char *text);

#endif
