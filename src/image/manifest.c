/* SPDX-License-Identifier: Apache-2.0 */
/* An image out of a manifest of OCI or of Docker's second schema. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image/source.h"

static const struct {
	const char *suffix;
	enum compression compression;
} suffixes[] = {
	{".tar", COMPRESSION_NONE},	 {".tar+gzip", COMPRESSION_GZIP},
	{".tar+zstd", COMPRESSION_ZSTD}, {".tar.gzip", COMPRESSION_GZIP},
	{".tar.zstd", COMPRESSION_ZSTD},
};

static enum compression compression_said(const char *media_type)
{
	size_t len = strlen(media_type);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		size_t n = strlen(suffixes[i].suffix);

		if (len >= n && strcmp(media_type + len - n, suffixes[i].suffix) == 0)
			return suffixes[i].compression;
	}
	return COMPRESSION_UNKNOWN;
}

/* Things that are kept in registries beside images: signatures, charts, bills of material. */
static int refuse_artifact(const struct image *image, const struct document *manifest,
			   const struct descriptor *config, struct err *err)
{
	const char *type = json_text(manifest->root, "artifactType");

	if (config->type == DOCUMENT_CONFIG || config->type == DOCUMENT_UNSAID)
		return 0;
	if (type == NULL || *type == '\0')
		type = config->media_type;
	return err_set(err, ENOTSUP, "%s is an artifact of type %.100s, not an image", image->name,
		       type);
}

static int take_layer(struct image *image, struct image_source *s, size_t i, json_t *json,
		      const struct image_options *options, struct err *err)
{
	CLEANUP(descriptor) struct descriptor d = {0};
	struct image_layer *l = &image->layers[i];
	struct blob *blob;
	int rc = descriptor_read(json, image->name, &d, err);

	if (rc < 0) {
		l->missing = l->unusable = true;
		return audit_forgive(options->audit, rc, err);
	}
	l->digest = d.digest;
	l->size = d.size;
	l->compression = compression_said(d.media_type);
	l->foreign = strstr(d.media_type, ".nondistributable.") != NULL ||
		     strstr(d.media_type, ".foreign.") != NULL;
	l->media_type = *d.media_type != '\0' ? strdup(d.media_type) : NULL;
	if (*d.media_type != '\0' && l->media_type == NULL)
		return err_errno(err, ENOMEM, "%s", image->name);
	if (d.type != DOCUMENT_LAYER && d.type != DOCUMENT_UNSAID) {
		rc = image_warn(image, options, err,
				"%s: layer %zu has a media type that is not a layer's: "
				"%.100s",
				image->name, i + 1, d.media_type);
		if (rc < 0)
			return rc;
	}
	if (s->ops->fetch != NULL)
		return 0;
	rc = s->ops->open_blob(s, &d, &blob, err);
	l->missing = rc < 0;
	l->unusable = rc < 0 && rc != -ENOENT;
	if (rc < 0)
		return l->unusable ? audit_forgive(options->audit, rc, err) : 0;
	if (blob->size != d.size) {
		rc = err_set(err, EBADMSG,
			     "%s: layer %zu has %" PRIu64 " bytes, not the %" PRIu64
			     " it should have",
			     image->name, i + 1, blob->size, d.size);
		rc = audit_forgive(options->audit, rc, err);
	}
	if (rc < 0) {
		blob_unref(blob);
		return rc;
	}
	return image_set_blob(image, i, blob, options, err);
}

static int take_layers(struct image *image, struct image_source *s, const struct document *manifest,
		       const struct image_options *options, struct err *err)
{
	json_t *list = json_list(manifest->root, "layers"), *member;
	size_t i;
	int rc = image_make_layers(image, json_array_size(list), err);

	if (rc < 0)
		return rc;
	json_array_foreach(list, i, member)
	{
		rc = take_layer(image, s, i, member, options, err);
		if (rc == 0)
			rc = image_check_cancel(options, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int take_type(struct image *image, const struct document *manifest,
		     const struct image_options *options, struct err *err)
{
	const char *type = json_text(manifest->root, "mediaType");
	int version = (int)json_integer_value(json_object_get(manifest->root, "schemaVersion"));

	/* An audit sees to it by itself. */
	if (version != 2 && options->audit == NULL)
		return err_set(err, ENOTSUP, "%s: %s is a manifest of schema version %d; 2 is read",
			       image->name, manifest->name, version);
	if (type == NULL)
		type = "application/vnd.oci.image.manifest.v1+json";
	image->manifest = manifest->digest;
	image->manifest_type = strdup(type);
	return image->manifest_type != NULL ? 0 : err_errno(err, ENOMEM, "%s", image->name);
}

/* The configuration that MANIFEST names, into IMAGE. */
static int read_config(struct image *image, struct image_source *s, const struct document *manifest,
		       struct document *config, struct err *err)
{
	CLEANUP(descriptor) struct descriptor d = {0};
	char hex[DIGEST_TEXT_MAX];
	int rc = descriptor_read(json_object_get(manifest->root, "config"), manifest->name, &d,
				 err);

	if (rc == 0)
		rc = refuse_artifact(image, manifest, &d, err);
	if (rc < 0)
		return rc;
	rc = source_document(s, &d, config, err);
	if (rc == -ENOENT)
		return err_set(err, ENOENT, "%s: the image's configuration, %s, is not there",
			       image->name, digest_format(&d.digest, hex));
	return rc < 0 ? rc : image_take_config(image, config, err);
}

int image_take_manifest(struct image *image, struct image_source *s, struct document *from,
			const struct image_options *options, struct err *err)
{
	CLEANUP(document) struct document manifest = *from, config = {0};
	int rc;

	*from = (struct document){0};
	audit_document(options->audit, AUDIT_MANIFEST, &manifest);
	rc = take_type(image, &manifest, options, err);
	if (rc == 0)
		rc = audit_forgive(options->audit, read_config(image, s, &manifest, &config, err),
				   err);
	if (rc == 0)
		rc = take_layers(image, s, &manifest, options, err);
	if (rc < 0 || image->config.raw == NULL)
		return rc;
	return audit_forgive(options->audit, image_tie(image, config.root, options, err), err);
}
