/* SPDX-License-Identifier: Apache-2.0 */
/* Loading libcurl. */
#include "image/libcurl.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

/* Its ABI has been this since 2006. */
#define LIBCURL_SONAME "libcurl.so.4"

struct libcurl libcurl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int status = -ELIBACC;

static bool find(void *handle)
{
#define LIBCURL_FIND(name)                                                                         \
	libcurl.name = (__typeof__(libcurl.name))dlsym(handle, "curl_" #name);                     \
	if (libcurl.name == NULL)                                                                  \
		return false;
	LIBCURL_FUNCTIONS(LIBCURL_FIND)
#undef LIBCURL_FIND
	return true;
}

static void load(void)
{
	/* Never unloaded: libraries below it keep threads and handlers of their own. */
	void *handle = dlopen(LIBCURL_SONAME, RTLD_NOW | RTLD_LOCAL);

	if (handle != NULL && find(handle) && libcurl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		status = 0;
}

int libcurl_load(void)
{
	pthread_once(&once, load);
	return status;
}
