/* SPDX-License-Identifier: Apache-2.0 */
/* Opening one image of those that an index leads to, and listing them. */
#include "image/index.h"

#include <errno.h>
#include <string.h>

static int take(struct image *image, struct candidates *c, const struct image_choice *choice,
		const struct platform *want, struct err *err)
{
	CLEANUP(document) struct document manifest = {0};
	enum document_type type;
	struct candidate *one = NULL;
	int rc = candidates_choose(c, choice, want, &one, &manifest, err);

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
	if (rc == 0)
		rc = image_check_platform(image, c->options, err);
	return rc < 0 ? rc : candidate_take_tag(image, one, err);
}

static int open_index(struct image *image, struct image_source *s, const struct document *root,
		      const struct image_choice *choice, const struct image_options *options,
		      struct err *err)
{
	CLEANUP(candidates) struct candidates c = {.source = s, .options = options};
	CLEANUP(platform) struct platform host = {0};
	int rc = candidates_collect(&c, root, choice, err);

	if (rc == 0 && candidates_count(&c) == 0 && choice->digest.alg != DIGEST_NONE)
		rc = candidates_choose_by_id(&c, choice, err);
	if (rc < 0)
		return rc;
	if (candidates_count(&c) == 0)
		return candidates_refuse(&c, choice, err);
	if (candidates_are_open(&c, choice))
		return candidates_refuse_open(&c, err);
	if (candidates_count(&c) > 1)
		rc = candidates_learn(&c, err);
	if (rc == 0 && platform_of_host(&host) < 0)
		rc = err_errno(err, ENOMEM, "%s", s->name);
	if (rc < 0)
		return rc;
	return take(image, &c, choice, options->platform != NULL ? options->platform : &host, err);
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
	if (type == DOCUMENT_MANIFEST) {
		rc = image_take_manifest(image, s, &root, options, err);
		return rc < 0 ? rc : image_check_platform(image, options, err);
	}
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
	if (one->full_name != NULL &&
	    (one->name == NULL || strcmp(one->name, one->full_name) != 0) &&
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
