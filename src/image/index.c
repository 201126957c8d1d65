/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing one image of those that an index leads to. */
#include "image/index.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#define NAMED_MAX 20u /* how many an error lists */

/* What stands for the candidate's entry of the index in a reference. */
static void put_name(struct buf *b, const struct candidate *one)
{
	if (one->name != NULL)
		buf_put_str(b, one->name);
	else if (one->full_name != NULL)
		buf_put_str(b, one->full_name);
	else
		buf_printf(b, "@%zu", one->top);
}

/* "a, b, @2", or with PLATFORMS "linux/amd64, linux/arm64 (not there)". Owned by B. */
static const char *describe(struct buf *b, const struct candidates *c, bool platforms)
{
	char text[PLATFORM_TEXT_MAX];
	size_t last = SIZE_MAX, n = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct candidate *one = &c->list[i];

		if (one->aside || (platforms && !one->chosen) || (!platforms && one->top == last))
			continue;
		last = one->top;
		if (n++ > 0)
			buf_put_str(b, ", ");
		if (n > NAMED_MAX) {
			buf_put_str(b, "...");
			break;
		}
		if (platforms)
			buf_printf(b, "%s%s", platform_format(&one->platform, text),
				   one->missing ? " (not there)" : "");
		else
			put_name(b, one);
	}
	if (n == 0)
		buf_put_str(b, "nothing");
	return buf_cstr(b) != NULL ? buf_cstr(b) : "...";
}

/* The name, digest or position that was asked for is not there. */
static int refuse_choice(const struct candidates *c, const struct image_choice *choice,
			 struct err *err)
{
	CLEANUP(buf) struct buf b = {0};
	char digest[DIGEST_TEXT_MAX];
	const char *all = describe(&b, c, false);

	if (choice->name != NULL)
		return err_set(err, ENOENT, "%s has no image named %s; it has: %s", c->source->name,
			       choice->name, all);
	if (choice->index >= 0)
		return err_set(err, ENOENT, "%s has no image at position %d; it has: %s",
			       c->source->name, choice->index, all);
	if (choice->digest.alg != DIGEST_NONE)
		return err_set(err, ENOENT, "%s has no image with the digest %s; it has: %s",
			       c->source->name, digest_format(&choice->digest, digest), all);
	return err_set(err, ENOENT, "%s holds no image", c->source->name);
}

static int refuse_open_choice(const struct candidates *c, struct err *err)
{
	CLEANUP(buf) struct buf b = {0};

	return err_set(err, EINVAL, "%s holds several images; add one of these after a colon: %s",
		       c->source->name, describe(&b, c, false));
}

static int refuse_platform(const struct candidates *c, const struct platform *want, struct err *err)
{
	CLEANUP(buf) struct buf b = {0};
	char text[PLATFORM_TEXT_MAX];

	return err_set(err, ENOENT, "%s has no image for %s; it has: %s", c->source->name,
		       platform_format(want, text), describe(&b, c, true));
}

static bool is_eligible(const struct candidate *one)
{
	return one->chosen && !one->aside && !one->missing;
}

static size_t count_eligible(const struct candidates *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->count; i++)
		n += is_eligible(&c->list[i]);
	return n;
}

static bool differ(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a != b;
	return strcmp(a, b) != 0;
}

/* Nothing was asked for, and there are two entries with names of their own. The same image twice is one. */
static bool is_open(const struct candidates *c, const struct image_choice *choice)
{
	const struct candidate *first = NULL;

	if (choice->name != NULL || choice->index >= 0 || choice->digest.alg != DIGEST_NONE)
		return false;
	for (size_t i = 0; i < c->count; i++) {
		const struct candidate *one = &c->list[i];

		if (!is_eligible(one))
			continue;
		if (first == NULL)
			first = one;
		else if ((differ(one->name, first->name) ||
			  differ(one->full_name, first->full_name)) &&
			 !digest_equal(&one->top_digest, &first->top_digest))
			return true;
	}
	return false;
}

/* A digest may be a configuration's too: an image's id. */
static int choose_by_id(struct candidates *c, const struct image_choice *choice, struct err *err)
{
	for (size_t i = 0; i < c->count; i++) {
		struct candidate *one = &c->list[i];
		int rc = one->aside ? 0 : candidate_look(c, one, err);

		if (rc < 0)
			return rc;
		one->chosen = digest_equal(&one->id, &choice->digest);
	}
	return 0;
}

/* Where the index does not say the platform, the configuration does. */
static int learn_platforms(struct candidates *c, struct err *err)
{
	for (size_t i = 0; i < c->count; i++) {
		struct candidate *one = &c->list[i];
		int rc;

		if (!is_eligible(one) || one->platform.os != NULL)
			continue;
		rc = candidate_look(c, one, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The first of those that serve best; NULL when none does. */
static struct candidate *best_for(const struct candidates *c, const struct platform *want)
{
	struct candidate *best = NULL;
	int best_rank = -1;

	for (size_t i = 0; i < c->count; i++) {
		struct candidate *one = &c->list[i];
		int rank = is_eligible(one) ? platform_rank(want, &one->platform) : -1;

		if (rank >= 0 && (best == NULL || rank < best_rank)) {
			best = one;
			best_rank = rank;
		}
	}
	return best;
}

static struct candidate *only_one(const struct candidates *c)
{
	struct candidate *only = NULL;

	for (size_t i = 0; i < c->count; i++) {
		if (!is_eligible(&c->list[i]))
			continue;
		if (only != NULL && !digest_equal(&only->d.digest, &c->list[i].d.digest))
			return NULL;
		only = only == NULL ? &c->list[i] : only;
	}
	return only;
}

/* Whether another entry, without a name as this one is, serves as well. */
static bool has_rival(const struct candidates *c, const struct candidate *best,
		      const struct image_choice *choice, const struct platform *want)
{
	if (choice->name != NULL || choice->index >= 0 || choice->digest.alg != DIGEST_NONE)
		return false;
	for (size_t i = 0; i < c->count; i++) {
		const struct candidate *one = &c->list[i];

		if (is_eligible(one) && one->top != best->top &&
		    !digest_equal(&one->d.digest, &best->d.digest) &&
		    platform_rank(want, &one->platform) == platform_rank(want, &best->platform))
			return true;
	}
	return false;
}

/* The candidate that is meant, its manifest in RET. */
static int choose(struct candidates *c, const struct image_choice *choice,
		  const struct platform *want, struct candidate **ret_one, struct document *ret,
		  struct err *err)
{
	bool must_match = c->options->platform != NULL;

	for (;;) {
		struct candidate *one = best_for(c, want), *only = only_one(c);
		int rc;

		/*
		 * An image of another machine can be looked into as well, if it is the only one. Of
		 * what platform it is its configuration says, which is not read yet.
		 */
		if (one == NULL && only != NULL && (!must_match || only->platform.os == NULL))
			one = only;
		if (one == NULL)
			return refuse_platform(c, want, err);
		if (has_rival(c, one, choice, want))
			return refuse_open_choice(c, err);
		rc = source_document(c->source, &one->d, ret, err);
		*ret_one = one;
		if (rc != -ENOENT)
			return rc;
		one->missing = true;
	}
}

static int take_tag(struct image *image, const struct candidate *one, struct err *err)
{
	const char *name = one->name != NULL ? one->name : one->full_name;

	if (name == NULL)
		return 0;
	image->tag = strdup(name);
	return image->tag != NULL ? 0 : err_errno(err, ENOMEM, "%s", image->name);
}

static int take(struct image *image, struct candidates *c, const struct image_choice *choice,
		const struct platform *want, struct err *err)
{
	CLEANUP(document) struct document manifest = {0};
	enum document_type type;
	struct candidate *one = NULL;
	int rc = choose(c, choice, want, &one, &manifest, err);

	if (rc == 0)
		rc = document_classify(&manifest, one->d.type, c->source->name, &type, err);
	if (rc < 0)
		return rc;
	if (type == DOCUMENT_SCHEMA1)
		return err_set(
			err, ENOTSUP,
			"%s is a manifest of Docker's first schema, which is not read; copy the "
			"image with skopeo to have it converted",
			manifest.name);
	rc = image_take_manifest(image, c->source, &manifest, c->options, err);
	return rc < 0 ? rc : take_tag(image, one, err);
}

static int open_index(struct image *image, struct image_source *s, const struct document *root,
		      const struct image_choice *choice, const struct image_options *options,
		      struct err *err)
{
	CLEANUP(candidates) struct candidates c = {.source = s, .options = options};
	CLEANUP(platform) struct platform host = {0};
	int rc = candidates_collect(&c, root, choice, err);

	if (rc == 0 && count_eligible(&c) == 0 && choice->digest.alg != DIGEST_NONE)
		rc = choose_by_id(&c, choice, err);
	if (rc < 0)
		return rc;
	if (count_eligible(&c) == 0)
		return refuse_choice(&c, choice, err);
	if (is_open(&c, choice))
		return refuse_open_choice(&c, err);
	if (count_eligible(&c) > 1)
		rc = learn_platforms(&c, err);
	if (rc == 0 && platform_of_host(&host) < 0)
		rc = err_errno(err, ENOMEM, "%s", s->name);
	if (rc < 0)
		return rc;
	return take(image, &c, choice, options->platform != NULL ? options->platform : &host, err);
}

/* ---- all of them --------------------------------------------------------------------------- */

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
	rc = take_tag(image, one, err);
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

	audit->begin(audit->arg, count_eligible(c) > 1 ? label_of(one, label) : NULL);
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
	int rc = learn_platforms(c, err);

	if (rc == 0)
		rc = choose(c, choice, c->options->platform, &one, &manifest, err);
	return rc < 0 ? rc : audit_manifest(image_name, c->source, &manifest, one, c->options, err);
}

static int audit_index(const char *image_name, struct image_source *s, const struct document *root,
		       const struct image_choice *choice, const struct image_options *options,
		       struct err *err)
{
	CLEANUP(candidates) struct candidates c = {.source = s, .options = options};
	int rc = candidates_collect(&c, root, choice, err);

	if (rc == 0 && count_eligible(&c) == 0 && choice->digest.alg != DIGEST_NONE)
		rc = choose_by_id(&c, choice, err);
	if (rc < 0)
		return rc;
	if (count_eligible(&c) == 0)
		return refuse_choice(&c, choice, err);
	if (is_open(&c, choice))
		return refuse_open_choice(&c, err);
	if (options->platform != NULL)
		return audit_one(image_name, &c, choice, err);
	for (size_t i = 0; rc == 0 && i < c.count; i++) {
		if (is_repeated(&c, i))
			continue;
		if (is_eligible(&c.list[i]))
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

int index_open(struct image *image, struct image_source *s, struct document *from,
	       const struct image_choice *choice, const struct image_options *options,
	       struct err *err)
{
	CLEANUP(document) struct document root = *from;
	enum document_type type;
	int rc;

	*from = (struct document){0};
	rc = document_classify(&root, DOCUMENT_UNSAID, s->name, &type, err);
	if (rc < 0)
		return rc;
	if (type == DOCUMENT_MANIFEST)
		return image_take_manifest(image, s, &root, options, err);
	if (type == DOCUMENT_INDEX)
		return open_index(image, s, &root, choice, options, err);
	if (type == DOCUMENT_SCHEMA1)
		return err_set(err, ENOTSUP,
			       "%s: %s is a manifest of Docker's first schema, which is not read",
			       s->name, root.name);
	return err_set(err, EBADMSG, "%s: %s is neither an index nor a manifest", s->name,
		       root.name);
}

/* ---- lists --------------------------------------------------------------------------------- */

static int list_one(struct image_list *list, struct candidate *one)
{
	struct image_item *item = list_add(list);

	if (item == NULL)
		return -ENOMEM;
	item->manifest = one->d.digest;
	item->id = one->id;
	item->size = one->size;
	item->n_layers = one->n_layers;
	item->missing = one->missing;
	item->platform = one->platform;
	one->platform = (struct platform){0};
	if (one->name != NULL && strings_add(&item->names, one->name) < 0)
		return -ENOMEM;
	if (one->full_name != NULL && differ(one->name, one->full_name) &&
	    strings_add(&item->names, one->full_name) < 0)
		return -ENOMEM;
	return 0;
}

/* There is no index: the source is one image. */
static int list_manifest(struct candidates *c, const struct document *manifest,
			 struct image_list *list, struct err *err)
{
	struct candidate one = {.d = {.digest = manifest->digest}};
	int rc = candidate_examine(c, &one, manifest, err);

	if (rc == 0 && list_one(list, &one) < 0)
		rc = err_errno(err, ENOMEM, "%s", c->source->name);
	platform_done(&one.platform);
	return rc;
}

int index_list(struct image_source *s, struct document *from, const struct image_options *options,
	       struct image_list *ret_list, struct err *err)
{
	CLEANUP(document) struct document root = *from;
	CLEANUP(candidates) struct candidates c = {.source = s, .options = options};
	const struct image_choice all = {.index = -1};
	enum document_type type;
	int rc;

	*from = (struct document){0};
	rc = document_classify(&root, DOCUMENT_UNSAID, s->name, &type, err);
	if (rc == 0 && type == DOCUMENT_MANIFEST)
		return list_manifest(&c, &root, ret_list, err);
	if (rc == 0)
		rc = candidates_collect(&c, &root, &all, err);
	for (size_t i = 0; rc == 0 && i < c.count; i++) {
		struct candidate *one = &c.list[i];

		rc = one->aside ? 0 : candidate_look(&c, one, err);
		if (rc == 0 && !one->aside && list_one(ret_list, one) < 0)
			rc = err_errno(err, ENOMEM, "%s", s->name);
	}
	return rc;
}
