/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/audit: all images of a source are told of, once, and all that is wrong with them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "image/audit.h"
#include "unit/image/layout.h"
#include "unit/image/tarball.h"

#define NAMED(name)	   ", \"annotations\": {\"org.opencontainers.image.ref.name\": \"" name "\"}"
#define PLATFORM(os, arch) ", \"platform\": {\"os\": \"" os "\", \"architecture\": \"" arch "\"}"

/* ---- what is told ---- */

struct told {
	char platform[200]; /* of whom it is, as begin() said; "" of all */
	FILE *out;
	char *text; /* a line each */
	size_t len;
	int rc;
	struct err err;
};

static void told_done(struct told *t)
{
	free(t->text);
	err_done(&t->err);
}
DEFINE_CLEANUP(struct told, told, told_done)

static void on_begin(void *arg, const char *platform)
{
	struct told *t = arg;

	snprintf(t->platform, sizeof(t->platform), "%s", platform != NULL ? platform : "");
}

static void on_fault(void *arg, const char *text)
{
	struct told *t = arg;

	fprintf(t->out, "fault %s: %s\n", t->platform, text);
}

static void on_document(void *arg, enum audit_document what, const char *name, json_t *root)
{
	(void)arg;
	(void)what;
	(void)name;
	cr_assert_not_null(root);
}

static void on_absent(void *arg, const char *platform)
{
	struct told *t = arg;

	fprintf(t->out, "absent %s\n", platform);
}

/* The command of these tests' images is their name. */
static int on_image(void *arg, struct image *image, struct err *err)
{
	struct told *t = arg;
	size_t missing = 0;

	(void)err;
	for (size_t i = 0; i < image->n_layers; i++)
		missing += image->layers[i].missing;
	fprintf(t->out, "image %s: %s, %zu layers, %zu missing\n", t->platform,
		image->config.cmd.count > 0 ? image->config.cmd.list[0] : "-", image->n_layers,
		missing);
	return 0;
}

static void audit(const char *ref, const char *platform, struct told *ret_t)
{
	CLEANUP(platform) struct platform p = {0};
	struct image_options o = {0};
	const struct image_audit audit = {
		.arg = ret_t,
		.begin = on_begin,
		.fault = on_fault,
		.document = on_document,
		.absent = on_absent,
		.image = on_image,
	};
	size_t fds = count_fds();

	*ret_t = (struct told){0};
	ret_t->out = open_memstream(&ret_t->text, &ret_t->len);
	cr_assert_not_null(ret_t->out);
	if (platform != NULL) {
		cr_assert_eq(platform_parse(platform, &p, NULL), 0);
		o.platform = &p;
	}
	ret_t->rc = image_audit(ref, &o, &audit, &ret_t->err);
	fclose(ret_t->out);
	cr_assert_eq(ret_t->rc < 0, ret_t->err.code != 0);
	cr_assert_eq(count_fds(), fds);
}

/* All that is told are these lines. */
static void tells(const char *ref, const char *platform, const char *lines)
{
	CLEANUP(told) struct told t;

	audit(ref, platform, &t);
	cr_assert_eq(t.rc, 0, "%s: %s", ref, err_text(&t.err));
	cr_assert_str_eq(t.text, lines);
}

/* One fault, of PLATFORM's image, with TEXT; what else is told is BEHIND. */
static void finds(const char *ref, const char *wanted, const char *platform, const char *text,
		  const char *behind)
{
	CLEANUP(told) struct told t;
	char begin[300];
	const char *end;

	audit(ref, wanted, &t);
	cr_assert_eq(t.rc, 0, "%s: %s", ref, err_text(&t.err));
	snprintf(begin, sizeof(begin), "fault %s: ", platform);
	cr_assert_eq(strncmp(t.text, begin, strlen(begin)), 0, "%s", t.text);
	end = strchr(t.text, '\n');
	cr_assert_not_null(end);
	cr_assert_not_null(memmem(t.text, (size_t)(end - t.text), text, strlen(text)), "%s",
			   t.text);
	cr_assert_str_eq(end + 1, behind);
}

/* It cannot be audited, and nothing is told. */
static void fails(const char *ref, const char *platform, int code, const char *text)
{
	CLEANUP(told) struct told t;

	audit(ref, platform, &t);
	cr_assert_eq(t.rc, -code, "%s: %d: %s%s", ref, t.rc, err_text(&t.err), t.text);
	cr_assert_not_null(strstr(err_text(&t.err), text), "%s", err_text(&t.err));
	cr_assert_str_eq(t.text, "");
}

/* ---- layouts ---- */

struct made {
	struct layout l;
	char ref[600];
};

static void make(struct made *ret_m)
{
	layout_make(&ret_m->l);
	snprintf(ret_m->ref, sizeof(ret_m->ref), "oci:%s", ret_m->l.dir.path);
}

static void made_done(struct made *m)
{
	layout_done(&m->l);
}
DEFINE_CLEANUP(struct made, made, made_done)

/* The file of the blob that DESCRIPTOR is of. */
static void path_of(const char *descriptor, char ret[static 200])
{
	const char *hex = strstr(descriptor, "sha256:");

	cr_assert_not_null(hex);
	snprintf(ret, 200, "blobs/sha256/%.64s", hex + 7);
}

static void remove_blob(const struct made *m, const char *descriptor)
{
	char path[200];

	path_of(descriptor, path);
	cr_assert_eq(unlinkat(m->l.dir.fd, path, 0), 0);
}

/* The blob's meaning stays, its digest does not. */
static void spoil(const struct made *m, const char *descriptor)
{
	char path[200];
	FILE *f;
	int fd;

	path_of(descriptor, path);
	fd = openat(m->l.dir.fd, path, O_WRONLY | O_APPEND | O_CLOEXEC);
	f = fdopen(fd, "a");
	cr_assert_not_null(f);
	fputc('\n', f);
	fclose(f);
}

Test(audit, every_platform_once)
{
	CLEANUP(made) struct made m;
	char a[TEXT_MAX], b[TEXT_MAX], all[3 * TEXT_MAX + 4];

	make(&m);
	layout_image(&m.l, "a", "amd64", PLATFORM("linux", "amd64"), a);
	layout_image(&m.l, "b", "arm64", PLATFORM("linux", "arm64"), b);
	snprintf(all, sizeof(all), "%s, %s, %s", a, b, a);
	layout_index(&m.l, all);
	tells(m.ref, NULL,
	      "image linux/amd64: a, 1 layers, 0 missing\n"
	      "image linux/arm64: b, 1 layers, 0 missing\n");
	tells(m.ref, "linux/arm64", "image : b, 1 layers, 0 missing\n");
	fails(m.ref, "linux/s390x", ENOENT, "has no image for linux/s390x");
}

Test(audit, images_that_are_not_here_are_counted)
{
	CLEANUP(made) struct made m;
	char a[TEXT_MAX], b[TEXT_MAX], all[2 * TEXT_MAX + 2];

	make(&m);
	layout_image(&m.l, "a", "amd64", PLATFORM("linux", "amd64"), a);
	layout_image(&m.l, "b", "arm64", PLATFORM("linux", "arm64"), b);
	snprintf(all, sizeof(all), "%s, %s", a, b);
	layout_index(&m.l, all);
	remove_blob(&m, a);
	tells(m.ref, NULL,
	      "absent linux/amd64\n"
	      "image linux/arm64: b, 1 layers, 0 missing\n");
}

/* What is beside an image is none; where there is nothing else, it is said what it is. */
Test(audit, artifacts_are_no_images)
{
	static const char type[] = "application/vnd.oci.empty.v1+json";
	CLEANUP(made) struct made m;
	char image[TEXT_MAX], config[TEXT_MAX], artifact[TEXT_MAX], all[2 * TEXT_MAX + 2];

	make(&m);
	layout_json(&m.l, type, "", config, "{}");
	layout_json(&m.l, TYPE_MANIFEST, NAMED("chart"), artifact,
		    "{\"schemaVersion\": 2, \"artifactType\": \"application/vnd.x\", "
		    "\"config\": %s, \"layers\": []}",
		    config);
	layout_index(&m.l, artifact);
	fails(m.ref, NULL, ENOTSUP, "is an artifact of type application/vnd.x, not an image");
	layout_image(&m.l, "a", "amd64", NAMED("chart") PLATFORM("linux", "amd64"), image);
	snprintf(all, sizeof(all), "%s, %s", artifact, image);
	layout_index(&m.l, all);
	snprintf(m.ref, sizeof(m.ref), "oci:%s:chart", m.l.dir.path);
	tells(m.ref, NULL, "image linux/amd64: a, 1 layers, 0 missing\n");
}

/* An entry that nobody would mount does not hide the same image where it would be. */
Test(audit, only_the_same_use_is_a_repetition)
{
	CLEANUP(made) struct made m;
	char a[TEXT_MAX], aside[TEXT_MAX], wrong[TEXT_MAX], all[3 * TEXT_MAX];
	CLEANUP(told) struct told t;
	char *size;

	make(&m);
	layout_image(&m.l, "a", "amd64", PLATFORM("unknown", "unknown"), aside);
	layout_image(&m.l, "a", "amd64", PLATFORM("linux", "amd64"), a);
	snprintf(all, sizeof(all), "%s, %s", aside, a);
	layout_index(&m.l, all);
	tells(m.ref, NULL, "image : a, 1 layers, 0 missing\n");
	/* With another size it is not what was looked at. */
	snprintf(wrong, sizeof(wrong), "%s", a);
	size = strstr(wrong, "\"size\": ");
	cr_assert_not_null(size);
	size[8] = size[8] == '9' ? '8' : '9';
	snprintf(all, sizeof(all), "%s, %s", a, wrong);
	layout_index(&m.l, all);
	audit(m.ref, NULL, &t);
	cr_assert_eq(t.rc, 0, "%s", err_text(&t.err));
	cr_assert_not_null(strstr(t.text, "it should have"), "%s", t.text);
}

/* Another platform than was asked for is no fault of the image. */
Test(audit, a_single_image_of_another_platform)
{
	CLEANUP(made) struct made m;
	char a[TEXT_MAX], path[200];

	make(&m);
	layout_index(&m.l, layout_image(&m.l, "a", "amd64", "", a));
	fails(m.ref, "linux/arm64", ENOENT, "is an image for linux/amd64, not for linux/arm64");
	/* But that the index says another one than the configuration is. */
	layout_index(&m.l, layout_image(&m.l, "a", "amd64", PLATFORM("linux", "arm64"), a));
	finds(m.ref, "linux/arm64", "", "is an image for linux/amd64, not for linux/arm64",
	      "image : a, 1 layers, 0 missing\n");
	/* Without an index. */
	path_of(a, path);
	cr_assert_eq(renameat(m.l.dir.fd, path, m.l.dir.fd, "index.json"), 0);
	fails(m.ref, "linux/arm64", ENOENT, "is an image for linux/amd64, not for linux/arm64");
	tells(m.ref, "linux/amd64", "image : a, 1 layers, 0 missing\n");
}

/* Who looks at documents to choose among images tells nothing, and who reads them then tells it once. */
Test(audit, a_wrong_digest_is_told_once)
{
	CLEANUP(made) struct made m;
	char a[TEXT_MAX], b[TEXT_MAX], all[2 * TEXT_MAX + 2];

	make(&m);
	layout_image(&m.l, "a", "amd64", "", a);
	layout_image(&m.l, "b", "arm64", "", b);
	snprintf(all, sizeof(all), "%s, %s", a, b);
	layout_index(&m.l, all);
	spoil(&m, b);
	tells(m.ref, "linux/amd64", "image : a, 1 layers, 0 missing\n");
	finds(m.ref, "linux/arm64", "", "it should have", "image : b, 1 layers, 0 missing\n");
}

/* A document of which nobody knows the platform could be the one that is meant. */
Test(audit, what_cannot_be_read_is_told)
{
	CLEANUP(made) struct made m;
	char a[TEXT_MAX], b[TEXT_MAX], all[2 * TEXT_MAX + 2];

	make(&m);
	layout_image(&m.l, "a", "amd64", "", a);
	layout_blob(&m.l, TYPE_MANIFEST, "", "{", 1, b);
	snprintf(all, sizeof(all), "%s, %s", b, a);
	layout_index(&m.l, all);
	finds(m.ref, "linux/amd64", "", "not valid JSON", "image : a, 1 layers, 0 missing\n");
}

/* ---- docker save's archives ---- */

struct packed {
	char config[200], layer[200]; /* names in the archive */
	char raw_config[1000], diff[DIGEST_TEXT_MAX];
	struct digest config_digest, layer_digest;
	size_t layer_len;
};

/* Puts a configuration and a layer, as Docker 25 does. */
static void put_image(struct buf *t, const char *name, const char *arch, struct packed *ret_p)
{
	CLEANUP(buf) struct buf tar = {0};
	char hex[DIGEST_TEXT_MAX];

	tarball_file(&tar, name, name, strlen(name));
	tarball_end(&tar);
	ret_p->layer_len = tar.len;
	cr_assert_eq(digest_of(DIGEST_SHA256, tar.data, tar.len, &ret_p->layer_digest), 0);
	snprintf(ret_p->layer, 200, "blobs/sha256/%s", digest_hex(&ret_p->layer_digest, hex));
	tarball_file(t, ret_p->layer, tar.data, tar.len);
	snprintf(ret_p->raw_config, sizeof(ret_p->raw_config),
		 "{\"os\": \"linux\", \"architecture\": \"%s\", \"config\": {\"Cmd\": [\"%s\"]}, "
		 "\"rootfs\": {\"diff_ids\": [\"%s\"]}}",
		 arch, name, digest_format(&ret_p->layer_digest, ret_p->diff));
	cr_assert_eq(digest_of(DIGEST_SHA256, ret_p->raw_config, strlen(ret_p->raw_config),
			       &ret_p->config_digest),
		     0);
	snprintf(ret_p->config, 200, "blobs/sha256/%s", digest_hex(&ret_p->config_digest, hex));
	tarball_file(t, ret_p->config, ret_p->raw_config, strlen(ret_p->raw_config));
}

/* Its manifest, and the descriptor of that with MORE behind, to be put into an index. */
static void put_manifest(struct buf *t, const struct packed *p, const char *more, struct buf *index)
{
	CLEANUP(buf) struct buf text = {0};
	char hex[DIGEST_TEXT_MAX], name[200];
	struct digest d;

	buf_printf(&text,
		   "{\"schemaVersion\": 2, \"config\": {\"mediaType\": \"" TYPE_CONFIG "\", "
		   "\"digest\": \"%s\", \"size\": %zu}, ",
		   digest_format(&p->config_digest, hex), strlen(p->raw_config));
	buf_printf(&text,
		   "\"layers\": [{\"mediaType\": \"" TYPE_LAYER
		   "\", \"digest\": \"%s\", \"size\": %zu}]}",
		   p->diff, p->layer_len);
	cr_assert_eq(digest_of(DIGEST_SHA256, text.data, text.len, &d), 0);
	snprintf(name, sizeof(name), "blobs/sha256/%s", digest_hex(&d, hex));
	tarball_file(t, name, text.data, text.len);
	buf_printf(index,
		   "%s{\"mediaType\": \"" TYPE_MANIFEST "\", \"digest\": \"%s\", \"size\": %zu%s}",
		   index->len > 0 ? ", " : "", digest_format(&d, hex), text.len, more);
}

/* Writes the archive with manifest.json of LIST, and index.json of the descriptors INDEX unless that is NULL. */
static void finish(struct made *m, struct buf *t, const char *list, struct buf *index)
{
	CLEANUP(buf) struct buf text = {0};

	tarball_file(t, "manifest.json", list, strlen(list));
	if (index != NULL) {
		buf_printf(&text, "{\"schemaVersion\": 2, \"manifests\": [%s]}", buf_cstr(index));
		tarball_file(t, "index.json", text.data, text.len);
	}
	tarball_end(t);
	cr_assert(buf_ok(t));
	layout_write(&m->l, "archive.tar", t->data, t->len);
	snprintf(m->ref, sizeof(m->ref), "docker-archive:%s/archive.tar", m->l.dir.path);
}

/* An archive of one image for amd64; LAYERS is its list's text. */
static void one_entry(struct made *m, const char *layers)
{
	CLEANUP(buf) struct buf t = {0}, list = {0};
	struct packed p;

	put_image(&t, "a", "amd64", &p);
	buf_printf(&list, "[{\"Config\": \"%s\", \"RepoTags\": [\"x:1\"], \"Layers\": [%s]}]",
		   p.config, layers);
	finish(m, &t, buf_cstr(&list), NULL);
}

Test(docker_audit, a_bad_name_is_one_layers_fault)
{
	CLEANUP(made) struct made m;

	make(&m);
	one_entry(&m, "\"../x\"");
	finds(m.ref, NULL, "", "leads out of the archive", "image : a, 1 layers, 1 missing\n");
	one_entry(&m, "3");
	finds(m.ref, NULL, "", "names no file for a layer", "image : a, 1 layers, 1 missing\n");
	one_entry(&m, "\"nothing\"");
	tells(m.ref, NULL, "image : a, 1 layers, 1 missing\n");
}

Test(docker_audit, another_platform_is_no_fault)
{
	CLEANUP(made) struct made m;

	make(&m);
	one_entry(&m, "\"nothing\"");
	fails(m.ref, "linux/arm64", ENOENT, "is an image for linux/amd64, not for linux/arm64");
	tells(m.ref, "linux/amd64", "image : a, 1 layers, 1 missing\n");
}

/* As a mount does: the list has one platform of an image, the index beside it may have more. */
Test(docker_audit, the_index_beside_the_list)
{
	CLEANUP(made) struct made m;
	CLEANUP(buf) struct buf t = {0}, list = {0}, index = {0};
	struct packed a, b, c;
	char ref[700];

	make(&m);
	put_image(&t, "a", "amd64", &a);
	put_image(&t, "b", "arm64", &b);
	put_image(&t, "c", "amd64", &c);
	put_manifest(&t, &a, PLATFORM("linux", "amd64") NAMED("x:1"), &index);
	put_manifest(&t, &b, PLATFORM("linux", "arm64") NAMED("x:1"), &index);
	put_manifest(&t, &c, PLATFORM("linux", "amd64") NAMED("y:1"), &index);
	buf_printf(&list, "[{\"Config\": \"%s\", \"RepoTags\": [\"x:1\"], \"Layers\": [\"%s\"]}]",
		   a.config, a.layer);
	finish(&m, &t, buf_cstr(&list), &index);
	snprintf(ref, sizeof(ref), "%s:x:1", m.ref);
	tells(ref, NULL,
	      "image : a, 1 layers, 0 missing\n"
	      "image linux/arm64: b, 1 layers, 0 missing\n");
	tells(ref, "linux/amd64", "image : a, 1 layers, 0 missing\n");
	tells(ref, "linux/arm64", "image : b, 1 layers, 0 missing\n");
	fails(ref, "linux/s390x", ENOENT, "has no image for linux/s390x");
	snprintf(ref, sizeof(ref), "%s:y:1", m.ref);
	tells(ref, NULL, "image : c, 1 layers, 0 missing\n");
	snprintf(ref, sizeof(ref), "%s:z:1", m.ref);
	fails(ref, NULL, ENOENT, "no image named z:1");
}
