/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing among the images that an index leads to: which are meant, and what is said when none is. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "image/index.h"

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
int candidates_refuse(const struct candidates *c, const struct image_choice *choice,
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

int candidates_refuse_open(const struct candidates *c, struct err *err)
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

bool candidate_is_eligible(const struct candidate *one)
{
	return one->chosen && !one->aside && !one->missing;
}

size_t candidates_count(const struct candidates *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->count; i++)
		n += candidate_is_eligible(&c->list[i]);
	return n;
}

static bool differ(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a != b;
	return strcmp(a, b) != 0;
}

bool candidates_are_open(const struct candidates *c, const struct image_choice *choice)
{
	const struct candidate *first = NULL;

	if (choice->name != NULL || choice->index >= 0 || choice->digest.alg != DIGEST_NONE)
		return false;
	for (size_t i = 0; i < c->count; i++) {
		const struct candidate *one = &c->list[i];

		if (!candidate_is_eligible(one))
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

/* To an audit a document that makes no sense is one that is not there, and it goes on. */
static int look(struct candidates *c, struct candidate *one, struct err *err)
{
	int rc = candidate_look(c, one, err);

	one->missing = one->missing || rc < 0;
	return audit_forgive(c->options->audit, rc, err);
}

int candidates_choose_by_id(struct candidates *c, const struct image_choice *choice,
			    struct err *err)
{
	for (size_t i = 0; i < c->count; i++) {
		struct candidate *one = &c->list[i];
		int rc = one->aside ? 0 : look(c, one, err);

		if (rc < 0)
			return rc;
		one->chosen = digest_equal(&one->id, &choice->digest);
	}
	return 0;
}

int candidates_learn(struct candidates *c, struct err *err)
{
	for (size_t i = 0; i < c->count; i++) {
		struct candidate *one = &c->list[i];
		int rc;

		if (!candidate_is_eligible(one) || one->platform.os != NULL)
			continue;
		rc = look(c, one, err);
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
		int rank = candidate_is_eligible(one) ? platform_rank(want, &one->platform) : -1;

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
		if (!candidate_is_eligible(&c->list[i]))
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

		if (candidate_is_eligible(one) && one->top != best->top &&
		    !digest_equal(&one->d.digest, &best->d.digest) &&
		    platform_rank(want, &one->platform) == platform_rank(want, &best->platform))
			return true;
	}
	return false;
}

int candidates_choose(struct candidates *c, const struct image_choice *choice,
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
			return candidates_refuse_open(c, err);
		rc = source_document(c->source, &one->d, ret, err);
		*ret_one = one;
		if (rc != -ENOENT)
			return rc;
		one->missing = true;
	}
}

int candidate_take_tag(struct image *image, const struct candidate *one, struct err *err)
{
	const char *name = one->name != NULL ? one->name : one->full_name;

	if (name == NULL)
		return 0;
	image->tag = strdup(name);
	return image->tag != NULL ? 0 : err_errno(err, ENOMEM, "%s", image->name);
}
