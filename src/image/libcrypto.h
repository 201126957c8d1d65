/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to image/: libcrypto, loaded with the first image. Its sixteen thousand relocations would be a third of what
 * starting plyfs costs, and containers start it for every mount of directories, which has no digest to compute.
 */
#ifndef PLYFS_IMAGE_LIBCRYPTO_H
#define PLYFS_IMAGE_LIBCRYPTO_H

#include <openssl/evp.h>

#include "base/err.h"

#define LIBCRYPTO_FUNCTIONS(F)                                                                     \
	F(MD_CTX_new)                                                                              \
	F(MD_CTX_free)                                                                             \
	F(DigestInit_ex)                                                                           \
	F(DigestUpdate)                                                                            \
	F(DigestFinal_ex)                                                                          \
	F(sha256)                                                                                  \
	F(sha512)

/* EVP_NAME() is libcrypto.NAME(). Valid after libcrypto_load() has returned 0. */
struct libcrypto {
#define LIBCRYPTO_MEMBER(name) __typeof__(&EVP_##name) name;
	LIBCRYPTO_FUNCTIONS(LIBCRYPTO_MEMBER)
#undef LIBCRYPTO_MEMBER
};
extern struct libcrypto libcrypto;

/* Loads it once; any thread. 0, or -ELIBACC: it is not installed, or not usable. */
int libcrypto_load(void);

/* The same with a sentence that says what to install, for NAME, which needs digests. */
int libcrypto_need(const char *name, struct err *err);

#endif
