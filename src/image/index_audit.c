/* SPDX-License-Identifier: Apache-2.0 */
/* Auditing all images that an index leads to. */
#include <errno.h>
#include <string.h>

#include "image/index.h"

/* An audit of an index. */
struct auditing {
	const char *image_name;
	struct candidates c;
	bool alone;	     /* there is no other image: nothing has to say of which it is told */
	size_t n_told;	     /* images of which something was told */
	struct err artifact; /* what the first that is none is */
};

static void auditing_done(struct auditing *a)
{
	candidates_done(&a->c);
	err_done(&a->artifact);
}
DEFINE_CLEANUP(struct auditing, auditing, auditing_done)

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

/* That nobody has such an image is no fault of one; that the index says another platform than it has is. */
static int audit_platform(const struct image *image, const struct candidate *one,
			  const struct image_options *options, struct err *err)
{
	int rc = image->config.raw != NULL ? image_check_platform(image, options, err) : 0;

	return one->platform.os != NULL ? audit_forgive(options->audit, rc, err) : rc;
}

/*
 * As much of the image as there is; RET_IMAGE stays when that is nothing, which was told of. -ENOTSUP: it is an artifact, not an
 * image. -ENOENT: it is for another platform.
 */
static int take_image(const char *image_name, struct image_source *s, struct document *manifest,
		      const struct candidate *one, const struct image_options *options,
		      struct image **ret_image, struct err *err)
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
	if (rc < 0)
		return audit_forgive(options->audit, rc, err);
	rc = audit_platform(image, one, options, err);
	if (rc == 0)
		rc = candidate_take_tag(image, one, err);
	if (rc == 0)
		*ret_image = steal_ptr(&image);
	return rc;
}

static int tell_image(struct image_source *s, struct image *image,
		      const struct image_options *options, struct err *err)
{
	int rc;

	if (image == NULL)
		return 0;
	image->source = s;
	rc = options->audit->image(options->audit->arg, image, err);
	image->source = NULL;
	return rc;
}

static int audit_manifest(const char *image_name, struct image_source *s, struct document *manifest,
			  const struct candidate *one, const struct image_options *options,
			  struct err *err)
{
	CLEANUP(image) struct image *image = NULL;
	int rc = take_image(image_name, s, manifest, one, options, &image, err);

	return rc < 0 ? rc : tell_image(s, image, options, err);
}

/* What is beside images is none of an index's images, and said only if there are none. */
static void keep_artifact(struct auditing *a, struct err *why)
{
	if (a->artifact.code == 0)
		err_set(&a->artifact, ENOTSUP, "%s", err_text(why));
	err_done(why);
}

static int audit_candidate(struct auditing *a, struct candidate *one, struct err *err)
{
	CLEANUP(document) struct document manifest = {0};
	CLEANUP(image) struct image *image = NULL;
	const struct image_options *options = a->c.options;
	const struct image_audit *audit = options->audit;
	char label[DIGEST_TEXT_MAX];
	int rc;

	audit->begin(audit->arg, a->alone ? NULL : label_of(one, label));
	rc = source_document(a->c.source, &one->d, &manifest, err);
	if (rc == -ENOENT) {
		audit->absent(audit->arg, label_of(one, label));
		a->n_told++;
		return 0;
	}
	rc = audit_forgive(audit, rc, err);
	if (rc == 0 && manifest.root != NULL)
		rc = take_image(a->image_name, a->c.source, &manifest, one, options, &image, err);
	if (rc == -ENOTSUP) {
		keep_artifact(a, err);
		return 0;
	}
	a->n_told++;
	return rc < 0 ? rc : tell_image(a->c.source, image, options, err);
}

/* Listed before, for instance under another name, and looked at in the same way. */
static bool is_repeated(const struct candidates *c, size_t i)
{
	const struct candidate *one = &c->list[i];

	for (size_t k = 0; k < i; k++) {
		const struct candidate *before = &c->list[k];

		if (before->chosen && candidate_is_eligible(before) == candidate_is_eligible(one) &&
		    before->d.type == one->d.type && before->d.size == one->d.size &&
		    digest_equal(&before->d.digest, &one->d.digest))
			return true;
	}
	return false;
}

static int audit_all(struct auditing *a, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < a->c.count; i++) {
		struct candidate *one = &a->c.list[i];

		if (is_repeated(&a->c, i))
			continue;
		if (candidate_is_eligible(one))
			rc = audit_candidate(a, one, err);
		else if (one->chosen && one->aside)
			rc = audit_aside(&a->c, one, err);
	}
	if (rc == 0 && a->n_told == 0 && a->artifact.code != 0)
		return err_set(err, ENOTSUP, "%s", err_text(&a->artifact));
	return rc;
}

/* Says nothing of documents that are looked at to choose among them. */
static int learn(struct candidates *c, const struct image_choice *choice, struct err *err)
{
	const struct image_audit *audit = c->source->audit;
	int rc = 0;

	c->source->audit = &audit_silent;
	if (candidates_count(c) == 0 && choice->digest.alg != DIGEST_NONE)
		rc = candidates_choose_by_id(c, choice, err);
	if (rc == 0 && c->options->platform != NULL && candidates_count(c) > 1)
		rc = candidates_learn(c, err);
	c->source->audit = audit;
	return rc;
}

/* The one for the platform that was asked for. */
static int audit_one(const char *image_name, struct candidates *c,
		     const struct image_choice *choice, struct err *err)
{
	CLEANUP(document) struct document manifest = {0};
	struct candidate *one = NULL;
	int rc = candidates_choose(c, choice, c->options->platform, &one, &manifest, err);

	return rc < 0 ? rc : audit_manifest(image_name, c->source, &manifest, one, c->options, err);
}

static int audit_index(const char *image_name, struct image_source *s, const struct document *root,
		       const struct image_choice *choice, const struct image_options *options,
		       struct err *err)
{
	CLEANUP(auditing)
	struct auditing a = {
		.image_name = image_name,
		.c = {.source = s, .options = options},
	};
	int rc = candidates_collect(&a.c, root, choice, err);

	if (rc == 0)
		rc = learn(&a.c, choice, err);
	if (rc < 0)
		return rc;
	if (candidates_count(&a.c) == 0)
		return candidates_refuse(&a.c, choice, err);
	if (candidates_are_open(&a.c, choice))
		return candidates_refuse_open(&a.c, err);
	if (options->platform != NULL)
		return audit_one(image_name, &a.c, choice, err);
	a.alone = candidates_count(&a.c) == 1;
	return audit_all(&a, err);
}

/* Whether the image is one that was audited already. */
static bool is_among(const struct digest *id, const struct digest *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (digest_equal(id, &ids[i]))
			return true;
	return false;
}

/* Drops what is among IDS. What cannot be read stays, and is told of when it is audited. */
static int leave_out(struct candidates *c, const struct digest *ids, size_t n, struct err *err)
{
	const struct image_audit *audit = c->source->audit;
	int rc = 0;

	c->source->audit = &audit_silent;
	for (size_t i = 0; rc == 0 && i < c->count; i++) {
		struct candidate *one = &c->list[i];

		if (!candidate_is_eligible(one))
			continue;
		rc = audit_forgive(&audit_silent, candidate_look(c, one, err), err);
		one->missing = false;
		one->chosen = !is_among(&one->id, ids, n);
	}
	c->source->audit = audit;
	return rc;
}

int index_audit_others(const char *image_name, struct image_source *s, const struct document *root,
		       const struct image_choice *choice, const struct image_options *options,
		       const struct digest *ids, size_t n, struct err *err)
{
	CLEANUP(auditing)
	struct auditing a = {
		.image_name = image_name,
		.c = {.source = s, .options = options},
	};
	enum document_type type;
	int rc = document_classify(root, DOCUMENT_UNSAID, s->name, &type, err);

	if (rc < 0 || type != DOCUMENT_INDEX)
		return audit_forgive(options->audit, rc, err);
	audit_document(options->audit, AUDIT_INDEX_ON_TOP, root);
	rc = candidates_collect(&a.c, root, choice, err);
	if (rc < 0 || candidates_are_open(&a.c, choice))
		return rc;
	rc = leave_out(&a.c, ids, n, err);
	if (rc == 0)
		rc = audit_all(&a, err);
	return rc == -ENOTSUP ? 0 : rc;
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
