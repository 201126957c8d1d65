/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of layer/indexed_key: how indexes are called. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "layer/indexed_key.h"
#include "support/tmpdir.h"

static const struct digest none;
static const struct indexed_scan_options no_options;

static const char *key(struct blob *b, const struct digest *digest, const struct digest *diff_id,
		       enum compression c, char name[INDEXED_KEY_MAX])
{
	const struct indexed_source s = {b, digest, diff_id, "layer"};
	int r = indexed_key_of(&s, c, name);

	if (r < 0)
		snprintf(name, INDEXED_KEY_MAX, "%s", r == -ENOENT ? "ENOENT" : strerror(-r));
	return name;
}

static struct digest digest_of_text(const char *text)
{
	struct digest d;

	cr_assert_eq(digest_of(DIGEST_SHA256, text, strlen(text), &d), 0);
	return d;
}

Test(indexed_key, digests_that_are_said)
{
	CLEANUP(blob) struct blob *b = NULL;
	const struct digest stored = digest_of_text("abc"), diff = digest_of_text("");
	char name[INDEXED_KEY_MAX];

	cr_assert_eq(blob_from_memory("abc", 3, &b), 0);
	cr_expect_str_eq(
		key(b, &none, &diff, COMPRESSION_NONE, name),
		"sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.idx");
	cr_expect_str_eq(key(b, &stored, &diff, COMPRESSION_GZIP, name),
			 "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855."
			 "ba7816bf8f01cfea414140de5dae2223.idx");
}

/* Of bytes that are in no file of their own a digest can be had, and then a name. */
Test(indexed_key, nowhere)
{
	CLEANUP(blob) struct blob *b = NULL;
	CLEANUP(free) char *bytes = calloc(1, 3u << 20);
	const struct digest diff = digest_of_text("");
	struct indexed_source s = {NULL, &none, &diff, "layer"};
	struct digest found, is;
	char name[INDEXED_KEY_MAX], other[INDEXED_KEY_MAX];

	cr_assert_not_null(bytes);
	cr_assert_eq(blob_from_memory(bytes, (3u << 20) - 5, &b), 0);
	cr_expect_str_eq(key(b, &none, &none, COMPRESSION_NONE, name), "ENOENT");
	cr_expect_str_eq(key(b, &none, &diff, COMPRESSION_GZIP, name), "ENOENT");
	s.blob = b;
	cr_assert_eq(indexed_key_digest(&s, &no_options, &found), 0);
	cr_assert_eq(digest_of(DIGEST_SHA256, bytes, (3u << 20) - 5, &is), 0);
	cr_expect(digest_equal(&found, &is));
	/* Nobody says the DiffID of what is compressed. */
	cr_expect_eq(strncmp(key(b, &found, &none, COMPRESSION_GZIP, name), "file-", 5), 0);
	cr_expect_str_eq(key(b, &found, &none, COMPRESSION_GZIP, other), name);
	cr_expect_str_neq(key(b, &diff, &none, COMPRESSION_GZIP, other), name);
}

Test(indexed_key, places)
{
	CLEANUP(tmpdir) struct tmpdir tmp;
	CLEANUP(blob) struct blob *b = NULL;
	CLEANUP(blob) struct blob *slice = NULL;
	char name[INDEXED_KEY_MAX], other[INDEXED_KEY_MAX];
	int fd;

	tmpdir_make(&tmp);
	fd = sys_openat(tmp.fd, "file", O_RDWR | O_CREAT, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(sys_pwrite_full(fd, "bytes", 5, 0), 0);
	cr_assert_eq(blob_of_fd(fd, &b), 0);
	cr_assert_eq(blob_slice(b, 1, 4, &slice), 0);
	cr_expect_eq(strncmp(key(b, &none, &none, COMPRESSION_NONE, name), "file-", 5), 0);
	cr_expect_str_eq(key(b, &none, &none, COMPRESSION_NONE, other), name);
	cr_expect_str_neq(key(slice, &none, &none, COMPRESSION_NONE, other), name);
	/* The next one will have another such file: this place is none. */
	cr_assert_eq(unlinkat(tmp.fd, "file", 0), 0);
	cr_expect_str_eq(key(b, &none, &none, COMPRESSION_NONE, name), "ENOENT");
	cr_expect_str_eq(key(slice, &none, &none, COMPRESSION_NONE, name), "ENOENT");
}
