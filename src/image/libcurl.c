/* SPDX-License-Identifier: Apache-2.0 */
/* Loading libcurl. */
#include "image/libcurl.h"

#include <errno.h>
#include <pthread.h>

#include "image/library.h"

/* Its ABI has been this since 2006. */
#define LIBCURL_SONAME "libcurl.so.4"

struct libcurl libcurl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int status = -ELIBACC;

#define LIBCURL_FIND(name) {"curl_" #name, &libcurl.name},
static const struct library_function functions[] = {LIBCURL_FUNCTIONS(LIBCURL_FIND)};
#undef LIBCURL_FIND

static void load(void)
{
	if (library_load(LIBCURL_SONAME, functions, sizeof(functions) / sizeof(*functions)) &&
	    libcurl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		status = 0;
}

int libcurl_load(void)
{
	pthread_once(&once, load);
	return status;
}
