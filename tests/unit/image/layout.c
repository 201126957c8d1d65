/* SPDX-License-Identifier: Apache-2.0 */
/* Making OCI layouts. */
#include "unit/image/layout.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "image/platform.h"
#include "unit/image/tarball.h"

void layout_make(struct layout *ret_l)
{
	tmpdir_make(&ret_l->dir);
	cr_assert_eq(mkdirat(ret_l->dir.fd, "blobs", 0755), 0);
	cr_assert_eq(mkdirat(ret_l->dir.fd, "blobs/sha256", 0755), 0);
	layout_text(ret_l, "oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}");
}

void layout_done(struct layout *l)
{
	tmpdir_done(&l->dir);
}

void layout_write(const struct layout *l, const char *name, const void *p, size_t len)
{
	int fd = openat(l->dir.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0, "%s", name);
	cr_assert_eq(write(fd, p, len), (ssize_t)len);
	close(fd);
}

void layout_text(const struct layout *l, const char *name, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	cr_assert_geq(vasprintf(&text, fmt, ap), 0);
	va_end(ap);
	layout_write(l, name, text, strlen(text));
	free(text);
}

const char *layout_blob(const struct layout *l, const char *media_type, const char *more,
			const void *p, size_t len, char buf[static TEXT_MAX])
{
	char hex[DIGEST_TEXT_MAX], path[256], text[DIGEST_TEXT_MAX];
	struct digest d;

	cr_assert_eq(digest_of(DIGEST_SHA256, p, len, &d), 0);
	snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(&d, hex));
	layout_write(l, path, p, len);
	cr_assert_lt(snprintf(buf, TEXT_MAX,
			      "{\"mediaType\": \"%s\", \"digest\": \"%s\", \"size\": %zu%s}",
			      media_type, digest_format(&d, text), len, more),
		     TEXT_MAX);
	return buf;
}

const char *layout_json(const struct layout *l, const char *media_type, const char *more,
			char buf[static TEXT_MAX], const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	cr_assert_geq(vasprintf(&text, fmt, ap), 0);
	va_end(ap);
	layout_blob(l, media_type, more, text, strlen(text), buf);
	free(text);
	return buf;
}

const char *host_arch(void)
{
	static char arch[64];
	struct platform p;

	cr_assert_eq(platform_of_host(&p), 0);
	snprintf(arch, sizeof(arch), "%s", p.arch);
	platform_done(&p);
	return arch;
}

const char *layout_image(const struct layout *l, const char *name, const char *arch,
			 const char *more, char buf[static TEXT_MAX])
{
	char layer[TEXT_MAX], config[TEXT_MAX], diff[DIGEST_TEXT_MAX];
	CLEANUP(buf) struct buf tar = {0};
	struct digest d;

	tarball_file(&tar, name, name, strlen(name));
	tarball_end(&tar);
	cr_assert_eq(digest_of(DIGEST_SHA256, tar.data, tar.len, &d), 0);
	layout_blob(l, TYPE_LAYER, "", tar.data, tar.len, layer);
	layout_json(
		l, TYPE_CONFIG, "", config,
		"{\"os\": \"linux\", \"architecture\": \"%s\", \"config\": {\"Cmd\": [\"%s\"]}, "
		"\"rootfs\": {\"type\": \"layers\", \"diff_ids\": [\"%s\"]}}",
		arch != NULL ? arch : host_arch(), name, digest_format(&d, diff));
	return layout_json(l, TYPE_MANIFEST, more, buf,
			   "{\"schemaVersion\": 2, \"config\": %s, \"layers\": [%s]}", config,
			   layer);
}

void layout_index(const struct layout *l, const char *descriptors)
{
	layout_text(l, "index.json", "{\"schemaVersion\": 2, \"manifests\": [%s]}", descriptors);
}

struct image *layout_open(const struct layout *l, const char *which, const struct image_options *o)
{
	CLEANUP(err) struct err e = {0};
	struct image *image = NULL;
	char ref[600];

	snprintf(ref, sizeof(ref), "oci:%s%s", l->dir.path, which);
	cr_assert_eq(image_open(ref, o, &image, &e), 0, "%s", err_text(&e));
	return image;
}

void image_refuses(const char *ref, const struct image_options *o, int code, const char *text)
{
	CLEANUP(err) struct err e = {0};
	struct image *image = NULL;
	size_t fds = count_fds();
	int rc = image_open(ref, o, &image, &e);

	cr_assert_eq(rc, -code, "%s: %d: %s", ref, rc, err_text(&e));
	cr_assert_not_null(strstr(err_text(&e), text), "%s", err_text(&e));
	cr_assert_null(strchr(err_text(&e), '\n'), "%s", err_text(&e));
	cr_assert_null(image);
	cr_assert_eq(count_fds(), fds);
}

void layout_refuses(const struct layout *l, const char *which, const struct image_options *o,
		    int code, const char *text)
{
	char ref[600];

	snprintf(ref, sizeof(ref), "oci:%s%s", l->dir.path, which);
	image_refuses(ref, o, code, text);
}
