/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to image/: libcurl, loaded when a registry is asked for the first time. It brings some thirty libraries
 * with it, which would be most of what starting plyfs costs, and containers start it for every mount.
 */
#ifndef PLYFS_IMAGE_LIBCURL_H
#define PLYFS_IMAGE_LIBCURL_H

#include <curl/curl.h>
#include <stdbool.h>

#define LIBCURL_FUNCTIONS(F)                                                                       \
	F(global_init)                                                                             \
	F(easy_init)                                                                               \
	F(easy_cleanup)                                                                            \
	F(easy_setopt)                                                                             \
	F(easy_getinfo)                                                                            \
	F(easy_perform)                                                                            \
	F(easy_strerror)                                                                           \
	F(easy_escape)                                                                             \
	F(slist_append)                                                                            \
	F(slist_free_all)                                                                          \
	F(url)                                                                                     \
	F(url_cleanup)                                                                             \
	F(url_get)                                                                                 \
	F(url_set)                                                                                 \
	F(free)

/* curl_NAME() is libcurl.NAME(). Valid after libcurl_load() has returned 0. */
struct libcurl {
#define LIBCURL_MEMBER(name) __typeof__(&curl_##name) name;
	LIBCURL_FUNCTIONS(LIBCURL_MEMBER)
#undef LIBCURL_MEMBER
};
extern struct libcurl libcurl;

/* Loads and initialises it once; any thread. 0, or -ELIBACC: it is not installed, or not usable. */
int libcurl_load(void);

#endif
