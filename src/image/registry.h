/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to image/: one repository of a registry.
 *
 * Who gets what: the user's credentials are looked up by the registry's name, and go to the registry, or to the realm
 * that the registry itself names, over TLS. The answer, a token, goes to the registry only. A redirect to
 * another scheme, host or port gets neither; one from https to http is not followed. Without TLS there are only this
 * machine's own addresses and what the user asks for.
 */
#ifndef PLYFS_IMAGE_REGISTRY_H
#define PLYFS_IMAGE_REGISTRY_H

#include <pthread.h>

#include "image/http.h"
#include "image/source.h"

struct registry {
	struct image_source base;   /* its name is HOST/REPOSITORY */
	char *host, *repository;    /* owned */
	char *auth_file, *blob_dir; /* owned; NULL where the options say nothing */
	char *ca_file;		    /* owned; of certs.d, or NULL */
	bool plain_http;
	struct http *http; /* owned; of the thread that opened the image */

	pthread_mutex_t lock; /* protects what follows */
	char *url;	      /* owned; "https://HOST" */
	char *authorization;  /* owned; the header's value for URL's origin, or NULL */
};

/*
 * GETs PATH ("manifests/latest") of the repository: authenticated when the registry wants it, redirects followed. Q's url and
 * authorization are filled in here. 0 with status 200 or 206 (or 416 when Q asks for a part); else a sentence and
 * -ENOENT (404), -EACCES (401, 403), -EAGAIN (429), -EIO, or as http_get(). Any thread, each with an HTTP of its own.
 */
int registry_get(struct registry *r, struct http *http, const char *path, struct http_request *q,
		 struct http_reply *ret, struct err *err);

/* GETs Q's url, following redirects; AUTHORIZATION goes to ORIGIN only. */
int registry_follow(struct registry *r, struct http *http, struct http_request *q,
		    const char *origin, const char *authorization, struct http_reply *ret,
		    struct err *err);

/* Answers the challenges of a 401: sets the authorization. -EACCES with a sentence. */
int registry_authenticate(struct registry *r, struct http *http, const char *challenges,
			  struct err *err);

/* An error out of a reply's status. */
int registry_refuse(const struct registry *r, const char *what, const struct http_reply *reply,
		    struct err *err);

/* BLOB_DIR/ALG/HEX of D, its directory made. -EINVAL without a BLOB_DIR. *RET is the caller's. */
int registry_blob_path(const struct registry *r, const struct digest *d, char **ret,
		       struct err *err);

/* A kept blob, which is noted as used. Errors of blob_open_file(). */
int registry_open_blob(const char *path, struct blob **ret);

/* Fetches the layers: the source's function. */
int registry_fetch(struct image_source *s, struct image *image, const struct image_options *options,
		   struct err *err);

#endif
