/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives of images: docker save's tars and OCI layouts in a tar. Only headers are read: the contents stay where they
 * are, and a layer is a slice of the archive.
 */
#include "image/archive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/decoded.h"
#include "image/scan.h"
#include "image/source.h"
#include "image/stream.h"
#include "image/unpack.h"

#define WINDOW_LOG_MAX	27 /* of zstd: 128 MiB */
#define MEMBERS_MAX	200000u
#define NAMES_MAX	(64u << 20) /* bytes of all names */
#define LINKS_MAX	8u
#define MEMBER_PATH_MAX 4096u

enum member_type { MEMBER_FILE, MEMBER_SYMLINK, MEMBER_HARDLINK, MEMBER_ODD };

struct member {
	char *path; /* owned; without "./", doubled or leading slashes */
	char *link; /* owned; of links: the target as stored */
	enum member_type type;
	size_t order;
	uint64_t off, size;
};

struct archive_index {
	struct blob *whole;	/* owns a ref */
	char *name;		/* owned */
	struct member *members; /* owned; by path, of equal ones the last in the archive first */
	size_t count, cap;
};

static void forget_members(struct archive_index *a)
{
	for (size_t i = 0; i < a->count; i++) {
		free(a->members[i].path);
		free(a->members[i].link);
	}
	free(a->members);
	a->members = NULL;
	a->count = a->cap = 0;
}

void archive_index_free(struct archive_index *a)
{
	if (a == NULL)
		return;
	forget_members(a);
	free(a->name);
	blob_unref(a->whole);
	free(a);
}

/*
 * Appends PATH's parts to OUT, which holds LEN bytes: no ".", no empty part, ".." goes back. -EXDEV when it leaves
 * the top, -ENAMETOOLONG. Returns the new length.
 */
static int append_path(char out[static MEMBER_PATH_MAX], int len, const char *path)
{
	while (*path != '\0') {
		size_t part = strcspn(path, "/");

		if (part == 2 && memcmp(path, "..", 2) == 0) {
			if (len == 0)
				return -EXDEV;
			while (len > 0 && out[--len] != '/')
				;
		} else if (part > 0 && !(part == 1 && path[0] == '.')) {
			if ((size_t)len + part + 2 > MEMBER_PATH_MAX)
				return -ENAMETOOLONG;
			if (len > 0)
				out[len++] = '/';
			memcpy(out + len, path, part);
			len += (int)part;
		}
		path += part;
		path += *path == '/';
	}
	out[len] = '\0';
	return len;
}

static enum member_type type_of(const struct tar_member *m)
{
	if (m->type == TAR_HARDLINK)
		return MEMBER_HARDLINK;
	if (m->type == TAR_SYMLINK)
		return MEMBER_SYMLINK;
	/* A sparse member's bytes do not lie there in one piece. */
	return m->type == TAR_FILE && !m->sparse ? MEMBER_FILE : MEMBER_ODD;
}

static int grow(struct archive_index *a)
{
	size_t cap = a->cap > 0 ? 2 * a->cap : 64;
	struct member *list = reallocarray(a->members, cap, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	a->members = list;
	a->cap = cap;
	return 0;
}

/* What reading the headers needs to know. */
struct reading {
	struct archive_index *index;
	const struct image_options *options;
	struct points points; /* of a compressed archive */
};

static int add_member(void *arg, const struct tar_member *t)
{
	const struct reading *r = arg;
	struct archive_index *a = r->index;
	char plain[MEMBER_PATH_MAX];
	struct member *m;

	if (image_check_cancel(r->options, NULL) < 0)
		return -ECANCELED;
	/* A name that cannot be one of an image's files cannot be asked for either. */
	if (append_path(plain, 0, t->path) <= 0)
		return 0;
	if (a->count == a->cap && grow(a) < 0)
		return -ENOMEM;
	m = &a->members[a->count];
	*m = (struct member){
		.path = strdup(plain),
		.link = strdup(t->link),
		.type = type_of(t),
		.order = a->count,
		.off = t->data_off,
		.size = t->size,
	};
	a->count++;
	return m->path != NULL && m->link != NULL ? 0 : -ENOMEM;
}

static int compare(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	if (order != 0)
		return order;
	return x->order < y->order ? 1 : -1;
}

static const struct tar_limits limits = {
	.members = MEMBERS_MAX, .name_bytes = NAMES_MAX, .xattr_bytes = NAMES_MAX};

/* WHY is of somebody who does not know the archive's name. */
static int refuse(const struct archive_index *a, const struct image_options *options, int rc,
		  const struct err *why, struct err *err)
{
	if (rc == -ECANCELED)
		return image_check_cancel(options, err);
	return why->text != NULL ? err_set(err, -rc, "%s: %s", a->name, why->text)
				 : err_errno(err, -rc, "%s", a->name);
}

/* A tar as it is. */
static int read_plain(struct archive_index *a, struct blob *tar,
		      const struct image_options *options, struct err *err)
{
	struct reading reading = {.index = a, .options = options};
	const struct tar_sink sink = {.member = add_member, .arg = &reading};
	CLEANUP(err) struct err why = {0};
	int rc = tar_list(tar, &limits, &sink, &why);

	if (rc < 0)
		return refuse(a, options, rc, &why, err);
	a->whole = blob_ref(tar);
	return 0;
}

static int add_point(void *arg, const struct point *p)
{
	struct reading *r = arg;

	return image_check_cancel(r->options, NULL) < 0 ? -ECANCELED : points_add(&r->points, p);
}

static void show_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct image_options *o = ((struct reading *)arg)->options;

	if (o->progress != NULL)
		o->progress(o->progress_arg, "reading the archive", done, total);
}

static int read_unpacked(struct archive_index *a, struct blob *file, enum compression c,
			 const struct image_options *options, struct err *err)
{
	CLEANUP(blob) struct blob *tar = NULL;
	int rc = unpack_to_file(file, c, a->name, options, &tar, err);

	forget_members(a);
	return rc < 0 ? rc : read_plain(a, tar, options, err);
}

static int read_compressed(struct archive_index *a, struct blob *file, enum compression c,
			   const struct image_options *options, struct err *err)
{
	struct reading reading = {.index = a, .options = options};
	const struct scan_options how = {
		.tar = limits, .progress = show_progress, .progress_arg = &reading};
	const struct scan_sink sink = {
		.tar = {.member = add_member, .arg = &reading},
		.point = add_point,
		.point_arg = &reading,
	};
	CLEANUP(err) struct err why = {0};
	struct scan_result result;
	int rc = scan_layer(file, &how, &sink, &result, &why);

	if (rc < 0) {
		points_done(&reading.points);
		return refuse(a, options, rc, &why, err);
	}
	if (result.max_span <= SPAN_MAX)
		rc = decoded_open(file, c, &reading.points, result.size, &a->whole);
	points_done(&reading.points);
	if (result.max_span > SPAN_MAX)
		return read_unpacked(a, file, c, options, err);
	return rc < 0 ? err_errno(err, -rc, "%s", a->name) : 0;
}

int archive_index_read(struct blob *file, const char *name, const struct image_options *options,
		       struct archive_index **ret, struct err *err)
{
	CLEANUP(archive_index) struct archive_index *a = calloc(1, sizeof(*a));
	enum compression c;
	int rc;

	if (a == NULL || (a->name = strdup(name)) == NULL)
		return err_errno(err, ENOMEM, "%s", name);
	rc = compression_detect(file, &c);
	if (rc < 0)
		return err_errno(err, -rc, "%s", name);
	if (c == COMPRESSION_UNKNOWN)
		return err_set(err, EBADMSG, "%s is no tar archive", name);
	rc = c == COMPRESSION_NONE ? read_plain(a, file, options, err)
				   : read_compressed(a, file, c, options, err);
	if (rc < 0)
		return rc;
	if (a->count > 0)
		qsort(a->members, a->count, sizeof(*a->members), compare);
	*ret = steal_ptr(&a);
	return 0;
}

static const struct member *find(const struct archive_index *a, const char *path)
{
	size_t from = 0, to = a->count;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (strcmp(a->members[mid].path, path) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from < a->count && strcmp(a->members[from].path, path) == 0 ? &a->members[from]
									   : NULL;
}

/* Replaces PATH by what the link M, which is at PATH, leads to. */
static int follow(const struct archive_index *a, const struct member *m,
		  char path[static MEMBER_PATH_MAX], struct err *err)
{
	char *slash = strrchr(path, '/');
	int len = 0;

	if (m->type == MEMBER_SYMLINK && m->link[0] != '/' && slash != NULL)
		len = (int)(slash - path);
	len = append_path(path, len, m->link);
	if (len < 0)
		return err_set(err, -len, "%s: the link %s leads out of the archive: %.200s",
			       a->name, m->path, m->link);
	return 0;
}

int archive_index_open(struct archive_index *a, const char *name, struct blob **ret,
		       struct err *err)
{
	char path[MEMBER_PATH_MAX];
	const struct member *m;
	int rc = append_path(path, 0, name);

	if (rc < 0)
		return err_set(err, -rc, "%s: a name that leads out of the archive: %.200s",
			       a->name, name);
	for (unsigned int links = 0;; links++) {
		m = find(a, path);
		if (m == NULL)
			return -ENOENT;
		if (m->type != MEMBER_SYMLINK && m->type != MEMBER_HARDLINK)
			break;
		if (links == LINKS_MAX)
			return err_set(err, ELOOP, "%s: more than %u links lead on from %.200s",
				       a->name, LINKS_MAX, name);
		rc = follow(a, m, path, err);
		if (rc < 0)
			return rc;
	}
	if (m->type != MEMBER_FILE)
		return err_set(err, EBADMSG, "%s: %s is no plain file", a->name, m->path);
	rc = blob_slice(a->whole, m->off, m->size, ret);
	if (rc == -ERANGE)
		return err_set(err, EBADMSG, "%s ends before %s does: it was cut off", a->name,
			       m->path);
	return rc < 0 ? err_errno(err, -rc, "%s: %s", a->name, m->path) : 0;
}

/* ---- the first look ------------------------------------------------------------------------ */

/* The names that all writers of archives of images use at the top; "sha256:HEX" is go-containerregistry's. */
static bool is_of_images(const char *name, enum tar_type type)
{
	static const char *const known[] = {"index.json", "manifest.json", "oci-layout",
					    "repositories", "blobs"};
	struct digest d;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(name, known[i]) == 0)
			return true;
	return strncmp(name, "blobs/sha", 9) == 0 || strspn(name, "0123456789abcdef") >= 64 ||
	       (type == TAR_FILE && digest_parse(name, strlen(name), &d) == 0);
}

static int look_at(void *arg, const struct tar_member *t)
{
	enum archive_look *look = arg;
	char plain[MEMBER_PATH_MAX];
	int len = append_path(plain, 0, t->path);

	*look = ARCHIVE_LAYER;
	/* "./" says nothing: tar of a directory begins with it. */
	if (len == 0)
		return 0;
	if (len > 0 && is_of_images(plain, t->type))
		*look = ARCHIVE_OF_IMAGES;
	return -ECANCELED;
}

/* Feeds the parser until it has seen a member with a name. */
static int look_into(struct stream *s, const struct tar_sink *sink, struct err *err)
{
	CLEANUP(tar_parser) struct tar_parser *p = NULL;
	struct stream_piece piece = {0};
	int rc = tar_parser_new(NULL, sink, &p);

	while (rc == 0 && !piece.end) {
		rc = stream_next(s, &piece, err);
		if (rc == 0)
			rc = tar_parser_feed(p, piece.data, piece.len, err);
	}
	return rc;
}

int archive_look(struct blob *blob, const char *name, enum archive_look *ret, struct err *err)
{
	const struct stream_options how = {.span = UINT64_MAX, .window_log = WINDOW_LOG_MAX};
	const struct tar_sink sink = {.member = look_at, .arg = ret};
	CLEANUP(stream) struct stream *s = NULL;
	CLEANUP(err) struct err why = {0};
	enum compression c;
	int rc = compression_detect(blob, &c);

	if (rc < 0)
		return err_errno(err, -rc, "%s", name);
	*ret = ARCHIVE_NONE;
	if (c == COMPRESSION_UNKNOWN)
		return 0;
	*ret = ARCHIVE_LAYER;
	if (c == COMPRESSION_NONE)
		rc = tar_list(blob, NULL, &sink, &why);
	else
		rc = stream_open(blob, c, &how, &s, &why);
	if (rc == 0 && s != NULL)
		rc = look_into(s, &sink, &why);
	if (rc == 0 || rc == -ECANCELED)
		return 0;
	return err_set(err, -rc, "%s: %s", name, err_text(&why));
}
