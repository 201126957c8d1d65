/* SPDX-License-Identifier: Apache-2.0 */
/* Digests as image formats write them, "sha256:HEX": parsing, printing, computing. Any thread. */
#ifndef PLYFS_IMAGE_DIGEST_H
#define PLYFS_IMAGE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* The algorithms that the OCI image specification registers. */
enum digest_alg {
	DIGEST_NONE, /* no digest: what zeroed memory is */
	DIGEST_SHA256,
	DIGEST_SHA512,
};

#define DIGEST_BYTES_MAX 64u  /* of the largest algorithm */
#define DIGEST_TEXT_MAX	 136u /* "sha512:", 128 digits, NUL */

/* A pure value. Bytes past the algorithm's length are zero. */
struct digest {
	enum digest_alg alg;
	uint8_t bytes[DIGEST_BYTES_MAX];
};

/* How many bytes a digest of ALG has; 0 of DIGEST_NONE. */
size_t digest_size(enum digest_alg alg);

/*
 * Reads TEXT, LEN bytes (no NUL is needed). Exactly "sha256:" and 64, or "sha512:" and 128
 * lower-case hexadecimal digits; anything else is -EINVAL, as is an algorithm not registered: what
 * passes is safe as a file's name. RET_D is untouched on failure.
 */
int digest_parse(const char *text, size_t len, struct digest *ret_d);

/* Writes "ALG:HEX" and returns BUF; "none" for no digest. */
const char *digest_format(const struct digest *d, char buf[static DIGEST_TEXT_MAX]);

/* The hexadecimal digits only; "" for no digest. */
const char *digest_hex(const struct digest *d, char buf[static DIGEST_TEXT_MAX]);

/* "sha256" or "sha512"; "none" otherwise. */
const char *digest_alg_name(enum digest_alg alg);

/* Two digests are equal when algorithm and bytes are; DIGEST_NONE equals nothing. */
bool digest_equal(const struct digest *a, const struct digest *b);

/* The digest of LEN bytes. -EINVAL for DIGEST_NONE, -ENOMEM, -ELIBACC: libcrypto cannot be loaded. */
int digest_of(enum digest_alg alg, const void *p, size_t len, struct digest *ret_d);

/*
 * The digest of bytes that come in pieces: begin, add any number of times, end. A failure sticks
 * and is returned by the end. One thread at a time.
 */
struct digester {
	enum digest_alg alg;
	void *state; /* owned */
	int failed;  /* 0 or -errno */
};

int digester_begin(struct digester *g, enum digest_alg alg);
void digester_add(struct digester *g, const void *p, size_t len);
/* The digest of what was added; the digester then is as done. */
int digester_end(struct digester *g, struct digest *ret_d);
void digester_done(struct digester *g); /* zeroed is fine */
DEFINE_CLEANUP(struct digester, digester, digester_done)

#endif
