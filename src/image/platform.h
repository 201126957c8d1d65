/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms in Go's words ("linux", "amd64", "v8"), and which of several is wanted. Pure. */
#ifndef PLYFS_IMAGE_PLATFORM_H
#define PLYFS_IMAGE_PLATFORM_H

#include <stdbool.h>

#include "base/err.h"

/* Every text may be NULL: not known, or, as a wish, whatever. */
struct platform {
	char *os, *arch, *variant; /* owned */
};

void platform_done(struct platform *p); /* zeroed is fine */
DEFINE_CLEANUP(struct platform, platform, platform_done)

/* 0 or -ENOMEM; RET_P is empty after a failure. */
int platform_copy(const char *os, const char *arch, const char *variant, struct platform *ret_p);

/*
 * Reads "OS/ARCH[/VARIANT]", or "ARCH" of Linux; the kernel's names of machines (x86_64, aarch64) are
 * understood too. -EINVAL with a sentence.
 */
int platform_parse(const char *text, struct platform *ret_p, struct err *err);

/* The machine that runs this, always with OS linux. */
int platform_of_host(struct platform *ret_p);

/*
 * How well HAVE serves who wants WANT: 0 is best, larger is worse, -1 is not at all. A smaller
 * variant of the same architecture serves a larger one; without a wish for a variant one without
 * is best. What HAVE does not say serves nobody.
 */
int platform_rank(const struct platform *want, const struct platform *have);

#define PLATFORM_TEXT_MAX 128

/* "linux/arm64/v8", "unknown" for a NULL part of the first two; cut at the buffer's end. Returns BUF. */
const char *platform_format(const struct platform *p, char buf[static PLATFORM_TEXT_MAX]);

#endif
