/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors and documents: what leads to what, and that it is what it was said to be. */
#include "image/document.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *media_type;
	enum document_type type;
} types[] = {
	{"application/vnd.oci.image.index.v1+json", DOCUMENT_INDEX},
	{"application/vnd.docker.distribution.manifest.list.v2+json", DOCUMENT_INDEX},
	{"application/vnd.oci.image.manifest.v1+json", DOCUMENT_MANIFEST},
	{"application/vnd.docker.distribution.manifest.v2+json", DOCUMENT_MANIFEST},
	{"application/vnd.docker.distribution.manifest.v1+json", DOCUMENT_SCHEMA1},
	{"application/vnd.docker.distribution.manifest.v1+prettyjws", DOCUMENT_SCHEMA1},
	{"application/vnd.oci.image.config.v1+json", DOCUMENT_CONFIG},
	{"application/vnd.docker.container.image.v1+json", DOCUMENT_CONFIG},
};

enum document_type document_type_of(const char *media_type)
{
	if (media_type == NULL || *media_type == '\0')
		return DOCUMENT_UNSAID;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(media_type, types[i].media_type) == 0)
			return types[i].type;
	if (strncmp(media_type, "application/vnd.oci.image.layer.", 32) == 0 ||
	    strncmp(media_type, "application/vnd.docker.image.rootfs.", 36) == 0)
		return DOCUMENT_LAYER;
	return DOCUMENT_OTHER;
}

void descriptor_done(struct descriptor *d)
{
	json_decref(d->json);
	*d = (struct descriptor){0};
}

struct descriptor descriptor_copy(const struct descriptor *d)
{
	json_incref(d->json);
	return *d;
}

int descriptor_read(json_t *json, const char *what, struct descriptor *ret_d, struct err *err)
{
	const char *digest = json_text(json, "digest"), *media_type = json_text(json, "mediaType");
	struct descriptor d = {.json = json, .media_type = media_type != NULL ? media_type : ""};

	*ret_d = (struct descriptor){0};
	if (!json_is_object(json))
		return err_set(err, EBADMSG, "%s has no descriptor where one belongs", what);
	if (digest == NULL || digest_parse(digest, strlen(digest), &d.digest) < 0)
		return err_set(err, EBADMSG, "%s has a descriptor whose digest is none: %.140s",
			       what, digest != NULL ? digest : "(absent)");
	if (json_size_of(json, "size", &d.size) < 0)
		return err_set(err, EBADMSG, "%s: the descriptor of %s has no size", what, digest);
	d.type = document_type_of(d.media_type);
	json_incref(json);
	*ret_d = d;
	return 0;
}

const char *descriptor_annotation(const struct descriptor *d, const char *key)
{
	return json_text(json_map(d->json, "annotations"), key);
}

void document_done(struct document *d)
{
	json_decref(d->root);
	free(d->bytes);
	*d = (struct document){0};
}

int document_verify(const char *bytes, size_t len, const struct descriptor *want,
		    const char *source, struct err *err)
{
	char is[DIGEST_TEXT_MAX], should_be[DIGEST_TEXT_MAX];
	struct digest digest;
	int rc;

	digest_format(&want->digest, should_be);
	if (len != want->size)
		return err_set(err, EBADMSG,
			       "%s: %s has %zu bytes, not the %" PRIu64 " it should have", source,
			       should_be, len, want->size);
	rc = digest_of(want->digest.alg, bytes, len, &digest);
	if (rc < 0)
		return err_errno(err, -rc, "%s: %s", source, should_be);
	if (!digest_equal(&digest, &want->digest))
		return err_set(err, EBADMSG, "%s: the bytes of %s have the digest %s", source,
			       should_be, digest_format(&digest, is));
	return 0;
}

int document_make(char *bytes, size_t len, const struct descriptor *want, const char *source,
		  const char *name, struct document *ret, struct err *err)
{
	CLEANUP(document) struct document d = {.bytes = bytes, .len = len};
	bool known = want != NULL && want->digest.alg != DIGEST_NONE;
	char what[600];
	int rc;

	*ret = (struct document){0};
	snprintf(d.name, sizeof(d.name), "%s", name);
	rc = known ? document_verify(bytes, len, want, source, err) : 0;
	if (rc < 0)
		return rc;
	d.digest = known ? want->digest : (struct digest){0};
	if (!known)
		rc = digest_of(DIGEST_SHA256, bytes, len, &d.digest);
	if (rc < 0)
		return err_errno(err, -rc, "%s: %s", source, name);
	snprintf(what, sizeof(what), "%s: %s", source, name);
	rc = json_read(bytes, len, &JSON_LIMITS_DOCUMENT, what, &d.root, err);
	if (rc < 0)
		return rc;
	*ret = d;
	d = (struct document){0};
	return 0;
}

int document_classify(const struct document *d, enum document_type said, const char *source,
		      enum document_type *ret_type, struct err *err)
{
	const char *media_type = json_text(d->root, "mediaType");
	enum document_type own = document_type_of(media_type);
	bool layers = json_has(d->root, "layers"), manifests = json_has(d->root, "manifests");

	/* One client would take it for the one, another for the other (CVE-2021-41190). */
	if (layers && manifests)
		return err_set(
			err, EBADMSG,
			"%s: %s has both layers and manifests, so that it could be taken for two "
			"different things",
			source, d->name);
	if (own == DOCUMENT_UNSAID)
		own = json_has(d->root, "fsLayers") ? DOCUMENT_SCHEMA1 : said;
	if (own == DOCUMENT_UNSAID)
		own = manifests ? DOCUMENT_INDEX : layers ? DOCUMENT_MANIFEST : DOCUMENT_OTHER;
	if (said != DOCUMENT_UNSAID && said != DOCUMENT_OTHER && own != said)
		return err_set(err, EBADMSG,
			       "%s: %s says it is %.100s, but what leads to it says otherwise",
			       source, d->name,
			       media_type != NULL ? media_type : "a signed manifest");
	if ((own == DOCUMENT_MANIFEST && manifests) || (own == DOCUMENT_INDEX && layers))
		return err_set(err, EBADMSG, "%s: %s is not what its media type says", source,
			       d->name);
	*ret_type = own;
	return 0;
}
