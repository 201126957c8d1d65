/* SPDX-License-Identifier: Apache-2.0 */
/* docker://: a registry's repository as a source of documents. */
#include "image/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/sys.h"

#define ACCEPT                                                                                     \
	"application/vnd.oci.image.index.v1+json, "                                                \
	"application/vnd.docker.distribution.manifest.list.v2+json, "                              \
	"application/vnd.oci.image.manifest.v1+json, "                                             \
	"application/vnd.docker.distribution.manifest.v2+json"

/* ---- opening --------------------------------------------------------------------------------- */

static void registry_close(struct image_source *s)
{
	struct registry *r = (struct registry *)s;

	http_free(r->http);
	pthread_mutex_destroy(&r->lock);
	free(r->base.name);
	free(r->host);
	free(r->repository);
	free(r->auth_file);
	free(r->blob_dir);
	free(r->ca_file);
	free(r->url);
	free(r->authorization);
	free(r);
}

/* The certificate that the user, or the system's owner, trusts for HOST, as podman and docker have it. */
static char *find_ca(const char *host)
{
	const char *home = getenv("HOME");
	char *dirs[3] = {NULL}, *found = NULL;
	struct stat st;

	if (home == NULL || asprintf(&dirs[0], "%s/.config/containers/certs.d", home) < 0)
		dirs[0] = NULL;
	dirs[1] = strdup("/etc/containers/certs.d");
	dirs[2] = strdup("/etc/docker/certs.d");
	for (size_t i = 0; i < 3; i++) {
		char *path;

		if (found == NULL && dirs[i] != NULL &&
		    asprintf(&path, "%s/%s/ca.crt", dirs[i], host) >= 0) {
			if (sys_fstatat(AT_FDCWD, path, &st, 0) == 0)
				found = path;
			else
				free(path);
		}
		free(dirs[i]);
	}
	return found;
}

static bool copy(const char *text, char **ret)
{
	*ret = text != NULL ? strdup(text) : NULL;
	return text == NULL || *ret != NULL;
}

static int fill(struct registry *r, const struct reference *ref, const struct image_options *o)
{
	const char *host = strcmp(ref->host, "docker.io") == 0 ? "registry-1.docker.io" : ref->host;

	if (!copy(ref->host, &r->host) || !copy(ref->repository, &r->repository) ||
	    !copy(o->auth_file, &r->auth_file) || !copy(o->blob_dir, &r->blob_dir))
		return -ENOMEM;
	if (asprintf(&r->base.name, "%s/%s", ref->host, ref->repository) < 0) {
		r->base.name = NULL;
		return -ENOMEM;
	}
	if (asprintf(&r->url, "%s://%s", o->plain_http ? "http" : "https", host) < 0) {
		r->url = NULL;
		return -ENOMEM;
	}
	r->plain_http = o->plain_http;
	r->ca_file = find_ca(ref->host);
	return http_new(r->ca_file, o, &r->http);
}

static int registry_blob(struct image_source *s, const struct descriptor *d, struct blob **ret,
			 struct err *err);

static const struct source_ops registry_ops = {
	.open_blob = registry_blob,
	.fetch = registry_fetch,
	.close = registry_close,
};

int source_open_registry(const struct reference *ref, const struct image_options *options,
			 struct image_source **ret, struct err *err)
{
	struct registry *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return err_errno(err, ENOMEM, "%s", ref->text);
	r->base.ops = &registry_ops;
	pthread_mutex_init(&r->lock, NULL);
	rc = fill(r, ref, options);
	if (rc < 0) {
		registry_close(&r->base);
		if (rc == -ELIBACC)
			return err_set(
				err, ELIBACC,
				"%s: registries need libcurl (libcurl.so.4), which cannot be loaded; "
				"install it (Debian: libcurl4)",
				ref->text);
		return err_errno(err, -rc, "%s", ref->text);
	}
	*ret = &r->base;
	return 0;
}

/* ---- documents ------------------------------------------------------------------------------- */

int registry_blob_path(const struct registry *r, const struct digest *d, char **ret,
		       struct err *err)
{
	char hex[DIGEST_TEXT_MAX], *dir, *path = NULL;
	int rc;

	if (r->blob_dir == NULL)
		return err_set(err, EINVAL,
			       "%s: there is nowhere to keep what is fetched: neither $HOME nor "
			       "$XDG_CACHE_HOME is set; say with --cache where",
			       r->base.name);
	if (asprintf(&dir, "%s/%s", r->blob_dir, digest_alg_name(d->alg)) < 0)
		return err_errno(err, ENOMEM, "%s", r->base.name);
	rc = sys_mkdir_all(dir, 0700);
	if (rc < 0)
		rc = err_errno(err, -rc, "%s", dir);
	else
		rc = asprintf(&path, "%s/%s", dir, digest_hex(d, hex)) < 0
			     ? err_errno(err, ENOMEM, "%s", dir)
			     : 0;
	free(dir);
	if (rc == 0)
		*ret = path;
	return rc;
}

int registry_open_blob(const char *path, struct blob **ret)
{
	uint64_t off;
	int rc = blob_open_file(AT_FDCWD, path, O_NOFOLLOW, ret);

	if (rc == 0)
		sys_note_use(blob_fd(*ret, &off));
	return rc;
}

/* Keeps a document that is what its digest says. Whether it can be kept matters to nobody. */
static void keep(const struct registry *r, const struct digest *d, const struct buf *bytes)
{
	CLEANUP(free) char *path = NULL, *temporary = NULL;
	CLEANUP(fd) int fd = -1;
	struct digest is;

	if (r->blob_dir == NULL || digest_of(d->alg, bytes->data, bytes->len, &is) < 0 ||
	    !digest_equal(&is, d) || registry_blob_path(r, d, &path, NULL) < 0)
		return;
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return;
	/* Locked: `plyfs cache prune` takes it for a dead one's otherwise. */
	(void)flock(fd, LOCK_EX | LOCK_NB);
	if (fchmod(fd, 0644) < 0 || sys_write_full(fd, bytes->data, bytes->len) < 0 ||
	    sys_fdatasync(fd) < 0 || sys_renameat(AT_FDCWD, temporary, AT_FDCWD, path, 0) < 0)
		unlink(temporary);
}

static int fetch_document(struct registry *r, const char *path, struct buf *ret, struct err *err)
{
	CLEANUP(http_reply) struct http_reply reply = {0};
	struct http_request q = {.accept = ACCEPT};
	int rc = registry_get(r, r->http, path, &q, &reply, err);

	if (rc < 0)
		return rc;
	*ret = reply.body;
	reply.body = (struct buf){0};
	return 0;
}

/* What was fetched before. */
static int open_kept(const struct registry *r, const struct digest *d, struct blob **ret)
{
	CLEANUP(free) char *path = NULL;

	if (r->blob_dir == NULL || registry_blob_path(r, d, &path, NULL) < 0)
		return -ENOENT;
	return registry_open_blob(path, ret);
}

/* Documents only: layers are fetched by registry_fetch(). */
static int registry_blob(struct image_source *s, const struct descriptor *d, struct blob **ret,
			 struct err *err)
{
	struct registry *r = (struct registry *)s;
	char path[DIGEST_TEXT_MAX + 16], digest[DIGEST_TEXT_MAX];
	bool manifest = d->type == DOCUMENT_MANIFEST || d->type == DOCUMENT_INDEX;
	CLEANUP(buf) struct buf body = {0};
	int rc;

	if (open_kept(r, &d->digest, ret) == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", manifest ? "manifests" : "blobs",
		 digest_format(&d->digest, digest));
	rc = fetch_document(r, path, &body, err);
	if (rc < 0)
		return rc;
	keep(r, &d->digest, &body);
	rc = blob_from_memory(body.data, body.len, ret);
	return rc < 0 ? err_errno(err, -rc, "%s", s->name) : 0;
}

int registry_root(struct image_source *s, const struct reference *ref, struct document *ret,
		  struct err *err)
{
	struct registry *r = (struct registry *)s;
	struct descriptor want = {.type = DOCUMENT_MANIFEST, .digest = ref->choice.digest};
	char path[DIGEST_TEXT_MAX + 160], digest[DIGEST_TEXT_MAX], *bytes;
	CLEANUP(blob) struct blob *blob = NULL;
	CLEANUP(buf) struct buf body = {0};
	bool by_digest = want.digest.alg != DIGEST_NONE;
	size_t len;
	int rc;

	digest_format(&want.digest, digest);
	if (by_digest) {
		rc = registry_blob(s, &want, &blob, err);
	} else {
		snprintf(path, sizeof(path), "manifests/%s", ref->choice.name);
		rc = fetch_document(r, path, &body, err);
		if (rc == 0)
			rc = blob_from_memory(body.data, body.len, &blob);
	}
	if (rc == 0)
		rc = source_read_all(blob, HTTP_BODY_MAX, s->name, &bytes, &len, err);
	if (rc < 0)
		return rc;
	want.size = len;
	return document_make(bytes, len, by_digest ? &want : NULL, s->name,
			     by_digest ? digest : ref->choice.name, ret, err);
}
