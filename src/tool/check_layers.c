/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs check: the bytes of each layer, and what is in them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image/scan.h"
#include "tool/check_private.h"
#include "tool/progress.h"

/* layer/indexed_apply.h says the same at more length. */
static const char *const fault_done[N_APPLY_FAULTS] = {
	[APPLY_OUTSIDE] = "left out",
	[APPLY_BAD_NAME] = "left out",
	[APPLY_BARE_WHITEOUT] = "left out",
	[APPLY_BELOW_WHITEOUT] = "left out",
	[APPLY_WHITEOUT_TYPE] = "it counts as a whiteout",
	[APPLY_WHITEOUT_TWIN] = "the name stays, and hides what is below",
	[APPLY_UNKNOWN_META] = "hidden",
	[APPLY_DUPLICATE] = "the last one is taken",
	[APPLY_NOT_A_DIRECTORY] = "it becomes a directory",
	[APPLY_LOOP] = "left out",
	[APPLY_BAD_LINK] = "left out",
	[APPLY_LATE_LINK] = "made all the same",
	[APPLY_BAD_OWNER] = "0 is taken",
	[APPLY_BAD_XATTR] = "left out",
	[APPLY_BAD_TYPE] = "left out",
};

const char *check_fault_done(enum apply_fault fault)
{
	return fault_done[fault];
}

void check_report(void *arg, enum apply_fault fault, const char *path)
{
	struct check_faults *f = arg;
	const struct finding finding = {
		.layer = f->layer,
		.path = path,
		.done = check_fault_done(fault),
	};

	if (f->n[fault]++ < CHECK_LINES_MAX)
		check_found(f->check, &finding, "%s", apply_fault_text(fault));
}

void check_faults_end(struct check_faults *f)
{
	for (size_t i = 0; i < N_APPLY_FAULTS; i++) {
		const struct finding finding = {.layer = f->layer, .done = fault_done[i]};

		if (f->n[i] > CHECK_LINES_MAX)
			check_found(f->check, &finding, "%s: %" PRIu64 " more",
				    apply_fault_text((enum apply_fault)i),
				    f->n[i] - CHECK_LINES_MAX);
	}
}

/* ---- one layer ---- */

struct scanning {
	struct check *c;
	size_t layer;
	char what[32];	 /* for the progress */
	struct apply *a; /* owned */
	struct check_faults faults;
	struct err *err; /* of memory that is short */
};

static int on_member(void *arg, const struct tar_member *m)
{
	struct scanning *s = arg;

	return apply_member(s->a, m, s->err);
}

static void on_warning(void *arg, const char *path, const char *text)
{
	struct scanning *s = arg;
	const struct finding f = {.layer = s->layer, .path = path, .done = "read all the same"};

	check_found(s->c, &f, "%s", text);
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct scanning *s = arg;

	progress_line_show(NULL, s->what, done, total);
}

static void compare(struct scanning *s, const char *what, const char *who,
		    const struct digest *said, const struct digest *is)
{
	const struct finding f = {.broken = true, .layer = s->layer};
	char a[DIGEST_TEXT_MAX], b[DIGEST_TEXT_MAX];

	if (said->alg != DIGEST_NONE && !digest_equal(said, is))
		check_found(s->c, &f, "its %s is %s, and the %s says %s", what,
			    digest_format(is, a), who, digest_format(said, b));
}

static enum digest_alg alg_of(const struct digest *d)
{
	return d->alg != DIGEST_NONE ? d->alg : DIGEST_SHA256;
}

static int scan(struct scanning *s, const struct image_layer *layer)
{
	const struct scan_options options = {
		.blob_alg = alg_of(&layer->digest),
		.diff_alg = alg_of(&layer->diff_id),
		.progress = on_progress,
		.progress_arg = s,
		.cancel = s->c->options->cancel,
	};
	const struct scan_sink sink = {
		.tar = {.member = on_member, .warn = on_warning, .arg = s},
	};
	CLEANUP(err) struct err why = {0};
	struct scan_result result = {0};
	int r = scan_layer(layer->blob, &options, &sink, &result, &why);

	if (r == -ENOMEM || r == -ECANCELED)
		return err_errno(s->err, -r, "layer %zu", s->layer);
	if (r < 0) {
		check_found(s->c, &(struct finding){.broken = true, .layer = s->layer}, "%s",
			    err_text(&why));
		return 0;
	}
	s->c->members += result.members;
	s->c->bytes += result.size;
	compare(s, "digest", "manifest", &layer->digest, &result.blob_digest);
	compare(s, "DiffID", "configuration", &layer->diff_id, &result.diff_id);
	/* The last pass looks at it again. */
	s->c->layers[s->layer - 1] = steal_ptr(&s->a);
	return 0;
}

static int check_bytes(struct check *c, size_t i, struct err *err)
{
	struct scanning s = {
		.c = c,
		.layer = i + 1,
		.faults = {.check = c, .layer = i + 1},
		.err = err,
	};
	const struct apply_options options = {.report = check_report, .arg = &s.faults};
	int r = apply_new(&options, &s.a);

	if (r < 0)
		return err_errno(err, -r, "layer %zu", s.layer);
	snprintf(s.what, sizeof(s.what), "layer %zu", s.layer);
	r = scan(&s, &c->image->layers[i]);
	check_faults_end(&s.faults);
	apply_free(s.a);
	/* FAULTS is of this function. */
	if (c->layers[i] != NULL)
		c->layers[i]->options = (struct apply_options){0};
	return r;
}

static int check_layer(struct check *c, size_t i, struct err *err)
{
	const struct image_layer *l = &c->image->layers[i];
	struct finding f = {.layer = i + 1};

	if (l->dir != NULL || l->unusable)
		return 0;
	if (l->foreign) {
		f.done = l->missing ? "it is not checked" : "it is here, and read";
		check_found(c, &f, "it is a foreign layer, to be had elsewhere");
	}
	if (!l->missing && l->blob != NULL)
		return check_bytes(c, i, err);
	f.broken = true;
	if (!l->foreign)
		check_found(c, &f, "it is not in this image's files");
	return 0;
}

int check_layers(struct check *c, struct err *err)
{
	size_t n = c->image->n_layers;
	int r = 0;

	c->layers = calloc(n > 0 ? n : 1, sizeof(struct apply *));
	if (c->layers == NULL)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_layer(c, i, err);
	return r;
}
