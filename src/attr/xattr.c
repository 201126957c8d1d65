/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of the marks of union file systems, and the escaping of nested overlays. */
#include "attr/xattr.h"

#include <linux/limits.h>
#include <stdio.h>
#include <string.h>

/* What kernel overlayfs puts after its prefix to store a name that itself has the prefix. */
#define ESCAPE	   "overlay."
#define ESCAPE_LEN (sizeof(ESCAPE) - 1)

/* Every name under a prefix is a mark; where ESCAPES, "prefix.overlay.x" stands for "prefix.x". */
static const struct {
	const char *prefix;
	bool escapes;
} families[] = {
	{"trusted.overlay.", true},	      {"user.overlay.", true},
	{"user.fuseoverlayfs.", false},	      {"security.fuseoverlayfs.", false},
	{"user.containers.override_", false},
};

/* The names that mean something to plyfs. Any other name of a family is XATTR_MARK_OTHER. */
static const struct {
	const char *name;
	enum xattr_mark mark;
} marks[] = {
	{"trusted.overlay.opaque", XATTR_MARK_OPAQUE},
	{"user.overlay.opaque", XATTR_MARK_OPAQUE},
	{"user.fuseoverlayfs.opaque", XATTR_MARK_OPAQUE},
	{"trusted.overlay.whiteout", XATTR_MARK_WHITEOUT},
	{"user.overlay.whiteout", XATTR_MARK_WHITEOUT},
	{"trusted.overlay.redirect", XATTR_MARK_REDIRECT},
	{"user.overlay.redirect", XATTR_MARK_REDIRECT},
	{"trusted.overlay.metacopy", XATTR_MARK_METACOPY},
	{"user.overlay.metacopy", XATTR_MARK_METACOPY},
	{"security.fuseoverlayfs.override_stat", XATTR_MARK_OVERRIDE},
	{"user.containers.override_stat", XATTR_MARK_OVERRIDE},
	{"user.fuseoverlayfs.override_stat", XATTR_MARK_OVERRIDE},
};

#define N_FAMILIES (sizeof(families) / sizeof(families[0]))
#define N_MARKS	   (sizeof(marks) / sizeof(marks[0]))

/* Index of the family that NAME is in, and where in NAME the prefix ends; N_FAMILIES for none. */
static size_t family_of(const char *name, const char **ret_rest)
{
	for (size_t i = 0; i < N_FAMILIES; i++) {
		size_t len = strlen(families[i].prefix);

		if (strncmp(name, families[i].prefix, len) == 0) {
			*ret_rest = name + len;
			return i;
		}
	}
	return N_FAMILIES;
}

enum xattr_mark xattr_mark(const char *name)
{
	const char *rest;

	if (family_of(name, &rest) == N_FAMILIES)
		return XATTR_MARK_NONE;
	for (size_t i = 0; i < N_MARKS; i++) {
		if (strcmp(name, marks[i].name) == 0)
			return marks[i].mark;
	}
	return XATTR_MARK_OTHER;
}

/* "ABC" in BUF, or NULL when it does not fit or is longer than the kernel lets a name be. */
static const char *join(const char *a, const char *b, const char *c, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s%s%s", a, b, c);

	return n < 0 || (size_t)n >= size || n > XATTR_NAME_MAX ? NULL : buf;
}

const char *xattr_lower_shown(const char *name, char *buf, size_t size)
{
	const char *rest;
	size_t family = family_of(name, &rest);

	if (family == N_FAMILIES)
		return name;
	if (!families[family].escapes || strncmp(rest, ESCAPE, ESCAPE_LEN) != 0)
		return NULL;
	return join(families[family].prefix, rest + ESCAPE_LEN, "", buf, size);
}

const char *xattr_lower_stored(const char *name, char *buf, size_t size)
{
	const char *rest;
	size_t family = family_of(name, &rest);

	if (family == N_FAMILIES)
		return name;
	if (!families[family].escapes)
		return NULL;
	return join(families[family].prefix, ESCAPE, rest, buf, size);
}
