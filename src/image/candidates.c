/* SPDX-License-Identifier: Apache-2.0 */
/* Walking an index: what it leads to. */
#include <errno.h>
#include <string.h>

#include "image/index.h"

#define DEPTH_MAX      4u
#define CANDIDATES_MAX 4096u
#define DOCUMENTS_MAX  256u

#define ANNOTATION_NAME	     "org.opencontainers.image.ref.name"
#define ANNOTATION_FULL_NAME "io.containerd.image.name"
#define ANNOTATION_BUILDKIT  "vnd.docker.reference.type"

void candidates_done(struct candidates *c)
{
	for (size_t i = 0; i < c->count; i++) {
		descriptor_done(&c->list[i].d);
		platform_done(&c->list[i].platform);
	}
	free(c->list);
	*c = (struct candidates){0};
}

/* What is passed down the walk. */
struct branch {
	unsigned int depth;
	size_t top;
	struct digest top_digest;
	const char *name, *full_name;
	bool chosen;
};

static bool is_unknown(const char *text)
{
	return text != NULL && strcmp(text, "unknown") == 0;
}

static int take_platform(struct candidate *one)
{
	const json_t *p = json_map(one->d.json, "platform");

	if (is_unknown(json_text(p, "os")) || is_unknown(json_text(p, "architecture")) ||
	    descriptor_annotation(&one->d, ANNOTATION_BUILDKIT) != NULL)
		one->aside = true;
	if (json_text(p, "os") == NULL || json_text(p, "architecture") == NULL)
		return 0;
	return platform_copy(json_text(p, "os"), json_text(p, "architecture"),
			     json_text(p, "variant"), &one->platform);
}

static int add(struct candidates *c, const struct descriptor *d, const struct branch *at,
	       struct err *err)
{
	struct candidate *list, *one;

	if (c->count == CANDIDATES_MAX)
		return err_set(err, E2BIG, "%s: more than %u manifests, which are not read",
			       c->source->name, CANDIDATES_MAX);
	list = reallocarray(c->list, c->count + 1, sizeof(*list));
	if (list == NULL)
		return err_errno(err, ENOMEM, "%s", c->source->name);
	c->list = list;
	one = &list[c->count++];
	*one = (struct candidate){
		.d = descriptor_copy(d),
		.top = at->top,
		.top_digest = at->top_digest,
		.name = at->name,
		.full_name = at->full_name,
		.chosen = at->chosen,
		.aside = d->type == DOCUMENT_OTHER || d->type == DOCUMENT_CONFIG ||
			 d->type == DOCUMENT_LAYER,
	};
	if (take_platform(one) < 0)
		return err_errno(err, ENOMEM, "%s", c->source->name);
	return 0;
}

static int walk(struct candidates *c, const struct document *index, const struct branch *at,
		const struct image_choice *choice, struct err *err);

/* An index in an index. One that is not there, as in archives of one platform of many, has nothing to give. */
static int descend(struct candidates *c, const struct descriptor *d, const struct branch *at,
		   const struct image_choice *choice, struct err *err)
{
	CLEANUP(document) struct document nested = {0};
	enum document_type type;
	int rc;

	if (at->depth >= DEPTH_MAX || ++c->documents > DOCUMENTS_MAX)
		return err_set(
			err, E2BIG,
			"%s: indexes in indexes, more than %u deep or %u in all, are not read",
			c->source->name, DEPTH_MAX, DOCUMENTS_MAX);
	rc = source_document(c->source, d, &nested, err);
	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = document_classify(&nested, d->type, c->source->name, &type, err);
	if (rc < 0)
		return audit_forgive(c->options->audit, rc, err);
	audit_document(c->options->audit, AUDIT_INDEX, &nested);
	return walk(c, &nested, at, choice, err);
}

static bool is_same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* A name as the index has it, or short for containerd's. */
static bool is_named(const struct branch *at, const char *name)
{
	char *full = NULL;
	bool named = is_same(at->name, name) || is_same(at->full_name, name);

	if (!named && at->full_name != NULL && reference_complete(name, &full) == 0)
		named = is_same(at->full_name, full);
	free(full);
	return named;
}

static bool is_chosen(const struct descriptor *d, const struct branch *at,
		      const struct image_choice *choice)
{
	if (at->chosen || digest_equal(&d->digest, &choice->digest))
		return true;
	if (at->depth > 0)
		return false;
	if (choice->name != NULL)
		return is_named(at, choice->name);
	if (choice->index >= 0)
		return (size_t)choice->index == at->top;
	return choice->digest.alg == DIGEST_NONE;
}

static int walk(struct candidates *c, const struct document *index, const struct branch *at,
		const struct image_choice *choice, struct err *err)
{
	json_t *list = json_list(index->root, "manifests"), *member;
	size_t i;

	json_array_foreach(list, i, member)
	{
		CLEANUP(descriptor) struct descriptor d = {0};
		struct branch next = *at;
		int rc = image_check_cancel(c->options, err);

		if (rc < 0)
			return rc;
		rc = descriptor_read(member, index->name, &d, err);
		if (rc < 0) {
			rc = audit_forgive(c->options->audit, rc, err);
			if (rc < 0)
				return rc;
			continue;
		}
		if (at->depth == 0) {
			next.top = i;
			next.top_digest = d.digest;
			next.name = descriptor_annotation(&d, ANNOTATION_NAME);
			next.full_name = descriptor_annotation(&d, ANNOTATION_FULL_NAME);
		}
		next.chosen = is_chosen(&d, &next, choice);
		next.depth++;
		rc = d.type == DOCUMENT_INDEX ? descend(c, &d, &next, choice, err)
					      : add(c, &d, &next, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int candidates_collect(struct candidates *c, const struct document *root,
		       const struct image_choice *choice, struct err *err)
{
	const struct branch top = {0};

	return walk(c, root, &top, choice, err);
}

/* ---- a closer look ------------------------------------------------------------------------- */

static void add_sizes(struct candidate *one, const struct document *manifest)
{
	json_t *list = json_list(manifest->root, "layers"), *member;
	size_t i;

	one->n_layers = json_array_size(list);
	json_array_foreach(list, i, member)
	{
		uint64_t size = 0;

		if (json_size_of(member, "size", &size) == 0 &&
		    __builtin_add_overflow(one->size, size, &one->size))
			one->size = UINT64_MAX;
	}
}

static int look_at_config(struct candidates *c, struct candidate *one, const struct descriptor *d,
			  struct err *err)
{
	CLEANUP(document) struct document config = {0};
	int rc = source_document(c->source, d, &config, err);

	if (rc == -ENOENT) {
		one->missing = true;
		return 0;
	}
	if (rc < 0 || one->platform.os != NULL)
		return rc;
	rc = platform_copy(json_text(config.root, "os"), json_text(config.root, "architecture"),
			   json_text(config.root, "variant"), &one->platform);
	return rc < 0 ? err_errno(err, -rc, "%s", c->source->name) : 0;
}

int candidate_examine(struct candidates *c, struct candidate *one, const struct document *manifest,
		      struct err *err)
{
	CLEANUP(descriptor) struct descriptor config = {0};
	enum document_type type;
	int rc = document_classify(manifest, one->d.type, c->source->name, &type, err);

	if (rc < 0)
		return rc;
	if (type != DOCUMENT_MANIFEST) {
		one->aside = true;
		return 0;
	}
	rc = descriptor_read(json_object_get(manifest->root, "config"), manifest->name, &config,
			     err);
	if (rc < 0)
		return rc;
	one->aside = config.type != DOCUMENT_CONFIG && config.type != DOCUMENT_UNSAID;
	one->id = config.digest;
	one->size = one->n_layers = 0;
	add_sizes(one, manifest);
	return one->aside ? 0 : look_at_config(c, one, &config, err);
}

int candidate_look(struct candidates *c, struct candidate *one, struct err *err)
{
	CLEANUP(document) struct document manifest = {0};
	int rc = source_document(c->source, &one->d, &manifest, err);

	if (rc == -ENOENT) {
		one->missing = true;
		return 0;
	}
	return rc < 0 ? rc : candidate_examine(c, one, &manifest, err);
}
