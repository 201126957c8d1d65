/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs check: the passes, and how findings are told. */
#include "tool/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "tool/check_private.h"
#include "tool/columns.h"
#include "tool/progress.h"

static const struct {
	const char *name;
	int (*run)(struct check *c, struct err *err);
} passes[] = {
	{"configuration", check_config},
	{"layers", check_layers},
	{"stack", check_stack},
};

/* What belongs to one image. */
static void check_reset(struct check *c)
{
	for (size_t i = 0; c->layers != NULL && i < c->image->n_layers; i++)
		apply_free(c->layers[i]);
	free(c->layers);
	c->layers = NULL;
	c->image = NULL;
}

static void check_done(struct check *c)
{
	check_reset(c);
	free(c->platform);
}
DEFINE_CLEANUP(struct check, check, check_done)

/* ---- findings ---- */

static void put_line(struct check *c, const struct finding *f, bool error, const char *text)
{
	FILE *out = c->options->out;

	progress_line_end();
	fprintf(out, "%s: %s: ", c->pass, error ? "error" : "warning");
	if (c->platform != NULL) {
		print_clean(out, c->platform);
		fputs(": ", out);
	}
	if (c->document != NULL) {
		print_clean(out, c->document);
		fputs(": ", out);
	}
	if (f->layer > 0)
		fprintf(out, "layer %zu: ", f->layer);
	if (f->path != NULL && *f->path != '\0') {
		print_clean(out, f->path);
		fputs(": ", out);
	}
	print_clean(out, text);
	if (!error && f->done != NULL)
		fprintf(out, "; %s", f->done);
	fputc('\n', out);
}

static void put_object(struct check *c, const struct finding *f, bool error, const char *text)
{
	struct json_out *j = &c->j;

	json_out_object(j, NULL);
	json_out_text(j, "pass", c->pass);
	json_out_text(j, "severity", error ? "error" : "warning");
	json_out_text(j, "platform", c->platform);
	json_out_text(j, "document", c->document);
	if (f->layer > 0)
		json_out_size(j, "layer", f->layer);
	if (f->path != NULL && *f->path != '\0')
		json_out_bytes(j, "path", f->path);
	json_out_text(j, "what", text);
	json_out_text(j, "done", error ? NULL : f->done);
	json_out_end(j, '}');
}

void check_found(struct check *c, const struct finding *f, const char *what, ...)
{
	bool error = f->broken || c->options->strict;
	char *text;
	va_list args;

	va_start(args, what);
	if (vasprintf(&text, what, args) < 0)
		text = NULL;
	va_end(args);
	c->errors += error;
	c->warnings += !error;
	if (c->options->json)
		put_object(c, f, error, text != NULL ? text : what);
	else
		put_line(c, f, error, text != NULL ? text : what);
	free(text);
}

/* ---- what an audit tells ---- */

/* Sentences begin with the image's name, which every line here is about. */
static const char *without_name(const struct check *c, const char *text)
{
	size_t len = strlen(c->options->ref);

	if (strncmp(text, c->options->ref, len) == 0 && strncmp(text + len, ": ", 2) == 0)
		return text + len + 2;
	return text;
}

static void on_begin(void *arg, const char *platform)
{
	struct check *c = arg;

	c->pass = "documents";
	free(c->platform);
	c->platform = platform != NULL ? strdup(platform) : NULL;
}

static void on_fault(void *arg, const char *text)
{
	struct check *c = arg;

	check_found(c, &(struct finding){.broken = true}, "%s", without_name(c, text));
}

static void on_absent(void *arg, const char *platform)
{
	struct check *c = arg;

	(void)platform;
	c->n_absent++;
}

/* What a registry gives may be wrong, or not there: with the first such layer fetching ends. */
static int fetch(struct check *c, struct image *image, bool *ret_whole, struct err *err)
{
	CLEANUP(err) struct err why = {0};
	int r = image_fetch(image, &c->image_options, &why);

	progress_line_end();
	*ret_whole = r == 0;
	if (r == 0)
		return 0;
	if (r != -EBADMSG && r != -ENOENT)
		return err_set(err, -r, "%s", err_text(&why));
	on_fault(c, err_text(&why));
	return 0;
}

static int on_image(void *arg, struct image *image, struct err *err)
{
	const size_t n = sizeof(passes) / sizeof(*passes);
	struct check *c = arg;
	bool whole;
	int r;

	c->image = image;
	c->n_images++;
	c->n_layers += image->n_layers;
	r = fetch(c, image, &whole, err);
	/* A registry's layers are seen only now. */
	for (size_t i = 0; i < image->n_warnings; i++)
		check_found(c, &(struct finding){.done = "read all the same"}, "%s",
			    without_name(c, image->warnings[i]));
	for (size_t i = 0; r == 0 && i < (whole ? n : 1); i++) {
		c->pass = passes[i].name;
		r = passes[i].run(c, err);
		progress_line_end();
	}
	check_reset(c);
	return r;
}

static int check_all(struct check *c, struct err *err)
{
	const struct image_audit audit = {
		.arg = c,
		.begin = on_begin,
		.fault = on_fault,
		.document = check_document,
		.absent = on_absent,
		.image = on_image,
	};
	CLEANUP(err) struct err why = {0};
	int r;

	c->image_options = c->options->image;
	c->image_options.progress = progress_line_show;
	on_begin(c, NULL);
	r = image_audit(c->options->ref, &c->image_options, &audit, &why);
	progress_line_end();
	/* After a fault in an index nothing may be left to be chosen: it was told why. */
	if (r == -ENOENT && c->n_images == 0 && c->errors > 0)
		return 0;
	if ((r == -EBADMSG || r == -E2BIG) && c->n_images == 0) {
		on_fault(c, err_text(&why));
		return 0;
	}
	if (r == 0 && c->n_images == 0 && c->errors == 0) {
		on_begin(c, NULL);
		on_fault(c, "none of its images is here");
	}
	return r < 0 ? err_set(err, -r, "%s", err_text(&why)) : 0;
}

/* ---- all of them ---- */

static void begin(struct check *c)
{
	c->j = (struct json_out){.out = c->options->out};
	if (!c->options->json)
		return;
	json_out_object(&c->j, NULL);
	json_out_text(&c->j, "image", c->options->ref);
	json_out_array(&c->j, "findings");
}

static void end_json(struct check *c)
{
	struct json_out *j = &c->j;

	json_out_end(j, ']');
	json_out_size(j, "images", c->n_images);
	json_out_size(j, "absent", c->n_absent);
	json_out_size(j, "layers", c->n_layers);
	json_out_size(j, "members", c->members);
	json_out_size(j, "bytes", c->bytes);
	json_out_size(j, "warnings", c->warnings);
	json_out_size(j, "errors", c->errors);
	json_out_end(j, '}');
}

static void put_count(FILE *out, const char *before, uint64_t n, const char *what)
{
	fprintf(out, "%s%" PRIu64 " %s%s", before, n, what, n == 1 ? "" : "s");
}

static void end(struct check *c)
{
	FILE *out = c->options->out;
	char size[32];

	if (c->options->json) {
		end_json(c);
		return;
	}
	print_clean(out, c->options->ref);
	if (c->n_images + c->n_absent > 1)
		put_count(out, ": ", c->n_images, "image");
	if (c->n_absent > 0)
		fprintf(out, " (%zu%s %s not here)", c->n_absent, c->n_images > 0 ? " more" : "",
			c->n_absent == 1 ? "is" : "are");
	if (c->n_images > 0) {
		put_count(out, c->n_images + c->n_absent > 1 ? ", " : ": ", c->n_layers, "layer");
		put_count(out, ", ", c->members, "member");
		fprintf(out, ", %s", format_size(size, c->bytes));
	}
	if (c->warnings + c->errors == 0) {
		fputs(": in order\n", out);
		return;
	}
	put_count(out, ": ", c->errors, "error");
	put_count(out, ", ", c->warnings, "warning");
	fputc('\n', out);
}

int check_run(const struct check_options *options, struct err *err)
{
	CLEANUP(check) struct check c = {.options = options};
	int r, status = 0;

	begin(&c);
	r = check_all(&c, err);
	if (r == 0 || options->json)
		end(&c);
	if (r < 0)
		status = r == -ECANCELED ? CHECK_FAILED | CHECK_CANCELLED : CHECK_FAILED;
	/* What was found until then is on the terminal. */
	return status | (c.errors > 0 ? CHECK_BROKEN : 0) | (c.warnings > 0 ? CHECK_WARNED : 0);
}
