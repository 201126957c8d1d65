/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of any source, and the two sources that are directories. */
#include "image/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"

int source_read_all(struct blob *blob, size_t limit, const char *what, char **ret, size_t *ret_len,
		    struct err *err)
{
	char *bytes;
	int rc;

	if (blob->size > limit)
		return err_set(err, E2BIG,
			       "%s has %" PRIu64 " bytes, more than the %zu that are read", what,
			       blob->size, limit);
	bytes = malloc((size_t)blob->size + 1);
	if (bytes == NULL)
		return err_errno(err, ENOMEM, "%s", what);
	rc = blob_read_at(blob, bytes, (size_t)blob->size, 0);
	if (rc < 0) {
		free(bytes);
		return err_errno(err, -rc, "%s cannot be read", what);
	}
	bytes[blob->size] = '\0';
	*ret = bytes;
	*ret_len = (size_t)blob->size;
	return 0;
}

static int read_document(struct image_source *s, struct blob *blob, const struct descriptor *want,
			 const char *name, struct document *ret, struct err *err)
{
	char what[600], *bytes;
	size_t len;
	int rc;

	snprintf(what, sizeof(what), "%s: %s", s->name, name);
	rc = source_read_all(blob, JSON_LIMITS_DOCUMENT.bytes, what, &bytes, &len, err);
	if (rc == 0 && s->audit != NULL && want != NULL && want->digest.alg != DIGEST_NONE) {
		rc = audit_forgive(s->audit, document_verify(bytes, len, want, s->name, err), err);
		want = NULL;
		if (rc < 0)
			free(bytes);
	}
	return rc < 0 ? rc : document_make(bytes, len, want, s->name, name, ret, err);
}

int source_document(struct image_source *s, const struct descriptor *d, struct document *ret,
		    struct err *err)
{
	CLEANUP(blob) struct blob *blob = NULL;
	char name[DIGEST_TEXT_MAX];
	int rc = s->ops->open_blob(s, d, &blob, err);

	*ret = (struct document){0};
	return rc < 0 ? rc : read_document(s, blob, d, digest_format(&d->digest, name), ret, err);
}

int source_file(struct image_source *s, const char *name, struct document *ret, struct err *err)
{
	CLEANUP(blob) struct blob *blob = NULL;
	int rc = s->ops->open_file != NULL ? s->ops->open_file(s, name, &blob, err) : -ENOENT;

	*ret = (struct document){0};
	return rc < 0 ? rc : read_document(s, blob, NULL, name, ret, err);
}

/* ---- directories --------------------------------------------------------------------------- */

struct directory {
	struct image_source base;
	int fd; /* owned */
};

/*
 * A symbolic link is followed: the directory is the user's own, and tools make layouts of links. Whatever it
 * leads to has to be a regular file, and its bytes are compared with the digest.
 */
static int open_in(struct image_source *s, const char *name, struct blob **ret, struct err *err)
{
	const struct directory *dir = (const struct directory *)s;
	int rc = blob_open_file(dir->fd, name, 0, ret);

	if (rc == -ENOENT || rc == -ENOTDIR || rc >= 0)
		return rc == -ENOTDIR ? -ENOENT : rc;
	if (rc == -EINVAL)
		return err_set(err, EINVAL, "%s/%s is no regular file", s->name, name);
	return err_errno(err, -rc, "%s/%s", s->name, name);
}

static int layout_blob(struct image_source *s, const struct descriptor *d, struct blob **ret,
		       struct err *err)
{
	char path[DIGEST_TEXT_MAX + 16], hex[DIGEST_TEXT_MAX];

	snprintf(path, sizeof(path), "blobs/%s/%s", digest_alg_name(d->digest.alg),
		 digest_hex(&d->digest, hex));
	return open_in(s, path, ret, err);
}

/* skopeo's directories have the manifests of an index as HEX.manifest.json. */
static int dir_blob(struct image_source *s, const struct descriptor *d, struct blob **ret,
		    struct err *err)
{
	char path[DIGEST_TEXT_MAX + 32], hex[DIGEST_TEXT_MAX];
	const char *before = d->digest.alg == DIGEST_SHA256 ? "" : "sha512-";
	bool manifest = d->type == DOCUMENT_MANIFEST || d->type == DOCUMENT_INDEX;

	snprintf(path, sizeof(path), "%s%s%s", before, digest_hex(&d->digest, hex),
		 manifest ? ".manifest.json" : "");
	return open_in(s, path, ret, err);
}

static void directory_close(struct image_source *s)
{
	struct directory *dir = (struct directory *)s;

	close(dir->fd);
	free(dir->base.name);
	free(dir);
}

static const struct source_ops layout_ops = {
	.open_blob = layout_blob,
	.open_file = open_in,
	.close = directory_close,
};

static const struct source_ops dir_ops = {
	.open_blob = dir_blob,
	.open_file = open_in,
	.close = directory_close,
};

static int open_directory(const char *path, const struct source_ops *ops, struct image_source **ret,
			  struct err *err)
{
	int fd = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
	struct directory *dir;

	if (fd < 0)
		return err_errno(err, -fd, "%s", path);
	dir = calloc(1, sizeof(*dir));
	if (dir == NULL || (dir->base.name = strdup(path)) == NULL) {
		close(fd);
		free(dir);
		return err_errno(err, ENOMEM, "%s", path);
	}
	dir->base.ops = ops;
	dir->fd = fd;
	*ret = &dir->base;
	return 0;
}

/* The version of the layout is 1.0.0 since there are layouts. */
static int check_version(struct image_source *s, struct err *err)
{
	CLEANUP(document) struct document d = {0};
	int rc = source_file(s, "oci-layout", &d, err);
	const char *version;

	if (rc == -ENOENT)
		return err_set(err, ENOENT, "%s is no OCI layout: it has no file oci-layout",
			       s->name);
	if (rc < 0)
		return rc;
	version = json_text(d.root, "imageLayoutVersion");
	if (version == NULL || strncmp(version, "1.", 2) != 0)
		return err_set(err, ENOTSUP, "%s is an OCI layout of version %.20s; 1.0.0 is read",
			       s->name, version != NULL ? version : "(none)");
	return 0;
}

int source_open_layout(const char *path, struct image_source **ret, struct err *err)
{
	CLEANUP(source) struct image_source *s = NULL;
	int rc = open_directory(path, &layout_ops, &s, err);

	if (rc == 0)
		rc = check_version(s, err);
	if (rc == 0)
		*ret = steal_ptr(&s);
	return rc;
}

int source_open_dir(const char *path, struct image_source **ret, struct err *err)
{
	return open_directory(path, &dir_ops, ret, err);
}
