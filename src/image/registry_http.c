/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a registry: redirects, challenges, tokens, and what statuses mean. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/credentials.h"
#include "image/registry.h"

#define HOPS_MAX  5u
#define TOKEN_MAX 65536u

/* ---- redirects ------------------------------------------------------------------------------- */

static bool is_redirect(const struct http_reply *reply)
{
	return reply->location != NULL && reply->status >= 301 && reply->status <= 308;
}

/* Never from https to http; without TLS only where the request had none already. */
static int check_hop(const struct registry *r, const char *from, const char *to, struct err *err)
{
	if (http_is_tls(to) || (!http_is_tls(from) && strncasecmp(to, "http://", 7) == 0))
		return 0;
	return err_set(
		err, EPROTO,
		"%s redirects to an address without TLS, or of another kind, which is not followed",
		r->base.name);
}

int registry_follow(struct registry *r, struct http *http, struct http_request *q,
		    const char *origin, const char *authorization, struct http_reply *ret,
		    struct err *err)
{
	CLEANUP(free) char *url = NULL;
	int rc;

	for (unsigned int hops = 0; hops <= HOPS_MAX; hops++) {
		q->authorization = http_same_origin(q->url, origin) ? authorization : NULL;
		rc = http_get(http, q, r->base.name, ret, err);
		if (rc < 0 || !is_redirect(ret))
			return rc;
		rc = check_hop(r, q->url, ret->location, err);
		if (rc == 0) {
			free(url);
			url = steal_ptr(&ret->location);
			q->url = url;
		}
		http_reply_done(ret);
		if (rc < 0)
			return rc;
	}
	return err_set(err, ELOOP, "%s redirects more than %u times", r->base.name, HOPS_MAX);
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* What the registry itself says, or "". */
static void put_message(const struct http_reply *reply, char *buf, size_t size)
{
	CLEANUP(json) json_t *root = NULL;
	const struct json_limits limits = JSON_LIMITS_DOCUMENT;
	const char *text;

	*buf = '\0';
	if (json_read(reply->body.data, reply->body.len, &limits, "", &root, NULL) < 0)
		return;
	text = json_text(json_array_get(json_list(root, "errors"), 0), "message");
	if (text != NULL)
		snprintf(buf, size, ": %.150s", text);
}

int registry_refuse(const struct registry *r, const char *what, const struct http_reply *reply,
		    struct err *err)
{
	char message[200];

	put_message(reply, message, sizeof(message));
	switch (reply->status) {
	case 404:
		return err_set(err, ENOENT, "%s: no %s there%s", r->base.name, what, message);
	case 401:
	case 403:
		return err_set(err, EACCES,
			       "%s: the registry refuses%s (podman login %s lets it know you)",
			       r->base.name, message, r->host);
	case 429:
		return err_set(err, EAGAIN,
			       "%s: the registry wants fewer requests; try again later%s",
			       r->base.name, message);
	default:
		return err_set(err, EIO, "%s: the registry answers %ld to the request for %s%s",
			       r->base.name, reply->status, what, message);
	}
}

/* ---- credentials ----------------------------------------------------------------------------- */

/* A token goes into a header: visible ASCII, and nothing that would begin another header. */
static bool is_token(const char *text)
{
	if (text == NULL || *text == '\0' || strlen(text) > TOKEN_MAX)
		return false;
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static int set_authorization(struct registry *r, const char *scheme, const char *value,
			     struct err *err)
{
	char *text;

	if (asprintf(&text, "%s %s", scheme, value) < 0)
		return err_errno(err, ENOMEM, "%s", r->base.name);
	pthread_mutex_lock(&r->lock);
	free(r->authorization);
	r->authorization = text;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

/* REALM?service=S&scope=repository:NAME:pull; what scope the challenge wants is not asked. */
static int token_url(const struct registry *r, const struct challenge *c, char **ret,
		     struct err *err)
{
	CLEANUP(free) char *service = http_escape(c->service != NULL ? c->service : "");
	CLEANUP(free) char *repository = http_escape(r->repository);

	if (service == NULL || repository == NULL ||
	    asprintf(ret, "%s%cservice=%s&scope=repository%%3A%s%%3Apull", c->realm,
		     strchr(c->realm, '?') != NULL ? '&' : '?', service, repository) < 0) {
		*ret = NULL;
		return err_errno(err, ENOMEM, "%s", r->base.name);
	}
	return 0;
}

/* The realm is as well protected as the registry: TLS, unless both do without. */
static int check_realm(const struct registry *r, const char *realm, struct err *err)
{
	bool bare = realm != NULL && strncasecmp(realm, "http://", 7) == 0 &&
		    !http_is_tls(r->url) && (r->plain_http || http_url_is_loopback(realm));

	if (realm != NULL && strpbrk(realm, "@#") == NULL && (http_is_tls(realm) || bare))
		return 0;
	return err_set(
		err, EPROTO,
		"%s: the registry sends us for a token to an address without TLS, or to none; "
		"nothing is sent there",
		r->base.name);
}

static int fetch_token(struct registry *r, struct http *http, const struct challenge *c,
		       const char *basic, struct err *err)
{
	CLEANUP(http_reply) struct http_reply reply = {0};
	CLEANUP(free) char *url = NULL, *authorization = NULL;
	CLEANUP(json) json_t *root = NULL;
	const struct json_limits limits = JSON_LIMITS_DOCUMENT;
	struct http_request q = {0};
	const char *token;
	int rc = check_realm(r, c->realm, err);

	if (rc == 0)
		rc = token_url(r, c, &url, err);
	if (rc < 0)
		return rc;
	if (basic != NULL && asprintf(&authorization, "Basic %s", basic) < 0) {
		authorization = NULL;
		return err_errno(err, ENOMEM, "%s", r->base.name);
	}
	q.url = url;
	rc = registry_follow(r, http, &q, url, authorization, &reply, err);
	if (rc < 0)
		return rc;
	if (reply.status != 200)
		return registry_refuse(r, "a token", &reply, err);
	rc = json_read(reply.body.data, reply.body.len, &limits, r->base.name, &root, err);
	if (rc < 0)
		return rc;
	token = json_text(root, "token");
	if (token == NULL)
		token = json_text(root, "access_token");
	if (!is_token(token))
		return err_set(err, EBADMSG, "%s: what came for a token is none", r->base.name);
	return set_authorization(r, "Bearer", token, err);
}

int registry_authenticate(struct registry *r, struct http *http, const char *challenges,
			  struct err *err)
{
	CLEANUP(challenge) struct challenge c = {0};
	CLEANUP(free) char *basic = NULL;
	int rc = credentials_find(r->auth_file, r->host, r->repository, &basic, err);

	if (rc < 0)
		return rc;
	if (challenge_parse(challenges != NULL ? challenges : "", &c) < 0)
		return err_errno(err, ENOMEM, "%s", r->base.name);
	if (c.kind == CHALLENGE_BEARER)
		return fetch_token(r, http, &c, basic, err);
	if (c.kind == CHALLENGE_BASIC && basic != NULL)
		return set_authorization(r, "Basic", basic, err);
	return err_set(
		err, EACCES,
		"%s: the registry wants a user and a password; podman login %s keeps them (programs "
		"that keep credentials, credHelpers, are not asked)",
		r->base.name, r->host);
}

/* ---- the request ----------------------------------------------------------------------------- */

/* The address and the authorization of now, for a request outside of the lock. */
static int prepare(struct registry *r, const char *path, char **ret_url, char **ret_origin,
		   char **ret_authorization)
{
	int rc = -ENOMEM;

	pthread_mutex_lock(&r->lock);
	*ret_origin = strdup(r->url);
	*ret_authorization = r->authorization != NULL ? strdup(r->authorization) : NULL;
	if (*ret_origin != NULL && (r->authorization == NULL || *ret_authorization != NULL))
		rc = asprintf(ret_url, "%s/v2/%s/%s", r->url, r->repository, path) >= 0 ? 0
											: -ENOMEM;
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* A registry of this machine's own may do without TLS. */
static bool fall_back(struct registry *r, const struct http_reply *reply)
{
	bool fall = false;
	char *url;

	pthread_mutex_lock(&r->lock);
	if (reply->tls_failed && http_is_loopback(r->host) && http_is_tls(r->url) &&
	    asprintf(&url, "http://%s", r->host) >= 0) {
		free(r->url);
		r->url = url;
		fall = true;
	}
	pthread_mutex_unlock(&r->lock);
	return fall;
}

static int request(struct registry *r, struct http *http, const char *path, struct http_request *q,
		   bool *ret_ours, struct http_reply *ret, struct err *err)
{
	CLEANUP(free) char *url = NULL, *origin = NULL, *authorization = NULL;
	int rc = prepare(r, path, &url, &origin, &authorization);

	if (rc < 0)
		return err_errno(err, -rc, "%s", r->base.name);
	q->url = url;
	rc = registry_follow(r, http, q, origin, authorization, ret, err);
	/* Another host's challenge is not answered. */
	*ret_ours = q->url == url;
	return rc;
}

int registry_get(struct registry *r, struct http *http, const char *path, struct http_request *q,
		 struct http_reply *ret, struct err *err)
{
	bool authenticated = false, ours = false;
	int rc;

	for (;;) {
		CLEANUP(err) struct err why = {0};

		rc = request(r, http, path, q, &ours, ret, &why);
		if (rc < 0 && fall_back(r, ret))
			continue;
		if (rc < 0)
			return err_set(err, -rc, "%s", err_text(&why));
		if (ret->status != 401 || authenticated || !ours)
			break;
		rc = registry_authenticate(r, http, ret->challenges, err);
		http_reply_done(ret);
		if (rc < 0)
			return rc;
		authenticated = true;
	}
	if (ret->status == 200 || ret->status == 206 || (ret->status == 416 && q->from > 0))
		return 0;
	rc = registry_refuse(r, strncmp(path, "blobs/", 6) == 0 ? "such blob" : "such image", ret,
			     err);
	http_reply_done(ret);
	return rc;
}
