/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to image/: single GETs over HTTP, for registries. The only user of libcurl.
 *
 * Nothing is followed, retried or remembered here: a redirect is a reply like others, so that the caller decides
 * who gets credentials. Certificates are checked always; no netrc, no cookies, no schemes but http and https.
 */
#ifndef PLYFS_IMAGE_HTTP_H
#define PLYFS_IMAGE_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "image/image.h"

/* One connection's state, kept alive between requests. One thread at a time. */
struct http;

/* CA_FILE, when not NULL, is trusted instead of the system's certificates. */
int http_new(const char *ca_file, const struct image_options *options, struct http **ret);
void http_free(struct http *h);
DEFINE_CLEANUP_PTR(struct http, http, http_free)

/* Where bytes of a reply with status 200 or 206 go. A value < 0 ends the request with it. */
struct http_sink {
	/* STATUS and FROM (the first byte's position, of 206) are those of the reply. */
	int (*begin)(void *arg, long status, uint64_t from);
	int (*bytes)(void *arg, const void *p, size_t len);
	void *arg;
};

struct http_request {
	const char *url;
	const char *accept;	      /* or NULL */
	const char *authorization;    /* the header's value, or NULL */
	uint64_t from;		      /* ask for the bytes from there on only, when not 0 */
	const struct http_sink *sink; /* NULL: into the reply's body */
};

struct http_reply {
	long status;	    /* 0 when there was none: see failed */
	bool tls_failed;    /* the other side does not speak TLS */
	char *location;	    /* owned; of redirects: absolute, its user and password taken out */
	char *challenges;   /* owned; WWW-Authenticate, several joined by newlines */
	char *content_type; /* owned */
	struct buf body;    /* at most HTTP_BODY_MAX */
};

#define HTTP_BODY_MAX (4u << 20)

void http_reply_done(struct http_reply *r); /* zeroed is fine */
DEFINE_CLEANUP(struct http_reply, http_reply, http_reply_done)

/*
 * Sends Q. 0 when there was a reply, whatever its status; else a sentence and -EIO, -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH,
 * -EPROTO (TLS, or a reply that is none), -E2BIG (a body larger than HTTP_BODY_MAX), -ECANCELED, or the sink's. WHO is the
 * registry's name, for errors: a URL can hold secrets and is not shown.
 */
int http_get(struct http *h, const struct http_request *q, const char *who, struct http_reply *ret,
	     struct err *err);

/* Whether A and B have the same scheme, host and port. False when either is no URL. */
bool http_same_origin(const char *a, const char *b);
/* Whether URL is https. */
bool http_is_tls(const char *url);
/* Whether HOST[:PORT] is this machine's own: localhost, 127.x.y.z, [::1]. */
bool http_is_loopback(const char *host);
/* Whether URL's host is. */
bool http_url_is_loopback(const char *url);
/* TEXT as a part of a query. Owned; NULL when memory is short. */
char *http_escape(const char *text);

#endif
