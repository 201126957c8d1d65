/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and listing: which kind of source a reference means, and what lies at a plain path. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "image/archive.h"
#include "image/libcrypto.h"
#include "image/source.h"

static const struct image_options no_options;

/* There is no image without digests: whoever cannot compute them is told so here, once for all that follows. */
static int parse(const char *ref, struct reference *ret_r, struct err *err)
{
	int rc = reference_parse(ref, ret_r, err);

	return rc < 0 ? rc : libcrypto_need(ref, err);
}

/*
 * Foreign texts get into sentences: names, media types, what a parser quotes. None may order the terminal
 * about. Control characters, of one byte or of two in UTF-8, become question marks.
 */
static void clean(struct err *err)
{
	if (err == NULL || err->text == NULL)
		return;
	for (char *p = err->text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p, next = (unsigned char)p[1];

		if (c < 0x20 || c == 0x7f)
			*p = '?';
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			p[0] = p[1] = '?';
	}
}

/* ---- plain paths --------------------------------------------------------------------------- */

static bool exists_in(const char *dir, const char *name)
{
	CLEANUP(fd) int fd = sys_openat(AT_FDCWD, dir, O_PATH | O_DIRECTORY, 0);
	struct stat st;

	return fd >= 0 && sys_fstatat(fd, name, &st, 0) == 0;
}

static int recognise_directory(struct reference *r, struct err *err)
{
	if (exists_in(r->path, "oci-layout"))
		r->transport = TRANSPORT_OCI;
	else if (exists_in(r->path, "manifest.json"))
		r->transport = TRANSPORT_DIR;
	else
		return err_set(err, EINVAL,
			       "%s is a directory without an image: it has neither oci-layout nor "
			       "manifest.json",
			       r->path);
	return 0;
}

/* An archive is DOCKER_ARCHIVE here, until its manifest.json turns out to be missing. */
static int recognise_file(struct reference *r, struct err *err)
{
	CLEANUP(blob) struct blob *blob = NULL;
	enum archive_look look;
	int rc = blob_open_file(AT_FDCWD, r->path, 0, &blob);

	if (rc == -EINVAL)
		return err_set(err, EINVAL, "%s is neither a regular file nor a directory",
			       r->path);
	if (rc < 0)
		return err_errno(err, -rc, "%s", r->path);
	rc = archive_look(blob, r->path, &look, err);
	if (rc < 0)
		return rc;
	if (look == ARCHIVE_NONE)
		return err_set(err, EBADMSG, "%s is neither an archive of images nor a layer's tar",
			       r->path);
	if (look == ARCHIVE_OF_IMAGES)
		r->transport = TRANSPORT_DOCKER_ARCHIVE;
	return 0;
}

/* Nothing at the path: perhaps a name of an image, or a transport that there is not. */
static int refuse_path(const struct reference *r, struct err *err)
{
	size_t word = strspn(r->text, "abcdefghijklmnopqrstuvwxyz-");
	char *full = NULL;
	int rc;

	if (word > 0 && r->text[word] == ':' && r->text[word + 1] != '\0')
		return err_set(
			err, ENOENT,
			"%s: no such file, and no transport '%.*s' (there are oci, oci-archive, "
			"docker-archive, dir, containers-storage and docker)",
			r->text, (int)word, r->text);
	if (r->text[0] == '/' || r->text[0] == '.' || reference_complete(r->text, &full) < 0)
		return err_errno(err, ENOENT, "%s", r->text);
	rc = err_set(
		err, ENOENT,
		"%s: no such file; containers-storage:%s is podman's image of that name, docker://%s "
		"the registry's",
		r->text, r->text, full);
	free(full);
	return rc;
}

/* Sets R's transport, unless it is a layer's tar, and splits PATH:NAME. */
static int recognise(struct reference *r, struct err *err)
{
	struct stat st;
	int rc = sys_fstatat(AT_FDCWD, r->path, &st, 0);

	if ((rc == -ENOENT || rc == -ENOTDIR) && strchr(r->path, ':') != NULL) {
		CLEANUP(err) struct err ignored = {0};

		if (reference_split_path(r, r->text, &ignored) < 0)
			return refuse_path(r, err);
		rc = sys_fstatat(AT_FDCWD, r->path, &st, 0);
	}
	if (rc == -ENOENT || rc == -ENOTDIR)
		return refuse_path(r, err);
	if (rc < 0)
		return err_errno(err, -rc, "%s", r->path);
	rc = S_ISDIR(st.st_mode) ? recognise_directory(r, err) : recognise_file(r, err);
	if (rc == 0 && r->transport == TRANSPORT_PATH &&
	    (r->choice.name != NULL || r->choice.index >= 0 || r->choice.digest.alg != DIGEST_NONE))
		return err_set(err, EINVAL,
			       "%s: %s is a layer's tar, which has no images to choose from",
			       r->text, r->path);
	return rc;
}

/* ---- sources ------------------------------------------------------------------------------- */

static int open_source(const struct reference *r, const struct image_options *options,
		       struct image_source **ret, struct err *err)
{
	switch (r->transport) {
	case TRANSPORT_OCI:
		return source_open_layout(r->path, ret, err);
	case TRANSPORT_DIR:
		return source_open_dir(r->path, ret, err);
	case TRANSPORT_OCI_ARCHIVE:
	case TRANSPORT_DOCKER_ARCHIVE:
		return source_open_archive(r->path, options, ret, err);
	case TRANSPORT_DOCKER:
		return source_open_registry(r, options, ret, err);
	case TRANSPORT_PATH:
	case TRANSPORT_STORAGE:
		break;
	}
	return err_set(err, EINVAL, "%s", r->text);
}

/*
 * The document at the top of S. A docker archive of which manifest.json is missing or lists nothing may
 * still be an OCI layout; R then says so.
 */
static int open_root(struct reference *r, struct image_source *s, struct document *ret,
		     struct err *err)
{
	bool docker = r->transport == TRANSPORT_DOCKER_ARCHIVE;
	const char *name = docker || r->transport == TRANSPORT_DIR ? "manifest.json" : "index.json";
	int rc;

	if (r->transport == TRANSPORT_DOCKER)
		return registry_root(s, r, ret, err);
	rc = source_file(s, name, ret, err);
	if (docker && (rc == -ENOENT ||
		       (rc == 0 && json_is_array(ret->root) && json_array_size(ret->root) == 0))) {
		struct document index = {0};

		if (source_file(s, "index.json", &index, err) == 0) {
			document_done(ret);
			*ret = index;
			r->transport = TRANSPORT_OCI_ARCHIVE;
			return 0;
		}
	}
	if (rc == -ENOENT)
		return err_set(err, ENOENT, "%s is no image for the transport %s: it has no %s",
			       s->name, transport_name(r->transport), name);
	return rc;
}

static int open_layer(struct image *image, const struct reference *r,
		      const struct image_options *options, struct err *err)
{
	struct blob *blob;
	int rc = image_make_layers(image, 1, err);

	if (rc == 0) {
		rc = blob_open_file(AT_FDCWD, r->path, 0, &blob);
		if (rc < 0)
			return err_errno(err, -rc, "%s", r->path);
	}
	return rc < 0 ? rc : image_set_blob(image, 0, blob, options, err);
}

static int open_from_source(struct image *image, struct reference *r,
			    const struct image_options *options, struct err *err)
{
	CLEANUP(document) struct document root = {0};
	int rc = open_source(r, options, &image->source, err);

	if (rc == 0)
		rc = open_root(r, image->source, &root, err);
	if (rc < 0)
		return rc;
	if (r->transport == TRANSPORT_DOCKER_ARCHIVE)
		return docker_open(image, image->source, &root, &r->choice, options, err);
	/* The registry has chosen by the name already. */
	if (r->transport == TRANSPORT_DOCKER)
		return index_open(image, image->source, &root, &(struct image_choice){.index = -1},
				  options, err);
	return index_open(image, image->source, &root, &r->choice, options, err);
}

static int open_reference(struct image *image, struct reference *r,
			  const struct image_options *options, struct err *err)
{
	int rc = r->transport == TRANSPORT_PATH ? recognise(r, err) : 0;

	if (rc < 0)
		return rc;
	if (r->transport == TRANSPORT_PATH)
		rc = open_layer(image, r, options, err);
	else if (r->transport == TRANSPORT_STORAGE)
		rc = storage_open(image, r, options, err);
	else
		rc = open_from_source(image, r, options, err);
	image->transport = r->transport;
	return rc;
}

int image_open(const char *ref, const struct image_options *options, struct image **ret_image,
	       struct err *err)
{
	CLEANUP(reference) struct reference r = {0};
	CLEANUP(image) struct image *image = NULL;
	int rc = parse(ref, &r, err);

	if (rc == 0) {
		image = calloc(1, sizeof(*image));
		if (image == NULL || (image->name = strdup(ref)) == NULL)
			rc = err_errno(err, ENOMEM, "%s", ref);
	}
	if (rc == 0)
		rc = open_reference(image, &r, options != NULL ? options : &no_options, err);
	if (rc == 0)
		*ret_image = steal_ptr(&image);
	else
		clean(err);
	return rc;
}

static int audit_source(const char *ref, struct reference *r, const struct image_options *options,
			struct err *err)
{
	const struct image_choice chosen_already = {.index = -1};
	CLEANUP(source) struct image_source *s = NULL;
	CLEANUP(document) struct document root = {0};
	int rc = open_source(r, options, &s, err);

	if (rc < 0)
		return rc;
	s->audit = options->audit;
	rc = open_root(r, s, &root, err);
	if (rc < 0)
		return rc;
	if (r->transport == TRANSPORT_DOCKER_ARCHIVE)
		return docker_audit(ref, s, &root, &r->choice, options, err);
	return index_audit(ref, s, &root,
			   r->transport == TRANSPORT_DOCKER ? &chosen_already : &r->choice, options,
			   err);
}

/* One image by its nature: a layer's tar, or podman's. */
static int audit_opened(const char *ref, struct reference *r, const struct image_options *options,
			struct err *err)
{
	CLEANUP(image) struct image *image = calloc(1, sizeof(*image));
	int rc;

	if (image == NULL || (image->name = strdup(ref)) == NULL)
		return err_errno(err, ENOMEM, "%s", ref);
	rc = open_reference(image, r, options, err);
	return rc < 0 ? rc : options->audit->image(options->audit->arg, image, err);
}

int image_audit(const char *ref, const struct image_options *from, const struct image_audit *audit,
		struct err *err)
{
	CLEANUP(reference) struct reference r = {0};
	struct image_options options = *from;
	int rc = parse(ref, &r, err);

	options.audit = audit;
	options.strict = false;
	if (rc == 0 && r.transport == TRANSPORT_PATH)
		rc = recognise(&r, err);
	if (rc == 0)
		rc = r.transport == TRANSPORT_PATH || r.transport == TRANSPORT_STORAGE
			     ? audit_opened(ref, &r, &options, err)
			     : audit_source(ref, &r, &options, err);
	if (rc < 0)
		clean(err);
	return rc;
}

int image_fetch(struct image *image, const struct image_options *options, struct err *err)
{
	int rc;

	if (image->source == NULL || image->source->ops->fetch == NULL)
		return 0;
	rc = image->source->ops->fetch(image->source, image,
				       options != NULL ? options : &no_options, err);
	if (rc < 0)
		clean(err);
	return rc;
}

/* ---- lists --------------------------------------------------------------------------------- */

static int list_layer(struct image_list *list, const struct reference *r, struct err *err)
{
	struct image_item *item = list_add(list);
	struct stat st;
	int rc = sys_fstatat(AT_FDCWD, r->path, &st, 0);

	if (item == NULL)
		rc = -ENOMEM;
	if (rc < 0)
		return err_errno(err, -rc, "%s", r->path);
	item->n_layers = 1;
	item->size = (uint64_t)st.st_size;
	return 0;
}

static int list_from_source(struct image_list *list, struct reference *r,
			    const struct image_options *options, struct err *err)
{
	CLEANUP(source) struct image_source *s = NULL;
	CLEANUP(document) struct document root = {0};
	int rc = open_source(r, options, &s, err);

	if (rc == 0)
		rc = open_root(r, s, &root, err);
	if (rc < 0)
		return rc;
	if (r->transport == TRANSPORT_DOCKER_ARCHIVE)
		return docker_list(s, &root, options, list, err);
	return index_list(s, &root, options, list, err);
}

int image_list(const char *ref, const struct image_options *options, struct image_list *ret_list,
	       struct err *err)
{
	CLEANUP(reference) struct reference r = {0};
	CLEANUP(image_list) struct image_list list = {0};
	int rc = parse(ref, &r, err);

	if (options == NULL)
		options = &no_options;
	if (rc == 0 && r.transport == TRANSPORT_PATH)
		rc = recognise(&r, err);
	if (rc == 0 && r.transport == TRANSPORT_PATH)
		rc = list_layer(&list, &r, err);
	else if (rc == 0 && r.transport == TRANSPORT_STORAGE)
		rc = storage_list(&r, options, &list, err);
	else if (rc == 0)
		rc = list_from_source(&list, &r, options, err);
	if (rc < 0) {
		clean(err);
		return rc;
	}
	*ret_list = list;
	list = (struct image_list){0};
	return 0;
}
