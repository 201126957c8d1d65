/* SPDX-License-Identifier: Apache-2.0 */
/* References to images: transports, paths, names, tags and digests. */
#include "image/reference.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX_BYTES 4096u
#define NAME_MAX_BYTES                                                                             \
	255u /* of a repository with its host, as the distribution specification has it */
#define TAG_MAX_BYTES 128u
#define INDEX_MAX     99999

static const char *const names[] = {
	[TRANSPORT_PATH] = "path",
	[TRANSPORT_OCI] = "oci",
	[TRANSPORT_OCI_ARCHIVE] = "oci-archive",
	[TRANSPORT_DOCKER_ARCHIVE] = "docker-archive",
	[TRANSPORT_DIR] = "dir",
	[TRANSPORT_STORAGE] = "containers-storage",
	[TRANSPORT_DOCKER] = "docker",
};

const char *transport_name(enum transport t)
{
	return names[t];
}

static void choice_done(struct image_choice *c)
{
	free(c->name);
	*c = (struct image_choice){.index = -1};
}

void reference_done(struct reference *r)
{
	free(r->text);
	free(r->path);
	free(r->host);
	free(r->repository);
	choice_done(&r->choice);
	*r = (struct reference){.choice = {.index = -1}};
}

static int copy(const char *from, size_t len, char **ret_copy)
{
	*ret_copy = strndup(from, len);
	return *ret_copy != NULL ? 0 : -ENOMEM;
}

/* ---- names of repositories --------------------------------------------------------------- */

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* One part of a repository's path: words joined by ".", "_", "__" or any number of "-". */
static bool is_component(const char *p, size_t len)
{
	if (len == 0 || !is_word(p[0]) || !is_word(p[len - 1]))
		return false;
	for (size_t i = 1; i < len; i++) {
		char c = p[i], before = p[i - 1];

		if (is_word(c) || (c == '-' && (is_word(before) || before == '-')))
			continue;
		if (c == '_' && (is_word(before) || (before == '_' && is_word(p[i - 2]))))
			continue;
		if (c != '.' || !is_word(before))
			return false;
	}
	return true;
}

static bool is_repository(const char *p, size_t len)
{
	for (;;) {
		const char *slash = memchr(p, '/', len);
		size_t part = slash != NULL ? (size_t)(slash - p) : len;

		if (!is_component(p, part))
			return false;
		if (slash == NULL)
			return true;
		p += part + 1;
		len -= part + 1;
	}
}

static bool is_tag(const char *p, size_t len)
{
	if (len == 0 || len > TAG_MAX_BYTES || p[0] == '.' || p[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)p[i]) && strchr("_.-", p[i]) == NULL)
			return false;
	return true;
}

/* HOST, HOST:PORT or [IPv6]:PORT; nothing that a URL would take for more than that. */
static bool is_host(const char *p, size_t len)
{
	const char *end = p + len, *at = p;

	if (at < end && *at == '[') {
		for (at++; at < end && (isxdigit((unsigned char)*at) || *at == ':' || *at == '.');)
			at++;
		if (at == end || *at++ != ']')
			return false;
	} else {
		while (at < end && (isalnum((unsigned char)*at) || *at == '.' || *at == '-'))
			at++;
		if (at == p || *p == '-' || *p == '.')
			return false;
	}
	if (at == end)
		return true;
	if (*at++ != ':' || at == end || end - at > 5)
		return false;
	while (at < end && isdigit((unsigned char)*at))
		at++;
	return at == end;
}

/* A first part without a dot, a colon or capitals is no host, except "localhost". */
static bool looks_like_host(const char *p, size_t len)
{
	if (len == 9 && memcmp(p, "localhost", 9) == 0)
		return true;
	for (size_t i = 0; i < len; i++)
		if (p[i] == '.' || p[i] == ':' || isupper((unsigned char)p[i]))
			return true;
	return false;
}

/* A name taken apart; everything points into the text it was read from. */
struct parts {
	const char *host, *repository, *tag, *digest;
	size_t host_len, repository_len, tag_len;
	bool library; /* "library/" belongs before the repository */
};

static int take_apart(const char *text, struct parts *ret)
{
	struct parts p = {.host = "docker.io", .host_len = 9, .repository = text};
	const char *at = strchr(text, '@'), *end = at != NULL ? at : text + strlen(text), *slash,
		   *colon;

	p.digest = at != NULL ? at + 1 : NULL;
	slash = memchr(text, '/', (size_t)(end - text));
	if (slash != NULL && looks_like_host(text, (size_t)(slash - text))) {
		p.host = text;
		p.host_len = (size_t)(slash - text);
		p.repository = slash + 1;
		if (!is_host(p.host, p.host_len))
			return -EINVAL;
	}
	if (p.host_len == 15 && memcmp(p.host, "index.docker.io", 15) == 0) {
		p.host = "docker.io";
		p.host_len = 9;
	}
	colon = memchr(p.repository, ':', (size_t)(end - p.repository));
	if (colon != NULL) {
		p.tag = colon + 1;
		p.tag_len = (size_t)(end - p.tag);
		if (!is_tag(p.tag, p.tag_len))
			return -EINVAL;
		end = colon;
	}
	p.repository_len = (size_t)(end - p.repository);
	if (p.host_len + 1 + p.repository_len > NAME_MAX_BYTES ||
	    !is_repository(p.repository, p.repository_len))
		return -EINVAL;
	p.library = p.host_len == 9 && memcmp(p.host, "docker.io", 9) == 0 &&
		    memchr(p.repository, '/', p.repository_len) == NULL;
	*ret = p;
	return 0;
}

int reference_complete(const char *name, char **ret_full)
{
	struct parts p;
	struct digest d;

	if (strlen(name) > TEXT_MAX_BYTES || take_apart(name, &p) < 0)
		return -EINVAL;
	if (p.digest != NULL && digest_parse(p.digest, strlen(p.digest), &d) < 0)
		return -EINVAL;
	if (p.tag == NULL && p.digest == NULL) {
		p.tag = "latest";
		p.tag_len = 6;
	}
	if (asprintf(ret_full, "%.*s/%s%.*s%s%.*s%s%s", (int)p.host_len, p.host,
		     p.library ? "library/" : "", (int)p.repository_len, p.repository,
		     p.tag != NULL ? ":" : "", (int)p.tag_len, p.tag != NULL ? p.tag : "",
		     p.digest != NULL ? "@" : "", p.digest != NULL ? p.digest : "") < 0) {
		*ret_full = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* ---- the transports' forms --------------------------------------------------------------- */

/* What stands after a path: NAME, @INDEX or @DIGEST. */
static int parse_choice(struct reference *r, const char *text, struct err *err)
{
	struct image_choice *c = &r->choice;
	const char *which = text + 1;
	char *end;

	if (text[0] == '\0')
		return err_set(err, EINVAL,
			       "%s: a name, @INDEX or @DIGEST belongs after the last colon",
			       r->text);
	if (text[0] != '@')
		return copy(text, strlen(text), &c->name);
	if (digest_parse(which, strlen(which), &c->digest) == 0)
		return 0;
	if (isdigit((unsigned char)which[0]) && strlen(which) <= 5) {
		c->index = (int)strtol(which, &end, 10);
		if (*end == '\0')
			return 0;
	}
	return err_set(err, EINVAL,
		       "%s: after '@' belongs a position in the list (@0, @1, ...) or a digest "
		       "(@sha256:...)",
		       r->text);
}

int reference_split_path(struct reference *r, const char *text, struct err *err)
{
	const char *colon = strchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
	char *path;

	if (len == 0)
		return err_set(err, EINVAL, "%s: no path is given", r->text);
	if (copy(text, len, &path) < 0)
		return -ENOMEM;
	free(r->path);
	r->path = path;
	choice_done(&r->choice);
	return colon != NULL ? parse_choice(r, colon + 1, err) : 0;
}

static int parse_dir(struct reference *r, const char *rest, struct err *err)
{
	if (rest[0] == '\0')
		return err_set(err, EINVAL, "%s: no directory is given", r->text);
	return copy(rest, strlen(rest), &r->path);
}

/* [[DRIVER@]GRAPHROOT[+RUNROOT][:OPTIONS]]NAME; the run root and the options are of no use here. */
static int parse_store(struct reference *r, const char **rest, struct err *err)
{
	const char *p = *rest + 1, *end = strchr(p, ']'), *at;

	if (end == NULL)
		return err_set(err, EINVAL, "%s: the '[' of the store has no ']'", r->text);
	*rest = end + 1;
	at = memchr(p, '@', (size_t)(end - p));
	if (at != NULL && (at - p != 7 || memcmp(p, "overlay", 7) != 0))
		return err_set(err, EINVAL,
			       "%s: of container storage only the driver overlay can be read",
			       r->text);
	if (at != NULL)
		p = at + 1;
	if (p == end || *p != '/')
		return err_set(err, EINVAL, "%s: the store's graph root must be an absolute path",
			       r->text);
	return copy(p, strcspn(p, "+:]"), &r->path);
}

static int parse_storage(struct reference *r, const char *rest, struct err *err)
{
	int rc = 0;

	if (rest[0] == '[')
		rc = parse_store(r, &rest, err);
	if (rc < 0 || rest[0] == '\0')
		return rc;
	/* An id, with or without the clients' '@', is told from a name by who knows the images. */
	return copy(rest, strlen(rest), &r->choice.name);
}

static int parse_docker(struct reference *r, const char *rest, struct err *err)
{
	struct parts p;

	if (strncmp(rest, "//", 2) != 0)
		return err_set(err, EINVAL, "%s: two slashes belong after 'docker:'", r->text);
	rest += 2;
	if (take_apart(rest, &p) < 0)
		return err_set(
			err, EINVAL,
			"%s: not a name of an image; docker://[HOST[:PORT]/]NAME[:TAG|@DIGEST] "
			"is, in lower case",
			r->text);
	if (p.digest != NULL && digest_parse(p.digest, strlen(p.digest), &r->choice.digest) < 0)
		return err_set(err, EINVAL,
			       "%s: after '@' belongs sha256: and 64 digits, or sha512: and 128",
			       r->text);
	if (copy(p.host, p.host_len, &r->host) < 0)
		return -ENOMEM;
	if (asprintf(&r->repository, "%s%.*s", p.library ? "library/" : "", (int)p.repository_len,
		     p.repository) < 0) {
		r->repository = NULL;
		return -ENOMEM;
	}
	/* A digest says more than the tag beside it. */
	if (p.digest != NULL)
		return 0;
	return p.tag != NULL ? copy(p.tag, p.tag_len, &r->choice.name)
			     : copy("latest", 6, &r->choice.name);
}

static int parse_rest(struct reference *r, const char *rest, struct err *err)
{
	switch (r->transport) {
	case TRANSPORT_OCI:
	case TRANSPORT_OCI_ARCHIVE:
	case TRANSPORT_DOCKER_ARCHIVE:
		return reference_split_path(r, rest, err);
	case TRANSPORT_STORAGE:
		return parse_storage(r, rest, err);
	case TRANSPORT_DOCKER:
		return parse_docker(r, rest, err);
	case TRANSPORT_PATH:
	case TRANSPORT_DIR:
		break;
	}
	return parse_dir(r, rest, err);
}

/* The transport before the first colon, and what follows it; without one TEXT is a path. */
static enum transport find_transport(const char *text, const char **ret_rest)
{
	size_t len = strcspn(text, ":");

	*ret_rest = text;
	for (size_t i = TRANSPORT_OCI; text[len] == ':' && i < sizeof(names) / sizeof(*names);
	     i++) {
		if (strlen(names[i]) == len && memcmp(text, names[i], len) == 0) {
			*ret_rest = text + len + 1;
			return (enum transport)i;
		}
	}
	return TRANSPORT_PATH;
}

/* No part of a reference may hold what a terminal or a header of HTTP would take as an order. */
static bool has_controls(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

int reference_parse(const char *text, struct reference *ret_r, struct err *err)
{
	CLEANUP(reference) struct reference r = {.choice = {.index = -1}};
	const char *rest;
	int rc;

	*ret_r = r;
	if (strlen(text) > TEXT_MAX_BYTES)
		return err_set(err, EINVAL, "the name of an image may have %u bytes, this has %zu",
			       TEXT_MAX_BYTES, strlen(text));
	if (text[0] == '\0')
		return err_set(err, EINVAL, "the name of an image is empty");
	if (copy(text, strlen(text), &r.text) < 0)
		return err_errno(err, ENOMEM, "%s", text);
	r.transport = find_transport(text, &rest);
	if (r.transport != TRANSPORT_PATH && has_controls(text))
		return err_set(err, EINVAL, "the name of an image has control characters in it");
	rc = parse_rest(&r, rest, err);
	if (rc == -ENOMEM)
		return err_errno(err, ENOMEM, "%s", text);
	if (rc < 0)
		return rc;
	*ret_r = r;
	r = (struct reference){.choice = {.index = -1}};
	return 0;
}
