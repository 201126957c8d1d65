/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker save's archives, which podman writes too: manifest.json is a list of images, each with the names of its
 * files. Three generations differ in those names only: ID/layer.tar, of which some are links to others;
 * blobs/sha256/HEX beside an OCI layout (Docker 25); the same with compressed layers (containerd's store).
 * go-containerregistry (crane, ko, kaniko) has names of its own: sha256:HEX, and HEX.tar.gz of compressed layers.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "image/source.h"

#define IMAGES_MAX 4096u
#define NAMED_MAX  20u

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The digest that the last part of PATH spells, with or without "sha256:" and an ending such as ".json". */
static void digest_of_path(const char *path, struct digest *ret)
{
	const char *base = last_part(path);
	char text[DIGEST_TEXT_MAX];
	size_t len;

	*ret = (struct digest){0};
	if (strncmp(base, "sha256:", 7) == 0)
		base += 7;
	len = strspn(base, "0123456789abcdef");
	if (len != 64 || (base[len] != '\0' && base[len] != '.'))
		return;
	snprintf(text, sizeof(text), "sha256:%.64s", base);
	(void)digest_parse(text, strlen(text), ret);
}

/*
 * The digest that the name of a layer's file says its bytes have. HEX.tar, as skopeo and podman call it, is the DiffID
 * once more, and HEX/layer.tar none.
 */
static void digest_of_layer(const char *path, struct digest *ret)
{
	const char *base = last_part(path);

	*ret = (struct digest){0};
	if (strncmp(path, "blobs/", 6) == 0 ||
	    strcmp(base + strspn(base, "0123456789abcdef"), ".tar.gz") == 0)
		digest_of_path(path, ret);
}

/* A name the list gives for a file; NULL with a sentence when it gives none. */
static const char *file_name(const json_t *value, const char *source, const char *what,
			     struct err *err)
{
	const char *name = json_string_value(value);

	if (name == NULL || *name == '\0') {
		err_set(err, EBADMSG, "%s: manifest.json names no file for %s", source, what);
		return NULL;
	}
	return name;
}

static int read_config(struct image_source *s, const json_t *entry, struct document *ret,
		       struct err *err)
{
	const char *name = file_name(json_object_get(entry, "Config"), s->name, "a configuration",
				     err);
	char is[DIGEST_TEXT_MAX];
	struct digest want;
	int rc;

	*ret = (struct document){0};
	if (name == NULL)
		return -EBADMSG;
	rc = source_file(s, name, ret, err);
	if (rc == -ENOENT)
		return err_set(err, ENOENT, "%s: the configuration %.200s is not there", s->name,
			       name);
	digest_of_path(name, &want);
	if (rc == 0 && want.alg != DIGEST_NONE && !digest_equal(&want, &ret->digest))
		rc = audit_forgive(s->audit,
				   err_set(err, EBADMSG,
					   "%s: the bytes of %.200s have the digest %s", s->name,
					   name, digest_format(&ret->digest, is)),
				   err);
	return rc;
}

static int take_layer(struct image *image, struct image_source *s, size_t i, const json_t *value,
		      const struct image_options *options, struct err *err)
{
	struct image_layer *l = &image->layers[i];
	const char *name = file_name(value, s->name, "a layer", err);
	struct blob *blob;
	int rc;

	if (name == NULL) {
		l->missing = l->unusable = true;
		return audit_forgive(options->audit, -EBADMSG, err);
	}
	digest_of_layer(name, &l->digest);
	rc = s->ops->open_file(s, name, &blob, err);
	l->missing = rc < 0;
	l->unusable = rc < 0 && rc != -ENOENT;
	if (rc < 0)
		return l->unusable ? audit_forgive(options->audit, rc, err) : 0;
	l->compression = COMPRESSION_UNKNOWN;
	return image_set_blob(image, i, blob, options, err);
}

static int take_layers(struct image *image, struct image_source *s, const json_t *entry,
		       const struct image_options *options, struct err *err)
{
	json_t *list = json_list(entry, "Layers");
	int rc = image_make_layers(image, json_array_size(list), err);

	for (size_t i = 0; rc == 0 && i < image->n_layers; i++) {
		rc = take_layer(image, s, i, json_array_get(list, i), options, err);
		if (rc == 0)
			rc = image_check_cancel(options, err);
	}
	return rc;
}

static int take_tag(struct image *image, const json_t *entry, struct err *err)
{
	const char *tag = json_string_value(json_array_get(json_list(entry, "RepoTags"), 0));

	if (tag == NULL)
		return 0;
	image->tag = strdup(tag);
	return image->tag != NULL ? 0 : err_errno(err, ENOMEM, "%s", image->name);
}

static int take_entry(struct image *image, struct image_source *s, const json_t *entry,
		      const struct image_options *options, struct err *err)
{
	CLEANUP(document) struct document config = {0};
	int rc = read_config(s, entry, &config, err);

	if (rc == 0)
		rc = image_take_config(image, &config, err);
	rc = audit_forgive(options->audit, rc, err);
	if (rc == 0)
		rc = take_tag(image, entry, err);
	if (rc == 0)
		rc = take_layers(image, s, entry, options, err);
	if (rc == 0 && image->config.raw != NULL)
		rc = audit_forgive(options->audit, image_tie(image, config.root, options, err),
				   err);
	/* As they are stored is as they were made. */
	for (size_t i = 0; rc == 0 && i < image->n_layers; i++)
		if (image->layers[i].digest.alg == DIGEST_NONE && !image->layers[i].missing &&
		    image->layers[i].compression == COMPRESSION_NONE)
			image->layers[i].digest = image->layers[i].diff_id;
	return rc;
}

/* ---- choosing ------------------------------------------------------------------------------ */

/* As it is written, or in full: of Docker's registry, or of this machine as podman's own images are. */
static bool is_tagged(const char *tag, const char *name, const char *full, const char *local)
{
	char *tag_full = NULL;
	bool same = strcmp(tag, name) == 0;

	if (!same && reference_complete(tag, &tag_full) == 0)
		same = (full != NULL && strcmp(tag_full, full) == 0) ||
		       (local != NULL && strcmp(tag_full, local) == 0);
	free(tag_full);
	return same;
}

static bool has_tag(const json_t *entry, const char *name)
{
	json_t *tags = json_list(entry, "RepoTags"), *tag;
	CLEANUP(free) char *full = NULL, *local = NULL, *local_full = NULL;
	bool found = false;
	size_t i;

	(void)reference_complete(name, &full);
	if (asprintf(&local, "localhost/%s", name) < 0)
		local = NULL;
	else
		(void)reference_complete(local, &local_full);
	json_array_foreach(tags, i, tag)
	{
		const char *text = json_string_value(tag);

		found = found || (text != NULL && is_tagged(text, name, full, local_full));
	}
	return found;
}

static bool is_chosen(const json_t *entry, size_t i, const struct image_choice *choice)
{
	const char *config = json_text(entry, "Config");
	struct digest id = {0};

	if (choice->name != NULL)
		return has_tag(entry, choice->name);
	if (choice->index >= 0)
		return (size_t)choice->index == i;
	if (choice->digest.alg == DIGEST_NONE)
		return true;
	if (config != NULL)
		digest_of_path(config, &id);
	return digest_equal(&id, &choice->digest);
}

static const char *describe(struct buf *b, const json_t *list)
{
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		const char *tag =
			json_string_value(json_array_get(json_list(entry, "RepoTags"), 0));

		if (i > 0)
			buf_put_str(b, ", ");
		if (i == NAMED_MAX) {
			buf_put_str(b, "...");
			break;
		}
		if (tag != NULL)
			buf_put_str(b, tag);
		else
			buf_printf(b, "@%zu", i);
	}
	return buf_cstr(b) != NULL ? buf_cstr(b) : "...";
}

#define RANK_NONE 1000 /* it does not serve */

/* Several that were chosen are one image for several platforms, or the choice is open. */
struct chosen {
	const json_t *entry; /* borrowed; the best so far */
	int rank;
	size_t count;
	bool open; /* another of the same rank and of another configuration */
};

static int consider(struct chosen *c, struct image_source *s, const json_t *entry,
		    const struct platform *want, struct err *err)
{
	CLEANUP(document) struct document config = {0};
	CLEANUP(platform) struct platform is = {0};
	int rc = read_config(s, entry, &config, err), rank;

	if (rc == 0)
		rc = platform_copy(json_text(config.root, "os"),
				   json_text(config.root, "architecture"),
				   json_text(config.root, "variant"), &is);
	if (rc < 0)
		return rc;
	rank = platform_rank(want, &is);
	rank = rank < 0 ? RANK_NONE : rank;
	if (c->entry != NULL && rank == c->rank) {
		const char *a = json_text(c->entry, "Config"), *b = json_text(entry, "Config");

		c->open = c->open || strcmp(a != NULL ? a : "", b != NULL ? b : "") != 0;
	}
	if (c->entry == NULL || rank < c->rank) {
		c->entry = entry;
		c->rank = rank;
		c->open = false;
	}
	return 0;
}

static int choose(struct image_source *s, const struct document *root,
		  const struct image_choice *choice, const struct image_options *options,
		  struct chosen *ret, struct err *err)
{
	CLEANUP(platform) struct platform host = {0};
	const struct platform *want = options->platform != NULL ? options->platform : &host;
	json_t *entry;
	size_t i;
	int rc = platform_of_host(&host);

	json_array_foreach(root->root, i, entry)
	{
		if (!is_chosen(entry, i, choice))
			continue;
		ret->count++;
		if (rc == 0)
			rc = audit_forgive(options->audit, consider(ret, s, entry, want, err), err);
	}
	return rc;
}

static int refuse(struct image_source *s, const struct document *root,
		  const struct image_choice *choice, struct err *err)
{
	CLEANUP(buf) struct buf b = {0};
	char digest[DIGEST_TEXT_MAX];

	if (choice->name != NULL)
		return err_set(err, ENOENT, "%s has no image named %s; it has: %s", s->name,
			       choice->name, describe(&b, root->root));
	if (choice->index >= 0)
		return err_set(err, ENOENT, "%s has no image at position %d; it has: %s", s->name,
			       choice->index, describe(&b, root->root));
	if (choice->digest.alg != DIGEST_NONE)
		return err_set(err, ENOENT, "%s has no image with the digest %s; it has: %s",
			       s->name, digest_format(&choice->digest, digest),
			       describe(&b, root->root));
	return err_set(err, ENOENT, "%s holds no image", s->name);
}

static int check_list(struct image_source *s, const struct document *root, struct err *err)
{
	if (!json_is_array(root->root))
		return err_set(err, EBADMSG, "%s: manifest.json is no list of images", s->name);
	if (json_array_size(root->root) > IMAGES_MAX)
		return err_set(err, E2BIG, "%s: manifest.json lists more than %u images", s->name,
			       IMAGES_MAX);
	return 0;
}

int docker_open(struct image *image, struct image_source *s, struct document *from,
		const struct image_choice *choice, const struct image_options *options,
		struct err *err)
{
	CLEANUP(document) struct document root = *from, index = {0};
	CLEANUP(buf) struct buf b = {0};
	struct chosen c = {0};
	int rc;

	*from = (struct document){0};
	rc = check_list(s, &root, err);
	if (rc == 0)
		rc = choose(s, &root, choice, options, &c, err);
	if (rc < 0)
		return rc;
	/* The list has one platform of an image, the index beside it may have more. */
	if ((c.count == 0 || (options->platform != NULL && c.rank == RANK_NONE)) &&
	    source_file(s, "index.json", &index, NULL) == 0)
		return index_open(image, s, &index, choice, options, err);
	if (c.count == 0)
		return refuse(s, &root, choice, err);
	if (c.open)
		return err_set(err, EINVAL,
			       "%s holds several images; add one of these after a colon: %s",
			       s->name, describe(&b, root.root));
	rc = take_entry(image, s, c.entry, options, err);
	return rc < 0 ? rc : image_check_platform(image, options, err);
}

/* ---- all of them --------------------------------------------------------------------------- */

static int audit_entry(const char *image_name, struct image_source *s, const json_t *entry,
		       bool alone, const struct image_options *options, struct err *err)
{
	CLEANUP(image) struct image *image = calloc(1, sizeof(*image));
	const char *config = json_text(entry, "Config");
	int rc;

	if (image == NULL || (image->name = strdup(image_name)) == NULL)
		return err_errno(err, ENOMEM, "%s", image_name);
	options->audit->begin(options->audit->arg, alone ? NULL : config);
	rc = take_entry(image, s, entry, options, err);
	if (rc < 0)
		return audit_forgive(options->audit, rc, err);
	/* That nobody has such an image is no fault of one. */
	if (image->config.raw != NULL)
		rc = image_check_platform(image, options, err);
	return rc < 0 ? rc : options->audit->image(options->audit->arg, image, err);
}

/* Entries of the same names are one image for several platforms. */
static size_t count_chosen(const json_t *list, const struct image_choice *choice, bool *ret_open)
{
	json_t *entry, *first = NULL;
	size_t i, n = 0;

	*ret_open = false;
	json_array_foreach(list, i, entry)
	{
		json_t *tags = json_list(entry, "RepoTags");

		if (!is_chosen(entry, i, choice))
			continue;
		if (n++ == 0)
			first = tags;
		else if (choice->name == NULL &&
			 (json_array_size(tags) == 0 || !json_equal(tags, first)))
			*ret_open = true;
	}
	return n;
}

/* The one for the platform that was asked for; INDEX as for audit_all(). */
static int audit_one(const char *image_name, struct image_source *s, const struct document *root,
		     struct document *index, const struct image_choice *choice,
		     const struct image_options *options, struct err *err)
{
	const struct image_audit *audit = s->audit;
	struct chosen c = {0};
	int rc;

	/* Who reads the chosen one tells what is wrong with it. */
	s->audit = &audit_silent;
	rc = choose(s, root, choice, options, &c, err);
	s->audit = audit;
	if (rc < 0)
		return rc;
	if ((c.entry == NULL || c.rank == RANK_NONE) && index->root != NULL)
		return index_audit(image_name, s, index, choice, options, err);
	/* What was wrong with all of them was told. */
	return c.entry != NULL ? audit_entry(image_name, s, c.entry, true, options, err) : 0;
}

/* All N that are chosen, and what INDEX, of which the root is NULL without one, has besides. */
static int audit_all(const char *image_name, struct image_source *s, const struct document *root,
		     const struct document *index, size_t n, const struct image_choice *choice,
		     const struct image_options *options, struct err *err)
{
	CLEANUP(free) struct digest *ids = calloc(n, sizeof(*ids));
	size_t i, k = 0;
	json_t *entry;
	int rc = 0;

	if (ids == NULL)
		return err_errno(err, ENOMEM, "%s", s->name);
	json_array_foreach(root->root, i, entry)
	{
		const char *config = json_text(entry, "Config");

		if (rc < 0 || k == n || !is_chosen(entry, i, choice))
			continue;
		if (config != NULL)
			digest_of_path(config, &ids[k]);
		k++;
		rc = audit_entry(image_name, s, entry, n == 1, options, err);
	}
	/* A position is one in the list, and an id one image's. */
	if (rc < 0 || index->root == NULL || choice->index >= 0 ||
	    choice->digest.alg != DIGEST_NONE)
		return rc;
	options->audit->begin(options->audit->arg, NULL);
	return index_audit_others(image_name, s, index, choice, options, ids, n, err);
}

int docker_audit(const char *image_name, struct image_source *s, struct document *from,
		 const struct image_choice *choice, const struct image_options *options,
		 struct err *err)
{
	CLEANUP(document) struct document root = *from, index = {0};
	CLEANUP(buf) struct buf b = {0};
	bool open;
	size_t n;
	int rc;

	*from = (struct document){0};
	rc = check_list(s, &root, err);
	if (rc < 0)
		return rc;
	n = count_chosen(root.root, choice, &open);
	if (open)
		return err_set(err, EINVAL,
			       "%s holds several images; add one of these after a colon: %s",
			       s->name, describe(&b, root.root));
	rc = source_file(s, "index.json", &index, err);
	if (rc < 0 && rc != -ENOENT)
		rc = audit_forgive(options->audit, rc, err);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (n == 0 && index.root != NULL)
		return index_audit(image_name, s, &index, choice, options, err);
	if (n == 0)
		return refuse(s, &root, choice, err);
	if (options->platform != NULL)
		return audit_one(image_name, s, &root, &index, choice, options, err);
	return audit_all(image_name, s, &root, &index, n, choice, options, err);
}

/* ---- lists --------------------------------------------------------------------------------- */

static int list_entry(struct image_source *s, const json_t *entry, struct image_item *item,
		      struct err *err)
{
	CLEANUP(document) struct document config = {0};
	json_t *tags = json_list(entry, "RepoTags"), *tag, *layers = json_list(entry, "Layers"),
	       *layer;
	CLEANUP(err) struct err why = {0};
	int rc = read_config(s, entry, &config, &why);
	size_t i;

	item->missing = rc == -ENOENT;
	if (rc < 0 && rc != -ENOENT)
		return err_set(err, -rc, "%s", err_text(&why));
	item->id = config.digest;
	item->n_layers = json_array_size(layers);
	json_array_foreach(tags, i, tag)
	{
		if (json_is_string(tag) && strings_add(&item->names, json_string_value(tag)) < 0)
			return err_errno(err, ENOMEM, "%s", s->name);
	}
	json_array_foreach(layers, i, layer)
	{
		CLEANUP(blob) struct blob *blob = NULL;
		const char *name = json_string_value(layer);

		if (name != NULL && s->ops->open_file(s, name, &blob, NULL) == 0)
			item->size += blob->size;
	}
	if (platform_copy(json_text(config.root, "os"), json_text(config.root, "architecture"),
			  json_text(config.root, "variant"), &item->platform) < 0)
		return err_errno(err, ENOMEM, "%s", s->name);
	return 0;
}

int docker_list(struct image_source *s, struct document *from, const struct image_options *options,
		struct image_list *ret_list, struct err *err)
{
	CLEANUP(document) struct document root = *from;
	json_t *entry;
	size_t i;
	int rc;

	*from = (struct document){0};
	rc = check_list(s, &root, err);
	if (rc < 0)
		return rc;
	json_array_foreach(root.root, i, entry)
	{
		struct image_item *item = list_add(ret_list);

		if (item == NULL)
			return err_errno(err, ENOMEM, "%s", s->name);
		rc = list_entry(s, entry, item, err);
		if (rc == 0)
			rc = image_check_cancel(options, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
