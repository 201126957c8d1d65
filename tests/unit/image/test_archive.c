/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of archives of images: members, links, docker's list. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/archive.h"
#include "unit/image/layout.h"
#include "unit/image/packed.h"

static const struct image_options no_options;

static struct archive_index *index_of(struct buf *tar)
{
	CLEANUP(blob) struct blob *b = NULL;
	CLEANUP(err) struct err e = {0};
	struct archive_index *a = NULL;

	cr_assert(buf_ok(tar));
	cr_assert_eq(blob_from_memory(tar->data, tar->len, &b), 0);
	cr_assert_eq(archive_index_read(b, "archive", &no_options, &a, &e), 0, "%s", err_text(&e));
	return a;
}

static void expect(struct archive_index *a, const char *path, const char *content)
{
	CLEANUP(blob) struct blob *b = NULL;
	CLEANUP(err) struct err e = {0};
	char text[100] = "";

	cr_assert_eq(archive_index_open(a, path, &b, &e), 0, "%s: %s", path, err_text(&e));
	cr_assert_eq(blob_pread(b, text, sizeof(text) - 1, 0), (ssize_t)strlen(content), "%s",
		     path);
	cr_assert_str_eq(text, content);
}

static void refuses(struct archive_index *a, const char *path, int code)
{
	struct blob *b = NULL;

	cr_assert_eq(archive_index_open(a, path, &b, NULL), -code, "%s", path);
	cr_assert_null(b);
}

static void put_link(struct buf *t, char type, const char *name, const char *target)
{
	tarball_header(t, &(struct entry){type, name, target, .mode = 0777});
}

static void put_members(struct buf *t)
{
	tarball_file(t, "./a", "one", 3);
	tarball_file(t, "dir/b", "two", 3);
	tarball_file(t, "/absolute", "three", 5);
	tarball_file(t, "x//y/./z", "four", 4);
	tarball_file(t, "../outside", "five", 4);
	tarball_file(t, "twice", "first", 5);
	tarball_file(t, "twice", "last", 4);
	put_link(t, '2', "dir/to-a", "../a");
	put_link(t, '2', "dir/to-b", "b");
	put_link(t, '2', "chain", "dir/to-a");
	put_link(t, '1', "hard", "dir/b");
	put_link(t, '2', "out", "../../etc/passwd");
	put_link(t, '2', "root", "/a");
	put_link(t, '2', "loop", "loop");
	put_link(t, '2', "ping", "pong");
	put_link(t, '2', "pong", "ping");
	put_link(t, '2', "gone", "nothing");
	tarball_header(t, &(struct entry){'5', "empty/", .mode = 0755});
	tarball_file(t, "empty-file", "", 0);
	tarball_end(t);
}

static void check_members(struct archive_index *a)
{
	expect(a, "a", "one");
	expect(a, "./dir/../a", "one");
	expect(a, "dir/b", "two");
	expect(a, "absolute", "three");
	expect(a, "x/y/z", "four");
	expect(a, "twice", "last");
	expect(a, "dir/to-a", "one");
	expect(a, "dir/to-b", "two");
	expect(a, "chain", "one");
	expect(a, "hard", "two");
	expect(a, "root", "one");
	expect(a, "empty-file", "");
	refuses(a, "out", EXDEV);
	refuses(a, "../outside", EXDEV);
	refuses(a, "outside", ENOENT);
	refuses(a, "loop", ELOOP);
	refuses(a, "ping", ELOOP);
	refuses(a, "gone", ENOENT);
	refuses(a, "empty", EBADMSG);
	refuses(a, "", ENOENT);
}

Test(archive, members_and_links_are_found)
{
	CLEANUP(buf) struct buf t = {0};
	CLEANUP(archive_index) struct archive_index *a = NULL;

	put_members(&t);
	a = index_of(&t);
	check_members(a);
}

Test(archive, compressed_ones_are_the_same)
{
	CLEANUP(buf) struct buf t = {0}, gz = {0}, zst = {0};
	CLEANUP(archive_index) struct archive_index *a = NULL, *b = NULL;
	size_t fds = count_fds();

	put_members(&t);
	put_gzip(&gz, t.data, t.len, 6, 0);
	a = index_of(&gz);
	check_members(a);
	put_zstd(&zst, t.data, t.len, 3);
	b = index_of(&zst);
	check_members(b);
	cr_assert_eq(count_fds(), fds);
}

/* Zstd in one frame that is too long to be read at random. */
Test(archive, one_long_frame_becomes_a_file)
{
	CLEANUP(buf) struct buf t = {0}, zst = {0};
	CLEANUP(archive_index) struct archive_index *a = NULL;
	char *zeros = calloc(1, 40u << 20);
	size_t fds = count_fds();

	cr_assert_not_null(zeros);
	tarball_file(&t, "large", zeros, 40u << 20);
	put_members(&t);
	put_zstd(&zst, t.data, t.len, 1);
	a = index_of(&zst);
	check_members(a);
	cr_assert_eq(count_fds(), fds + 1);
	free(zeros);
}

Test(archive, what_is_cut_off_is_refused)
{
	CLEANUP(buf) struct buf t = {0}, gz = {0};
	CLEANUP(blob) struct blob *b = NULL;
	struct archive_index *a = NULL;

	put_members(&t);
	put_gzip(&gz, t.data, t.len, 6, 0);
	for (size_t len = 1; len < gz.len; len += 7) {
		int rc;

		cr_assert_eq(blob_from_memory(gz.data, len, &b), 0);
		rc = archive_index_read(b, "archive", &no_options, &a, NULL);
		cr_assert_eq(rc, -EBADMSG, "%zu: %d", len, rc);
		blob_unref(steal_ptr(&b));
	}
}

/* ---- docker's list --------------------------------------------------------------------------- */

/* Puts a configuration and a layer; their names go into CONFIG and LAYER. */
static void put_image(struct buf *t, const char *name, const char *arch, char config[static 200],
		      char layer[static 200])
{
	CLEANUP(buf) struct buf tar = {0}, text = {0};
	char hex[DIGEST_TEXT_MAX], diff[DIGEST_TEXT_MAX];
	struct digest d;

	tarball_file(&tar, name, name, strlen(name));
	tarball_end(&tar);
	cr_assert_eq(digest_of(DIGEST_SHA256, tar.data, tar.len, &d), 0);
	snprintf(layer, 200, "%s/layer.tar", digest_hex(&d, hex));
	tarball_file(t, layer, tar.data, tar.len);
	buf_printf(&text,
		   "{\"os\": \"linux\", \"architecture\": \"%s\", \"config\": {\"Cmd\": [\"%s\"]}, "
		   "\"rootfs\": {\"diff_ids\": [\"%s\"]}}",
		   arch, name, digest_format(&d, diff));
	cr_assert_eq(digest_of(DIGEST_SHA256, text.data, text.len, &d), 0);
	snprintf(config, 200, "%s.json", digest_hex(&d, hex));
	tarball_file(t, config, text.data, text.len);
}

/* Writes the archive, with manifest.json of LIST unless it is NULL, to a file and gives its reference. */
static const char *finish(const struct layout *l, struct buf *t, const char *list,
			  char ref[static 600])
{
	if (list != NULL)
		tarball_file(t, "manifest.json", list, strlen(list));
	tarball_end(t);
	cr_assert(buf_ok(t));
	layout_write(l, "archive.tar", t->data, t->len);
	snprintf(ref, 600, "docker-archive:%s/archive.tar", l->dir.path);
	return ref;
}

static void opens(const char *ref, const char *which, const char *platform, const char *cmd)
{
	CLEANUP(platform) struct platform p = {0};
	CLEANUP(image) struct image *image = NULL;
	CLEANUP(err) struct err e = {0};
	struct image_options o = {.strict = true};
	char text[700];

	if (platform != NULL) {
		cr_assert_eq(platform_parse(platform, &p, NULL), 0);
		o.platform = &p;
	}
	snprintf(text, sizeof(text), "%s%s", ref, which);
	cr_assert_eq(image_open(text, &o, &image, &e), 0, "%s", err_text(&e));
	cr_assert_str_eq(image->config.cmd.list[0], cmd);
	cr_assert_eq(image->transport, TRANSPORT_DOCKER_ARCHIVE);
	cr_assert(digest_equal(&image->layers[0].digest, &image->layers[0].diff_id));
}

Test(docker, tags_ids_and_positions_choose)
{
	CLEANUP(layout) struct layout l;
	CLEANUP(buf) struct buf t = {0}, list = {0};
	CLEANUP(image_list) struct image_list all = {0};
	char config[2][200], layer[2][200], ref[600], which[700];

	layout_make(&l);
	put_image(&t, "a", host_arch(), config[0], layer[0]);
	put_image(&t, "b", host_arch(), config[1], layer[1]);
	buf_printf(
		&list,
		"[{\"Config\": \"%s\", \"RepoTags\": [\"one:latest\", \"h.org/x:1\"], \"Layers\": [\"%s\"]},"
		" {\"Config\": \"%s\", \"RepoTags\": null, \"Layers\": [\"%s\"]}]",
		config[0], layer[0], config[1], layer[1]);
	finish(&l, &t, buf_cstr(&list), ref);
	opens(ref, ":one", NULL, "a");
	opens(ref, ":one:latest", NULL, "a");
	opens(ref, ":docker.io/library/one:latest", NULL, "a");
	opens(ref, ":h.org/x:1", NULL, "a");
	opens(ref, ":@1", NULL, "b");
	snprintf(which, sizeof(which), ":@sha256:%.64s", config[1]);
	opens(ref, which, NULL, "b");
	image_refuses(ref, NULL, EINVAL, "one:latest, @1");
	snprintf(which, sizeof(which), "%s:two", ref);
	image_refuses(which, NULL, ENOENT, "one:latest, @1");
	snprintf(which, sizeof(which), "%s:@2", ref);
	image_refuses(which, NULL, ENOENT, "position 2");
	cr_assert_eq(image_list(ref, NULL, &all, NULL), 0);
	cr_assert_eq(all.count, 2);
	cr_assert_eq(all.items[0].names.count, 2);
	cr_assert_eq(all.items[1].names.count, 0);
	cr_assert_eq(all.items[0].size, 2048);
	/* Not told what it is, it is recognised. */
	opens(ref + strlen("docker-archive:"), ":one", NULL, "a");
}

Test(docker, one_name_for_two_platforms)
{
	CLEANUP(layout) struct layout l;
	CLEANUP(buf) struct buf t = {0}, list = {0};
	char config[2][200], layer[2][200], ref[600];

	layout_make(&l);
	put_image(&t, "odd", "odd", config[0], layer[0]);
	put_image(&t, "here", host_arch(), config[1], layer[1]);
	buf_printf(&list,
		   "[{\"Config\": \"%s\", \"RepoTags\": [\"x:1\"], \"Layers\": [\"%s\"]},"
		   " {\"Config\": \"%s\", \"RepoTags\": [\"x:1\"], \"Layers\": [\"%s\"]}]",
		   config[0], layer[0], config[1], layer[1]);
	finish(&l, &t, buf_cstr(&list), ref);
	opens(ref, ":x:1", NULL, "here");
	opens(ref, ":x:1", "linux/odd", "odd");
}

/* As crane, ko and kaniko write it: layers are compressed, and the configuration comes first. */
static void put_crane(const struct layout *l, const char *file, bool lie, struct digest *ret_id,
		      struct digest *ret_layer)
{
	CLEANUP(buf) struct buf t = {0}, tar = {0}, gz = {0}, text = {0}, list = {0};
	char hex[DIGEST_TEXT_MAX], id[DIGEST_TEXT_MAX], diff[DIGEST_TEXT_MAX], name[200];
	struct digest d;

	tarball_file(&tar, "f", "f", 1);
	tarball_end(&tar);
	put_gzip(&gz, tar.data, tar.len, 6, 0);
	cr_assert_eq(digest_of(DIGEST_SHA256, tar.data, tar.len, &d), 0);
	cr_assert_eq(digest_of(DIGEST_SHA256, gz.data, gz.len, ret_layer), 0);
	buf_printf(
		&text,
		"{\"os\": \"linux\", \"architecture\": \"%s\", \"rootfs\": {\"diff_ids\": [\"%s\"]}}",
		host_arch(), digest_format(&d, diff));
	cr_assert_eq(digest_of(DIGEST_SHA256, text.data, text.len, ret_id), 0);
	if (lie)
		buf_put_u8(&text, '\n');
	tarball_file(&t, digest_format(ret_id, id), text.data, text.len);
	snprintf(name, sizeof(name), "%s.tar.gz", digest_hex(ret_layer, hex));
	tarball_file(&t, name, gz.data, gz.len);
	buf_printf(&list, "[{\"Config\": \"%s\", \"Layers\": [\"%s\"]}]", id, name);
	tarball_file(&t, "manifest.json", list.data, list.len);
	tarball_end(&t);
	cr_assert(buf_ok(&t));
	buf_clear(&gz);
	put_gzip(&gz, t.data, t.len, 1, 0);
	layout_write(l, file, t.data, t.len);
	snprintf(name, sizeof(name), "%s.gz", file);
	layout_write(l, name, gz.data, gz.len);
}

Test(docker, names_of_go_containerregistry)
{
	CLEANUP(layout) struct layout l;
	struct digest id, layer, other;
	char text[DIGEST_TEXT_MAX], ref[700];

	layout_make(&l);
	put_crane(&l, "a.tar", false, &id, &layer);
	digest_format(&id, text);
	for (int form = 0; form < 3; form++) {
		CLEANUP(image) struct image *image = NULL;
		CLEANUP(err) struct err e = {0};

		snprintf(ref, sizeof(ref), "%s/a.tar%s", l.dir.path, form == 1 ? ".gz" : "");
		if (form == 2)
			snprintf(ref, sizeof(ref), "docker-archive:%s/a.tar:@%s", l.dir.path, text);
		cr_assert_eq(image_open(ref, &(struct image_options){.strict = true}, &image, &e),
			     0, "%s: %s", ref, err_text(&e));
		cr_expect_eq(image->transport, TRANSPORT_DOCKER_ARCHIVE);
		cr_expect(digest_equal(&image->id, &id));
		cr_expect(digest_equal(&image->layers[0].digest, &layer));
		cr_expect_eq(image->layers[0].compression, COMPRESSION_GZIP);
		cr_expect_not(digest_equal(&image->layers[0].diff_id, &layer));
	}
	put_crane(&l, "lie.tar", true, &other, &layer);
	snprintf(ref, sizeof(ref), "%s/lie.tar", l.dir.path);
	image_refuses(ref, NULL, EBADMSG, "have the digest");
}

/* Names that only look like those say nothing. */
Test(docker, names_that_are_no_digests)
{
	static const char hex[] =
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	static const struct {
		int digits;
		const char *end;
	} names[] = {{63, ".tar.gz"},	 {64, "0.tar.gz"}, {64, ".tar"},
		     {64, "/layer.tar"}, {64, ".tgz"},	   {64, ".tar.gz.old"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		CLEANUP(layout) struct layout l;
		CLEANUP(image) struct image *image = NULL;
		CLEANUP(buf) struct buf t = {0}, list = {0};
		CLEANUP(err) struct err e = {0};
		char config[200], layer[200], ref[600], name[200];

		layout_make(&l);
		put_image(&t, "a", host_arch(), config, layer);
		snprintf(name, sizeof(name), "%.*s%s", names[i].digits, hex, names[i].end);
		put_link(&t, '2', name, strchr(name, '/') != NULL ? "../layer" : "layer");
		put_link(&t, '2', "layer", layer);
		buf_printf(&list, "[{\"Config\": \"%s\", \"Layers\": [\"%s\"]}]", config, name);
		finish(&l, &t, buf_cstr(&list), ref);
		cr_assert_eq(image_open(ref, NULL, &image, &e), 0, "%s", err_text(&e));
		/* As it is not compressed, the DiffID is its digest. */
		cr_expect(digest_equal(&image->layers[0].digest, &image->layers[0].diff_id), "%s",
			  name);
	}
}

static void refuses_list(const char *list, int code, const char *why)
{
	CLEANUP(layout) struct layout l;
	CLEANUP(buf) struct buf t = {0};
	char config[200], layer[200], ref[600];

	layout_make(&l);
	put_image(&t, "a", host_arch(), config, layer);
	tarball_file(&t, "text", "text", 4);
	put_link(&t, '2', "out", "../../../../etc/passwd");
	/* The name of a digest that is another's. */
	tarball_file(&t, "0000000000000000000000000000000000000000000000000000000000000000.json",
		     "{}", 2);
	image_refuses(finish(&l, &t, list, ref), NULL, code, why);
}

Test(docker, wrong_lists_are_refused)
{
	refuses_list(NULL, ENOENT, "has no manifest.json");
	refuses_list("{}", EBADMSG, "no list of images");
	refuses_list("[]", ENOENT, "holds no image");
	refuses_list("[1]", EBADMSG, "names no file");
	refuses_list("[{}]", EBADMSG, "names no file for a configuration");
	refuses_list("[{\"Config\": \"\"}]", EBADMSG, "names no file");
	refuses_list("[{\"Config\": \"nothing\"}]", ENOENT, "is not there");
	refuses_list("[{\"Config\": \"text\"}]", EBADMSG, "not valid JSON");
	refuses_list("[{\"Config\": \"../../../etc/passwd\"}]", EXDEV, "leads out of the archive");
	refuses_list("[{\"Config\": \"/etc/passwd\"}]", ENOENT, "is not there");
	refuses_list("[{\"Config\": \"out\"}]", EXDEV, "leads out of the archive");
	refuses_list(
		"[{\"Config\": \"0000000000000000000000000000000000000000000000000000000000000000.json\"}]",
		EBADMSG, "have the digest");
}

Test(docker, layers_lie_inside)
{
	static const char *const bad[] = {"../../etc/passwd", "out"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP(layout) struct layout l;
		CLEANUP(buf) struct buf t = {0}, list = {0};
		char config[200], layer[200], ref[600];

		layout_make(&l);
		put_image(&t, "a", host_arch(), config, layer);
		put_link(&t, '2', "out", "../../../../etc/passwd");
		buf_printf(&list, "[{\"Config\": \"%s\", \"Layers\": [\"%s\"]}]", config, bad[i]);
		image_refuses(finish(&l, &t, buf_cstr(&list), ref), NULL, EXDEV, "leads out");
	}
}

/* ---- plain paths ----------------------------------------------------------------------------- */

Test(path, what_lies_there_is_recognised)
{
	CLEANUP(layout) struct layout l;
	CLEANUP(buf) struct buf t = {0}, gz = {0};
	CLEANUP(image) struct image *image = NULL;
	CLEANUP(err) struct err e = {0};
	char path[600];

	layout_make(&l);
	tarball_header(&t, &(struct entry){'5', "./", .mode = 0755});
	tarball_file(&t, "./etc/file", "x", 1);
	tarball_end(&t);
	put_gzip(&gz, t.data, t.len, 6, 0);
	layout_write(&l, "layer.tar.gz", gz.data, gz.len);
	snprintf(path, sizeof(path), "%s/layer.tar.gz", l.dir.path);
	cr_assert_eq(image_open(path, NULL, &image, &e), 0, "%s", err_text(&e));
	cr_assert_eq(image->transport, TRANSPORT_PATH);
	cr_assert_eq(image->n_layers, 1);
	cr_assert_eq(image->layers[0].compression, COMPRESSION_GZIP);
	cr_assert_eq(image->layers[0].diff_id.alg, DIGEST_NONE);
	cr_assert_null(image->config.raw);
	layout_text(&l, "text", "this is not a tar");
	snprintf(path, sizeof(path), "%s/text", l.dir.path);
	image_refuses(path, NULL, EBADMSG, "neither an archive of images nor a layer's tar");
	image_refuses("/dev/null", NULL, EINVAL, "neither a regular file nor a directory");
	image_refuses("/nothing/there", NULL, ENOENT, "No such file");
	image_refuses("odd:name", NULL, ENOENT, "no transport 'odd'");
	image_refuses("surely-no-such-file", NULL, ENOENT,
		      "docker://docker.io/library/surely-no-such-file:latest");
	snprintf(path, sizeof(path), "%s/blobs", l.dir.path);
	image_refuses(path, NULL, EINVAL, "directory without an image");
}
