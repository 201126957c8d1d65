/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials for registries, and challenges. */
#include "image/credentials.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "image/source.h"

/* ---- challenges ------------------------------------------------------------------------------ */

void challenge_done(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	*c = (struct challenge){0};
}

/* Reads KEY="VALUE" or KEY=VALUE at *P into new memory; false at the end, or where there is none. */
static bool next_parameter(const char **p, char **ret_key, char **ret_value)
{
	const char *key = *p + strspn(*p, " \t,"), *at = key;
	size_t key_len = strcspn(key, "= \t,\n\"");
	char *value, *out;

	if (key_len == 0 || key[key_len] != '=')
		return false;
	at = key + key_len + 1;
	value = out = malloc(strlen(at) + 1);
	if (value == NULL)
		return false;
	if (*at == '"') {
		for (at++; *at != '\0' && *at != '\n' && *at != '"'; at++) {
			if (*at == '\\' && at[1] != '\0')
				at++;
			*out++ = *at;
		}
		at += *at == '"';
	} else {
		while (*at != '\0' && strchr(" \t,\n", *at) == NULL)
			*out++ = *at++;
	}
	*out = '\0';
	*p = at;
	*ret_key = strndup(key, key_len);
	*ret_value = value;
	return true;
}

static int parse_bearer(const char *p, struct challenge *ret)
{
	char *key, *value;

	challenge_done(ret);
	ret->kind = CHALLENGE_BEARER;
	while (next_parameter(&p, &key, &value)) {
		char **to = NULL;

		if (key != NULL && strcasecmp(key, "realm") == 0)
			to = &ret->realm;
		else if (key != NULL && strcasecmp(key, "service") == 0)
			to = &ret->service;
		if (to != NULL) {
			free(*to);
			*to = steal_ptr(&value);
		}
		free(key);
		free(value);
	}
	return 0;
}

int challenge_parse(const char *headers, struct challenge *ret)
{
	const char *line = headers;

	*ret = (struct challenge){0};
	while (line != NULL && *line != '\0') {
		if (strncasecmp(line, "Bearer ", 7) == 0)
			return parse_bearer(line + 7, ret);
		if (strncasecmp(line, "Basic", 5) == 0)
			ret->kind = CHALLENGE_BASIC;
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return 0;
}

/* ---- files of credentials -------------------------------------------------------------------- */

/* An entry's key without what old versions of docker wrote around the host: https://HOST/v1/. */
static void plain_key(const char *key, char *buf, size_t size)
{
	size_t len;

	if (strncmp(key, "https://", 8) == 0)
		key += 8;
	else if (strncmp(key, "http://", 7) == 0)
		key += 7;
	len = strlen(key);
	while (len > 0 && key[len - 1] == '/')
		len--;
	if (len >= 3 && key[len - 3] == '/' && key[len - 2] == 'v' &&
	    isdigit((unsigned char)key[len - 1]))
		len -= 3;
	snprintf(buf, size, "%.*s", (int)len, key);
	if (strcmp(buf, "index.docker.io") == 0 || strcmp(buf, "registry-1.docker.io") == 0)
		snprintf(buf, size, "docker.io");
}

/* How much of NAME (HOST/REPOSITORY) the entry's KEY stands for; 0 when it is of something else. */
static size_t match(const char *key, const char *name)
{
	char plain[512];
	size_t len;

	plain_key(key, plain, sizeof(plain));
	len = strlen(plain);
	if (len == 0 || strncmp(plain, name, len) != 0 || (name[len] != '/' && name[len] != '\0'))
		return 0;
	return len;
}

/* It goes into a header as it is. */
static bool is_base64(const char *text)
{
	return *text != '\0' &&
	       text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				 "0123456789+/=")] == '\0';
}

/* The entry of FILE for NAME. -ENOENT, without a sentence, when there is no such file. */
static int look_up(const char *file, const char *name, char **ret, struct err *err)
{
	CLEANUP(blob) struct blob *blob = NULL;
	CLEANUP(json) json_t *root = NULL;
	CLEANUP(free) char *bytes = NULL;
	const struct json_limits limits = JSON_LIMITS_DOCUMENT;
	const char *key, *best = NULL;
	size_t len, most = 0;
	json_t *entry;
	int rc = blob_open_file(AT_FDCWD, file, 0, &blob);

	if (rc < 0)
		return rc == -ENOENT || rc == -ENOTDIR ? -ENOENT : err_errno(err, -rc, "%s", file);
	rc = source_read_all(blob, limits.bytes, file, &bytes, &len, err);
	if (rc == 0 && len > 0)
		rc = json_read(bytes, len, &limits, file, &root, err);
	if (rc < 0)
		return rc;
	json_object_foreach(json_map(root, "auths"), key, entry)
	{
		const char *auth = json_text(entry, "auth");

		if (auth != NULL && is_base64(auth) && match(key, name) > most) {
			most = match(key, name);
			best = auth;
		}
	}
	if (best == NULL)
		return 0;
	*ret = strdup(best);
	return *ret != NULL ? 0 : err_errno(err, ENOMEM, "%s", file);
}

/* "DIR/REST" of an environment variable, or of $HOME and MIDDLE; NULL when neither is set. */
static char *place(const char *variable, const char *middle, const char *rest)
{
	const char *dir = getenv(variable), *home = getenv("HOME");
	char *path = NULL;
	int n = -1;

	if (dir != NULL && *dir != '\0')
		n = asprintf(&path, "%s/%s", dir, rest);
	else if (middle != NULL && home != NULL && *home != '\0')
		n = asprintf(&path, "%s/%s/%s", home, middle, rest);
	return n >= 0 ? path : NULL;
}

int credentials_find(const char *file, const char *host, const char *repository, char **ret,
		     struct err *err)
{
	const char *given = file != NULL ? file : getenv("REGISTRY_AUTH_FILE");
	CLEANUP(free) char *name = NULL;
	int rc = 0;

	*ret = NULL;
	if (asprintf(&name, "%s/%s", host, repository) < 0) {
		name = NULL;
		return err_errno(err, ENOMEM, "%s", host);
	}
	if (given != NULL && *given != '\0') {
		rc = look_up(given, name, ret, err);
		return rc == -ENOENT ? err_errno(err, ENOENT, "%s", given) : rc;
	}
	for (unsigned int i = 0; i < 3 && rc == 0 && *ret == NULL; i++) {
		CLEANUP(free)
		char *path = i == 0   ? place("XDG_RUNTIME_DIR", NULL, "containers/auth.json")
			     : i == 1 ? place("XDG_CONFIG_HOME", ".config", "containers/auth.json")
				      : place("DOCKER_CONFIG", ".docker", "config.json");

		rc = path != NULL ? look_up(path, name, ret, err) : 0;
		rc = rc == -ENOENT ? 0 : rc;
	}
	return rc;
}
