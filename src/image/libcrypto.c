/* SPDX-License-Identifier: Apache-2.0 */
/* Loading libcrypto. */
#include "image/libcrypto.h"

#include <errno.h>
#include <openssl/opensslv.h>
#include <pthread.h>

#include "image/library.h"

/* Since OpenSSL 3 the ABI is that of the major version; ours is the one whose headers we were built with. */
#define SONAME_OF(major)   SONAME_TEXT(major)
#define SONAME_TEXT(major) "libcrypto.so." #major
#define LIBCRYPTO_SONAME   SONAME_OF(OPENSSL_VERSION_MAJOR)

struct libcrypto libcrypto;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int status = -ELIBACC;

#define LIBCRYPTO_FIND(name) {"EVP_" #name, &libcrypto.name},
static const struct library_function functions[] = {LIBCRYPTO_FUNCTIONS(LIBCRYPTO_FIND)};
#undef LIBCRYPTO_FIND

static void load(void)
{
	if (library_load(LIBCRYPTO_SONAME, functions, sizeof(functions) / sizeof(*functions)))
		status = 0;
}

int libcrypto_load(void)
{
	pthread_once(&once, load);
	return status;
}

int libcrypto_need(const char *name, struct err *err)
{
	int r = libcrypto_load();

	return r < 0 ? err_set(err, -r,
			       "%s: digests of images need libcrypto (" LIBCRYPTO_SONAME
			       "), which cannot be loaded; install it (Debian: libssl3)",
			       name)
		     : 0;
}
