/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/credentials and of the rules for addresses in image/http. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/credentials.h"
#include "image/http.h"
#include "unit/image/layout.h"

static void expect(const struct layout *l, const char *host, const char *repository,
		   const char *wanted)
{
	CLEANUP(err) struct err e = {0};
	char file[600], *auth = NULL;

	snprintf(file, sizeof(file), "%s/auth.json", l->dir.path);
	cr_assert_eq(credentials_find(file, host, repository, &auth, &e), 0, "%s", err_text(&e));
	if (wanted == NULL)
		cr_assert_null(auth, "%s/%s: %s", host, repository, auth);
	else
		cr_assert_str_eq(auth, wanted);
	free(auth);
}

Test(credentials, the_longest_name_counts)
{
	CLEANUP(layout) struct layout l;

	layout_make(&l);
	layout_text(
		&l, "auth.json",
		"{\"auths\": {\"h.org\": {\"auth\": \"aG9zdA==\"}, \"h.org/a\": {\"auth\": \"YQ==\"}, "
		"\"h.org/a/b\": {\"auth\": \"YWI=\"}, \"h.org:5000\": {\"auth\": \"cG9ydA==\"}, "
		"\"https://index.docker.io/v1/\": {\"auth\": \"aHVi\"}, \"https://old.org\": {\"auth\": \"b2xk\"}, "
		"\"bad.org\": {\"auth\": \"x\\r\\nEvil: y\"}, \"empty.org\": {}, \"helped.org\": {\"auth\": \"\"}}}");
	expect(&l, "h.org", "x", "aG9zdA==");
	expect(&l, "h.org", "a", "YQ==");
	expect(&l, "h.org", "a/c", "YQ==");
	expect(&l, "h.org", "a/b", "YWI=");
	expect(&l, "h.org", "ab", "aG9zdA==");
	expect(&l, "h.org:5000", "a", "cG9ydA==");
	expect(&l, "docker.io", "library/debian", "aHVi");
	expect(&l, "old.org", "x", "b2xk");
	expect(&l, "h.org.evil.org", "x", NULL);
	expect(&l, "h.or", "x", NULL);
	expect(&l, "bad.org", "x", NULL);
	expect(&l, "empty.org", "x", NULL);
	expect(&l, "helped.org", "x", NULL);
}

Test(credentials, a_file_that_is_named_has_to_be_there_and_right)
{
	CLEANUP(layout) struct layout l;
	char file[600], *auth = NULL;

	layout_make(&l);
	snprintf(file, sizeof(file), "%s/auth.json", l.dir.path);
	cr_assert_eq(credentials_find(file, "h", "r", &auth, NULL), -ENOENT);
	layout_text(&l, "auth.json", "{\"auths\": ");
	cr_assert_eq(credentials_find(file, "h", "r", &auth, NULL), -EBADMSG);
	layout_text(&l, "auth.json", "[]");
	cr_assert_eq(credentials_find(file, "h", "r", &auth, NULL), 0);
	cr_assert_null(auth);
}

static void challenge(const char *headers, int kind, const char *realm, const char *service)
{
	CLEANUP(challenge) struct challenge c = {0};

	cr_assert_eq(challenge_parse(headers, &c), 0);
	cr_assert_eq((int)c.kind, kind, "%s", headers);
	cr_assert(realm == NULL ? c.realm == NULL : c.realm != NULL && strcmp(c.realm, realm) == 0,
		  "%s: %s", headers, c.realm);
	cr_assert(service == NULL ? c.service == NULL
				  : c.service != NULL && strcmp(c.service, service) == 0,
		  "%s: %s", headers, c.service);
}

Test(credentials, challenges_are_read)
{
	challenge("Bearer realm=\"https://a/t\",service=\"s\",scope=\"x\"", CHALLENGE_BEARER,
		  "https://a/t", "s");
	challenge("bearer Realm=https://a/t , SERVICE=s", CHALLENGE_BEARER, "https://a/t", "s");
	challenge("Bearer realm=\"a\\\"b\"", CHALLENGE_BEARER, "a\"b", NULL);
	challenge("Bearer realm=\"a\",realm=\"b\"", CHALLENGE_BEARER, "b", NULL);
	challenge("Basic realm=\"x\"\nBearer realm=\"y\"", CHALLENGE_BEARER, "y", NULL);
	challenge("Basic realm=\"x\"", CHALLENGE_BASIC, NULL, NULL);
	challenge("Bearer", CHALLENGE_NONE, NULL, NULL);
	challenge("Bearer realm=\"not closed", CHALLENGE_BEARER, "not closed", NULL);
	challenge("Bearer =,,,\"", CHALLENGE_BEARER, NULL, NULL);
	challenge("Digest realm=\"x\"", CHALLENGE_NONE, NULL, NULL);
	challenge("", CHALLENGE_NONE, NULL, NULL);
}

Test(http, origins_are_scheme_host_and_port)
{
	cr_assert(http_same_origin("https://a/x", "https://a:443/y?z"));
	cr_assert(http_same_origin("https://A/x", "https://a"));
	cr_assert(!http_same_origin("https://a", "http://a"));
	cr_assert(!http_same_origin("https://a", "https://a:444"));
	cr_assert(!http_same_origin("https://a", "https://a.b"));
	cr_assert(!http_same_origin("https://a", "https://a@b"));
	cr_assert(!http_same_origin("https://a", "nonsense:"));
	cr_assert(!http_same_origin("", ""));
}

Test(http, loopback_is_nothing_that_looks_like_it)
{
	static const char *const ours[] = {"localhost",	  "localhost:5000", "127.0.0.1",
					   "127.9.8.7:1", "[::1]",	    "[::1]:5000",
					   "LOCALHOST"};
	static const char *const others[] = {"localhost.evil.org",
					     "127.evil.org",
					     "127.0.0.1.evil.org",
					     "10.0.0.1",
					     "[::2]",
					     "128.0.0.1",
					     "",
					     "xlocalhost"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		cr_assert(http_is_loopback(ours[i]), "%s", ours[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		cr_assert(!http_is_loopback(others[i]), "%s", others[i]);
	cr_assert(http_url_is_loopback("http://127.0.0.1:5/x"));
	cr_assert(!http_url_is_loopback("http://127.0.0.1@evil.org/x"));
}
