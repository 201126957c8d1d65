/* SPDX-License-Identifier: Apache-2.0 */
/* Auditing all images that an index leads to. */
#include <errno.h>
#include <string.h>

#include "image/index.h"

/* What findings about a candidate are said to be of. BUF is for it. */
static const char *label_of(const struct candidate *one, char buf[static DIGEST_TEXT_MAX])
{
	_Static_assert(DIGEST_TEXT_MAX >= PLATFORM_TEXT_MAX, "either fits");
	return one->platform.os != NULL ? platform_format(&one->platform, buf)
					: digest_format(&one->d.digest, buf);
}

/* Its manifest is compared with its digest; what is in it has forms of its own. */
static int audit_aside(struct candidates *c, const struct candidate *one, struct err *err)
{
	CLEANUP(document) struct document d = {0};
	int rc;

	c->options->audit->begin(c->options->audit->arg, NULL);
	rc = source_document(c->source, &one->d, &d, err);
	return rc == -ENOENT ? 0 : audit_forgive(c->options->audit, rc, err);
}

static int audit_manifest(const char *image_name, struct image_source *s, struct document *manifest,
			  const struct candidate *one, const struct image_options *options,
			  struct err *err)
{
	CLEANUP(image) struct image *image = calloc(1, sizeof(*image));
	enum document_type type = DOCUMENT_OTHER;
	int rc = 0;

	if (image == NULL || (image->name = strdup(image_name)) == NULL)
		return err_errno(err, ENOMEM, "%s", image_name);
	rc = document_classify(manifest, one->d.type, s->name, &type, err);
	rc = audit_forgive(options->audit, rc, err);
	if (rc == 0)
		rc = image_take_manifest(image, s, manifest, options, err);
	/* What is beside images is none of an index's images. */
	if (rc == -ENOTSUP && one->top_digest.alg != DIGEST_NONE) {
		err_done(err);
		return 0;
	}
	if (rc < 0)
		return audit_forgive(options->audit, rc, err);
	rc = candidate_take_tag(image, one, err);
	image->source = s;
	if (rc == 0)
		rc = options->audit->image(options->audit->arg, image, err);
	image->source = NULL;
	return rc;
}

static int audit_candidate(const char *image_name, struct candidates *c, struct candidate *one,
			   struct err *err)
{
	CLEANUP(document) struct document manifest = {0};
	const struct image_audit *audit = c->options->audit;
	char label[DIGEST_TEXT_MAX];
	int rc;

	audit->begin(audit->arg, candidates_count(c) > 1 ? label_of(one, label) : NULL);
	rc = source_document(c->source, &one->d, &manifest, err);
	if (rc == 0)
		return audit_manifest(image_name, c->source, &manifest, one, c->options, err);
	if (rc != -ENOENT)
		return audit_forgive(audit, rc, err);
	audit->absent(audit->arg, label_of(one, label));
	return 0;
}

/* Listed before, for instance under another name. */
static bool is_repeated(const struct candidates *c, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (c->list[k].chosen && digest_equal(&c->list[k].d.digest, &c->list[i].d.digest))
			return true;
	return false;
}

/* The one for the platform that was asked for. */
static int audit_one(const char *image_name, struct candidates *c,
		     const struct image_choice *choice, struct err *err)
{
	CLEANUP(document) struct document manifest = {0};
	struct candidate *one = NULL;
	int rc = candidates_learn(c, err);

	if (rc == 0)
		rc = candidates_choose(c, choice, c->options->platform, &one, &manifest, err);
	return rc < 0 ? rc : audit_manifest(image_name, c->source, &manifest, one, c->options, err);
}

static int audit_index(const char *image_name, struct image_source *s, const struct document *root,
		       const struct image_choice *choice, const struct image_options *options,
		       struct err *err)
{
	CLEANUP(candidates) struct candidates c = {.source = s, .options = options};
	int rc = candidates_collect(&c, root, choice, err);

	if (rc == 0 && candidates_count(&c) == 0 && choice->digest.alg != DIGEST_NONE)
		rc = candidates_choose_by_id(&c, choice, err);
	if (rc < 0)
		return rc;
	if (candidates_count(&c) == 0)
		return candidates_refuse(&c, choice, err);
	if (candidates_are_open(&c, choice))
		return candidates_refuse_open(&c, err);
	if (options->platform != NULL)
		return audit_one(image_name, &c, choice, err);
	for (size_t i = 0; rc == 0 && i < c.count; i++) {
		if (is_repeated(&c, i))
			continue;
		if (candidate_is_eligible(&c.list[i]))
			rc = audit_candidate(image_name, &c, &c.list[i], err);
		else if (c.list[i].chosen && c.list[i].aside)
			rc = audit_aside(&c, &c.list[i], err);
	}
	return rc;
}

int index_audit(const char *image_name, struct image_source *s, struct document *from,
		const struct image_choice *choice, const struct image_options *options,
		struct err *err)
{
	CLEANUP(document) struct document root = *from;
	struct candidate only = {.d = {.type = DOCUMENT_UNSAID}};
	enum document_type type = DOCUMENT_MANIFEST;
	int rc;

	*from = (struct document){0};
	rc = audit_forgive(options->audit,
			   document_classify(&root, DOCUMENT_UNSAID, s->name, &type, err), err);
	if (rc == 0 && type == DOCUMENT_OTHER) {
		rc = audit_forgive(options->audit,
				   err_set(err, EBADMSG,
					   "%s: %s is neither an index nor a manifest", s->name,
					   root.name),
				   err);
		type = json_has(root.root, "manifests") ? DOCUMENT_INDEX : DOCUMENT_MANIFEST;
	}
	if (rc < 0)
		return rc;
	if (type == DOCUMENT_MANIFEST)
		return audit_manifest(image_name, s, &root, &only, options, err);
	if (type != DOCUMENT_INDEX)
		return err_set(err, ENOTSUP,
			       "%s: %s is a manifest of Docker's first schema, which is not read",
			       s->name, root.name);
	audit_document(options->audit, AUDIT_INDEX_ON_TOP, &root);
	return audit_index(image_name, s, &root, choice, options, err);
}
