/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry that answers anything: documents, layers, challenges, redirects. Linked with --wrap for HTTP, so that the
 * replies are the input's; and whatever it answers, the password and the tokens go nowhere they should not, and nothing is
 * written but blobs that are what their names say.
 *
 * The input: a line of words "STATUS LOCATION CHALLENGE", the body up to a line "==", and so on.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "image/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_http_new(const char *ca_file, const struct image_options *o, struct http **ret);
void __wrap_http_free(struct http *h);
int __wrap_http_get(struct http *h, const struct http_request *q, const char *who,
		    struct http_reply *ret, struct err *err);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

#define HOST	 "registry.example"
#define PASSWORD "dXNlcjpwYXNz"

static void must(bool truth)
{
	if (!truth)
		abort();
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the input, and of when it ended */
static const char *rest;
static size_t left;
static volatile sig_atomic_t ended;
static char blob_dir[64], auth_file[64];

/* ---- replies ---- */

int __wrap_nanosleep(const struct timespec *time, struct timespec *remaining)
{
	(void)time, (void)remaining;
	return 0;
}

int __wrap_http_new(const char *ca_file, const struct image_options *o, struct http **ret)
{
	(void)ca_file, (void)o;
	*ret = malloc(1);
	return *ret != NULL ? 0 : -ENOMEM;
}

void __wrap_http_free(struct http *h)
{
	free(h);
}

/* The next reply's parts, in the input; false at its end. */
static bool next(const char **ret_head, size_t *ret_head_len, const char **ret_body,
		 size_t *ret_len)
{
	bool is;

	pthread_mutex_lock(&lock);
	is = left > 0;
	if (is) {
		const char *line = memchr(rest, '\n', left);
		size_t head = line != NULL ? (size_t)(line - rest) : left;
		size_t used = line != NULL ? head + 1 : head;
		const char *end = memmem(rest + used, left - used, "\n==\n", 4);
		size_t len = end != NULL ? (size_t)(end - rest) - used : left - used;

		*ret_head = rest;
		*ret_head_len = head;
		*ret_body = rest + used;
		*ret_len = len;
		used += len + (end != NULL ? 4 : 0);
		rest += used;
		left -= used;
	}
	ended = !is;
	pthread_mutex_unlock(&lock);
	return is;
}

static char *text_of(const char **from, const char *end, char stop)
{
	size_t len = 0;
	char *text;

	while (*from + len < end && (*from)[len] != stop && (*from)[len] != '\0')
		len++;
	text = strndup(*from, len);
	*from += len + (*from + len < end);
	must(text != NULL);
	return text;
}

/* A realm is the registry's to choose, so the password may go there: but over TLS. */
static void check_secrets(const struct http_request *q)
{
	if (q->authorization == NULL)
		return;
	must(strncasecmp(q->url, "https://", 8) == 0);
	if (strncmp(q->authorization, "Bearer ", 7) == 0)
		must(strncmp(q->url, "https://" HOST "/v2/name/", 8 + strlen(HOST) + 9) == 0);
	else
		must(strcmp(q->authorization, "Basic " PASSWORD) == 0);
	must(strpbrk(q->authorization, "\r\n") == NULL);
}

static int give(const struct http_request *q, const char *body, size_t len, struct http_reply *ret)
{
	const struct http_sink *sink = q->sink;
	size_t half = len / 2;
	int rc;

	if (sink == NULL || (ret->status != 200 && ret->status != 206)) {
		buf_put(&ret->body, body, len);
		return buf_ok(&ret->body) ? 0 : -ENOMEM;
	}
	/* Once in a while not what was asked for. */
	rc = sink->begin(sink->arg, ret->status,
			 ret->status != 206 ? 0
			 : len % 7 == 0	    ? len
					    : q->from);
	if (rc == 0)
		rc = sink->bytes(sink->arg, body, half);
	if (rc == 0)
		rc = sink->bytes(sink->arg, body + half, len - half);
	return rc;
}

int __wrap_http_get(struct http *h, const struct http_request *q, const char *who,
		    struct http_reply *ret, struct err *err)
{
	const char *head, *body, *end;
	CLEANUP(free) char *status = NULL;
	size_t head_len, len;
	int rc;

	(void)h;
	check_secrets(q);
	*ret = (struct http_reply){0};
	if (!next(&head, &head_len, &body, &len))
		return err_set(err, ECONNREFUSED, "%s: nobody answers", who);
	end = head + head_len;
	status = text_of(&head, end, ' ');
	ret->status = strtol(status, NULL, 10);
	if (ret->status == 0) {
		ret->tls_failed = true;
		return err_set(err, EPROTO, "%s: no TLS", who);
	}
	ret->location = text_of(&head, end, ' ');
	ret->challenges = text_of(&head, end, '\n');
	rc = give(q, body, len, ret);
	if (rc == 0)
		return 0;
	http_reply_done(ret);
	return err_errno(err, -rc, "%s", who);
}

/* ---- what came of it ---- */

/* Blobs are whole, and are removed for the next input. */
static void check_blobs(void)
{
	char dir[80], path[400];
	struct dirent *d;
	DIR *names;

	snprintf(dir, sizeof(dir), "%s/sha256", blob_dir);
	names = opendir(dir);
	while (names != NULL && (d = readdir(names)) != NULL) {
		CLEANUP(blob) struct blob *blob = NULL;
		CLEANUP(free) char *bytes = NULL;
		char text[DIGEST_TEXT_MAX];
		struct digest digest;
		size_t len;

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, d->d_name);
		if (strlen(d->d_name) == 64) {
			must(blob_open_file(AT_FDCWD, path, O_NOFOLLOW, &blob) == 0);
			must(source_read_all(blob, 1u << 24, "", &bytes, &len, NULL) == 0);
			must(digest_of(DIGEST_SHA256, bytes, len, &digest) == 0);
			must(strcmp(digest_hex(&digest, text), d->d_name) == 0);
		} else {
			must(strlen(d->d_name) == 64 + 5 && strstr(d->d_name, ".part") != NULL);
		}
		unlink(path);
	}
	if (names != NULL)
		closedir(names);
}

static void make_places(void)
{
	static const char text[] = "{\"auths\": {\"" HOST "\": {\"auth\": \"" PASSWORD "\"}}}";
	static char name[] = "/dev/shm/plyfs-fuzz-XXXXXX";
	int fd;

	if (*blob_dir != '\0')
		return;
	must(mkdtemp(name) != NULL);
	snprintf(blob_dir, sizeof(blob_dir), "%s", name);
	fd = memfd_create("auth", 0);
	must(fd >= 0 && sys_write_full(fd, text, strlen(text)) == 0);
	snprintf(auth_file, sizeof(auth_file), "/proc/self/fd/%d", fd);
}

static void remove_places(void)
{
	char dir[80];

	snprintf(dir, sizeof(dir), "%s/sha256", blob_dir);
	rmdir(dir);
	rmdir(blob_dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(image) struct image *image = NULL;
	CLEANUP(err) struct err err = {0};
	struct image_options o = {.cancelled = &ended};
	int rc;

	if (*blob_dir == '\0')
		atexit(remove_places);
	make_places();
	o.blob_dir = blob_dir;
	o.auth_file = auth_file;
	rest = (const char *)data;
	left = size;
	ended = 0;
	rc = image_open("docker://" HOST "/name:tag", &o, &image, &err);
	if (rc == 0) {
		rc = image_fetch(image, &o, &err);
		for (size_t i = 0; rc == 0 && i < image->n_layers; i++)
			must(image->layers[i].blob != NULL);
	}
	must(rc == 0 || err.text != NULL);
	check_blobs();
	return 0;
}
