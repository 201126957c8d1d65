/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of containers-storage: stores that are wrong. Right ones are podman's, in tests/clients. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "image/store.h"
#include "unit/image/layout.h"

#define ID    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LAYER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void make_store(struct layout *l)
{
	static const char *const dirs[] = {
		"overlay",	  "overlay/" LAYER,	"overlay/" LAYER "/diff",
		"overlay-images", "overlay-images/" ID, "overlay-layers"};

	layout_make(l);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		cr_assert_eq(mkdirat(l->dir.fd, dirs[i], 0755), 0);
	layout_text(l, "overlay-images/images.json",
		    "[{\"id\": \"" ID "\", \"names\": [\"localhost/x:latest\"], \"layer\": \"" LAYER
		    "\"}]");
	layout_text(l, "overlay-layers/layers.json", "[{\"id\": \"" LAYER "\"}]");
}

/* A manifest, and a configuration with N DiffIDs. */
static void make_documents(const struct layout *l, unsigned int n)
{
	CLEANUP(buf) struct buf ids = {0}, name = {0};
	char config[TEXT_MAX], path[300];
	const char *digest;

	for (unsigned int i = 0; i < n; i++)
		buf_printf(&ids, "%s\"sha256:" ID "\"", i > 0 ? ", " : "");
	layout_json(l, TYPE_CONFIG, "", config,
		    "{\"os\": \"linux\", \"architecture\": \"odd\", \"rootfs\": "
		    "{\"diff_ids\": [%s]}}",
		    n > 0 ? buf_cstr(&ids) : "");
	layout_text(l, "overlay-images/" ID "/manifest",
		    "{\"schemaVersion\": 2, \"config\": %s, \"layers\": []}", config);
	/* The name in base 64, by another program. */
	digest = strstr(config, "sha256:");
	snprintf(path, sizeof(path), "printf =; printf %%s %.71s | base64 -w0", digest);
	FILE *p = popen(path, "r");
	char file[200] = "";

	cr_assert_not_null(p);
	cr_assert_not_null(fgets(file, sizeof(file), p));
	pclose(p);
	snprintf(path, sizeof(path), "blobs/sha256/%.64s", digest + 7);
	buf_printf(&name, "overlay-images/" ID "/%s", file);
	cr_assert_eq(renameat(l->dir.fd, path, l->dir.fd, buf_cstr(&name)), 0);
}

static const char *ref_of(const struct layout *l, const char *name, char ref[static 600])
{
	snprintf(ref, 600, "containers-storage:[overlay@%s]%s", l->dir.path, name);
	return ref;
}

Test(storage, an_image_is_found_by_name_and_id)
{
	static const char *const names[] = {
		"localhost/x:latest", "localhost/x", "x", ID, "aaa", "@" ID, "sha256:" ID};
	CLEANUP(layout) struct layout l;
	char ref[600];

	make_store(&l);
	make_documents(&l, 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		CLEANUP(image) struct image *image = NULL;
		CLEANUP(err) struct err e = {0};

		cr_assert_eq(image_open(ref_of(&l, names[i], ref), NULL, &image, &e), 0, "%s",
			     err_text(&e));
		cr_assert_eq(image->n_layers, 1);
		cr_assert_geq(image->layers[0].dir_fd, 0);
		cr_assert_not_null(strstr(image->layers[0].dir, "/overlay/" LAYER "/diff"));
	}
	image_refuses(ref_of(&l, "aa", ref), NULL, ENOENT, "no such image");
	image_refuses(ref_of(&l, "localhost/x:other", ref), NULL, ENOENT, "no such image");
	image_refuses(ref_of(&l, "", ref), NULL, EINVAL, "names no image");
}

Test(storage, what_does_not_fit_is_refused)
{
	CLEANUP(layout) struct layout l;
	char ref[600];

	make_store(&l);
	ref_of(&l, "x", ref);
	image_refuses(ref, NULL, ENOENT, "manifest");
	make_documents(&l, 2);
	image_refuses(ref, NULL, ENOENT, "layer 1 is not in the store");
	make_documents(&l, 1);
	layout_text(&l, "overlay-layers/layers.json",
		    "[{\"id\": \"" LAYER "\", \"parent\": \"" ID "\"}]");
	image_refuses(ref, NULL, EBADMSG, "more layers than the configuration");
	layout_text(&l, "overlay-layers/layers.json",
		    "[{\"id\": \"" LAYER "\", \"parent\": \"" LAYER "\"}]");
	image_refuses(ref, NULL, EBADMSG, "more layers than the configuration");
	layout_text(&l, "overlay-layers/layers.json", "{}");
	image_refuses(ref, NULL, EBADMSG, "no list");
	layout_text(&l, "overlay-layers/layers.json", "[{\"id\": \"../../../etc\"}]");
	layout_text(&l, "overlay-images/images.json",
		    "[{\"id\": \"" ID
		    "\", \"names\": [\"localhost/x:latest\"], \"layer\": \"../../../etc\"}]");
	image_refuses(ref, NULL, ENOENT, "layer 1 is not in the store");
	layout_text(&l, "overlay-images/images.json",
		    "[{\"id\": \"../x\", \"names\": [\"localhost/x:latest\"]}]");
	image_refuses(ref, NULL, EBADMSG, "is none");
	layout_text(&l, "overlay-images/images.json", "[1, null, {}, []]");
	image_refuses(ref, NULL, ENOENT, "no such image");
	cr_assert_eq(unlinkat(l.dir.fd, "overlay-images/images.json", 0), 0);
	image_refuses(ref, NULL, ENOENT, "no container storage");
}

Test(storage, a_changed_configuration_is_noticed)
{
	CLEANUP(layout) struct layout l;
	char ref[600], command[800];

	make_store(&l);
	make_documents(&l, 1);
	snprintf(command, sizeof(command), "sed -i s/odd/old/ '%s'/overlay-images/" ID "/=*",
		 l.dir.path);
	cr_assert_eq(system(command), 0);
	image_refuses(ref_of(&l, "x", ref), NULL, EBADMSG, "have the digest");
}

Test(storage, roots_are_where_podman_looks)
{
	CLEANUP(layout) struct layout l;
	struct image_strings roots = {0};
	CLEANUP(err) struct err e = {0};
	char path[600];

	layout_make(&l);
	snprintf(path, sizeof(path), "%s/storage.conf", l.dir.path);
	setenv("CONTAINERS_STORAGE_CONF", path, 1);
	setenv("HOME", "/home/somebody", 1);
	unsetenv("_CONTAINERS_ROOTLESS_UID");
	cr_assert_eq(stores_find(&roots, &e), -ENOENT);
	layout_text(&l, "storage.conf",
		    "[storage]\ngraphroot = \"$HOME/g\"\n[storage.options]\n"
		    "additionalimagestores = [ \"/one\",\n\"relative\", '/two' ]\n");
	cr_assert_eq(stores_find(&roots, &e), 0);
	cr_assert_eq(roots.count, 3);
	cr_assert_str_eq(roots.list[0], "/home/somebody/g");
	cr_assert_str_eq(roots.list[1], "/one");
	cr_assert_str_eq(roots.list[2], "/two");
	strings_done(&roots);
	layout_text(&l, "storage.conf", "[storage]\ngraphroot = \"x");
	cr_assert_eq(stores_find(&roots, NULL), -EBADMSG);
	strings_done(&roots);
}
