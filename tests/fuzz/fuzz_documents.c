/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of an image: indexes, manifests, configurations, docker save's list. The input is several of them, one
 * after the other with a line "==" between; "$dN" and "$sN" in one stand for digest and size of the N-th, which has to
 * come later. So the digests are right, and what counts is what is in the documents.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "image/source.h"
#include "image/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECES_MAX 8

static void must(bool truth)
{
	if (!truth)
		abort();
}

struct piece {
	char *bytes; /* owned */
	size_t len;
	struct digest digest;
};

struct pieces {
	struct image_source base;
	struct piece at[PIECES_MAX];
	size_t n;
};

/* ---- a source of them ---- */

static int open_piece(const struct pieces *p, size_t i, struct blob **ret)
{
	return blob_from_memory(p->at[i].bytes, p->at[i].len, ret);
}

static int find_blob(struct image_source *s, const struct descriptor *d, struct blob **ret,
		     struct err *err)
{
	struct pieces *p = (struct pieces *)s;

	(void)err;
	for (size_t i = 0; i < p->n; i++)
		if (digest_equal(&p->at[i].digest, &d->digest))
			return open_piece(p, i, ret);
	return -ENOENT;
}

/* "fN" is the N-th. */
static int find_file(struct image_source *s, const char *name, struct blob **ret, struct err *err)
{
	struct pieces *p = (struct pieces *)s;
	size_t i = name[0] == 'f' ? (size_t)(name[1] - '0') : PIECES_MAX;

	(void)err;
	return i < p->n ? open_piece(p, i, ret) : -ENOENT;
}

static void close_source(struct image_source *s)
{
	struct pieces *p = (struct pieces *)s;

	for (size_t i = 0; i < p->n; i++)
		free(p->at[i].bytes);
	free(p);
}

static const struct source_ops ops = {find_blob, find_file, NULL, close_source};
static char source_name[] = "source";

/* ---- making them ---- */

static void put_reference(struct buf *b, const struct pieces *p, char what, size_t i)
{
	char text[DIGEST_TEXT_MAX];
	int n;

	if (i >= p->n || p->at[i].bytes == NULL)
		return;
	if (what == 'd')
		n = snprintf(text, sizeof(text), "%s", digest_format(&p->at[i].digest, text));
	else
		n = snprintf(text, sizeof(text), "%zu", p->at[i].len);
	buf_put(b, text, (size_t)n);
}

static void make_piece(struct pieces *p, size_t i, const char *from, size_t len)
{
	CLEANUP(buf) struct buf b = {0};
	struct piece *x = &p->at[i];

	for (size_t k = 0; k < len; k++) {
		if (k + 2 < len && from[k] == '$' && (from[k + 1] == 'd' || from[k + 1] == 's') &&
		    from[k + 2] > '0' && from[k + 2] < '0' + PIECES_MAX) {
			put_reference(&b, p, from[k + 1], (size_t)(from[k + 2] - '0'));
			k += 2;
			continue;
		}
		buf_put(&b, &from[k], 1);
	}
	must(buf_ok(&b));
	x->len = b.len;
	x->bytes = malloc(b.len + 1);
	must(x->bytes != NULL);
	if (b.len > 0)
		memcpy(x->bytes, b.data, b.len);
	x->bytes[b.len] = '\0';
	must(digest_of(DIGEST_SHA256, x->bytes, x->len, &x->digest) == 0);
}

static struct pieces *cut(const char *text, size_t size)
{
	struct pieces *p = calloc(1, sizeof(*p));
	const char *from[PIECES_MAX];
	size_t len[PIECES_MAX];

	must(p != NULL);
	p->base.ops = &ops;
	p->base.name = source_name;
	while (p->n < PIECES_MAX) {
		const char *end = memmem(text, size, "\n==\n", 4);

		from[p->n] = text;
		len[p->n++] = end != NULL ? (size_t)(end - text) : size;
		if (end == NULL)
			break;
		size -= (size_t)(end - text) + 4;
		text = end + 4;
	}
	/* From the end: a document can name only those after it. */
	for (size_t i = p->n; i-- > 0;)
		make_piece(p, i, from[i], len[i]);
	return p;
}

static int root_of(const struct pieces *p, struct document *ret, struct err *err)
{
	char *copy = malloc(p->at[0].len + 1);

	must(copy != NULL);
	memcpy(copy, p->at[0].bytes, p->at[0].len + 1);
	return document_make(copy, p->at[0].len, NULL, "source", "root", ret, err);
}

/* ---- reading them ---- */

static void check_image(const struct image *image)
{
	must(image->n_layers <= 100000);
	for (size_t i = 0; i < image->n_layers; i++) {
		const struct image_layer *l = &image->layers[i];

		must(l->blob == NULL || l->blob->size == l->size);
		must(l->history >= -1 && l->history < (int)image->n_history);
	}
	for (size_t i = 0; i < image->n_history; i++)
		must(image->history[i].layer >= -1 &&
		     image->history[i].layer < (int)image->n_layers);
	for (size_t i = 0; i < image->config.env.count; i++)
		must(image->config.env.list[i] != NULL);
}

static void open_as(const char *text, size_t size, bool docker, const struct image_options *o)
{
	CLEANUP(image) struct image *image = calloc(1, sizeof(*image));
	CLEANUP(document) struct document root = {0};
	CLEANUP(err) struct err err = {0};
	const struct image_choice any = {.index = -1};
	struct pieces *p = cut(text, size);
	int rc;

	must(image != NULL && (image->name = strdup("image")) != NULL);
	image->source = &p->base;
	rc = root_of(p, &root, &err);
	if (rc == 0)
		rc = docker ? docker_open(image, &p->base, &root, &any, o, &err)
			    : index_open(image, &p->base, &root, &any, o, &err);
	if (rc == 0)
		check_image(image);
	must(rc == 0 || err.text != NULL);
}

static void on_text(void *arg, const char *text)
{
	(void)arg;
	must(text == NULL || strlen(text) < SIZE_MAX / 2);
}

static void on_document(void *arg, enum audit_document what, const char *name, json_t *root)
{
	(void)arg;
	(void)what;
	must(*name != '\0' && root != NULL);
}

static int on_image(void *arg, struct image *image, struct err *err)
{
	(void)arg;
	(void)err;
	for (size_t i = 0; i < image->n_layers; i++)
		must(image->layers[i].missing == (image->layers[i].blob == NULL));
	return 0;
}

/* As plyfs check reads it. */
static void audit_as(const char *text, size_t size, bool docker, const struct image_options *o)
{
	const struct image_audit audit = {
		.begin = on_text,
		.fault = on_text,
		.document = on_document,
		.absent = on_text,
		.image = on_image,
	};
	struct image_options options = *o;
	struct pieces *p = cut(text, size);
	CLEANUP(source) struct image_source *source = &p->base;
	CLEANUP(document) struct document root = {0};
	CLEANUP(err) struct err err = {0};
	const struct image_choice any = {.index = -1};
	int rc;

	options.audit = source->audit = &audit;
	rc = root_of(p, &root, &err);
	if (rc == 0)
		rc = docker ? docker_audit("image", source, &root, &any, &options, &err)
			    : index_audit("image", source, &root, &any, &options, &err);
	must(rc == 0 || err.text != NULL);
}

static void list_as(const char *text, size_t size, bool docker, const struct image_options *o)
{
	struct pieces *p = cut(text, size);
	CLEANUP(source) struct image_source *source = &p->base;
	CLEANUP(image_list) struct image_list list = {0};
	CLEANUP(document) struct document root = {0};
	CLEANUP(err) struct err err = {0};
	int rc = root_of(p, &root, &err);

	if (rc == 0)
		rc = docker ? docker_list(source, &root, o, &list, &err)
			    : index_list(source, &root, o, &list, &err);
	must(rc == 0 || err.text != NULL);
}

static void read_toml(const char *text, size_t size)
{
	CLEANUP(free) char *copy = strndup(text, size);
	struct image_strings found = {0};

	must(copy != NULL);
	(void)toml_texts(copy, "storage.options", "additionalimagestores", &found);
	(void)toml_texts(copy, "storage", "graphroot", &found);
	strings_done(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char os[] = "linux", architecture[] = "s390x";
	const char *text = (const char *)data;
	CLEANUP(err) struct err err = {0};
	struct platform other = {0};
	struct image_options o = {0};

	if (size == 0)
		return 0;
	/* The first byte: how to look at the rest. */
	must(platform_copy(os, architecture, NULL, &other) == 0);
	o.strict = (*data & 1) != 0;
	o.platform = (*data & 2) != 0 ? &other : NULL;
	for (int docker = 0; docker < 2; docker++) {
		open_as(text + 1, size - 1, docker, &o);
		list_as(text + 1, size - 1, docker, &o);
		audit_as(text + 1, size - 1, docker, &o);
	}
	read_toml(text + 1, size - 1);
	platform_done(&other);
	return 0;
}
