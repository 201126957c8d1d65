/* SPDX-License-Identifier: Apache-2.0 */
/* Loading libcrypto. */
#include "image/libcrypto.h"

#include <dlfcn.h>
#include <errno.h>
#include <openssl/opensslv.h>
#include <pthread.h>
#include <stdbool.h>

/* Since OpenSSL 3 the ABI is that of the major version; ours is the one whose headers we were built with. */
#define SONAME_OF(major)   SONAME_TEXT(major)
#define SONAME_TEXT(major) "libcrypto.so." #major
#define LIBCRYPTO_SONAME   SONAME_OF(OPENSSL_VERSION_MAJOR)

struct libcrypto libcrypto;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int status = -ELIBACC;

static bool find(void *handle)
{
#define LIBCRYPTO_FIND(name)                                                                       \
	libcrypto.name = (__typeof__(libcrypto.name))dlsym(handle, "EVP_" #name);                  \
	if (libcrypto.name == NULL)                                                                \
		return false;
	LIBCRYPTO_FUNCTIONS(LIBCRYPTO_FIND)
#undef LIBCRYPTO_FIND
	return true;
}

static void load(void)
{
	/* Never unloaded: it has handlers for the end of the process and of threads. */
	void *handle = dlopen(LIBCRYPTO_SONAME, RTLD_NOW | RTLD_LOCAL);

	if (handle != NULL && find(handle))
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
