/* SPDX-License-Identifier: Apache-2.0 */
/* The source that is an archive: an OCI layout in a tar, docker save's, or both at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "image/archive.h"
#include "image/source.h"

struct archive_source {
	struct image_source base;
	struct archive_index *index; /* owned */
};

static int archive_file(struct image_source *s, const char *name, struct blob **ret,
			struct err *err)
{
	return archive_index_open(((struct archive_source *)s)->index, name, ret, err);
}

static int archive_blob(struct image_source *s, const struct descriptor *d, struct blob **ret,
			struct err *err)
{
	char path[DIGEST_TEXT_MAX + 16], hex[DIGEST_TEXT_MAX];

	snprintf(path, sizeof(path), "blobs/%s/%s", digest_alg_name(d->digest.alg),
		 digest_hex(&d->digest, hex));
	return archive_file(s, path, ret, err);
}

static void archive_close(struct image_source *s)
{
	struct archive_source *a = (struct archive_source *)s;

	archive_index_free(a->index);
	free(a->base.name);
	free(a);
}

static const struct source_ops archive_ops = {
	.open_blob = archive_blob,
	.open_file = archive_file,
	.close = archive_close,
};

int source_open_archive(const char *path, const struct image_options *options,
			struct image_source **ret, struct err *err)
{
	CLEANUP(blob) struct blob *file = NULL;
	struct archive_source *a;
	int rc = blob_open_file(AT_FDCWD, path, 0, &file);

	if (rc == -EINVAL)
		return err_set(err, EINVAL, "%s is no regular file", path);
	if (rc < 0)
		return err_errno(err, -rc, "%s", path);
	a = calloc(1, sizeof(*a));
	if (a == NULL || (a->base.name = strdup(path)) == NULL) {
		free(a);
		return err_errno(err, ENOMEM, "%s", path);
	}
	a->base.ops = &archive_ops;
	rc = archive_index_read(file, path, options, &a->index, err);
	if (rc < 0)
		archive_close(&a->base);
	else
		*ret = &a->base;
	return rc;
}
