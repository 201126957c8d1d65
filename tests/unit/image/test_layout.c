/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of OCI layouts: what is chosen, what is refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "unit/image/layout.h"

#define NAMED(name)	   ", \"annotations\": {\"org.opencontainers.image.ref.name\": \"" name "\"}"
#define PLATFORM(os, arch) ", \"platform\": {\"os\": \"" os "\", \"architecture\": \"" arch "\"}"

/* Which image was opened: its command is its file's name. */
static void expect(const struct layout *l, const char *which, const char *platform,
		   const char *name)
{
	CLEANUP(platform) struct platform p = {0};
	struct image_options o = {.strict = true};
	CLEANUP(image) struct image *image = NULL;

	if (platform != NULL) {
		cr_assert_eq(platform_parse(platform, &p, NULL), 0);
		o.platform = &p;
	}
	image = layout_open(l, which, &o);
	cr_assert_eq(image->config.cmd.count, 1);
	cr_assert_str_eq(image->config.cmd.list[0], name, "%s %s", which, platform);
}

static void refuses_platform(const struct layout *l, const char *which, const char *platform,
			     int code, const char *text)
{
	CLEANUP(platform) struct platform p = {0};
	struct image_options o = {.platform = &p};

	cr_assert_eq(platform_parse(platform, &p, NULL), 0);
	layout_refuses(l, which, &o, code, text);
}

Test(layout, an_image_is_opened_whole)
{
	CLEANUP(layout) struct layout l;
	CLEANUP(image) struct image *image = NULL;
	char m[TEXT_MAX], text[DIGEST_TEXT_MAX];
	struct digest chain;
	size_t fds = count_fds();

	layout_make(&l);
	layout_index(&l, layout_image(&l, "a", NULL, NAMED("tag"), m));
	image = layout_open(&l, "", NULL);
	cr_assert_str_eq(image->tag, "tag");
	cr_assert_eq(image->transport, TRANSPORT_OCI);
	cr_assert_eq(image->n_layers, 1);
	cr_assert_not_null(image->layers[0].blob);
	cr_assert_eq(image->layers[0].compression, COMPRESSION_NONE);
	cr_assert(digest_equal(&image->layers[0].digest, &image->layers[0].diff_id));
	cr_assert_eq(image->layers[0].size, 2048);
	cr_assert_not_null(strstr(m, digest_format(&image->manifest, text)));
	cr_assert_eq(image_chain_id(image, 0, &chain), 0);
	cr_assert(digest_equal(&chain, &image->layers[0].diff_id));
	cr_assert_eq(image->n_warnings, 0);
	image_close(image);
	image = NULL;
	layout_done(&l);
	l = (struct layout){0};
	cr_assert_eq(count_fds(), fds);
}

Test(layout, names_digests_and_positions_choose)
{
	CLEANUP(layout) struct layout l;
	char a[TEXT_MAX], b[TEXT_MAX], both[3 * TEXT_MAX], which[200], *at;

	layout_make(&l);
	layout_image(&l, "a", NULL, NAMED("one"), a);
	layout_image(&l, "b", NULL, NAMED("two"), b);
	snprintf(both, sizeof(both), "%s, %s", a, b);
	layout_index(&l, both);
	expect(&l, ":one", NULL, "a");
	expect(&l, ":two", NULL, "b");
	expect(&l, ":@0", NULL, "a");
	expect(&l, ":@1", NULL, "b");
	at = strstr(b, "sha256:");
	snprintf(which, sizeof(which), ":@%.71s", at);
	expect(&l, which, NULL, "b");
	layout_refuses(&l, "", NULL, EINVAL, "one, two");
	layout_refuses(&l, ":three", NULL, ENOENT, "one, two");
	layout_refuses(&l, ":@2", NULL, ENOENT, "no image at position 2");
	layout_refuses(&l,
		       ":@sha256:"
		       "0000000000000000000000000000000000000000000000000000000000000000",
		       NULL, ENOENT, "no image with the digest");
}

Test(layout, an_id_chooses_too)
{
	CLEANUP(layout) struct layout l;
	CLEANUP(image) struct image *image = NULL;
	char a[TEXT_MAX], b[TEXT_MAX], both[3 * TEXT_MAX], which[200], text[DIGEST_TEXT_MAX];

	layout_make(&l);
	snprintf(both, sizeof(both), "%s, %s", layout_image(&l, "a", NULL, NAMED("one"), a),
		 layout_image(&l, "b", NULL, NAMED("two"), b));
	layout_index(&l, both);
	image = layout_open(&l, ":two", NULL);
	snprintf(which, sizeof(which), ":@%s", digest_format(&image->id, text));
	expect(&l, which, NULL, "b");
}

Test(layout, the_same_image_twice_is_no_open_choice)
{
	CLEANUP(layout) struct layout l;
	char a[TEXT_MAX], b[TEXT_MAX], both[3 * TEXT_MAX];

	layout_make(&l);
	snprintf(both, sizeof(both), "%s, %s", layout_image(&l, "a", NULL, NAMED("one"), a),
		 layout_image(&l, "a", NULL, NAMED("two"), b));
	layout_index(&l, both);
	expect(&l, "", NULL, "a");
	/* Two without names are one. */
	snprintf(both, sizeof(both), "%s, %s", layout_image(&l, "a", NULL, "", a),
		 layout_image(&l, "b", NULL, "", b));
	layout_index(&l, both);
	layout_refuses(&l, "", NULL, EINVAL, "@0, @1");
}

Test(layout, platforms_choose_and_the_first_match_wins)
{
	CLEANUP(layout) struct layout l;
	char a[TEXT_MAX], b[TEXT_MAX], c[TEXT_MAX], d[TEXT_MAX], all[5 * TEXT_MAX], inner[TEXT_MAX];

	layout_make(&l);
	snprintf(all, sizeof(all), "%s, %s, %s, %s",
		 layout_image(&l, "odd", "odd", PLATFORM("linux", "odd"), a),
		 layout_image(&l, "first", "arm64", PLATFORM("linux", "arm64"), b),
		 layout_image(&l, "second", "arm64", PLATFORM("linux", "arm64"), c),
		 layout_image(&l, "x", "unknown", PLATFORM("unknown", "unknown"), d));
	layout_json(&l, TYPE_INDEX, NAMED("many"), inner,
		    "{\"schemaVersion\": 2, \"manifests\": [%s]}", all);
	layout_index(&l, inner);
	expect(&l, "", "linux/arm64", "first");
	expect(&l, ":many", "linux/odd", "odd");
	expect(&l, "", "linux/arm64/v8", "first");
	refuses_platform(&l, "", "linux/s390x", ENOENT, "linux/odd, linux/arm64, linux/arm64");
	/* This machine's is none of them. */
	if (strcmp(host_arch(), "arm64") != 0)
		layout_refuses(&l, "", NULL, ENOENT, "has no image for linux/");
}

Test(layout, the_configuration_says_what_the_index_does_not)
{
	CLEANUP(layout) struct layout l;
	char a[TEXT_MAX], b[TEXT_MAX], both[3 * TEXT_MAX];

	layout_make(&l);
	layout_index(&l, layout_image(&l, "only", "odd", "", a));
	/* The only one is opened on any machine, unless a platform was asked for. */
	expect(&l, "", NULL, "only");
	expect(&l, "", "linux/odd", "only");
	refuses_platform(&l, "", "linux/arm64", ENOENT, "not for linux/arm64");
	snprintf(both, sizeof(both), "%s, %s", a, layout_image(&l, "here", NULL, "", b));
	layout_index(&l, both);
	expect(&l, "", NULL, "here");
	expect(&l, "", "linux/odd", "only");
}

Test(layout, what_is_not_there_is_passed_over)
{
	CLEANUP(layout) struct layout l;
	CLEANUP(image_list) struct image_list list = {0};
	char a[TEXT_MAX], gone[TEXT_MAX], both[3 * TEXT_MAX], ref[600], *at;

	layout_make(&l);
	layout_image(&l, "a", NULL, PLATFORM("linux", "odd"), gone);
	at = strstr(gone, "sha256:");
	at[10] = at[10] == '0' ? '1' : '0';
	snprintf(both, sizeof(both), "%s, %s", gone, layout_image(&l, "b", NULL, "", a));
	layout_index(&l, both);
	expect(&l, "", NULL, "b");
	refuses_platform(&l, "", "linux/odd", ENOENT, "linux/odd (not there)");
	snprintf(ref, sizeof(ref), "oci:%s", l.dir.path);
	cr_assert_eq(image_list(ref, NULL, &list, NULL), 0);
	cr_assert_eq(list.count, 2);
	cr_assert(list.items[0].missing && !list.items[1].missing);
}

Test(layout, missing_layers_are_said)
{
	CLEANUP(layout) struct layout l;
	CLEANUP(image) struct image *image = NULL;
	char m[TEXT_MAX], path[200], hex[DIGEST_TEXT_MAX];

	layout_make(&l);
	layout_index(&l, layout_image(&l, "a", NULL, "", m));
	image = layout_open(&l, "", NULL);
	snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(&image->layers[0].digest, hex));
	image_close(image);
	cr_assert_eq(unlinkat(l.dir.fd, path, 0), 0);
	image = layout_open(&l, "", NULL);
	cr_assert(image->layers[0].missing);
	cr_assert_null(image->layers[0].blob);
	cr_assert_eq(image->layers[0].size, 2048);
	/* A layer of another size, and one that is no file. */
	layout_text(&l, path, "x");
	layout_refuses(&l, "", NULL, EBADMSG, "it should have");
	cr_assert_eq(unlinkat(l.dir.fd, path, 0), 0);
	cr_assert_eq(mkfifoat(l.dir.fd, path, 0644), 0);
	layout_refuses(&l, "", NULL, EINVAL, "no regular file");
}

/* ---- documents that are wrong ---------------------------------------------------------------- */

static void refuses_index(const char *text, int code, const char *why)
{
	CLEANUP(layout) struct layout l;

	layout_make(&l);
	layout_text(&l, "index.json", "%s", text);
	layout_refuses(&l, "", NULL, code, why);
}

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

Test(layout, wrong_indexes_are_refused)
{
	refuses_index("", EBADMSG, "not valid JSON");
	refuses_index("[]", EBADMSG, "neither an index nor a manifest");
	refuses_index("{}", EBADMSG, "neither an index nor a manifest");
	refuses_index("{\"manifests\": []}", ENOENT, "holds no image");
	refuses_index("{\"manifests\": {}}", ENOENT, "holds no image");
	refuses_index("{\"manifests\": [], \"layers\": []}", EBADMSG, "both layers and manifests");
	refuses_index("{\"manifests\": [1]}", EBADMSG, "no descriptor");
	refuses_index("{\"manifests\": [{}]}", EBADMSG, "digest is none");
	refuses_index("{\"manifests\": [{\"digest\": 1, \"size\": 2}]}", EBADMSG, "digest is none");
	refuses_index("{\"manifests\": [{\"digest\": \"" DIGEST "\"}]}", EBADMSG, "no size");
	refuses_index("{\"manifests\": [{\"digest\": \"" DIGEST "\", \"size\": -1}]}", EBADMSG,
		      "no size");
	refuses_index("{\"manifests\": [{\"digest\": \"" DIGEST "\", \"size\": 1.5}]}", EBADMSG,
		      "no size");
	refuses_index(
		"{\"manifests\": [{\"digest\": \"sha256:../../../../../../../../etc/passwd\", \"size\": 1}]}",
		EBADMSG, "digest is none");
	refuses_index("{\"manifests\": [{\"digest\": \"sha256:/etc/passwd\", \"size\": 1}]}",
		      EBADMSG, "is none");
	refuses_index("{\"mediaType\": \"" TYPE_MANIFEST "\", \"manifests\": []}", EBADMSG,
		      "media type says");
	/* What it quotes cannot order the terminal about. */
	refuses_index("{\"manifests\": [{\"digest\": \"\\u001b[31m\\u009b\", \"size\": 1}]}",
		      EBADMSG, "?[31m");
}

Test(layout, files_of_the_layout_are_checked)
{
	CLEANUP(layout) struct layout l;

	layout_make(&l);
	layout_refuses(&l, "", NULL, ENOENT, "has no index.json");
	layout_text(&l, "oci-layout", "{\"imageLayoutVersion\": \"2.0.0\"}");
	layout_refuses(&l, "", NULL, ENOTSUP, "version 2.0.0");
	cr_assert_eq(unlinkat(l.dir.fd, "oci-layout", 0), 0);
	layout_refuses(&l, "", NULL, ENOENT, "no file oci-layout");
}

Test(layout, large_documents_are_not_read)
{
	CLEANUP(layout) struct layout l;
	char *big = calloc(1, (4u << 20) + 1);

	cr_assert_not_null(big);
	memset(big, ' ', (4u << 20) + 1);
	layout_make(&l);
	layout_write(&l, "index.json", big, (4u << 20) + 1);
	layout_refuses(&l, "", NULL, E2BIG, "more than");
	free(big);
}

Test(layout, indexes_in_indexes_have_an_end)
{
	CLEANUP(layout) struct layout l;
	char inner[2][TEXT_MAX];

	layout_make(&l);
	layout_image(&l, "deep", NULL, "", inner[0]);
	for (int i = 0; i < 3; i++)
		layout_json(&l, TYPE_INDEX, "", inner[(i + 1) % 2], "{\"manifests\": [%s]}",
			    inner[i % 2]);
	layout_index(&l, inner[1]);
	expect(&l, "", NULL, "deep");
	for (int i = 3; i < 5; i++)
		layout_json(&l, TYPE_INDEX, "", inner[(i + 1) % 2], "{\"manifests\": [%s]}",
			    inner[i % 2]);
	layout_index(&l, inner[1]);
	layout_refuses(&l, "", NULL, E2BIG, "indexes in indexes");
}

Test(layout, indexes_cannot_multiply)
{
	CLEANUP(layout) struct layout l;
	CLEANUP(buf) struct buf many = {0};
	char inner[TEXT_MAX], again[TEXT_MAX];

	/* Twenty times the same index, of twenty times the same: 8000 manifests of three documents. */
	layout_make(&l);
	layout_image(&l, "a", NULL, "", again);
	for (int level = 0; level < 3; level++) {
		buf_clear(&many);
		for (int i = 0; i < 20; i++)
			buf_printf(&many, "%s%s", i > 0 ? "," : "", again);
		layout_json(&l, TYPE_INDEX, "", inner, "{\"manifests\": [%s]}", buf_cstr(&many));
		memcpy(again, inner, sizeof(again));
	}
	layout_index(&l, again);
	layout_refuses(&l, "", NULL, E2BIG, "more than");
}

/* ---- manifests that are wrong ---------------------------------------------------------------- */

static void refuses_manifest(const char *type, const char *text, int code, const char *why)
{
	CLEANUP(layout) struct layout l;
	char m[TEXT_MAX];

	layout_make(&l);
	layout_index(&l, layout_json(&l, type, "", m, "%s", text));
	layout_refuses(&l, "", NULL, code, why);
}

#define CONFIG(type)                                                                               \
	"\"config\": {\"mediaType\": \"" type "\", \"digest\": \"" DIGEST "\", \"size\": 2}"

Test(layout, wrong_manifests_are_refused)
{
	refuses_manifest(TYPE_MANIFEST, "[]", ENOTSUP, "schema version 0");
	refuses_manifest(TYPE_MANIFEST, "{\"schemaVersion\": 3}", ENOTSUP, "schema version 3");
	refuses_manifest(TYPE_MANIFEST, "{\"schemaVersion\": 2}", EBADMSG, "no descriptor");
	refuses_manifest(TYPE_MANIFEST, "{\"schemaVersion\": 2, \"layers\": [], \"manifests\": []}",
			 EBADMSG, "both layers and manifests");
	refuses_manifest(TYPE_MANIFEST,
			 "{\"schemaVersion\": 2, \"mediaType\": \"" TYPE_INDEX
			 "\", \"layers\": []}",
			 EBADMSG, "says otherwise");
	refuses_manifest(TYPE_MANIFEST, "{\"schemaVersion\": 2, \"manifests\": []}", EBADMSG,
			 "media type");
	refuses_manifest(TYPE_INDEX, "{\"schemaVersion\": 2, \"layers\": []}", EBADMSG,
			 "media type");
	refuses_manifest(TYPE_MANIFEST,
			 "{\"schemaVersion\": 2, " CONFIG(TYPE_CONFIG) ", \"layers\": []}", ENOENT,
			 "configuration, " DIGEST ", is not there");
	refuses_manifest(TYPE_MANIFEST,
			 "{\"schemaVersion\": 2, \"artifactType\": \"application/x\", " CONFIG(
				 "application/vnd.oci.empty.v1+json") ", \"layers\": []}",
			 ENOTSUP, "artifact of type application/x");
	refuses_manifest(
		TYPE_MANIFEST,
		"{\"schemaVersion\": 2, " CONFIG("application/vnd.cncf.helm.config.v1+json") "}",
		ENOTSUP, "artifact of type application/vnd.cncf.helm");
	refuses_manifest("application/vnd.docker.distribution.manifest.v1+prettyjws",
			 "{\"schemaVersion\": 1, \"fsLayers\": []}", ENOTSUP, "first schema");
	refuses_manifest(TYPE_MANIFEST, "{\"schemaVersion\": 1, \"fsLayers\": []}", EBADMSG,
			 "says otherwise");
	refuses_manifest("application/x-nobody-knows", "{}", ENOENT, "holds no image");
}

/* The configuration's text and how many layers the manifest has. */
static void refuses_config(const char *text, int layers, int code, const char *why)
{
	CLEANUP(layout) struct layout l;
	CLEANUP(buf) struct buf list = {0};
	char config[TEXT_MAX], m[TEXT_MAX], layer[TEXT_MAX];

	layout_make(&l);
	layout_blob(&l, TYPE_LAYER, "", "", 0, layer);
	for (int i = 0; i < layers; i++)
		buf_printf(&list, "%s%s", i > 0 ? "," : "", layer);
	layout_json(&l, TYPE_CONFIG, "", config, "%s", text);
	layout_index(&l, layout_json(&l, TYPE_MANIFEST, "", m,
				     "{\"schemaVersion\": 2, \"config\": %s, \"layers\": [%s]}",
				     config, layers > 0 ? buf_cstr(&list) : ""));
	layout_refuses(&l, "", NULL, code, why);
}

Test(layout, wrong_configurations_are_refused)
{
	refuses_config("[]", 0, EBADMSG, "no configuration");
	refuses_config("{}", 0, EBADMSG, "no configuration");
	refuses_config("{\"rootfs\": {}}", 1, EBADMSG, "DiffIDs of 0");
	refuses_config("{\"rootfs\": {\"diff_ids\": [\"" DIGEST "\"]}}", 0, EBADMSG,
		       "DiffIDs of 1");
	refuses_config("{\"rootfs\": {\"diff_ids\": [\"x\"]}}", 1, EBADMSG, "no digest");
	refuses_config("{\"rootfs\": {\"diff_ids\": [1]}}", 1, EBADMSG, "no digest");
	refuses_config("{\"rootfs\": {}}", IMAGE_LAYERS_MAX + 1, E2BIG, "layers");
}

Test(layout, members_of_other_types_are_as_absent)
{
	CLEANUP(layout) struct layout l;
	CLEANUP(image) struct image *image = NULL;
	char config[TEXT_MAX], m[TEXT_MAX];

	layout_make(&l);
	layout_json(
		&l, TYPE_CONFIG, "", config,
		"{\"os\": 1, \"architecture\": [], \"created\": {}, \"rootfs\": {\"diff_ids\": null}, "
		"\"history\": [1, {\"created_by\": 5, \"empty_layer\": true}, null], \"config\": "
		"{\"Env\": {\"a\": 1}, \"Cmd\": \"one word\", \"Entrypoint\": [1, \"x\", null], \"Labels\": [\"x\"], "
		"\"User\": 5}}");
	layout_index(&l,
		     layout_json(&l, TYPE_MANIFEST, "", m,
				 "{\"schemaVersion\": 2, \"config\": %s, \"layers\": []}", config));
	image = layout_open(&l, "", NULL);
	cr_assert_eq(image->n_layers, 0);
	cr_assert_eq(image->n_history, 3);
	/* The history tells of two layers. */
	cr_assert_eq(image->n_warnings, 1);
	cr_assert_eq(image->config.env.count, 0);
	cr_assert_str_eq(image->config.cmd.list[0], "one word");
	cr_assert_eq(image->config.entrypoint.count, 1);
	cr_assert_null(image->config.user);
	cr_assert_null(image->platform.os);
	layout_refuses(&l, "", &(struct image_options){.strict = true}, EBADMSG,
		       "the history tells");
}

Test(layout, a_stop_is_heard)
{
	CLEANUP(layout) struct layout l;
	volatile sig_atomic_t stop = 1;
	char m[TEXT_MAX];

	layout_make(&l);
	layout_index(&l, layout_image(&l, "a", NULL, "", m));
	layout_refuses(&l, "", &(struct image_options){.cancelled = &stop}, ECANCELED,
		       "interrupted");
}
