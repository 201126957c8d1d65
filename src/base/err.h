/* SPDX-License-Identifier: Apache-2.0 */
/* Errors for people: an errno and one sentence. For the control plane only (mounting, tools). */
#ifndef PLYFS_BASE_ERR_H
#define PLYFS_BASE_ERR_H

#include "base/cleanup.h"

/*
 * A function that can fail for a reason worth a sentence takes a `struct err *` as its last
 * parameter, returns -errno, and sets the sentence; on success it leaves it untouched. The sentence
 * names the thing, the reason and, where there is one, the way out; it has no newline and no
 * program name. NULL is allowed: then only the number is returned.
 */
struct err {
	int code;   /* a positive errno, 0 while nothing has failed */
	char *text; /* owned; NULL while nothing has failed */
};

/* Sets E (when not NULL) to CODE and the formatted text and returns -CODE. CODE is positive. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), and appends ": " and strerror(CODE). */
int err_errno(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "text: " before the sentence E already has. Returns -E->code, or -EIO when E is NULL. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The sentence, or a generic one; never NULL. */
const char *err_text(const struct err *e);

/* Frees the sentence; E is as new. */
void err_done(struct err *e);

DEFINE_CLEANUP(struct err, err, err_done)

#endif
