/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containers-storage: images that podman, buildah and CRI-O keep. Their layers are unpacked already: each is
 * a directory with whiteouts, which is mounted as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "image/store.h"

#define ID_PREFIX_MIN 3u

/* ---- finding an image ----------------------------------------------------------------------- */

struct found {
	const json_t *image; /* borrowed */
	const struct store *store;
};

static bool has_name(const json_t *image, const char *name)
{
	json_t *names = json_list(image, "names"), *one;
	size_t i;

	json_array_foreach(names, i, one)
	{
		const char *text = json_string_value(one);

		if (text != NULL && strcmp(text, name) == 0)
			return true;
	}
	return false;
}

static struct found find_named(const struct stores *s, const char *name)
{
	for (size_t i = 0; name != NULL && i < s->count; i++) {
		json_t *image;
		size_t at;

		json_array_foreach(s->list[i].images, at, image)
		{
			if (has_name(image, name))
				return (struct found){image, &s->list[i]};
		}
	}
	return (struct found){0};
}

/* The repository's name and the manifest's digest. */
static bool has_digest(const json_t *image, const char *name)
{
	const char *at = strchr(name, '@'), *is = json_text(image, "digest");
	json_t *names = json_list(image, "names"), *one;
	size_t i;

	if (at == NULL || is == NULL || strcmp(is, at + 1) != 0)
		return false;
	json_array_foreach(names, i, one)
	{
		const char *text = json_string_value(one);
		size_t len = (size_t)(at - name);

		if (text != NULL && strncmp(text, name, len) == 0 &&
		    strchr(":@", text[len]) != NULL)
			return true;
	}
	return false;
}

static struct found find_digest(const struct stores *s, const char *name)
{
	for (size_t i = 0; name != NULL && i < s->count; i++) {
		json_t *image;
		size_t at;

		json_array_foreach(s->list[i].images, at, image)
		{
			if (has_digest(image, name))
				return (struct found){image, &s->list[i]};
		}
	}
	return (struct found){0};
}

/* An id, or the beginning of one. *RET_MANY is set when it is the beginning of several. */
static struct found find_id(const struct stores *s, const char *id, bool *ret_many)
{
	struct found found = {0};
	size_t len = strlen(id);

	if (len < ID_PREFIX_MIN || strspn(id, "0123456789abcdef") != len)
		return found;
	for (size_t i = 0; i < s->count; i++) {
		json_t *image;
		size_t at;

		json_array_foreach(s->list[i].images, at, image)
		{
			const char *is = json_text(image, "id");

			if (is == NULL || strncmp(is, id, len) != 0)
				continue;
			if (found.image != NULL && strcmp(json_text(found.image, "id"), is) != 0)
				*ret_many = true;
			else if (found.image == NULL)
				found = (struct found){image, &s->list[i]};
		}
	}
	return found;
}

/* As podman looks: the name as it is, completed, of this machine, an id. */
static int find_image(const struct stores *s, const char *name, struct found *ret, struct err *err)
{
	CLEANUP(free) char *full = NULL, *local = NULL, *local_full = NULL;
	const char *id = *name == '@'			    ? name + 1
			 : strncmp(name, "sha256:", 7) == 0 ? name + 7
							    : name;
	bool many = false;

	(void)reference_complete(name, &full);
	if (asprintf(&local, "localhost/%s", name) < 0) {
		local = NULL;
		return err_errno(err, ENOMEM, "%s", name);
	}
	(void)reference_complete(local, &local_full);
	*ret = find_named(s, name);
	if (ret->image == NULL)
		*ret = find_named(s, local_full);
	if (ret->image == NULL)
		*ret = find_named(s, full);
	if (ret->image == NULL)
		*ret = find_digest(s, full);
	if (ret->image == NULL)
		*ret = find_id(s, id, &many);
	if (many)
		return err_set(err, EINVAL, "%s: several images have ids that begin so", name);
	if (ret->image == NULL)
		return err_set(err, ENOENT,
			       "%s: no such image in %s; plyfs image ls containers-storage: "
			       "lists them",
			       name, s->list[0].root);
	return store_is_id(json_text(ret->image, "id"))
		       ? 0
		       : err_set(err, EBADMSG, "%s: the id of image %s is none", s->list[0].root,
				 name);
}

/* ---- an image's documents ------------------------------------------------------------------- */

/* Names with anything but small letters, digits and dots are kept in base 64. */
static char *data_name(const char *key)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(key), out = 0;
	char *name;

	if (strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789.") == len)
		return strdup(key);
	name = malloc(len / 3 * 4 + 6);
	if (name == NULL)
		return NULL;
	name[out++] = '=';
	for (size_t i = 0; i < len; i += 3) {
		unsigned int n = (unsigned int)(len - i < 3 ? len - i : 3);
		unsigned int v = (unsigned int)(unsigned char)key[i] << 16;

		v |= n > 1 ? (unsigned int)(unsigned char)key[i + 1] << 8 : 0;
		v |= n > 2 ? (unsigned char)key[i + 2] : 0;
		for (unsigned int k = 0; k < 4; k++)
			name[out++] = k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
	}
	name[out] = '\0';
	return name;
}

static int read_data(const struct found *f, const char *key, const struct descriptor *want,
		     struct document *ret, struct err *err)
{
	CLEANUP(free) char *name = data_name(key), *path = NULL, *bytes = NULL;
	CLEANUP(blob) struct blob *blob = NULL;
	size_t len;
	int rc;

	*ret = (struct document){0};
	if (name == NULL || asprintf(&path, "%s/overlay-images/%s/%s", f->store->root,
				     json_text(f->image, "id"), name) < 0) {
		path = NULL;
		return err_errno(err, ENOMEM, "%s", key);
	}
	rc = strchr(name, '/') == NULL ? blob_open_file(AT_FDCWD, path, 0, &blob) : -EINVAL;
	if (rc < 0)
		return err_errno(err, -rc, "%s", path);
	rc = source_read_all(blob, JSON_LIMITS_DOCUMENT.bytes, path, &bytes, &len, err);
	return rc < 0 ? rc
		      : document_make(steal_ptr(&bytes), len, want, f->store->root, key, ret, err);
}

static int take_documents(struct image *image, const struct found *f, struct document *config,
			  const struct image_options *options, struct err *err)
{
	CLEANUP(document) struct document manifest = {0};
	CLEANUP(descriptor) struct descriptor d = {0};
	const char *type_text,
		*name = json_string_value(json_array_get(json_list(f->image, "names"), 0));
	char digest[DIGEST_TEXT_MAX];
	enum document_type type;
	int rc = read_data(f, "manifest", NULL, &manifest, err);

	if (rc == 0)
		rc = document_classify(&manifest, DOCUMENT_UNSAID, image->name, &type, err);
	if (rc == 0 && type == DOCUMENT_INDEX)
		rc = err_set(err, ENOTSUP,
			     "%s is a list of images for several platforms, not an image",
			     image->name);
	if (rc == 0 && type != DOCUMENT_MANIFEST)
		rc = err_set(err, ENOTSUP, "%s: its manifest is of a kind that is not read",
			     image->name);
	if (rc == 0) {
		audit_document(options->audit, AUDIT_MANIFEST, &manifest);
		rc = descriptor_read(json_object_get(manifest.root, "config"), manifest.name, &d,
				     err);
	}
	if (rc == 0)
		rc = read_data(f, digest_format(&d.digest, digest), &d, config, err);
	if (rc < 0)
		return rc;
	type_text = json_text(manifest.root, "mediaType");
	image->manifest = manifest.digest;
	image->manifest_type = strdup(
		type_text != NULL ? type_text : "application/vnd.oci.image.manifest.v1+json");
	image->tag = name != NULL ? strdup(name) : NULL;
	if (image->manifest_type == NULL || (name != NULL && image->tag == NULL))
		return err_errno(err, ENOMEM, "%s", image->name);
	rc = image_take_config(image, config, err);
	return rc < 0 ? rc : image_check_platform(image, options, err);
}

/* ---- its layers ----------------------------------------------------------------------------- */

static int open_diff(struct image *image, struct image_layer *l, const struct store *store,
		     const char *id, struct err *err)
{
	CLEANUP(free) char *composefs = NULL;
	struct stat st;

	if (asprintf(&l->dir, "%s/overlay/%s/diff", store->root, id) < 0) {
		l->dir = NULL;
		return err_errno(err, ENOMEM, "%s", image->name);
	}
	if (asprintf(&composefs, "%s/overlay/%s/composefs-data", store->root, id) < 0) {
		composefs = NULL;
		return err_errno(err, ENOMEM, "%s", image->name);
	}
	if (sys_fstatat(AT_FDCWD, composefs, &st, 0) == 0)
		return err_set(err, ENOTSUP,
			       "%s: a layer is kept in composefs' form, which is not read",
			       image->name);
	l->dir_fd = sys_openat(AT_FDCWD, l->dir, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (l->dir_fd < 0)
		return err_errno(err, -l->dir_fd, "%s: a layer's directory %s cannot be opened",
				 image->name, l->dir);
	return 0;
}

static void take_record(struct image_layer *l, const json_t *record, struct digest *ret_diff)
{
	const char *digest = json_text(record, "compressed-diff-digest");
	const char *diff = json_text(record, "diff-digest");

	*ret_diff = (struct digest){0};
	if (digest != NULL)
		(void)digest_parse(digest, strlen(digest), &l->digest);
	if (diff != NULL)
		(void)digest_parse(diff, strlen(diff), ret_diff);
	(void)json_size_of(record, "diff-size", &l->size);
	l->compression = COMPRESSION_NONE;
}

/* From the top, which the image's record names, down; DIFFS are the store's own DiffIDs. */
static int take_layers(struct image *image, const struct found *f, const struct stores *s,
		       struct digest *diffs, struct err *err)
{
	const char *id = json_text(f->image, "layer");

	for (size_t i = image->n_layers; i-- > 0;) {
		const struct store *store = NULL;
		const json_t *record = NULL;
		int rc;

		if (store_is_id(id))
			record = stores_layer(s, id, &store);
		if (record == NULL)
			return err_set(err, ENOENT, "%s: layer %zu is not in the store: %.80s",
				       image->name, i + 1,
				       id != NULL && *id != '\0' ? id : "(no id)");
		rc = open_diff(image, &image->layers[i], store, id, err);
		if (rc < 0)
			return rc;
		take_record(&image->layers[i], record, &diffs[i]);
		id = json_text(record, "parent");
	}
	if (id != NULL && *id != '\0' && image->n_layers > 0)
		return err_set(err, EBADMSG, "%s: the store has more layers than the configuration",
			       image->name);
	return 0;
}

static int compare_diffs(struct image *image, const struct digest *diffs,
			 const struct image_options *options, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < image->n_layers; i++)
		if (diffs[i].alg != DIGEST_NONE &&
		    !digest_equal(&diffs[i], &image->layers[i].diff_id))
			rc = image_warn(image, options, err,
					"%s: the store has another DiffID for layer %zu than the "
					"configuration",
					image->name, i + 1);
	return rc;
}

int storage_open(struct image *image, const struct reference *r,
		 const struct image_options *options, struct err *err)
{
	CLEANUP(stores) struct stores s = {0};
	CLEANUP(document) struct document config = {0};
	CLEANUP(free) struct digest *diffs = NULL;
	struct found f;
	int rc;

	if (r->choice.name == NULL)
		return err_set(err, EINVAL, "%s names no image; plyfs image ls %s lists them",
			       r->text, r->text);
	rc = stores_open(r->path, &s, err);
	if (rc == 0)
		rc = find_image(&s, r->choice.name, &f, err);
	if (rc == 0)
		rc = take_documents(image, &f, &config, options, err);
	if (rc == 0)
		rc = image_make_layers(
			image,
			json_array_size(json_list(json_map(config.root, "rootfs"), "diff_ids")),
			err);
	if (rc < 0)
		return rc;
	diffs = calloc(image->n_layers + 1, sizeof(*diffs));
	if (diffs == NULL)
		return err_errno(err, ENOMEM, "%s", image->name);
	rc = take_layers(image, &f, &s, diffs, err);
	if (rc == 0)
		rc = image_tie(image, config.root, options, err);
	return rc < 0 ? rc : compare_diffs(image, diffs, options, err);
}

/* ---- lists ---------------------------------------------------------------------------------- */

static int list_one(struct image_list *list, const struct stores *s, const struct found *f,
		    struct err *err)
{
	struct image_item *item = list_add(list);
	CLEANUP(document) struct document manifest = {0}, config = {0};
	CLEANUP(descriptor) struct descriptor d = {0};
	json_t *names = json_list(f->image, "names"), *name, *layers, *layer;
	char digest[DIGEST_TEXT_MAX];
	uint64_t size;
	size_t i;

	if (item == NULL)
		return err_errno(err, ENOMEM, "%s", s->list[0].root);
	json_array_foreach(names, i, name)
	{
		if (json_is_string(name) && strings_add(&item->names, json_string_value(name)) < 0)
			return err_errno(err, ENOMEM, "%s", s->list[0].root);
	}
	item->missing = true;
	if (!store_is_id(json_text(f->image, "id")) ||
	    read_data(f, "manifest", NULL, &manifest, NULL) < 0)
		return 0;
	item->manifest = manifest.digest;
	if (descriptor_read(json_object_get(manifest.root, "config"), "", &d, NULL) < 0)
		return 0;
	item->id = d.digest;
	layers = json_list(manifest.root, "layers");
	item->n_layers = json_array_size(layers);
	json_array_foreach(layers, i, layer)
	{
		if (json_size_of(layer, "size", &size) == 0)
			item->size += size;
	}
	if (read_data(f, digest_format(&d.digest, digest), &d, &config, NULL) < 0)
		return 0;
	item->missing = false;
	if (platform_copy(json_text(config.root, "os"), json_text(config.root, "architecture"),
			  json_text(config.root, "variant"), &item->platform) < 0)
		return err_errno(err, ENOMEM, "%s", s->list[0].root);
	return 0;
}

int storage_list(const struct reference *r, const struct image_options *options,
		 struct image_list *ret_list, struct err *err)
{
	CLEANUP(stores) struct stores s = {0};
	int rc = stores_open(r->path, &s, err);

	for (size_t i = 0; rc == 0 && i < s.count; i++) {
		json_t *image;
		size_t at;

		json_array_foreach(s.list[i].images, at, image)
		{
			const struct found f = {image, &s.list[i]};

			rc = list_one(ret_list, &s, &f, err);
			if (rc == 0)
				rc = image_check_cancel(options, err);
			if (rc < 0)
				break;
		}
	}
	return rc;
}
